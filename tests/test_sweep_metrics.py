"""The metrics of a sweep, against cases counted by hand, and what a setting of a model's text reports."""

import math
import signal

import numpy as np
import pytest
import rheostat
from lab_support import QUICK, TEXT
from rheostat import lab
from rheostat.lab import sweep, train_text
from rheostat.lab.sweep import decoding, kinds, metrics, training
from stand_in import Bytes, Cached


def nothing(step, value):
    """What is reported is no matter here."""


def test_perplexity_and_bits_of_tokens_with_known_probabilities():
    nats = [-math.log(p) for p in (1 / 2, 1 / 4, 1 / 8)]  # 1, 2 and 3 bits
    assert metrics.perplexity(nats) == pytest.approx(4)
    assert metrics.bits_per_byte(nats, 12) == pytest.approx(0.5)


def test_surprises_are_the_model_s_own_probabilities():
    rows = {1: [0.0, 0.0, math.log(2)], 2: [math.log(3), 0.0, 0.0]}  # 1/4 1/4 1/2; 3/5 1/5 1/5
    found = metrics.surprises(lambda ids: np.array(rows[ids[-1]], np.float32), [0, 1], [2, 0])
    assert np.exp(-np.array(found)) == pytest.approx([1 / 2, 3 / 5], rel=1e-6)


def test_an_incremental_model_is_surprised_by_the_same():
    ids = list(b"cat sat")
    wanted = metrics.surprises(Bytes(), list(b"the "), ids)
    assert len(wanted) == len(ids)
    assert metrics.surprises(Cached(), list(b"the "), ids) == wanted


@pytest.mark.parametrize(
    ("texts", "n", "share"),
    [
        ([[1, 2, 3, 4]], 1, 1.0),
        ([[1, 1, 1, 1]], 1, 0.25),
        ([[1, 1, 1, 1]], 2, 1 / 3),
        ([[1, 2, 1, 2, 3]], 2, 0.75),  # 12 21 12 23
        ([[1, 2], [1, 2]], 2, 0.5),  # across texts too, but no pair of two texts
        ([[1, 2], [2, 1]], 2, 1.0),
        ([[1], []], 2, 1.0),
    ],
)
def test_distinct_is_the_share_of_different_grams(texts, n, share):
    assert metrics.distinct(texts, n) == pytest.approx(share)


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        ([[1, 2, 3, 4, 5]], 0.0),
        ([[1, 1, 1, 1, 1, 1, 1]], 0.75),  # four times 1111
        ([[1, 2, 3, 4], [1, 2, 3, 4]], 0.0),  # within a text alone
        ([[1, 1, 1, 1, 1], [1, 2, 3, 4]], 0.25),  # the mean of 1/2 and 0
        ([[1, 2, 3], []], 0.0),
    ],
)
def test_repetition_is_the_share_of_repeated_fours(texts, share):
    assert metrics.repetition(texts) == pytest.approx(share)


def test_a_setting_reports_what_the_loop_writes():
    model = Bytes()
    base = {"max_tokens": 30, "top_k": 3}
    subject = sweep.Decoding(model, "stand-in", base, ["the ", "a "], texts=3)
    steps = []
    found = subject.measure({"temperature": 0.8}, lambda step, value: steps.append((step, math.isnan(value))))
    assert steps == [(1, True), (2, True), (3, True)]
    params = rheostat.SamplingParams(
        temperature=0.8, top_k=3, max_tokens=30, seed=1, eos_token_id=0, context_length=300
    )
    texts = [
        rheostat.generate(model, model.encode(prompt), params, table=model.table, stream=stream).run()
        for stream, prompt in enumerate(["the ", "a ", "the "])
    ]
    assert len({text.text for text in texts}) == 3
    nats = [
        nat
        for prompt, text in zip(["the ", "a ", "the "], texts, strict=True)
        for nat in metrics.surprises(model, model.encode(prompt), text.ids)
    ]
    ids = [text.ids for text in texts]
    assert found["perplexity"] == pytest.approx(metrics.perplexity(nats), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(metrics.bits_per_byte(nats, 90), rel=1e-5)
    assert (found["distinct_1"], found["distinct_2"]) == (metrics.distinct(ids, 1), metrics.distinct(ids, 2))
    assert found["repetition"] == metrics.repetition(ids)
    assert (found["length"], found["stopped"]) == (30, 0)
    assert 1 <= found["nucleus_size"] <= 3
    assert found["tokens_per_second"] > 0
    assert set(found) == {metric.name for metric in subject.metrics}


@pytest.fixture(scope="module")
def box():
    return lab.load()


def measured(box, settings, **base):
    subject = sweep.Decoding(box, "box", {"max_tokens": 40, "ignore_eos": True} | base, texts=2)
    return subject.measure(settings, nothing)


def test_a_sharper_distribution_is_less_surprising_and_repeats_more(box):
    low, high = (measured(box, {"temperature": t}, max_tokens=100) for t in (0.0, 1.2))
    assert low["perplexity"] < high["perplexity"] / 3
    assert low["distinct_2"] < high["distinct_2"]
    assert low["repetition"] > high["repetition"]
    assert low["nucleus_size"] == 1


def test_a_smaller_nucleus_is_smaller(box):
    low, high = (measured(box, {"top_p": p}) for p in (0.5, 0.9))
    assert 1 <= low["nucleus_size"] < high["nucleus_size"] < 1024


def test_more_tokens_need_more_memory(box):
    few, many = (measured(box, {"max_tokens": n}) for n in (20, 100))
    assert few["peak_memory"] + 5 < many["peak_memory"] < 2000
    assert (few["length"], many["length"]) == (20, 100)


def test_a_text_that_sees_less_is_more_surprising_to_the_model_that_sees_all(box):
    short, long = (measured(box, {"context_length": n}) for n in (2, 32))
    assert short["perplexity"] > 1.5 * long["perplexity"]
    assert short["length"] == 40


def test_a_stop_ends_texts(box):
    assert measured(box, {"stop": " "})["stopped"] == 1
    assert measured(box, {"stop": "none"})["stopped"] == 0
    assert measured(box, {"stop_token_ids": "+".join(map(str, range(1024)))})["length"] == 1


def test_a_model_that_says_nothing_is_told():
    class Silent(Bytes):
        def __call__(self, ids):
            return np.where(np.arange(256) == 0, 9.0, -9.0).astype(np.float32)

    with pytest.raises(ValueError, match="every text is empty: the model ends each at once"):
        sweep.Decoding(Silent(), "silent", {"temperature": 0}).measure({}, nothing)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base": {"top_p": 2}}, "top_p must be in (0, 1], got 2.0"),
        ({"texts": 0}, "texts must be at least 1, got 0"),
        ({"prompts": []}, "prompts must hold at least one text, got none"),
    ],
)
def test_what_a_subject_cannot_be_is_one_sentence(options, said):
    with pytest.raises(rheostat.KnobError) as caught:
        sweep.Decoding(Bytes(), "stand-in", **{"base": {}} | options)
    assert str(caught.value) == said


