"""Log-probabilities and ranks of given tokens under the chain, or of the row as it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rheostat.errors import KnobError
from rows_strategy import few, rows

F = np.float32


def test_without_knobs_they_are_those_of_the_row(api):
    @few
    @given(rows())
    def check(x):
        ids = np.arange(x.size)
        result = api.logprobs(x, ids)
        z = x.astype(np.float64)
        with np.errstate(divide="ignore"):
            expected = z - z.max() - np.log(np.exp(z - z.max()).sum())
        finite = np.isfinite(expected)
        np.testing.assert_allclose(result.logprobs[finite], expected[finite], rtol=1e-6, atol=1e-6)
        assert (result.logprobs[~finite] == -np.inf).all()
        order = np.lexsort((ids, -z))
        assert result.ranks[order].tolist() == list(range(1, x.size + 1))

    check()


def test_rounded_to_float32_they_are_log_softmax(api):
    x = np.random.default_rng(0).normal(size=200).astype(F) * 5
    for temperature in (0, 0.5, 1.0, 2.0):
        result = api.logprobs(x, range(200), temperature=temperature)
        np.testing.assert_array_equal(result.logprobs.astype(F), api.log_softmax(x, temperature=temperature))


def test_a_token_outside_the_kept_set_has_minus_infinity_but_keeps_its_rank(api):
    x = np.array([1, 4, 2, 3], F)
    result = api.logprobs(x, [0, 1, 2, 3], top_k=2)
    np.testing.assert_allclose(
        np.exp(result.logprobs), [0, 1 / (1 + np.exp(-1)), 0, 1 / (1 + np.exp(1))], rtol=1e-6
    )
    assert result.ranks.tolist() == [4, 1, 3, 2]


def test_ranks_are_those_after_masks_and_penalties(api):
    x = np.array([1, 4, 2, np.nan], F)
    result = api.logprobs(x, [0, 1, 2, 3], banned_token_ids=[3], logit_bias={1: -3.5})
    assert result.ranks.tolist() == [2, 3, 1, 4]


def test_the_best_come_in_the_laws_order_and_a_short_list_is_filled(api):
    x = np.array([1, 3, 3, 2], F)
    result = api.logprobs(x, 0, top=5, top_k=3)
    assert result.top_ids.tolist() == [1, 2, 3, -1, -1]
    np.testing.assert_array_equal(result.top_logprobs[3:], [-np.inf, -np.inf])
    np.testing.assert_array_equal(result.top_logprobs[:3], api.logprobs(x, [1, 2, 3], top_k=3).logprobs)


def test_results_have_the_shape_of_the_ids(api):
    x = np.random.default_rng(0).normal(size=(3, 9)).astype(F)
    for logits, ids, shape, top in (
        (x[0], 4, (), (2,)),
        (x[0], [4, 1], (2,), (2,)),
        (x[0], [], (0,), (2,)),
        (x, [1, 2, 3], (3,), (3, 2)),
        (x, [[1, 2], [3, 4], [5, 6]], (3, 2), (3, 2)),
        (x, np.array([[1], [2], [3]]), (3, 1), (3, 2)),
    ):
        result = api.logprobs(logits, ids, top=2)
        assert (result.logprobs.shape, result.ranks.shape) == (shape, shape)
        assert (result.top_ids.shape, result.top_logprobs.shape) == (top, top)
        assert (result.logprobs.dtype, result.ranks.dtype) == (np.float64, np.int64)
        assert (result.top_ids.dtype, result.top_logprobs.dtype) == (np.int64, np.float64)


def test_a_batch_without_rows_has_results_without_rows(api):
    told = api.logprobs(np.zeros((0, 4), np.float32), [], top=2)
    assert [array.shape for array in told] == [(0,), (0,), (0, 2), (0, 2)]
    assert [array.dtype.kind for array in told] == list("fiif")


def test_a_batch_equals_its_rows(api):
    x = np.random.default_rng(1).normal(size=(4, 30)).astype(F)
    ids = np.array([3, 0, 7, 29])
    together = api.logprobs(x, ids, top=3, temperature=[0, 0.5, 1, 2], top_p=0.9)
    for row in range(4):
        alone = api.logprobs(x[row], ids[row], top=3, temperature=[0, 0.5, 1, 2][row], top_p=0.9)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[row], b)


@pytest.mark.parametrize(
    ("logits", "ids", "knobs", "error", "text"),
    [
        ([1.0, 2.0], 2, {}, KnobError, r"token_ids must hold token ids in \[0, 2\), got 2"),
        (
            [1.0, 2.0],
            1.5,
            {},
            TypeError,
            "token_ids must be a token id or a sequence of token ids, got float in it",
        ),
        ([[1.0, 2.0]], 1, {}, TypeError, "token_ids must be a token id or .* for each row, got int"),
        ([[1.0, 2.0]], [1, 0], {}, KnobError, "token_ids must have one entry for each of 1 rows, got 2"),
        (
            [[1.0], [2.0]],
            [[0], []],
            {},
            KnobError,
            "token_ids must hold as many ids for every row, got a ragged",
        ),
        ([1.0, 2.0], 0, {"top": -1}, KnobError, "top must be at least 0, got -1"),
        ([1.0, 2.0], 0, {"top": [1]}, TypeError, "top must be an integer, got one per row"),
    ],
)
def test_a_refusal_names_argument_rule_and_value(api, logits, ids, knobs, error, text):
    with pytest.raises(error, match=text):
        api.logprobs(logits, ids, **knobs)


def test_perplexity_is_the_exponential_of_the_mean(api):
    x = np.random.default_rng(2).normal(size=(50, 20)).astype(F)
    targets = np.arange(50) % 20
    z = x.astype(np.float64)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    expected = np.exp(-np.log(p[np.arange(50), targets]).mean())
    assert np.exp(-api.logprobs(x, targets).logprobs.mean()) == pytest.approx(expected, rel=1e-6)


def test_xtc_needs_no_seed_where_it_is_certain(api):
    result = api.logprobs([2.0, 1.9, -3.0], [0, 1], xtc_probability=1.0)
    assert result.logprobs[0] == -np.inf < result.logprobs[1]


@pytest.mark.parametrize("seed", [st.just(0), st.integers(0, 2**64 - 1)])
def test_a_seed_decides_xtc_as_in_sample(api, seed):
    @few
    @given(seed)
    def check(seed):
        x = [2.0, 1.9, -3.0]
        token = api.sample(x, seed=seed, xtc_probability=0.5)
        assert api.logprobs(x, token, seed=seed, xtc_probability=0.5).logprobs > -np.inf

    check()
