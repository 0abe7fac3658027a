"""docs/training.md: its commands run, its pictures are there and small, and every knob is on it."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_commands_run_one_after_another(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) > 8
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "rheostat"
        status, out, err = cli(*arguments)
        assert (status, bool(out.strip())) == (0, True), (command, err)
        if "--out" in arguments:
            assert (tmp_path / arguments[arguments.index("--out") + 1]).exists()


def test_the_pictures_are_there_and_small():
    names = re.findall(r"!\[[^]]+\]\((\w+\.png)\)", PAGE)
    assert sorted(names) == sorted(path.name for path in (ROOT / "docs").glob("training_*.png"))
    assert all((ROOT / "docs" / name).stat().st_size < 60_000 for name in names)


def test_the_knobs_come_in_order():
    wanted = ["Learning rate", "Weight decay", "Hidden layer size", "Dropout rate", "Batch size", "Epochs"]
    assert [title for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if title in wanted] == wanted
    for title in wanted:
        section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
        assert "**When to turn it.**" in section
        assert "```sh\nrheostat train " in section