def test_the_command_of_a_setting_is_the_setting():
    from rheostat.cli import commands, options

    base = {"max_tokens": 9, "ignore_eos": True, "stop": ("a\n", "\\")}
    subject = sweep.Decoding(Bytes(), "stand_in:load", base, ["the "])
    settings = {"temperature": 0.1 + 0.2, "chain": "top_p+temperature", "top_p": 0.9, "stop_token_ids": "1+2"}
    program, *command = subject.command(settings)
    parsed = commands.parser().parse_args(command)
    model = Bytes()
    wanted = subject.params(settings).replace(seed=None)
    assert program == "rheostat"
    assert (parsed.prompt, parsed.model, parsed.context) == (["the "], "stand_in:load", "error")
    assert options.params_of(parsed, model) == wanted
    parsed = commands.parser().parse_args(subject.command({"context_length": 8})[1:])
    assert (parsed.context_length, parsed.context) == (8, "slide")  # as the sweep has written its texts


VALUES = {kinds.FLOAT: "0.5", kinds.INT: "3", kinds.FLAG: "yes", kinds.IDS: "1+2", kinds.ORDER: "top_k+top_p"}
WORDS = {
    "schedule": "step",
    "metric": "train",
    "vocabulary_size": "300",
    "mirostat": "2",
    "dry_base": "1.5",
    "stop": "-x",
}


@pytest.mark.parametrize("name", decoding.KINDS)
def test_the_command_of_each_decoding_knob_is_read(name):
    from rheostat.cli import commands, options

    kind = decoding.KINDS[name]
    value = kinds.read_value(name, kind, WORDS.get(name) or VALUES[kind])
    subject = sweep.Decoding(Bytes(), "stand_in:load", {}, ["a "])
    parsed = commands.parser().parse_args(subject.command({name: value})[1:])
    found, wanted = options.params_of(parsed, Bytes()), subject.params({name: value})
    assert getattr(found, name) == getattr(wanted, name) != getattr(subject.params({}), name)


@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("name", training.KINDS)
def test_the_command_of_each_training_knob_is_read(name, restore_best):
    from rheostat.cli import commands, train_options

    kind = training.KINDS[name]
    settings = {name: kinds.read_value(name, kind, WORDS.get(name) or VALUES[kind])}
    base = {"restore_best": restore_best, "hidden_size": None, "min_delta": 0.1 + 0.2}
    subject = sweep.Training("a text", base, ["my book.txt"])
    program, *command = subject.command(settings)
    parsed = commands.parser().parse_args(command)
    assert (program, parsed.corpus) == ("rheostat", ["my book.txt"])
    assert lab.TrainingKnobs(**train_options.given(parsed)) == subject.knobs(settings)


@pytest.fixture
def ctrl_c():
    """Presses it, also where the tests are a shell's background job, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda *arguments: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("epochs", "stopped"), [(1, "epochs"), (3, "interrupted")])
def test_ctrl_c_ends_a_training_setting_also_in_its_last_update(epochs, stopped, ctrl_c, monkeypatch):
    ended = []

    def told(*arguments, **more):
        ended.append(train_text(*arguments, **more))
        return ended[-1]

    monkeypatch.setattr(training, "train_text", told)
    subject = sweep.Training(TEXT, QUICK.replace(epochs=epochs).to_dict())
    with pytest.raises(KeyboardInterrupt):
        subject.measure({}, ctrl_c)
    assert [run.stopped for run in ended] == [stopped]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
