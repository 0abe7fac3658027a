"""Every refusal is one sentence that names argument, rule and value; both implementations say the same."""

import copy
import pickle

import numpy as np
import pytest
import rheostat
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import KnobError, LogitsError
from support import assert_same_outcome

ROW = np.arange(6, dtype=np.float32)
BATCH = np.stack([ROW, ROW, ROW])
NAN, INF = float("nan"), float("inf")

KNOB_ERRORS = [
    ({"temperature": -1}, "temperature", "temperature must be 0 or in [1e-30, 1e30], got -1.0"),
    ({"temperature": NAN}, "temperature", "temperature must be 0 or in [1e-30, 1e30], got nan"),
    ({"temperature": INF}, "temperature", "temperature must be 0 or in [1e-30, 1e30], got inf"),
    ({"temperature": 1e-31}, "temperature", "temperature must be 0 or in [1e-30, 1e30], got 1e-31"),
    ({"temperature": 10**400}, "temperature", "temperature must be 0 or in [1e-30, 1e30], got inf"),
    ({"top_k": -3}, "top_k", "top_k must be at least 0, where 0 is off, got -3"),
    ({"top_k": -(10**40)}, "top_k", f"top_k must be at least 0, where 0 is off, got {-(10**40)}"),
    ({"top_p": 0}, "top_p", "top_p must be in (0, 1], got 0.0"),
    ({"top_p": 1.5}, "top_p", "top_p must be in (0, 1], got 1.5"),
    ({"top_p": NAN}, "top_p", "top_p must be in (0, 1], got nan"),
    ({"min_p": -0.1}, "min_p", "min_p must be in [0, 1], got -0.1"),
    ({"min_p": 2}, "min_p", "min_p must be in [0, 1], got 2.0"),
    (
        {"chain": "gpt"},
        "chain",
        "chain must be one of 'vllm', 'hf', 'llama.cpp' or a tuple of knob names, got 'gpt'",
    ),
    (
        {"chain": ("top_q",)},
        "chain",
        "chain must name knobs among temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, "
        "eta_cutoff, top_h, top_n_sigma, xtc, got 'top_q'",
    ),
    ({"chain": ("top_k", "top_k")}, "chain", "chain must name each knob once, got 'top_k' twice"),
    (
        {"chain": ("top_k",), "top_p": 0.5},
        "chain",
        "chain must name every knob that is set, got none for 'top_p'",
    ),
    (
        {"temperature": [1, 2]},
        "temperature",
        "temperature must be one value for one row of logits, got shape (2,)",
    ),
    ({"seed": -1}, "seed", "seed must be in [0, 2**64), got -1"),
    ({"seed": 2**64}, "seed", f"seed must be in [0, 2**64), got {2**64}"),
    ({"seed": 10**40}, "seed", f"seed must be in [0, 2**64), got {10**40}"),
    ({"seed": 1, "stream": -1}, "stream", "stream must be in [0, 2**64), got -1"),
    ({"seed": 1, "position": [0, -1]}, "position", "position must be in [0, 2**64), got -1 for row 1"),
    ({"u": 2**64}, "u", f"u must be in [0, 2**64), got {2**64}"),
    ({"u": 1, "seed": 1}, "u", "u must come without seed, stream and position, got both"),
    ({"u": 1, "position": 1}, "u", "u must come without seed, stream and position, got both"),
    (
        {"seed": [1, 2], "stream": [1, 2, 3]},
        "stream",
        "stream must be an integer or have shape (2,), got shape (3,)",
    ),
]

TYPE_ERRORS = [
    ({"temperature": "hot"}, "temperature must be a number or one number per row, got str"),
    ({"temperature": None}, "temperature must be a number or one number per row, got NoneType"),
    ({"temperature": True}, "temperature must be a number or one number per row, got bool"),
    ({"temperature": 1j}, "temperature must be a number or one number per row, got complex"),
    ({"temperature": ["a"]}, "temperature must be a number or one number per row, got an array of <U1"),
    (
        {"temperature": np.bool_(True)},
        "temperature must be a number or one number per row, got an array of bool",
    ),
    ({"temperature": [[1], [1, 2]]}, "temperature must be a number or one number per row, got a ragged list"),
    ({"top_k": 5.0}, "top_k must be an integer or one integer per row, got float"),
    ({"top_k": np.array([5.0])}, "top_k must be an integer or one integer per row, got an array of float64"),
    ({"top_k": [[1]]}, "top_k must be an integer or one integer per row, got a nested list"),
    ({"seed": 1.0}, "seed must be an integer or one integer per row, got float"),
    ({"seed": True}, "seed must be an integer or one integer per row, got bool"),
    ({"u": [1.5]}, "u must be an integer or one integer per row, got float"),
    ({"stream": None}, "stream must be an integer or one integer per row, got NoneType"),
    ({"chain": 3}, "chain must be a preset's name or a tuple of knob names, got int"),
    ({"chain": ("top_k", 3)}, "chain must be a preset's name or a tuple of knob names, got int in it"),
]


