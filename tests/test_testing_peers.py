"""The table of other programs, over programs made up here: those that are installed are checked by hand."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import rheostat
from rheostat.testing.peers import __main__ as peers
from rheostat.testing.peers.base import Matcher, Program, Setting
from rheostat.testing.sampler_causes import CAUSES

PROGRAMS = peers.PROGRAMS


def ties(x):
    return np.flatnonzero((x >= np.sort(x)[::-1][:3][-1]) & (x > -np.inf))


def draws_first(x):
    return int(np.argmax(x))


def shows_all(stops, pieces):
    return [*pieces, ""], False


def right(stops, pieces):
    matcher = rheostat.StopSet(stops, kind="text").matcher()
    shown = []
    for piece in pieces:
        shown.append(matcher.feed(piece))
        if matcher.hit is not None:
            return shown, True
    return [*shown, matcher.flush()], False


SETTINGS = (
    Setting({"top_k": 3}, "ties(x)", ties),
    Setting({"temperature": 0, "chain": "hf"}, "argmax(x)", lambda x: [int(np.argmax(x))], draw=draws_first),
)
MATCHERS = (
    Matcher("all", "shows_all(stops, pieces)", shows_all),
    Matcher("right", "right(stops, pieces)", right),
)


@pytest.fixture
def installed(monkeypatch):
    """One program that is there, and one that is not."""
    module = types.ModuleType("rheostat.testing.peers.with_made_up")
    module.load = lambda: Program("made up", "1.2.3", SETTINGS, MATCHERS)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(peers, "PROGRAMS", ("made_up", "not_there"))


def test_a_table_has_a_line_for_each_cause_of_each_setting(installed, capsys):
    assert peers.main([]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "## made up: 1.2.3"
    assert any(
        line.startswith("| top_k=3 | ") and "**tie**: it keeps all tokens that are" in line for line in lines
    )
    assert any(
        line.startswith("| temperature=0 | 0 of ") and line.endswith("| right | | | | not tested |")
        for line in lines
    )
    assert "- top_k=3: `ties(x)`" in lines
    assert "Stops, by `shows_all(stops, pieces)`:" in lines
    assert any("**missed**: it does not see a stop | `['" in line for line in lines)
    assert any(line.endswith("| right | | | | |") for line in lines)
    assert all(line.count("|") == 8 for line in lines if line.startswith(("| top_k", "| temperature")))
    assert err == "not_there is not checked: No module named 'rheostat.testing.peers.with_not_there'\n"


def test_the_full_reports_have_the_calls_behind_them(installed, capsys):
    assert peers.main(["--full", "made_up"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("made up: 1.2.3\n\nties(x)\ntop_k=3: ")
    assert "\nargmax(x)\ntemperature=0, chain='hf': all " in out
    assert "draws: not tested, " in out
    assert "right(stops, pieces)\nAll " in out


def test_nothing_installed_is_a_failure_and_a_wrong_name_is_told(installed, capsys):
    assert peers.main(["not_there"]) == 1
    with pytest.raises(SystemExit):
        peers.main(["other"])
    assert "PROGRAM must be one of made_up, not_there, got 'other'" in capsys.readouterr().err


def test_the_settings_are_in_the_words_of_sample():
    assert [setting.name for setting in SETTINGS] == ["top_k=3", "temperature=0"]
    assert Setting({"chain": "hf"}, "f(x)", ties).name == "nothing set"


def test_the_page_has_each_program_and_no_other():
    page = (Path(__file__).parents[1] / "docs" / "peers_checked.md").read_text(encoding="utf-8")
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    programs = [
        title.removeprefix("## ").split(":")[0].replace(".", "_").replace("-", "_") for title in titles
    ]
    assert tuple(programs) == PROGRAMS
    tables = [line for line in page.splitlines() if line.startswith("| ") and " of 127 | **" in line]
    assert len(tables) > 20
    for line in tables:
        assert line.split("**")[1] in CAUSES, line
