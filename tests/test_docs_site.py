"""The documentation: every Python block of it runs, and the reference names everything public."""

import doctest
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import rheostat
from rheostat.cli import commands

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))}
BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# Pages whose blocks have a test of their own, which looks at more than that they run.
ELSEWHERE = {
    "hosts.md": "integrations/test_docs.py",
    "own_sampler.md": "test_own_sampler.py",
    "specification.md": "test_specification.py",
    "specification_chain.md": "test_specification.py",
    "specification_stops.md": "test_specification.py",
}
LANGUAGES = {"python", "sh", "text", "json", "toctree", "include", "literalinclude"}


def blocks(page, language):
    return [code for found, code in BLOCK.findall(PAGES[page]) if found == language]


WITH_PYTHON = [page for page in PAGES if page not in ELSEWHERE and blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_blocks_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for pages that write files
    names = {"__name__": "__main__"}
    for number, code in enumerate(blocks(page, "python"), 1):
        if ">>> " not in code:
            exec(compile(code, f"{page}, block {number}", "exec"), names)  # the documentation's own code
            continue
        test = doctest.DocTestParser().get_doctest(code, {}, page, None, 0)
        test.globs = names  # a block goes on where the last one ended
        runner = doctest.DocTestRunner(verbose=False)
        assert runner.run(test, clear_globs=False).failed == 0
        assert test.examples


@pytest.mark.parametrize("page", ["start.md", "play.md"])
def test_the_commands_of_a_page_are_commands(page):
    lines = [line for code in blocks(page, "sh") for line in code.splitlines()]
    ours = [shlex.split(line, comments=True) for line in lines if line.startswith("rheostat ")]
    assert ours
    for _, *arguments in ours:
        commands.parser().parse_args(arguments)  # which leaves where one is wrong
    others = [line for line in lines if not line.startswith("rheostat ")]
    assert all(re.fullmatch(r"pip install ('\.\[cli\]'|\.)", line) for line in others)


def test_pages_that_are_tested_elsewhere_are_named_there():
    for page, test in ELSEWHERE.items():
        assert page in (ROOT / "tests" / test).read_text(encoding="utf-8"), page


def test_every_block_says_its_language():
    for page, text in PAGES.items():
        assert {language.strip("{}") for language, _ in BLOCK.findall(text)} <= LANGUAGES, page


def test_the_reference_names_everything_public_once():
    named = re.findall(r"^\.\. auto\w+:: rheostat\.(\w+)$", "\n".join(api_pages()), re.MULTILINE)
    apart = {"LAW", "__version__", "recording", "reference"}  # on the page of modules
    assert sorted(name for name in named if name in rheostat.__all__ and name not in apart) == sorted(
        set(rheostat.__all__) - apart
    )


def test_the_reference_names_every_module_of_a_host():
    modules = set(re.findall(r"rheostat\.integrations\.\w+", PAGES["hosts.md"]))
    assert len(modules) == 3
    assert modules <= set(re.findall(r"automodule:: (\S+)", "\n".join(api_pages())))


def api_pages():
    return [page.read_text(encoding="utf-8") for page in sorted((DOCS / "api").glob("*.md"))]


def test_what_a_page_shows_of_a_program_is_what_it_prints():
    shown = blocks("examples.md", "text")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "reproduce.py")], capture_output=True, text=True, check=True
    )
    assert shown == [done.stdout]


def test_docstrings_become_what_a_page_can_show(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from docstrings import convert

    text = """One *row* of `sample`s, 2**64 of `them`.

Args:
    a, b and the knobs: as in `kept`: with
        more of it.
    without a name

Returns:
    What there is,
    in two lines.

>>> 1 + 1
2"""
    assert convert(inspect.cleandoc(text)) == [
        r"One \*row\* of \ :py:obj:`~rheostat.sample`\ s, 2\*\*64 of \ ``them``\ .",
        "",
        "**Arguments**",
        "",
        "\\ ``a``\\ , \\ ``b``\\  and the knobs",
        "    as in \\ :py:obj:`~rheostat.kept`\\ : with more of it.",
        "",
        "without a name",
        "",
        "**Returns**",
        "",
        "What there is, in two lines.",
        "",
        ">>> 1 + 1",
        "2",
        "",
    ]