@pytest.mark.parametrize(
    ("arguments", "argument", "message"), KNOB_ERRORS, ids=[m for _, _, m in KNOB_ERRORS]
)
def test_a_broken_rule_is_a_knob_error(api, arguments, argument, message):
    with pytest.raises(KnobError) as caught:
        api.sample(ROW, **arguments)
    assert str(caught.value) == message
    assert caught.value.argument == argument
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("arguments", "message"), TYPE_ERRORS, ids=[m for _, m in TYPE_ERRORS])
def test_a_wrong_type_is_a_type_error(api, arguments, message):
    with pytest.raises(TypeError) as caught:
        api.sample(ROW, **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda api: api.top_p(ROW, 0), "p must be in (0, 1], got 0.0"),
        (lambda api: api.top_p(ROW, "a"), "p must be a number or one number per row, got str"),
        (lambda api: api.top_k(ROW, -1), "k must be at least 0, where 0 is off, got -1"),
        (lambda api: api.top_k(ROW, 1.5), "k must be an integer or one integer per row, got float"),
        (lambda api: api.min_p(ROW, 1.01), "p must be in [0, 1], got 1.01"),
        (lambda api: api.softmax(ROW, temperature=-2), "temperature must be 0 or in [1e-30, 1e30], got -2.0"),
        (
            lambda api: api.softmax(BATCH, temperature=[1, 2]),
            "temperature must have shape (3,), got shape (2,)",
        ),
        (
            lambda api: api.softmax(BATCH, temperature=[1, 2, -3]),
            "temperature must be 0 or in [1e-30, 1e30], got -3.0 for row 2",
        ),
        (
            lambda api: api.softmax(BATCH, temperature=np.ones((3, 1))),
            "temperature must be a number or one number per row, got shape (3, 1)",
        ),
        (lambda api: api.choose(ROW, 0, seed=1), "n must be at least 1, got 0"),
        (lambda api: api.choose(ROW, [1], seed=1), "n must be an integer, got one per row"),
        (
            lambda api: api.choose(ROW, 7, seed=1),
            "n must be at most the number of kept tokens that have a weight, got 7 for 6 in row 0",
        ),
        (
            lambda api: api.choose(ROW, 10**30, seed=1),
            f"n must be at most 1048576, got {10**30}",
        ),
        (
            lambda api: api.choose(BATCH, 2, seed=1, stream=[0, 2, 4], top_k=[2, 1, 2]),
            "n must be at most the number of kept tokens that have a weight, got 2 for 1 in row 1",
        ),
        (
            lambda api: api.choose(ROW, 2, seed=1, stream=2**64 - 1),
            f"stream must be at most 2**64 - n, got {2**64 - 1}",
        ),
        (
            lambda api: api.sample(BATCH, seed=7),
            "seed must come with one stream or position per row, or all 3 rows would get the same chance; "
            "pass stream=np.arange(3), got seed=7 alone",
        ),
        (
            lambda api: api.sample(BATCH, u=7),
            "u must hold one integer per row, or all 3 rows would get the same chance, got 7",
        ),
        (lambda api: api.sample(np.zeros((2, 3, 4))), None),
        (lambda api: api.sample(np.zeros((0,))), None),
        (lambda api: api.sample(np.zeros(4, np.int64)), None),
        (lambda api: api.sample(np.zeros(4, np.complex64)), None),
        (lambda api: api.set_num_threads(-1), "n must be in [0, 1024], got -1"),
    ],
)
def test_the_same_text_from_both(call, message):
    if message is not None:
        with pytest.raises((KnobError, TypeError)) as caught:
            call(rheostat)
        assert str(caught.value) == message
    assert_same_outcome(call)


