"""Every block of code in the README does what it says."""

import doctest
import re
import shlex
from pathlib import Path

from rheostat.cli import commands

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_python_blocks_run_one_after_another_and_print_what_they_show():
    session = "".join(code + "\n" for language, code in BLOCKS if language == "python")
    test = doctest.DocTestParser().get_doctest(session, {}, "README.md", None, 0)
    assert len(test.examples) > 15
    results = doctest.DocTestRunner(verbose=False).run(test)
    assert results.failed == 0


def test_the_shell_blocks_name_targets_and_commands_that_exist():
    lines = [line for language, code in BLOCKS if language == "sh" for line in code.splitlines()]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in lines:
        program, *arguments = shlex.split(command, comments=True)
        if program == "rheostat":
            commands.parser().parse_args(arguments)  # which leaves where one is wrong
        elif program == "make":
            assert re.search(f"^{arguments[0]}:", makefile, re.MULTILINE)
        else:
            assert re.match(r"pip install '?\.", command)
    assert "make demo" in lines
    assert "make test" in lines


def test_there_is_no_block_of_a_language_that_is_not_tested():
    assert {language for language, _ in BLOCKS} == {"python", "sh"}


def test_the_files_that_it_names_exist():
    names = re.findall(r"`((?:tests|benches|python|rust|examples)/[\w/.]+)`", README)
    names += re.findall(r"^    ([\w./]+) {2,}", README, re.MULTILINE)
    assert len(names) > 10
    for name in names:
        assert (ROOT / name).exists(), name
