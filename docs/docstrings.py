"""A Sphinx extension that reads docstrings as they are written here: for a terminal.

Paragraphs; blocks of items (`name: text`) that are indented under a line such as "Args:"; examples that begin
with `>>>`, or are indented behind a line that ends in `::`. What stands in backquotes becomes a link where it
names something public, and code elsewhere.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rheostat

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TITLES = {"Args:": "Arguments", "Returns:": "Returns", "Raises:": "Raises"}
BETWEEN = re.compile(r"(, | and (?=the\b)| \.\.\. )")  # the names of an item


def convert(text: str) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    lines: list[str] = []
    literal = False
    for chunk in re.split(r"\n\s*\n", text.strip("\n")):
        literal = literal and chunk.startswith("    ")
        if literal or chunk.startswith(">>>"):
            lines += [*chunk.split("\n"), ""]
            continue
        literal = chunk.endswith("::")
        above, below = [], []
        for line in chunk.split("\n"):
            (below if below or line.startswith("    ") else above).append(line)
        title = TITLES.get(above[0]) if above else None
        lines += [f"**{title}**"] if title else [inline(" ".join(above))]
        lines.append("")
        if title == "Returns":
            lines += [inline(" ".join(line.strip() for line in below)), ""]
        elif title or any(map(item_of, below)):
            lines += items(below)
        elif below:
            lines += [".. code-block:: text", "", *below, ""]
    return lines


def items(block: list[str]) -> list[str]:
    """A definition list: each name with its text, which lines that are indented more continue."""
    found: list[tuple[str | None, str]] = []
    for line in block:
        if line.startswith("        ") and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif item := item_of(line):
            found.append(item)
        else:
            found.append((None, line.strip()))
    lines = []
    for name, text in found:
        lines += [inline(text), ""] if name is None else [names(name), f"    {inline(text)}", ""]
    return lines


def item_of(line: str) -> tuple[str, str] | None:
    """Names and text, where the line begins an item."""
    name, colon, text = line.removeprefix("    ").partition(": ")
    return (name, text) if colon and BETWEEN.split(name)[0].isidentifier() else None


def names(text: str) -> str:
    """The names before a colon, each as code, those of errors as links: "prompt_ids, chain and the knobs"."""
    shown = []
    for part in BETWEEN.split(text):
        if re.fullmatch(r"[a-z_]\w*", part):  # an argument, also where a function has its name
            shown.append(f"\\ ``{part}``\\ ")
        else:
            shown.append(inline(f"`{part}`" if part.isidentifier() else part))
    return "".join(shown)


def inline(text: str) -> str:
    """A line with its code, its links, and nothing else that reStructuredText would read into it."""
    parts = re.split(r"``?([^`]+)``?", text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            part = re.sub(r"([\\*_|])", r"\\\1", part)
            # Markup may stand within a word only where a space is written that is not shown.
            parts[i] = r"\ " * (i > 0) + part + r"\ " * (i + 1 < len(parts))
        elif part.removeprefix("rheostat.") in rheostat.__all__:
            parts[i] = f":py:obj:`~rheostat.{part.removeprefix('rheostat.')}`"
        else:
            parts[i] = f"``{part}``"
    return "".join(parts)


def process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """What autodoc calls with the lines of each docstring, to be changed in place."""
    text = "\n".join(lines)
    if text.startswith("Alias for field number"):
        text = field_docstring(name)
    lines[:] = convert(text)


def field_docstring(name: str) -> str:
    """Of a field of a NamedTuple, whose docstring is in the source alone, and not where the class says."""
    from sphinx.pycode import ModuleAnalyzer  # here, so that the rest needs no Sphinx

    owner, field = name.split(".")[-2:]
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith("rheostat."):
            continue
        source = getattr(module, "__file__", None) or ""
        if source.endswith(".py") and f"\nclass {owner}(" in Path(source).read_text(encoding="utf-8"):
            found = ModuleAnalyzer.for_module(module.__name__).find_attr_docs().get((owner, field), [])
            return inspect.cleandoc("\n".join(found))
    return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """The extension's entry."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
