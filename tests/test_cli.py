"""The command line: what it prints where, its exit status, and what pipes, terminals and Ctrl-C do to it."""

import dataclasses
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rheostat
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import SamplingParams
from rheostat.cli import commands, main, models, options, peers
from rheostat.cli.presets import PRESETS
from rheostat.cli.stop_at import STOPS
from stand_in import TEXT, Bytes

HERE = Path(__file__).parent
STAND_IN = ("--model", "stand_in:load")


@pytest.fixture
def cli(capsys):
    """Runs a command line here: (status, standard output, standard error)."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


def text_of(params, prompt="the ", **options):
    model = Bytes()
    return rheostat.generate(model, model.encode(prompt), params, table=model.table, **options).run()


def environment(**more):
    return os.environ | {"PYTHONPATH": str(HERE), "TERM": "xterm-256color", "COLUMNS": "100"} | more


def process(*arguments, **options):
    command = [sys.executable, "-m", "rheostat", *arguments]
    return subprocess.run(command, capture_output=True, env=environment(), timeout=60, **options)


def in_terminal(*arguments, env=None, until=None):
    """Runs in a real terminal: what it shows, and the status. At `until` Ctrl-C is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "rheostat", *arguments], env or environment())
    shown = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, shown
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if until is not None and until in shown:
            os.write(terminal, b"\x03")
            until = None
    os.close(terminal)
    return shown.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", text)


# generate


def test_the_text_is_the_loop_s_and_alone_on_standard_output(cli):
    status, out, err = cli("generate", "the ", *STAND_IN, "--seed", 3, "--max-tokens", 50, "--top-k", 3)
    params = SamplingParams(
        temperature=0.7, top_p=0.9, top_k=3, seed=3, max_tokens=50, context_length=300, eos_token_id=0
    )
    assert (status, out) == (0, text_of(params).text)
    assert err.startswith("length \u00b7 50 tokens \u00b7 ")
    assert err.endswith(" \u00b7 seed 3\n")
    assert "\033" not in out + err


def test_quiet_is_quiet_and_the_same(cli):
    wanted = cli("generate", "the ", *STAND_IN, "--seed", 3)[1]
    assert cli("generate", "the ", *STAND_IN, "--seed", 3, "--quiet") == (0, wanted, "")


def test_a_prompt_comes_from_standard_input_too():
    asked = ("generate", *STAND_IN, "--seed", "3", "--quiet")
    wanted = process(*asked, "the ")
    assert wanted.returncode == 0
    assert process(*asked, "-", input=b"the ").stdout == wanted.stdout
    assert process(*asked, input=b"the ").stdout == wanted.stdout


def test_a_model_told_only_what_is_new_gives_the_same(cli):
    wanted = cli("generate", "the ", *STAND_IN, "--seed", 3)[1]
    assert cli("generate", "the ", "--model", "stand_in:Cached", "--seed", 3)[1] == wanted


def test_json_is_one_object_that_tells_everything(cli):
    status, out, err = cli(
        "generate", "the ", *STAND_IN, "--json", "--seed", 5, "--stop", "rat", "--logprobs", 1, "--quiet"
    )
    told = json.loads(out)
    params = SamplingParams.from_json(json.dumps(told["params"]))
    done = text_of(params)
    assert (status, err) == (0, "")
    assert (told["text"], told["ids"]) == (done.text, list(done.ids))
    assert (told["finish_reason"], told["stop"], told["seed"]) == ("stop", "rat", 5)
    assert (told["model"], told["prompt"], told["prompt_tokens"], told["dropped"]) == (
        STAND_IN[1],
        "the ",
        4,
        0,
    )
    assert told["logprobs"] == [token.to_openai(Bytes.table) for token in done.tokens]
    assert set(told["timings"]) == {"model", "sampling", "prompt", "tokens", "tokens_per_second"}


@pytest.mark.parametrize(("place", "ending"), [("sentence", "."), ("line", "."), ("paragraph", ".")])
def test_a_text_ends_with_its_sentence_line_or_paragraph(cli, place, ending):
    asked = ("generate", "the ", *STAND_IN, "--seed", 2, "--max-tokens", 280, "--temperature", 1)
    whole = cli(*asked)[1]
    status, out, err = cli(*asked, "--stop-at", place)
    stop = min(STOPS[place], key=lambda stop: whole.find(stop) % 1000)
    assert status == 0
    assert out == whole.split(stop)[0] + (stop.rstrip() if place == "sentence" else "")
    assert out.endswith(ending)
    assert f"stop at {stop!r}" in err
    told = json.loads(cli(*asked, "--stop-at", place, "--json")[1])
    assert told["text"] == out


