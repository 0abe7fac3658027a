"""The demo: its table fits a terminal, and a token that differs from the reference is status 1."""

import importlib.util
import sys
from pathlib import Path

import pytest
from stand_in import Bytes

DEMO = Path(__file__).parent.parent / "examples" / "demo.py"


@pytest.fixture
def demo(monkeypatch):
    """The demo on two rows and one setting."""
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rows = module.recorded_rows()[:2]
    monkeypatch.setattr(module, "recorded_rows", lambda: rows)
    monkeypatch.setattr(module, "SETTINGS", [(1.5, 0.99)])
    return module


def test_the_table_fits_a_hundred_columns_and_has_no_colour_in_a_pipe(demo, capsys):
    assert demo.main() == 0
    text = capsys.readouterr().out
    assert "2/2" in text
    assert "All 2 tokens and kept sets equal the reference" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "\033" not in text
    assert "\r" not in text


def test_a_token_that_differs_from_the_reference_is_status_1(demo, capsys, monkeypatch):
    sample = demo.rheostat.sample
    monkeypatch.setattr(demo.rheostat, "sample", lambda row, **knobs: sample(row, **knobs) + 1)
    assert demo.main() == 1
    text = capsys.readouterr().out
    assert "0/2" in text
    assert "2 of 2 rows differ from the reference" in text


def test_it_writes_text_that_the_reference_writes_too(demo, capsys):
    assert demo.write_texts(Bytes(), demo.Style(sys.stdout)) == (3, 3)
    text = capsys.readouterr().out
    assert text.count("  The default is") == 3
    assert "temperature 0.7, top_p 0.9" in text
    assert "tokens a second" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_text_that_differs_from_the_reference_is_counted(demo, monkeypatch):
    shuffled = Bytes("zyx the default is not this. " * 3)
    generate = demo.rheostat.reference.generate
    monkeypatch.setattr(
        demo.rheostat.reference, "generate", lambda model, *rest, **more: generate(shuffled, *rest, **more)
    )
    assert demo.write_texts(Bytes(), demo.Style(sys.stdout)) == (0, 3)


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_is_for_terminals_that_want_it(demo, monkeypatch, variable, value):
    class Terminal:
        encoding = "ascii"

        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert demo.Style(Terminal()).bold("x") == "\033[1mx\033[0m"
    assert demo.Style(Terminal()).block == "#"
    monkeypatch.setenv(variable, value)
    assert demo.Style(Terminal()).bold("x") == "x"