FUNCTIONS = {
    "softmax": lambda api, x: api.softmax(x),
    "log_softmax": lambda api, x: api.log_softmax(x),
    "top_k": lambda api, x: api.top_k(x, 2),
    "top_p": lambda api, x: api.top_p(x, 0.5),
    "min_p": lambda api, x: api.min_p(x, 0.5),
    "kept": lambda api, x: api.kept(x, top_p=0.5),
    "sample": lambda api, x: api.sample(x, seed=1, stream=np.arange(len(x))),
    "choose": lambda api, x: api.choose(x, 1, seed=1, stream=np.arange(len(x))),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("bad", "row", "token", "message"),
    [
        ({(1, 4): NAN}, 1, 4, "logits must be finite or -inf, got nan at row 1, token 4"),
        ({(2, 0): INF, (1, 5): INF}, 1, 5, "logits must be finite or -inf, got inf at row 1, token 5"),
        ({(1, 5): NAN, (1, 2): INF}, 1, 2, "logits must be finite or -inf, got inf at row 1, token 2"),
        ({2: -INF, (2, 0): -INF}, 2, None, "logits must have a finite value in every row, got none in row 2"),
        ({0: -INF, (1, 0): NAN}, 0, None, "logits must have a finite value in every row, got none in row 0"),
        ({(1, 3): 1e300}, 1, 3, "logits must be finite or -inf, got 1e+300 at row 1, token 3"),
        ({(0, 3): -1e300, (0, 1): NAN}, 0, 1, "logits must be finite or -inf, got nan at row 0, token 1"),
    ],
)
def test_the_model_s_fault_is_a_logits_error_at_the_lowest_row_and_token(
    api, function, bad, row, token, message
):
    batch = BATCH.astype(np.float64)
    for place, value in bad.items():
        batch[place] = value
    with pytest.raises(LogitsError) as caught:
        function(api, batch)
    assert str(caught.value) == message
    assert (caught.value.row, caught.value.token_id) == (row, token)


def test_a_failing_call_writes_nothing(api):
    batch = BATCH.copy()
    batch[2, 1] = np.nan
    for function in (api.softmax, api.log_softmax):
        out = np.full_like(batch, 7)
        with pytest.raises(LogitsError):
            function(batch, out=out)
        assert np.all(out == 7)
    before = batch.tobytes()
    with pytest.raises(LogitsError):
        api.top_p(batch, 0.5, out=batch)
    assert batch.tobytes() == before


def test_a_logits_error_in_any_row_of_a_long_batch_over_threads():
    batch = np.zeros((40, 5000), np.float32)
    batch[37, 1] = batch[11, 4999] = np.nan
    with pytest.raises(LogitsError, match="row 11, token 4999"):
        rheostat.sample(batch, seed=1, stream=np.arange(40))


def test_the_errors_survive_pickling_and_copying():
    for error in (KnobError("p must be", "p", 3), LogitsError("logits must be", 2, None)):
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.one_of(
                st.floats(), st.integers(), st.none(), st.lists(st.floats(), max_size=4)
            ),
            "top_k": st.one_of(st.integers(), st.floats(), st.lists(st.integers(-2, 9), max_size=4)),
            "top_p": st.one_of(st.floats(), st.booleans(), st.lists(st.floats(0, 1), max_size=4)),
            "min_p": st.one_of(st.floats(), st.text(max_size=2), st.lists(st.floats(0, 1), max_size=4)),
            "seed": st.one_of(st.integers(0, 2**65), st.lists(st.integers(-1, 2**64), max_size=4)),
            "stream": st.one_of(st.integers(-1, 3), st.lists(st.integers(0, 5), max_size=4), st.none()),
            "u": st.one_of(st.none(), st.integers(0, 2**64), st.lists(st.integers(0, 5), max_size=4)),
            "chain": st.sampled_from(["vllm", "hf", "x", (), ("top_p",), ["top_k", "temperature"], None]),
        },
    ),
    st.booleans(),
)
@settings(max_examples=1500, derandomize=True, deadline=None)
def test_both_raise_or_neither(arguments, is_row):
    if "seed" not in arguments and "u" not in arguments:
        arguments["seed"] = 1
    if arguments.get("u", 0) is None:
        arguments["seed"] = 1
    assert_same_outcome(lambda api: api.sample(ROW if is_row else BATCH, **arguments))