def test_the_window_slides_when_asked_to(cli):
    asked = ("generate", "the ", *STAND_IN, "--seed", 2, "--max-tokens", 40, "--context-length", 20)
    status, out, err = cli(*asked)
    assert (status, len(out)) == (0, 16)
    assert err.startswith("context \u00b7 16 tokens")
    status, out, err = cli(*asked, "--context", "slide")
    assert (status, len(out)) == (0, 40)
    assert err.startswith("length \u00b7 40 tokens \u00b7 23 oldest dropped")


def test_probabilities_are_shown_as_numbers_where_there_is_no_colour(cli):
    _, out, _ = cli("generate", "the ", *STAND_IN, "--seed", 3, "--max-tokens", 4, "--show-probs")
    pairs = re.findall(r"(.)\[(\d+)%\]", out, re.DOTALL)
    assert len(pairs) == 4
    last, model = "the "[-1], Bytes()
    for letter, percent in pairs:
        p = rheostat.softmax(model(model.encode(last)))[ord(letter)]
        assert abs(p * 100 - int(percent)) <= 0.5001
        last = letter


def test_explain_tells_of_every_token_on_standard_error(cli):
    asked = ("generate", "the ", *STAND_IN, "--seed", 3, "--max-tokens", 3)
    _, out, err = cli(*asked, "--explain", "--frequency-penalty", 0.5)
    ids = [int(id) for id in re.findall(r"\((\d+)\) +[\d.]+ +[\d.]+  <- drawn", err)]
    assert bytes(ids).decode() == out
    assert err.count("top_p                 0.9") == 3
    assert re.findall(r"^token \d$", err, re.MULTILINE) == ["token 1", "token 2", "token 3"]


def test_a_recording_is_written_and_compared(cli, tmp_path):
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    asked = ("generate", "the ", *STAND_IN, "--seed", 3, "--quiet", "--record")
    for more in ((a,), (b,), (c, "--top-k", 1)):
        cli(*asked, *more)
    assert cli("diff", a, b) == (0, "The settings and all 200 steps are equal.\n", "")
    status, out, _ = cli("diff", a, c)
    assert status == 1
    assert out.startswith("top_k differs: None and 1.\nStep ")
    assert "the logits are equal, so the sampler" in out
    status, out, err = cli("diff", a, tmp_path / "none")
    assert (status, out, err) == (2, "", f"rheostat diff: {tmp_path / 'none'}: No such file or directory\n")
    (tmp_path / "text").write_text("hello")
    assert cli("diff", a, tmp_path / "text")[0] == 2


# options


def test_every_field_is_an_option_but_what_a_command_sets():
    names = {field.name for field in dataclasses.fields(SamplingParams)}
    assert names - set(options.FIELDS) == {"report"}
    assert set(options.FIELDS) <= names


GIVEN = {
    "temperature": ("0.5", 0.5),
    "top_k": ("-1", 0),
    "chain": ("top_k,top_p,min_p,temperature", ("top_k", "top_p", "min_p", "temperature")),
    "logit_bias": (["5=-1.5", "6=-inf"], {5: -1.5, 6: float("-inf")}),
    "sequence_bias": (["1,2=0.5"], {(1, 2): 0.5}),
    "bad_words": (["1,2", "3"], ((1, 2), (3,))),
    "banned_token_ids": ("1,2", (1, 2)),
    "allowed_token_ids": ("1,2", (1, 2)),
    "stop": (["a\\n", "\\\\n\\t"], ("a\n", "\\n\t")),
    "dry_sequence_breakers": (["\\n"], ("\n",)),
    "stop_token_ids": ("7", (7,)),
    "eos_token_id": ("7,8", (7, 8)),
    "ignore_eos": (None, True),
    "include_stop_str_in_output": (None, True),
    "frequency_penalty": ("-0.5", -0.5),
    "seed": (str(2**64 - 1), 2**64 - 1),
}


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from(sorted(GIVEN)), max_size=6), st.sampled_from(sorted(PRESETS)))
def test_options_go_before_the_preset_and_the_model(names, preset):
    line = ["generate", "x", "--preset", preset]
    for name in names:
        texts = GIVEN[name][0]
        for text in [texts] if isinstance(texts, str) or texts is None else texts:
            flag = "--" + name.replace("_", "-")
            line += [flag] if text is None else [f"{flag}={text}"]
    parsed = commands.parser().parse_args(line)
    params = options.params_of(parsed, Bytes(), max_tokens=9)
    wanted = {"max_tokens": 9, "context_length": 300, "eos_token_id": 0} | PRESETS[preset].fields
    wanted |= {name: GIVEN[name][1] for name in names}
    assert params == SamplingParams(**wanted)


