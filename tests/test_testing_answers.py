"""`check_sampler` says what is wrong with an answer that is no kept set, and tells float64 from float32."""

import numpy as np
import pytest
import rheostat
from rheostat.testing import check_sampler


def cumulated(x, temperature):
    """The order and the running sum of a softmax, in float64."""
    order = np.argsort(-x, kind="stable")
    w = np.exp((x[order].astype(np.float64) - x.max()) / temperature)
    return order, np.cumsum(w / w.sum())


def textbook(x, p, temperature=1.0):
    order, sums = cumulated(x, temperature)
    return order[: np.searchsorted(sums, p) + 1]


def findings(fn, knobs, **options):
    report = check_sampler(fn, knobs, **options)
    return [(found.cause, found.what) for found in report.differences]


@pytest.mark.parametrize(
    "knobs", [{"top_p": 0.9}, {"top_p": 0.5}, {"temperature": 0.7, "top_p": 0.8}], ids=repr
)
def test_a_nucleus_in_float64_is_told_its_rounded_sum(knobs):
    def fn(x):
        return textbook(x, knobs["top_p"], knobs.get("temperature", 1.0))

    assert findings(fn, knobs) == [("float sum", "ends top_p where a rounded float64 sum reaches it")]


def test_another_nucleus_in_float64_is_not_blamed_for_float32_alone():
    def unsorted_ties(x):
        order = np.argsort(x)[::-1]
        return order[: textbook(x, 0.9).size]

    def of_the_sum(x):
        order = np.argsort(-x, kind="stable")
        sums = np.cumsum(np.exp(x[order].astype(np.float64) - x.max()))
        return order[: np.searchsorted(sums, 0.9 * sums[-1]) + 1]

    found = findings(unsorted_ties, {"top_p": 0.9})
    assert ("float sum", "cuts where its float32 or float64 arithmetic says so") in found
    assert {cause for cause, _ in found} == {"tie", "float sum"}
    both = "takes top_p as a float32, or rounds in float64: the same with these knobs"
    assert findings(of_the_sum, {"top_p": 0.9}) == [("float sum", both)]


@pytest.mark.parametrize("returns", ["ids", "mask", "logits", "probabilities"])
def test_nothing_kept_is_told_as_that(returns):
    def fn(x):
        return {
            "ids": [],
            "mask": np.zeros(x.size, np.bool_),
            "logits": np.full(x.size, -np.inf),
            "probabilities": np.zeros(x.size),
        }[returns]

    assert findings(fn, {"top_p": 0.9}, returns=returns) == [("empty", "keeps nothing")]


def test_an_id_that_comes_twice_is_told_and_shown():
    report = check_sampler(lambda x: [0, 0], {"top_p": 0.9})
    (found,) = report.differences
    assert (found.cause, found.what, found.rows) == ("ids", "gives an id twice", report.rows)
    assert found.theirs == (0, 0)
    right = check_sampler(lambda x: np.tile(rheostat.kept(x, top_k=3), 2), {"top_k": 3})
    assert [found.cause for found in right.differences] == ["ids"]


@pytest.mark.parametrize("knobs", [{}, {"top_p": 0.9}, {"temperature": 0.7}], ids=repr)
def test_a_forbidden_token_that_is_kept_is_told_as_that(knobs):
    found = findings(lambda x: np.arange(x.size), knobs)
    assert ("forbidden", "keeps a token whose logit is -inf") in found
    assert "removes tokens" not in str(found)


def test_probability_for_a_forbidden_token_is_seen():
    def fn(x):
        return np.where(x > -np.inf, rheostat.softmax(x), np.float32(1e-9))

    report = check_sampler(fn, returns="probabilities")
    assert [found.cause for found in report.differences] == ["forbidden"]
    assert -np.inf in report.differences[0].row


@pytest.mark.parametrize(
    ("fn", "returns"),
    [
        (lambda x: int(x.argmax()), '"token"'),
        (lambda x: x > 0, '"mask"'),
        (lambda x: x, '"logits" or "probabilities"'),
    ],
)
def test_an_answer_of_another_kind_is_told_its_name(fn, returns):
    with pytest.raises(TypeError, match=rf"^fn must return ids, .* pass returns={returns}$"):
        check_sampler(fn, {"top_p": 0.9})


@pytest.mark.parametrize(("name", "given"), [("fn", (5,)), ("draw", (len, {}))])
def test_what_is_no_function_is_an_error_at_once(name, given):
    with pytest.raises(TypeError, match=f"^{name} must be callable, got int$"):
        check_sampler(*given, **({"draw": 5} if name == "draw" else {}))
