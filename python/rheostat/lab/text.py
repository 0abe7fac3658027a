"""The text: English prose that every Python carries, as a list of short documents.

It comes from the documentation's topics (`pydoc_data.topics`, what `help("while")` shows) and the
docstrings of the standard library's modules, classes and functions, all under the PSF licence. Code, tables
and signatures are left out, lines are joined to paragraphs, the marks of reStructuredText are removed and a
paragraph that came before is dropped, so that none that is held out was seen in training.

The text differs from one Python release to the next. Its digest is part of the weights' description, and
`frozen()` refuses another text.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

# What some systems package separately, and what has few words of its own.
LEFT_OUT = {
    "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tkinter", "turtle", "turtledemo",
}  # fmt: skip

HELD_OUT = 10  # every so many documents one is held out

FROZEN_PYTHON = "3.11.7"
FROZEN_SHA256 = "de995614c304ca7e63b54ec7ee362fe03a083bcd304fdfd089004e748c5d55d8"

# Curly quotes, dashes and the ellipsis, as a keyboard has them.
PLAIN = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
    }
)
MARKS = [
    (re.compile(r":[a-z:]+:`~?([^`<]+)(?: <[^`>]*>)?`"), r"\1"),  # :func:`len` is len
    (re.compile(r"`+([^`']+)[`']+"), r"\1"),  # ``x``, `x` and `x' are x
    (re.compile(r"(?<![\w*])\*{1,2}(\S(?:[^*\n]*\S)?)\*{1,2}(?![\w*])"), r"\1"),  # *x* and **x** are x
    (re.compile(r'"{2,}([^"]+)"{2,}'), r'"\1"'),  # ""x"" is "x"
    (re.compile(r"\s*\((?:[Ss]ee|in)? ?(?:section)? ?\)"), ""),  # what a lost reference leaves
]
SENTENCE = re.compile(r"[A-Z\"'(].*[.!?:]['\")]?", re.DOTALL)
CODE = re.compile(r">>>|\.\.\. |::=|[{}\[\]<>|\\=@#$%^~+]|__|\w\(|\w\.\w|[a-z]_|https?:|\d{3}")


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs that read as sentences, each on one line."""
    for block in re.split(r"\n\s*\n", text.translate(PLAIN)):
        lines = [line.strip() for line in block.splitlines()]
        line = re.sub(r"\s+", " ", " ".join(lines)).strip()
        for mark, plain in MARKS:
            line = mark.sub(plain, line)
        words = re.findall(r"[A-Za-z]{2,}", line)
        if len(words) >= 6 and SENTENCE.fullmatch(line) and len(CODE.findall(line)) * 12 <= len(words):
            yield line


def sources() -> Iterator[str]:
    """The topics by name, then the docstrings of each module in the order of its file."""
    from pydoc_data.topics import topics  # nearly a megabyte, which nothing else needs

    for _, topic in sorted(topics.items()):
        yield topic
    library = Path(sysconfig.get_path("stdlib"))
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        for path in [library / f"{name}.py", *sorted((library / name).rglob("*.py"))]:
            if path.is_file() and not LEFT_OUT & set(path.relative_to(library).parts):
                yield from docstrings(path.read_text("utf-8"))


def docstrings(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield inspect.cleandoc(ast.get_docstring(node, clean=False) or "")


def documents(texts: Iterable[str]) -> list[str]:
    """One document of each text that has prose: its paragraphs, an empty line between two."""
    seen: set[str] = set()
    found = []
    for text in texts:
        fresh = []
        for paragraph in paragraphs(text):
            key = re.sub(r"\W+", "", paragraph).lower()
            if key not in seen:
                seen.add(key)
                fresh.append(paragraph)
        if fresh:
            found.append("\n\n".join(fresh))
    return found


def split(all_documents: list[str]) -> tuple[list[str], list[str]]:
    """What is trained on, and what is held out: documents 9, 19, 29 and so on."""
    held_out = all_documents[HELD_OUT - 1 :: HELD_OUT]
    return [text for place, text in enumerate(all_documents) if place % HELD_OUT != HELD_OUT - 1], held_out


def digest(all_documents: list[str]) -> str:
    """SHA-256 of the documents, a zero byte after each."""
    return hashlib.sha256("".join(text + "\0" for text in all_documents).encode()).hexdigest()


def bytes_of(some_documents: Iterable[str]) -> int:
    return sum(len(text.encode()) for text in some_documents)


class OtherTextError(RuntimeError):
    """This Python carries another text than the model in the box was trained on."""


def frozen() -> list[str]:
    """The documents that the model in the box was trained on, or an error."""
    found = documents(sources())
    if digest(found) != FROZEN_SHA256:
        raise OtherTextError(
            f"the model in the box is made from the text that Python {FROZEN_PYTHON} carries, "
            f"and that of this Python {platform.python_version()} differs (SHA-256 {digest(found)[:12]}..., "
            f"not {FROZEN_SHA256[:12]}...)"
        )
    return found
