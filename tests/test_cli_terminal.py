"""The command line in pipes and in real terminals, and under Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib import metadata

import platforms
import pytest
from cli_support import STAND_IN, environment, finished, in_terminal, plain, start, text_of
from rheostat import SamplingParams
from rheostat.cli import main
from stand_in import TEXT


@platforms.posix
def test_a_closed_pipe_ends_it_quietly():
    running = start("generate", "the ", "--model", "stand_in:Slow")
    assert running.stdout.read(3)
    running.stdout.close()
    assert running.wait(30) == 141
    assert running.stderr.read() == b""
    running.stderr.close()


@platforms.posix
def test_a_pipe_gets_each_piece_at_once_and_ctrl_c_keeps_the_text():
    running = start("generate", "the ", "--model", "stand_in:Slow", "--seed", "1")
    first = os.read(running.stdout.fileno(), 100)
    assert 1 <= len(first) < 10
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    whole = text_of(SamplingParams(temperature=0.7, top_p=0.9, seed=1, max_tokens=200)).text
    assert whole.startswith((first + out).decode())
    assert err.decode().startswith("interrupted \u00b7 ")
    assert "Traceback" not in err.decode()


@platforms.posix
def test_ctrl_c_leaves_json_whole():
    done = finished("generate", "the ", "--model", "stand_in:Signals", "--json")
    assert done.returncode == 130
    told = json.loads(done.stdout)
    assert (told["finish_reason"], len(told["ids"])) == ("interrupted", 5)


def test_a_terminal_shows_the_prompt_the_text_and_the_summary():
    shown, status = in_terminal("generate", "the ", *STAND_IN, "--seed", "3", "--max-tokens", "20")
    text = text_of(SamplingParams(temperature=0.7, top_p=0.9, seed=3, max_tokens=20)).text
    assert status == 0
    assert plain(shown).startswith(f"the {text}\nlength \u00b7 20 tokens \u00b7 ")
    assert shown.startswith("\033[2mthe \033[0m")


def test_a_terminal_shows_probabilities_in_colours():
    asked = ("generate", "the ", *STAND_IN, "--seed", "3", "--max-tokens", "20", "--show-probs")
    shown, _ = in_terminal(*asked)
    text = text_of(SamplingParams(temperature=0.7, top_p=0.9, seed=3, max_tokens=20)).text
    first, legend, _ = plain(shown).replace(text, text.replace("\n", " ")).splitlines()
    assert first == "the " + text.replace("\n", " ")
    assert legend.startswith("the model's probability: 80% and more  50% and more")
    assert len(set(re.findall(r"\033\[[\d;]+m", shown))) > 5
    assert plain(in_terminal(*asked, "--quiet")[0]) == text + "\n"
    for variable in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown, _ = in_terminal(*asked, env=environment(**variable))
        assert not re.search(r"\033\[[\d;]*3\d", shown)
        assert "%]" in shown


def test_a_terminal_shows_explanations_as_tables_and_the_text_below():
    shown, _ = in_terminal("generate", "the ", *STAND_IN, "--seed", "3", "--max-tokens", "2", "--explain")
    text = text_of(SamplingParams(temperature=0.7, top_p=0.9, seed=3, max_tokens=2)).text
    assert plain(shown).splitlines()[-2] == "the " + text
    assert sum(line.startswith("the ") for line in plain(shown).splitlines()) == 1
    shown, _ = in_terminal("explain", "the ", *STAND_IN, "--seed", "3")
    assert "\u2588" in shown
    assert " drawn" in shown
    assert max(len(line.rstrip()) for line in plain(shown).splitlines()) <= 100


@pytest.mark.parametrize("columns", ["30", "40", "60", "80", "100"])
def test_no_number_is_cut_off_in_a_narrow_terminal(columns):
    env = environment(COLUMNS=columns)
    shown, status = in_terminal("explain", "the ", *STAND_IN, "--seed", "3", env=env)
    assert status == 0
    assert "\u2026" not in shown
    assert "drawn" in shown
    shown, status = in_terminal("bench", "--vocab", "2000", "--seconds", "0.001", env=env)
    assert status == 0
    assert "\u2026" not in shown
    assert len(re.findall(r"\(\d[\d,]*x\)", plain(shown))) >= 4


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
@platforms.posix
def test_closed_streams_are_no_error(closed):
    command = f"{sys.executable} -m rheostat generate 'the ' --model stand_in:load --max-tokens 3 {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert (len(done.stdout) == 3) == (closed != ">&-")


def test_ctrl_c_while_modules_are_loaded_is_status_130(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "rheostat.cli.commands", None)
    monkeypatch.setattr("builtins.__import__", lambda name, *more: interrupted(name))
    status = main(["--version"])
    monkeypatch.undo()
    assert status == 130


@platforms.posix
def test_ctrl_c_while_numpy_is_imported_is_status_130_too(tmp_path):
    (script,) = metadata.entry_points(group="console_scripts", name="rheostat")
    (tmp_path / "numpy.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)\n")
    code = f"import sys; from {script.module} import {script.attr} as main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=environment(PYTHONPATH=str(tmp_path))
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_in_a_terminal_ends_with_what_was_written():
    shown, status = in_terminal(
        "generate", "the ", "--model", "stand_in:Slow", "--seed", "1", until=b"\033[0mca"
    )
    assert status == 130
    assert "\ninterrupted \u00b7 " in plain(shown)
    assert "Traceback" not in shown


def test_an_error_in_a_terminal_has_a_line_of_its_own():
    shown, status = in_terminal("generate", "the ", "--model", "stand_in:Breaks", "--seed", "1")
    assert status == 1
    assert plain(shown).splitlines()[-1] == "rheostat generate: the model is away"


def test_the_stand_in_writes_what_it_was_made_of():
    assert set(text_of(SamplingParams(top_p=0.9, seed=1, max_tokens=99)).text) <= set(TEXT)
