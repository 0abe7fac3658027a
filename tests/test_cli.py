"""What each command prints, and that it is what the library gives."""

import json
import re

import numpy as np
import pytest
import rheostat
from cli_support import STAND_IN, finished, text_of
from rheostat import SamplingParams, lab
from rheostat.cli import peers
from rheostat.cli.stop_at import STOPS
from stand_in import Bytes, Held


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
    wanted = finished(*asked, "the ")
    assert wanted.returncode == 0
    assert finished(*asked, "-", input=b"the ").stdout == wanted.stdout
    assert finished(*asked, input=b"the ").stdout == wanted.stdout


def test_a_model_told_only_what_is_new_gives_the_same(cli):
    wanted = cli("generate", "the ", *STAND_IN, "--seed", 3)[1]
    assert cli("generate", "the ", "--model", "stand_in:Cached", "--seed", 3)[1] == wanted


def test_the_model_in_the_box_is_the_default(cli):
    status, out, _ = cli("generate", "The default is", "--temperature", 0, "--stop-at", "sentence")
    model = lab.load()
    ends = {"max_tokens": 200, "stop": STOPS["sentence"], "eos_token_id": model.eos_token_id}
    params = SamplingParams(temperature=0, **ends)
    done = rheostat.generate(model, model.encode("The default is"), params, table=model.table).run()
    assert status == 0
    assert done.text
    assert out == done.text + (done.stop.rstrip() if done.finish_reason == "stop" else "")


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


def test_json_tells_of_a_window_that_slides(cli):
    asked = ("generate", "the ", *STAND_IN, "--max-tokens", 40, "--context-length", 20, "--json")
    told = json.loads(cli(*asked, "--context", "slide")[1])
    assert (told["context"], told["params"]["context_length"], told["dropped"]) == ("slide", 20, 23)
    assert json.loads(cli(*asked)[1])["context"] == "error"


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


@pytest.mark.parametrize("stop", ["cat \u00e9?", "zebra", "at \u00e9!the"])
def test_text_that_waited_for_a_stop_has_the_probability_of_each_of_its_tokens(cli, stop):
    asked = ("--model", "stand_in:Held", "--seed", 3, "--max-tokens", 17, "--temperature", 0, "--stop", stop)
    out = cli("generate", "the ", *asked, "--show-probs")[1]
    model, ids = Held(), list(b"the ")
    text = rheostat.generate(
        model, ids, SamplingParams(temperature=0, max_tokens=17, stop=stop), table=model.table
    )
    wanted, at = "", 0
    whole = text.run().text
    for id in text.ids:
        letter = {0xC3: "", 0xA9: "\u00e9"}.get(id, chr(id))
        probability = rheostat.softmax(model(ids))[id]
        ids.append(id)
        if whole.startswith(letter, at) and letter and at < len(whole):
            wanted += f"{letter}[{probability:.0%}]"
            at += 1
    assert out == wanted


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
        assert {"np.max", "rheostat", "NumPy, sort", "NumPy, partition"} <= set(row["microseconds"])
        assert all(time > 0 for time in row["microseconds"].values())
    status, out, _ = cli("bench", "--vocab", "500", "--seconds", 0.001)
    assert status == 0
    assert "NumPy, partition" in out
    assert max(map(len, out.splitlines())) < 100


def test_a_peer_that_keeps_other_tokens_is_not_timed(cli, monkeypatch):
    def wrong(row, temperature, top_p):
        return lambda: pytest.fail("is timed"), np.arange(row.size)

    monkeypatch.setattr(peers, "installed", lambda: {"wrong": wrong})
    status, out, _ = cli("bench", "--vocab", "500", "--seconds", 0.001)
    assert status == 0
    assert re.search(r"wrong +keeps 500 +keeps 500", out)
    told = json.loads(cli("bench", "--vocab", "500", "--seconds", 0.001, "--json")[1])
    assert [row["kept_by_others"] for row in told["rows"]] == [{"wrong": 500}] * 2