def test_a_file_of_params_goes_before_the_preset_and_behind_the_options(cli, tmp_path):
    file = tmp_path / "params.json"
    file.write_text(SamplingParams(temperature=0.5, top_p=0.5, stop=b"\xff", max_tokens=3).to_json())
    _, out, _ = cli("generate", "the ", *STAND_IN, "--params", file, "--top-p", 0.25, "--seed", 1, "--json")
    told = json.loads(out)["params"]
    assert told["temperature"] == 0.5
    assert told["top_p"] == 0.25
    assert told["max_tokens"] == 3
    assert told["stop"] == [{"hex": "ff"}]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid(name):
    SamplingParams(**PRESETS[name].fields)


# explain, count, bench


def test_explain_is_that_of_the_library(cli, tmp_path):
    asked = ("explain", "the ", *STAND_IN, "--top-p", 0.5, "--seed", 1, "--top", 3)
    status, out, err = cli(*asked, "--plot", tmp_path / "plot.png")
    model = Bytes()
    params = SamplingParams(temperature=0.7, top_p=0.5, seed=1)
    told = rheostat.explain(model(model.encode("the ")), params, table=model.table, top=3)
    assert (status, out) == (0, f"{told}\n")
    assert err == f"seed 1\ndrawn to {tmp_path / 'plot.png'}\n"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert cli("explain", "the ", "--model", "stand_in:Cached", *asked[4:])[1] == out


def test_an_explanation_of_a_drawn_seed_can_be_repeated(cli):
    _, out, err = cli("explain", "the ", *STAND_IN)
    assert cli("explain", "the ", *STAND_IN, "--seed", err.split()[1])[1] == out


def test_count_counts(cli, tmp_path):
    status, out, err = cli("count", "caf\u00e9 noir", *STAND_IN)
    lines = dict(re.split(r" {2,}", line) for line in out.splitlines())
    assert (status, err) == (0, "")
    assert lines == {
        "characters": "9", "bytes": "10", "words": "2", "tokens": "10", "characters per token": "0.9",
        "context length": "300", "left": "290",
    }  # fmt: skip
    (tmp_path / "text").write_text("ab " * 200)
    status, out, err = cli("count", "--file", tmp_path / "text", *STAND_IN, "--json")
    told = json.loads(out)
    assert (told["words"], told["tokens"], told["left"]) == (200, 600, -300)
    assert cli("count", "--file", tmp_path / "text", *STAND_IN)[2].startswith(
        "The text is 300 tokens too long"
    )
    assert json.loads(cli("count", "abc", "--context-length", 4, *STAND_IN, "--json")[1])["left"] == 1
    assert json.loads(cli("count", "", *STAND_IN, "--json")[1])["characters_per_token"] is None


def test_bench_measures_every_peer(cli):
    status, out, err = cli("bench", "--vocab", "500,2000", "--seconds", 0.001, "--json")
    told = json.loads(out)
    assert (status, err) == (0, "")
    assert [row["vocab"] for row in told["rows"]] == [500, 500, 2000, 2000]
    for row in told["rows"]:
        assert {"np.max", "rheostat", "NumPy sort", "NumPy partition"} <= set(row["microseconds"])
        assert all(time > 0 for time in row["microseconds"].values())
    status, out, _ = cli("bench", "--vocab", "500", "--seconds", 0.001)
    assert status == 0
    assert "NumPy partition" in out
    assert max(map(len, out.splitlines())) < 130


def test_a_peer_that_keeps_other_tokens_is_not_timed(cli, monkeypatch):
    wrong = {"wrong": lambda row, temperature, top_p: (0, np.arange(row.size))}
    monkeypatch.setattr(peers, "installed", lambda: wrong)
    status, _, err = cli("bench", "--vocab", "500", "--seconds", 0.001)
    assert status == 1
    assert re.match(r"rheostat bench: RuntimeError: wrong kept 500 tokens where rheostat keeps \d+\n", err)


# help and errors


