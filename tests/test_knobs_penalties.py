"""Biases and penalties equal their naive twins bit for bit, and never raise a logit when they should lower
it.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rheostat.errors import KnobError
from rows_strategy import few

F = np.float32
VOCAB = 8
histories = st.lists(st.integers(0, VOCAB - 1), max_size=30).map(tuple)
windows = st.one_of(st.none(), st.integers(0, 35))
logits = st.lists(
    st.one_of(st.floats(-30, 30, width=32), st.just(-np.inf)), min_size=VOCAB, max_size=VOCAB
).map(lambda values: np.array([5.0, *values[1:]], F))


def shaped(api, x, **knobs):
    return api.process(x, chain=(), **knobs)


def last(ids, n):
    return list(ids) if n is None else list(ids)[len(ids) - min(n, len(ids)) :]


def penalized(x, prompt, output, r, f, presence, n):
    """The twin: one token after another, one float32 operation after another."""
    result = x.copy()
    repeated = last(prompt + output, n)
    counted = output if n is None else repeated
    for i in range(x.size):
        if x[i] == -np.inf:
            continue
        v = x[i]
        if i in repeated:
            v = v / F(r) if v > 0 else v * F(r)
        if i in counted:
            v = v - (F(f) * F(list(counted).count(i)) + F(presence))
        result[i] = v
    return result


def test_penalties_equal_their_naive_twin(api):
    @few
    @given(logits, histories, histories, st.floats(0.5, 2), st.floats(-2, 2), st.floats(-2, 2), windows)
    def check(x, prompt, output, r, f, presence, n):
        result = shaped(
            api,
            x,
            prompt_ids=prompt,
            output_ids=output,
            repetition_penalty=r,
            frequency_penalty=f,
            presence_penalty=presence,
            penalty_last_n=n,
        )
        np.testing.assert_array_equal(result, penalized(x, prompt, output, r, f, presence, n))

    check()


def test_a_penalty_that_should_lower_never_raises_a_logit(api):
    lowering = st.floats(0, 3)

    @few
    @given(logits, histories, histories, st.floats(1, 3), lowering, lowering, lowering, windows)
    def check(x, prompt, output, r, f, presence, multiplier, n):
        result = shaped(
            api,
            x,
            prompt_ids=prompt,
            output_ids=output,
            repetition_penalty=r,
            frequency_penalty=f,
            presence_penalty=presence,
            penalty_last_n=n,
            dry_multiplier=multiplier,
            dry_allowed_length=1,
        )
        assert (result <= x).all()

    check()


def continuations(ids, breakers):
    """The quadratic twin of DRY: compare the end of the sequence with every earlier place, token by token."""
    longest = {}
    for place in range(1, len(ids)):  # the token at `place` followed ids[:place]
        match = 0
        while match < place and ids[place - 1 - match] == ids[-1 - match] and ids[-1 - match] not in breakers:
            match += 1
        if ids[place] not in breakers:
            longest[ids[place]] = max(longest.get(ids[place], 0), match)
    return longest


def test_dry_equals_its_quadratic_twin(api):
    @few
    @given(
        logits,
        st.lists(st.integers(0, 2), max_size=40).map(tuple),
        st.sets(st.integers(0, 2), max_size=1),
        st.floats(0.1, 3),
        st.floats(1, 2.5),
        st.integers(0, 5),
        windows,
    )
    def check(x, ids, breakers, multiplier, base, allowed, n):
        expected = x.copy()
        for token, length in continuations(last(ids, n), breakers).items():
            if length >= allowed:
                power = 1.0
                for _ in range(length - allowed):
                    power *= float(F(base))
                expected[token] = x[token] - F(multiplier) * F(power)
        result = shaped(
            api,
            x,
            prompt_ids=ids[: len(ids) // 2],
            output_ids=ids[len(ids) // 2 :],
            dry_multiplier=multiplier,
            dry_base=base,
            dry_allowed_length=allowed,
            dry_penalty_last_n=n,
            dry_sequence_breakers=sorted(breakers),
        )
        np.testing.assert_array_equal(result, expected)

    check()


def test_a_breaker_ends_a_repetition_and_is_never_penalized(api):
    x = np.zeros(5, F)
    knobs = {"prompt_ids": [1, 2, 3, 4, 1, 2, 3], "dry_multiplier": 1.0, "dry_base": 2.0}
    assert shaped(api, x, **knobs).tolist() == [0, 0, 0, 0, -2]  # 1 2 3 came before 4: one more than allowed
    assert shaped(api, x, **knobs, dry_sequence_breakers=[1]).tolist() == [0, 0, 0, 0, -1]
    assert shaped(api, x, **knobs, dry_sequence_breakers=[2]).tolist() == [0] * 5
    assert shaped(api, x, **knobs, dry_sequence_breakers=[4]).tolist() == [0] * 5


def test_dry_is_linear_in_the_history(api):
    ids = [1, 2] * 50_000  # quadratic would be 10**10 comparisons
    x = np.zeros(4, F)
    result = shaped(api, x, prompt_ids=ids, dry_multiplier=1.0, dry_base=1.0, dry_penalty_last_n=None)
    np.testing.assert_array_equal(result, np.array([0, -1, 0, 0], F))


def test_a_dry_penalty_beyond_float32_forbids(api):
    x = np.zeros(3, F)
    result = shaped(api, x, prompt_ids=[1] * 300, dry_multiplier=1.0, dry_base=2.0)
    assert result.tolist() == [0, -np.inf, 0]


def test_a_bias_is_added_once_in_float32(api):
    x = np.array([1, 2, 3], F)
    result = shaped(api, x, logit_bias={0: 0.1, 2: -np.inf})
    assert result.tolist() == [float(F(1) + F(0.1)), 2, -np.inf]


def test_a_sequence_bias_acts_where_the_history_ends_with_its_beginning(api):
    x = np.zeros(6, F)
    bias = {(4,): 1.0, (1, 2, 4): 0.25, (3, 4): 8.0, (2, 5): -np.inf, (1, 2): 3.0}
    result = shaped(api, x, prompt_ids=[0, 1], output_ids=[2], sequence_bias=bias)
    assert result.tolist() == [0, 0, 0, 0, 1.25, -np.inf]


def test_the_biases_of_one_token_are_added_up_first_the_shortest_sequence_first(api):
    x = np.array([1, 1], F)
    bias = {(0, 1): 2.0**-24, (1,): 1.0, (0, 0, 1): 2.0**-24}
    result = shaped(api, x, prompt_ids=[0, 0], sequence_bias=bias)
    assert result[1] == F(1) + ((F(1) + F(2.0**-24)) + F(2.0**-24)) == 2


def test_the_steps_before_the_chain_run_in_their_order(api):
    x = np.array([4, -4, 2, 1], F)
    knobs = {
        "logit_bias": {0: 1.5},
        "sequence_bias": {(0,): 0.25},
        "repetition_penalty": 1.3,
        "frequency_penalty": 0.7,
        "presence_penalty": 0.1,
        "dry_multiplier": 0.8,
    }
    history = {"prompt_ids": [0, 1, 2, 0, 1, 2], "output_ids": [0, 1, 2]}
    stepwise = x
    for names in (
        ["logit_bias"],
        ["sequence_bias"],
        ["repetition_penalty"],
        ["frequency_penalty", "presence_penalty"],
        ["dry_multiplier"],
    ):
        stepwise = shaped(api, stepwise, **history, **{name: knobs[name] for name in names})
    np.testing.assert_array_equal(shaped(api, x, **history, **knobs), stepwise)
    assert stepwise[0] < x[0]


def test_penalties_then_the_chain_equal_both_at_once(api):
    x = np.random.default_rng(5).normal(size=100).astype(F) * 4
    history = {"prompt_ids": list(range(50)), "output_ids": list(range(25)) * 2}
    knobs = {"repetition_penalty": 1.4, "presence_penalty": 0.5, "logit_bias": {99: 3.0}}
    chain = {"temperature": 0.8, "top_p": 0.9, "min_p": 0.02}
    after = shaped(api, x, **history, **knobs)
    for u in range(0, 2**64, 2**60):
        assert api.sample(x, u=u, **history, **knobs, **chain) == api.sample(after, u=u, **chain)


def test_off_values_leave_the_row_as_it_is(api):
    x = np.array([1, -2, 3], F)
    off = {"repetition_penalty": 1, "frequency_penalty": 0, "presence_penalty": 0, "dry_multiplier": 0}
    np.testing.assert_array_equal(shaped(api, x, prompt_ids=[0, 1], output_ids=[1], **off), x)


def test_every_row_has_its_own_knobs_and_history(api):
    x = np.array([[1, 2, 3], [1, 2, 3]], F)
    knobs = {
        "repetition_penalty": [1.5, 1.0],
        "penalty_last_n": [None, 2],
        "frequency_penalty": [0, 0.5],
        "logit_bias": [None, {0: 1.0}],
        "sequence_bias": [{(1, 2): 1.0}, {}],
    }
    histories = {"prompt_ids": [[1], [0, 1, 1]], "output_ids": [[], [2]]}
    together = shaped(api, x, **knobs, **histories)
    for row in range(2):
        own = {name: column[row] for name, column in (knobs | histories).items()}
        np.testing.assert_array_equal(together[row], shaped(api, x[row], **own))


def test_histories_are_sequences_or_arrays_of_ids(api):
    x = np.array([1, 2, 3], F)
    for ids in ([1, 2], (1, 2), np.array([1, 2]), range(1, 3)):
        result = shaped(api, x, prompt_ids=ids, repetition_penalty=2)
        assert result.tolist() == [1, 1, 1.5]
    batch = np.array([[1, 2], [0, 0]], np.int32)
    assert shaped(api, np.stack([x, x]), prompt_ids=batch, repetition_penalty=2).tolist() == [
        [1, 1, 1.5],
        [0.5, 2, 3],
    ]


BIG = 3e38


@pytest.mark.parametrize(
    ("knobs", "name"),
    [
        ({"logit_bias": {1: BIG}}, "logit_bias"),
        ({"sequence_bias": {(1,): BIG}}, "sequence_bias"),
        ({"repetition_penalty": 0.5}, "repetition_penalty"),
        ({"frequency_penalty": -BIG}, "frequency_penalty"),
        ({"presence_penalty": -BIG}, "presence_penalty"),
    ],
)
def test_a_result_of_plus_infinity_is_an_error_that_names_the_knob(api, knobs, name):
    x = np.array([0, BIG, 1], F)
    with pytest.raises(
        KnobError, match=f"{name} must leave every logit below .inf, got .* at row 0, token 1"
    ) as error:
        shaped(api, x, output_ids=[1], **knobs)
    assert error.value.argument == name


def test_process_refuses_a_temperature_that_makes_logits_infinite(api):
    with pytest.raises(KnobError, match="temperature must leave kept logits finite in float32, got 1e-30"):
        api.process([3e38, 1.0], temperature=1e-30)


@pytest.mark.parametrize(
    ("knobs", "error", "text"),
    [
        (
            {"repetition_penalty": 0},
            KnobError,
            "repetition_penalty must be positive and finite in float32, got 0",
        ),
        ({"frequency_penalty": 1e39}, KnobError, "frequency_penalty must be finite in float32, got 1e"),
        (
            {"presence_penalty": "1"},
            TypeError,
            "presence_penalty must be a number or one number per row, got str",
        ),
        ({"penalty_last_n": -1}, KnobError, "penalty_last_n must be at least 0, got -1"),
        (
            {"penalty_last_n": 1.5},
            TypeError,
            "penalty_last_n must be an integer or one integer per row, got float",
        ),
        (
            {"dry_multiplier": -1},
            KnobError,
            "dry_multiplier must be at least 0 and finite in float32, got -1",
        ),
        ({"dry_base": 0.5}, KnobError, "dry_base must be at least 1 and finite in float32, got 0.5"),
        ({"dry_allowed_length": -1}, KnobError, "dry_allowed_length must be at least 0, got -1"),
        (
            {"logit_bias": {0: np.inf}},
            KnobError,
            "logit_bias must hold biases that are -inf or finite in float32",
        ),
        ({"logit_bias": {3: 1.0}}, KnobError, r"logit_bias must hold token ids in \[0, 3\), got 3"),
        (
            {"logit_bias": {"0": 1.0}},
            TypeError,
            "logit_bias must be a dict of token id to bias .*, got str in it",
        ),
        ({"logit_bias": [1.0]}, KnobError, "logit_bias must be for one row of logits, got one entry per row"),
        (
            {"sequence_bias": {(): 1.0}},
            KnobError,
            "sequence_bias must hold sequences of at least one token id",
        ),
        (
            {"sequence_bias": {1: 1.0}},
            TypeError,
            "sequence_bias must be a dict of token id tuples .*, got int in it",
        ),
        ({"prompt_ids": [3]}, KnobError, r"prompt_ids must hold token ids in \[0, 3\), got 3"),
        ({"output_ids": [True]}, TypeError, "output_ids must be a sequence of token ids, got bool in it"),
        ({"output_ids": 1}, TypeError, "output_ids must be a sequence of token ids, got int"),
    ],
)
def test_a_refusal_names_argument_rule_and_value(api, knobs, error, text):
    with pytest.raises(error, match=text):
        api.kept([1.0, 2.0, 3.0], **knobs)


def test_a_batch_wants_one_history_for_each_row(api):
    with pytest.raises(KnobError, match="prompt_ids must have one entry for each of 2 rows, got 1"):
        api.kept(np.zeros((2, 3), F), prompt_ids=[[1]])
    with pytest.raises(TypeError, match="prompt_ids must be a sequence of token ids for each row, got int"):
        api.kept(np.zeros((2, 3), F), prompt_ids=[1, 2])