@pytest.mark.parametrize(
    ("knobs", "told", "value"),
    [
        ({"logit_bias": {0: 3e38, 1: 1.0}}, "logit_bias", 3e38),
        ({"logit_bias": {0: 3e38, np.int64(0): 2.5e38}}, "logit_bias", 2.5e38),
        (
            {"sequence_bias": {(1, 0): 3e38, (0,): 1.0, (2, 0): 3.1e38}, "output_ids": [1]},
            "sequence_bias",
            3e38,
        ),
        (
            {"sequence_bias": {(1, 0): 2e38, (0,): 3e38, (1, 1, 0): -np.inf}, "output_ids": [1, 1]},
            "sequence_bias",
            3e38,
        ),
        ({"presence_penalty": -1e38, "output_ids": [0]}, "presence_penalty", -1e38),
    ],
)
def test_what_takes_a_logit_to_infinity_is_told_as_it_was_given(api, knobs, told, value):
    with pytest.raises(KnobError) as raised:
        api.process(np.array([3e38, 1, -2], np.float32), **knobs)
    error = raised.value
    assert (
        str(error)
        == f"{told} must leave every logit below +inf, got {value!r} which does not at row 0, token 0"
    )
    assert (error.argument, error.value) == (told, value)


@pytest.mark.parametrize(
    "knobs",
    [
        {"seed": np.int64(3)},
        {"seed": np.array(3)},
        {"u": np.uint64(2**64 - 1)},
        {"seed": [1, 2], "vocab_size": np.int32(9)},
        {"seed": [1, 2], "vocab_size": np.array([3, 9])},
        {"seed": [1, 2], "vocab_size": [np.int64(9), None]},
        {"seed": [1, 2], "vocab_size": 10**400},
        {"seed": np.array([-1, 2])},
        {"seed": [1, 2], "top_k": np.array([1, -2])},
        {"seed": [1, 2], "top_k": -(10**400)},
        {"seed": [1, 2], "top_p": np.array([0.5, 2.5], np.float32)},
    ],
    ids=repr,
)
def test_the_value_of_an_error_is_a_plain_number(knobs):
    errors = []
    for api in (rheostat, rheostat.reference):
        with pytest.raises(KnobError) as raised:
            api.sample(np.zeros((2, 4), np.float32), **knobs)
        errors.append(raised.value)
    assert str(errors[0]) == str(errors[1])
    assert errors[0].value == errors[1].value
    assert {type(error.value) for error in errors} in ({int}, {float})


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (np.array([1, 0, 1], np.uint8), "a boolean mask or ids, got an array of uint8 from answers"),
        (np.array([1.0]), "a boolean mask or ids, got an array of float64 from answers"),
        ([[1], [1, 2]], "a boolean mask or ids, got a ragged list from answers"),
        ((1, (2, 0)), "a boolean mask or ids, got a ragged list from answers"),
    ],
)
def test_an_answer_that_could_be_either_is_refused_in_one_sentence(api, answer, text):
    def answers(ids, logits, probabilities):
        return answer

    with pytest.raises(TypeError) as raised:
        api.kept([0.0, 1.0, 2.0], chain=(answers,))
    assert str(raised.value) == f"chain must have callables that return {text}"
    with pytest.raises(TypeError) as raised:
        api.explain([0.0, 1.0, 2.0], seed=1, chain=(answers,))
    assert str(raised.value) == f"chain must have callables that return {text}"


@pytest.mark.filterwarnings("error")
def test_an_infinite_distance_is_no_warning(api):
    x = np.array([3e38, -3e38, 1], np.float32)
    assert api.kept(x, top_n_sigma=1e308).tolist() == [0, 1, 2]


def test_numbers_are_printed_as_python_prints_them():
    rng = np.random.default_rng(0)
    values = [10.0**power * digit for power in range(-320, 308) for digit in (1, 1.5, 9.999999999999999)]
    values += rng.integers(0, 2**63, 5000).view(np.float64).tolist()
    values += (rng.integers(2**40, 2**52, 3000) + 0.125 * rng.integers(0, 8, 3000)).tolist()  # ties of digits
    values += [2.0**power for power in range(-1074, 1024)]
    values += [0.1 + 0.2, 5e-324, 1e16, 9999999999999998.0, 1e22, 123456789012345680.0, 1e-4, 1e-5, 1e39, INF]
    for value in values:
        if value > 0:
            with pytest.raises(KnobError) as raised:
                rheostat.softmax([0.0], temperature=-value)
            assert str(raised.value) == f"temperature must be 0 or in [1e-30, 1e30], got {-value!r}"
    for value in (NAN, INF, -INF, -0.0, 0.0, 2.0, 1e16):
        assert_same_outcome(lambda api: api.sample([0.0], u=0, top_p=value))  # noqa: B023
    assert_same_outcome(lambda api: api.softmax([1e300]))
    assert_same_outcome(lambda api: api.logprobs([0.0], 0, top=2**20 + 1))
    assert_same_outcome(lambda api: api.logprobs([0.0], 0, top=10**400))