def test_help_teaches_and_fits_a_terminal(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    for command in ([], *([name] for name in commands.COMMANDS)):
        status, out, _ = cli(*command, "--help")
        assert status == 0
        assert max(map(len, out.splitlines())) <= 112
    _, out, _ = cli("generate", "--help")
    assert all("--" + name.replace("_", "-") in out for name in options.FIELDS)
    assert all(preset.says in out for preset in PRESETS.values())
    assert re.search(r"--top-k K +keep the K likeliest tokens; 0 keeps all \[0\]", out)


def test_the_version_names_the_law(cli):
    status, out, _ = cli("--version")
    assert status == 0
    assert re.fullmatch(r"rheostat \d+\.\d+\.\d+ \(law 1, \w+, \d+ threads\)\n", out)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("generate", "x", *STAND_IN, "--top-p", "1.5"), 2, "top_p must be in (0, 1], got 1.5"),
        (("generate", "x", *STAND_IN, "--stop", ""), 2, "stop[0] must not be empty, got ''"),
        (("generate", "x" * 400, *STAND_IN), 2, "context_length must be greater than the number of"),
        (("generate", "x", "--model", "gpt"), 2, "--model must be one of box, or MODULE:FUNCTION, got gpt"),
        (("generate", "x", "--model", "no_such:f"), 2, "--model no_such:f: No module named 'no_such'"),
        (("generate", "x", "--model", "stand_in:f"), 2, "--model stand_in:f: module 'stand_in' has no"),
        (("generate", "x", "--model", "builtins:dict"), 2, "the model builtins:dict must have table, "),
        (("generate", "the ", "--model", "stand_in:Breaks"), 1, "the model is away"),
        (("generate", "x", *STAND_IN, "--params", "/no/file"), 1, "[Errno 2] No such file or directory"),
        (("generate", "x", *STAND_IN, "--record", "/no/file"), 1, "[Errno 2] No such file or directory"),
        (("count", "x", "--file", "y"), 2, "give the text or --file, not both"),
        (("explain", "x", *STAND_IN, "--top-k", "-5"), 2, "top_k must be"),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence(cli, arguments, status, said):
    found, _, err = cli(*arguments)
    assert found == status
    assert err.splitlines()[-1].startswith(f"rheostat {arguments[0]}: {said}")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [(), ("write",), ("generate", "x", "--top-q", "1"), ("generate", "x", "--top-k", "a"), ("diff", "a"),
     ("generate", "x", "--json", "--show-probs"), ("generate", "x", "--logit-bias", "5"),
     ("bench", "--vocab", "1"), ("generate", "x", "--temp", "1")],
)  # fmt: skip
def test_a_wrong_command_line_is_status_2(cli, arguments):
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert "error: " in err.splitlines()[-1]


def test_a_traceback_is_shown_when_asked_for(cli, monkeypatch):
    monkeypatch.setenv("RHEOSTAT_TRACEBACK", "1")
    with pytest.raises(ConnectionError):
        cli("generate", "the ", "--model", "stand_in:Breaks")


def test_without_the_extra_a_sentence_names_it(cli, monkeypatch):
    monkeypatch.setattr("rheostat.cli.find_spec", lambda name: None)
    said = "The command line needs the extra cli: pip install 'rheostat[cli]'\n"
    assert cli("generate", "x") == (2, "", said)


def test_the_entry_point_is_installed():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="rheostat")
    assert script.load() is main


def test_importing_the_library_imports_no_command_line():
    code = "import sys, rheostat; print([m for m in sys.modules if m in ('rich', 'argparse', 'asyncio')])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"
    )


def test_the_registry_names_what_loads():
    assert list(models.MODELS) == ["box"]


# pipes, terminals, Ctrl-C


def test_a_closed_pipe_ends_it_quietly():
    command = [sys.executable, "-m", "rheostat", "generate", "the ", "--model", "stand_in:Slow"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert running.stdout.read(3)
    running.stdout.close()
    assert running.wait(30) == 141
    assert running.stderr.read() == b""
    running.stderr.close()


def test_a_pipe_gets_each_piece_at_once_and_ctrl_c_keeps_the_text():
    command = [
        sys.executable,
        "-m",
        "rheostat",
        "generate",
        "the ",
        "--model",
        "stand_in:Slow",
        "--seed",
        "1",
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    first = os.read(running.stdout.fileno(), 100)
    assert 1 <= len(first) < 10
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    whole = text_of(SamplingParams(temperature=0.7, top_p=0.9, seed=1, max_tokens=200)).text
    assert whole.startswith((first + out).decode())
    assert err.decode().startswith("interrupted \u00b7 ")
    assert "Traceback" not in err.decode()


def test_ctrl_c_leaves_json_whole():
    command = [sys.executable, "-m", "rheostat", "generate", "the ", "--model", "stand_in:Signals", "--json"]
    done = subprocess.run(command, capture_output=True, env=environment(), timeout=60)
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
    for variable in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown, _ = in_terminal(*asked, env=environment(**variable))
        assert not re.search(r"\033\[[\d;]*3\d", shown)
        assert "%]" in shown


def test_a_terminal_shows_explanations_as_tables_and_the_text_below():
    shown, _ = in_terminal("generate", "the ", *STAND_IN, "--seed", "3", "--max-tokens", "2", "--explain")
    text = text_of(SamplingParams(temperature=0.7, top_p=0.9, seed=3, max_tokens=2)).text
    assert plain(shown).splitlines()[-2] == text
    shown, _ = in_terminal("explain", "the ", *STAND_IN, "--seed", "3")
    assert "\u2588" in shown
    assert " drawn" in shown
    assert max(len(line.rstrip()) for line in plain(shown).splitlines()) <= 100


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
