"""Every command that the README and both halves of the tour of the knobs show is run, as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DECODING = ROOT / "docs" / "decoding.md"
PAGES = ROOT / "README.md", DECODING, ROOT / "docs" / "training.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORTER = {"bench": ("--seconds", "0.001"), "train": ("--epochs", "1")}  # nobody reads the numbers here


def commands_of(page):
    """The command lines of a page that begin with `rheostat`, a variable before it left out; a \\ at the end
    of a line continues it.
    """
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = (re.sub(r"^[A-Z_]+=\S+ ", "", line) for line in lines)
    return [command for command in commands if command.startswith("rheostat ")]


@pytest.fixture
def clone(tmp_path, monkeypatch, cli):
    """A folder with what a clone has for the commands to read, and two recordings."""
    for name in ("README.md", "docs", "examples", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl"):
        assert cli("generate", "The", "--seed", "1", "--max-tokens", "5", "--record", name)[0] == 0
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_one_after_another(page, clone, cli):
    lines = commands_of(page)
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        status, out, err = cli(*words, *SHORTER.get(words[0], ()))
        assert status == 0, (line, err)
        assert out, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pictures_and_pages_that_it_names_exist(page):
    names = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert len(names) > 4
    for name in names:
        found = page.parent / name
        assert found.exists(), name
        if name.startswith(("decoding_", "training_")):
            assert found.stat().st_size < 60_000


def test_the_tables_of_the_decoding_knobs_are_of_the_sweeps_that_it_draws(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    from decoding_pictures import SWEEPS, measured, put, table

    page = DECODING.read_text(encoding="utf-8")
    what = SWEEPS["temperature"]
    plan, rows = measured(what._replace(vary="temperature=0,0.4", texts=4))
    lines = table(plan, rows, what.told).strip().splitlines()
    head, _, greedy, other = (line.strip("| ").split(" | ") for line in lines)
    assert head == ["temperature", "perplexity", "bits per byte", "distinct 1", "distinct 2", "repetition"]
    assert (greedy[0], other[0]) == ("0", "0.4")
    assert float(greedy[1]) < float(other[1])
    assert f"| {' | '.join(head)} |" in page
    assert put(page, "temperature", "new").count("-->\nnew\n<!-- end -->") == 1
    with pytest.raises(ValueError, match="must have one place for nothing, has 0"):
        put(page, "nothing", "new")
    for name in SWEEPS:
        assert f"](decoding_{name}.png)" in page
        assert re.search(rf"<!-- measured: {name} -->\n\n\| {name} \|", page)
