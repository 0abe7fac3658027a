"""A record tells each step, and two records tell the model's fault from the sampler's."""

import dataclasses
import io
import json
import os
from pathlib import Path

import numpy as np
import platforms
import pytest
import rheostat
from chain_model import Failing, model, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import KnobError, SamplingParams, recording
from rheostat.reference import chance, law

PARAMS = SamplingParams(
    seed=5, max_tokens=8, temperature=0.8, top_p=0.9, frequency_penalty=0.3, xtc_probability=0.5
)


def record(path, params=PARAMS, prompt=(0, 1), model=model, api=rheostat, **options):
    return api.generate(model, prompt, params, table=table_of(api), record=path, **options).run()


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_each_line_tells_what_the_library_tells_of_that_step(api):
    file = io.StringIO()
    done = record(file, api=api, stream=3)
    header, *steps = lines_of(file.getvalue())
    assert header["recording"] == 1
    assert (header["law"], header["seed"], header["stream"], header["prompt_length"]) == (1, 5, 3, 2)
    wanted = json.loads(PARAMS.replace(seed=None).to_json())
    assert {"law": 1} | header["params"] == wanted
    assert [step["id"] for step in steps] == list(done.ids)
    knobs = PARAMS.knobs()
    for position, step in enumerate(steps):
        past = {"prompt_ids": [0, 1], "output_ids": done.ids[:position]}
        row = model([0, 1, *done.ids[:position]])
        kept = api.kept(row, seed=5, stream=3, position=position, **past, **knobs)
        assert (step["position"], step["kept"]) == (position, len(kept))
        assert step["u"] == chance.words(5, 3, position)[0]
        shaped = api.process(row, **past, frequency_penalty=0.3, chain=())
        assert step["S"] == law.total(law.integer_weights(shaped[kept], 0.8))
        assert step["logits"] == recording.digest(row)
        # the kept tokens, u and S alone draw the token
        reached = np.cumsum(law.integer_weights(shaped[kept], 0.8))
        assert step["id"] == kept[np.searchsorted(reached, (step["u"] * step["S"]) >> 64, "right")]


def test_a_record_changes_nothing_and_both_implementations_write_the_same(tmp_path):
    for params in (PARAMS, PARAMS.replace(mirostat=2, logprobs=1), PARAMS.replace(temperature=0)):
        plain = rheostat.generate(model, [0, 1], params, table=table_of()).run()
        masks = {"bitmask": lambda ids: np.array([2047], np.int32)} if params.logprobs else {}
        files = [tmp_path / "fast", tmp_path / "slow"]
        for file, api in zip(files, (rheostat, rheostat.reference), strict=True):
            done = record(file, params, api=api, **masks)
            assert masks or (done.ids, done.tokens) == (plain.ids, plain.tokens)
        assert files[0].read_bytes() == files[1].read_bytes()
        assert recording.diff(*files) is None


def test_a_path_holds_every_step_also_before_the_end_and_is_written_anew(tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text("old")
    generation = rheostat.generate(Failing(model, [3]), [0], PARAMS, record=path)
    assert len(recording.read(path).steps) == 0
    with pytest.raises(ConnectionError):
        generation.run()
    assert len(recording.read(str(path)).steps) == 2
    generation.run()
    assert [step["id"] for step in recording.read(path).steps] == list(generation.ids)
    record(tmp_path / "whole", prompt=[0])
    assert recording.diff(path, tmp_path / "whole") is None


def test_a_step_that_cannot_be_written_is_not_taken():
    class Full(io.StringIO):
        left = 3

        def write(self, text):
            self.left -= 1
            if self.left == 0:
                raise OSError("no space left")
            return super().write(text)

    file = Full()
    generation = rheostat.generate(model, [0], PARAMS, record=file)
    next(generation)
    with pytest.raises(OSError, match="no space"):
        next(generation)
    assert len(generation.ids) == 1
    assert generation.run().ids == rheostat.generate(model, [0], PARAMS).run().ids
    assert [step["position"] for step in lines_of(file.getvalue())[1:]] == list(range(8))


def test_what_cannot_be_recorded_is_said_at_once(tmp_path):
    with pytest.raises(KnobError, match="chain must hold names alone to become JSON"):
        record(tmp_path / "r", SamplingParams(chain=(lambda ids, x, p: ids,), max_tokens=1))
    with pytest.raises(FileNotFoundError):
        record(tmp_path / "none" / "r")
    with pytest.raises(TypeError, match="record must be a path or a text file, got int"):
        record(3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 7))
def test_the_first_step_whose_logits_differ_is_the_model_s(tmp_path_factory, at):
    folder = tmp_path_factory.mktemp("records")

    def other(ids):
        row = model(ids).copy()
        if len(ids) == at + 2:
            row[int(row.argmin())] -= 1  # a token that is hardly ever drawn
        return row

    a, b = record(folder / "a"), record(folder / "b", model=other)
    found = recording.diff(folder / "a", folder / "b")
    assert (found.position, found.cause, found.settings) == (at, "model", ())
    assert found.a["logits"] != found.b["logits"]
    assert f"Step {at}: the logits differ, so the model: digests" in str(found)
    assert a.ids[:at] == b.ids[:at]
    before = {0: "", 1: "The step before it is equal."}.get(at, f"The {at} steps before it are equal.")
    assert str(found).partition("\n")[2] == before


