"""What `--vary` and `--goal` mean, and what is said of those that mean nothing."""

import doctest

import pytest
import rheostat
from rheostat import SamplingParams
from rheostat.lab import TrainingKnobs, sweep
from rheostat.lab.sweep import goals, kinds, metrics, spaces

DECODING, TRAINING = kinds.kinds_of(SamplingParams), kinds.kinds_of(TrainingKnobs)
KINDS = TRAINING | DECODING


def space(text):
    (found,) = sweep.read_spaces([text], KINDS, "decoding")
    return found


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("temperature=0.2,0.7,1", (0.2, 0.7, 1.0)),
        ("temperature=0.2:1", (0.2, 0.4, 0.6, 0.8, 1.0)),
        ("temperature=0.2:1.5:points=3", (0.2, 0.85, 1.5)),
        ("temperature=0:1:step=0.25", (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("temperature=0:1:step=0.4", (0.0, 0.4, 0.8)),
        ("temperature=0:2:int:points=3", (0, 1, 2)),
        ("learning_rate=1e-4:1e-2:log:points=3", (0.0001, 0.001, 0.01)),
        ("top-k=1:3", (1, 2, 3)),
        ("hidden_size=32:256:log:points=4", (32, 64, 128, 256)),
        ("hidden_size=none,64", (None, 64)),
        ("max_tokens=10:100:step=30", (10, 40, 70, 100)),
        ("schedule=cosine,constant", ("cosine", "constant")),
        ("chain=vllm,top_k+temperature", ("vllm", "top_k+temperature")),
        ("ignore_eos=true,no", (True, False)),
        ("stop_token_ids=13,13+198", ("13", "13+198")),
    ],
)
def test_the_points_of_a_grid(text, points):
    found = space(text)
    assert found.grid() == points
    assert [type(value) for value in found.grid()] == [type(value) for value in points]
    distribution = found.distribution()
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in points)


def test_values_become_what_the_knob_takes():
    settings = {
        "stop": r"\n", "stop_token_ids": "13+198", "chain": "top_k+temperature", "temperature": 0.5
    }  # fmt: skip
    assert kinds.knob_values(DECODING, settings) == {
        "stop": "\n", "stop_token_ids": (13, 198), "chain": ("top_k", "temperature"), "temperature": 0.5
    }  # fmt: skip
    assert kinds.knob_value(kinds.TEXT, "none") == ()
    assert kinds.knob_value(kinds.TEXT, r"a\\n") == r"a\n"


def test_every_knob_with_single_values_can_be_varied():
    lists = {"bad_words", "logit_bias", "sequence_bias", "dry_sequence_breakers", "report"}
    assert set(SamplingParams.__dataclass_fields__) - set(DECODING) == lists
    assert set(TrainingKnobs.__dataclass_fields__) == set(TRAINING)


def test_every_value_is_read_as_it_is_shown():
    cases = ((kinds.FLOAT, 0.1 + 0.2), (kinds.INT, 7), (kinds.INT, None), (kinds.FLAG, True))
    for kind, value in cases:
        assert kinds.read_value("knob", kind, kinds.exact(value)) == value


NAMED = "vary must be NAME=VALUES, as in temperature=0.2:1.5 or top_p=0.5,0.9,1"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "vary must name a knob, as in temperature=0.2:1.5, got nothing"),
        (["temperature"], f"{NAMED}, got temperature"),
        (["=1"], f"{NAMED}, got =1"),
        (["topp=0:1"], "topp is no decoding knob that a sweep can turn; did you mean top_p?"),
        (["top_p=0.5:1", "top_p=1,2"], "top_p is varied twice, by top_p=0.5:1 and top_p=1,2"),
        (["temperature=1,1.0"], "temperature must list each value once, got 1,1.0"),
        (["temperature=1:0"], "temperature must go from a lower to a higher value, got 1:0"),
        (["temperature=0:inf"], "temperature must have finite numbers in a range, got inf"),
        (["temperature=0:x"], "temperature takes a number, got x"),
        (["temperature=0:1:9"], "temperature: after LOW:HIGH come log, int, points=N or step=D, got 9"),
        (["min_p=0:1:points=1"], "min_p: after LOW:HIGH come log, int, points=N or step=D, got points=1"),
        (["temperature=0:1:log"], "temperature: log needs a range above 0, got 0:1"),
        (["temperature=0:1:step=2"], "temperature: step must be above 0 and no longer than the range, got 2"),
        (["temperature=1:2:log:step=1"], "temperature: step goes without log, got 1"),
        (["temperature=0.5:2:int"], "temperature takes whole numbers here, got 0.5:2:int"),
        (["top_k=1:16:step=2.5"], "top_k: step takes a whole number, got 2.5"),
        (["top_k=1:2.5"], "top_k takes a whole number, got 2.5"),
        (["ignore_eos=maybe"], "ignore_eos takes true or false, got maybe"),
        (["stop_token_ids=a"], "stop_token_ids takes token ids with + between them, got a"),
    ],
)  # fmt: skip
def test_what_no_space_is_is_said_in_one_sentence(texts, said):
    with pytest.raises(rheostat.KnobError) as caught:
        sweep.read_spaces(texts, KINDS, "decoding")
    assert str(caught.value) == said


METRICS = (sweep.Metric("loss", "bad"), sweep.Metric("gain", "good", higher=True))


def test_goals():
    metrics = {"loss": 3.0, "gain": 5.0}
    found = {text: sweep.read_goal(text, METRICS) for text in ("loss", "gain", "gain=2", "loss=7")}
    assert {text: goal.value(metrics) for text, goal in found.items()} == {
        "loss": 3, "gain": 5, "gain=2": 3, "loss=7": 4
    }  # fmt: skip
    assert [goal.is_higher for goal in found.values()] == [False, True, False, False]
    assert [str(goal) for goal in found.values()] == [
        "lowest loss", "highest gain", "gain closest to 2", "loss closest to 7"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("los", "goal must be one of loss, gain, got los"),
        ("loss=", "goal must be METRIC or METRIC=NUMBER, got loss="),
        ("loss=nan", "goal must be METRIC or METRIC=NUMBER, got loss=nan"),
    ],
)
def test_what_no_goal_is_is_said_in_one_sentence(text, said):
    with pytest.raises(rheostat.KnobError) as caught:
        sweep.read_goal(text, METRICS)
    assert str(caught.value) == said


@pytest.mark.parametrize("module", [sweep, goals, metrics, spaces])
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0