def test_the_same_logits_and_another_token_are_the_sampler_s(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    a, b = record(files[0]), record(files[1], PARAMS.replace(seed=6))
    at = next(i for i in range(8) if a.ids[i] != b.ids[i])
    found = recording.diff(*files)
    assert (found.position, found.cause, found.settings) == (at, "sampler", (("seed", 5, 6),))
    assert (found.a["id"], found.b["id"]) == (a.ids[at], b.ids[at])
    assert str(found).splitlines()[0] == "seed differs: 5 and 6."
    assert f"Step {at}: the logits are equal, so the sampler: tokens {a.ids[at]} and {b.ids[at]}; u " in str(
        found
    )


def test_other_settings_without_effect_are_told_too(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    record(files[0], PARAMS.replace(temperature=0))
    record(files[1], PARAMS.replace(temperature=0, top_p=1.0, logprobs=0))
    found = recording.diff(*files)
    assert found == dataclasses.replace(
        found, settings=(("top_p", 0.9, None), ("logprobs", None, 0)), position=None, cause=None
    )
    assert str(found).endswith("The logits and tokens of every step are equal.")


def test_a_shorter_record_is_told(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    record(files[0])
    record(files[1], PARAMS.replace(max_tokens=3))
    found = recording.diff(*files)
    assert (found.position, found.cause, found.b) == (3, "length", None)
    assert "Step 3: the second has ended." in str(found)
    assert "the first has ended" in str(recording.diff(*files[::-1]))


@pytest.mark.parametrize(
    ("a", "b", "names", "cause"),
    [
        ({"prompt": [0, 1]}, {"prompt": [1, 1]}, ["prompt"], "input"),
        ({"context": "slide"}, {}, ["context"], "length"),
        ({"context": "slide"}, {"context": "slide", "context_length": 5}, ["context_length"], "input"),
        ({}, {"context_length": 7}, ["context_length"], "length"),
        ({"vocab_size": 3}, {}, ["vocab_size"], "sampler"),
    ],
)
def test_what_the_model_reads_is_a_setting_and_not_the_model_s_fault(tmp_path, a, b, names, cause):
    files = [tmp_path / "a", tmp_path / "b"]
    for file, options in zip(files, (a, b), strict=True):
        given = {"context_length": 4, "prompt": [0, 1]} | options
        params = PARAMS.replace(context_length=given.pop("context_length"), ignore_eos=True)
        record(file, params, **given)
    found = recording.diff(*files)
    assert [name for name, *_ in found.settings] == names
    assert found.cause == cause
    assert (cause == "input") == (
        "the logits differ, as they may, for the model read something" in str(found)
    )


def test_the_record_of_a_window_that_slides_tells_its_length():
    file = io.StringIO()
    done = record(file, PARAMS.replace(context_length=5), context="slide")
    header = lines_of(file.getvalue())[0]
    assert (header["context"], header["params"]["context_length"], header["vocab_size"]) == ("slide", 5, 12)
    assert done.params.context_length == 5
    file = io.StringIO()
    rheostat.generate(model, [0], PARAMS, record=file)
    assert lines_of(file.getvalue())[0]["vocab_size"] is None


def test_a_line_that_is_cut_off_by_a_full_disk_is_taken_back_and_written_again(tmp_path, monkeypatch):
    class Disk(io.FileIO):
        """Takes half of a line, then no more, once."""

        def write(self, data):
            state = states.pop(0) if states else 0
            if state == 2:
                raise OSError(28, "No space left on device")
            return super().write(data[: len(data) // 2] if state else data)

    states = [0, 0, 1, 2]
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode, **how: Disk(path, mode) if "b" in mode else opened(path, mode, **how)
    )
    generation = rheostat.generate(model, [0], PARAMS, record=tmp_path / "a")
    with pytest.raises(OSError, match="No space left"):
        generation.run()
    assert (len(generation.ids), states) == (1, [])
    generation.run()
    monkeypatch.undo()
    record(tmp_path / "b", prompt=[0])
    assert [step["id"] for step in recording.read(tmp_path / "a").steps] == list(generation.ids)


@platforms.fifo
def test_a_pipe_is_written_to_too(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    done = record(tmp_path / "pipe")
    lines = lines_of(os.read(reading, 2**16).decode())
    os.close(reading)
    assert [line["id"] for line in lines[1:]] == list(done.ids)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "line 1 is not the settings of a generation"),
        ("hello", "line 1 is not a JSON object"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"recording": 2}', "line 1 is not the settings"),
        ('{"recording": 1}', "line 1 is not the settings"),
        ("HEADER\n{}", "line 2 is not a step"),
        ("HEADER\n{", "line 2 is not a JSON object"),
        ("\x00\xff", "line 1 is not a JSON object"),
    ],
)
def test_what_is_no_record_is_told_with_its_line(tmp_path, text, line):
    good = io.StringIO()
    rheostat.generate(model, [0], PARAMS, record=good)
    path = tmp_path / "r"
    path.write_bytes(text.replace("HEADER", good.getvalue().strip()).encode("latin-1"))
    with pytest.raises(KnobError) as caught:
        recording.read(path)
    assert str(caught.value).startswith(f"path must be that of a recording, got {path}, whose {line}")


def test_float16_and_float32_rows_of_equal_numbers_have_one_digest():
    def half(ids):
        return model(ids).astype(np.float16)

    files = [io.StringIO(), io.StringIO()]
    record(files[0], model=half)
    record(files[1], model=lambda ids: half(ids).astype(np.float64)[None])
    assert files[0].getvalue() == files[1].getvalue()
    assert len(lines_of(files[0].getvalue())) == 9
