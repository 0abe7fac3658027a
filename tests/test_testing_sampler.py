"""`check_sampler` names planted faults and shows them on a small row; a right sampler passes."""

import math

import numpy as np
import pytest
import rheostat
from rheostat import reference
from rheostat.testing import check_sampler
from rheostat.testing.chi_square import chi_square
from rheostat.testing.sampler_causes import CAUSES
from rheostat.testing.sampler_rows import rows_for_draws, rows_for_sets
from rheostat.testing.shrink import fewest, simplest


def keeps(**knobs):
    return lambda x: rheostat.kept(x, **knobs)


def weights(x):
    """float64 probabilities, and the order of the law."""
    order = np.argsort(-x, kind="stable")
    p = np.exp(x[order].astype(np.float64) - x[order[0]])
    return p / p.sum(), order


RIGHT = (
    {},
    {"temperature": 0.7},
    {"temperature": 0},
    {"top_k": 5},
    {"top_p": 0.9},
    {"top_p": 0.5, "temperature": 1.5},
    {"min_p": 0.1},
    {"typical_p": 0.8},
    {"epsilon_cutoff": 0.01, "eta_cutoff": 0.001},
    {"top_h": 0.5},
    {"top_n_sigma": 1.0},
    {"temperature": 0.7, "top_k": 8, "top_p": 0.8, "min_p": 0.02},
    {"temperature": 0.6, "top_p": 0.8, "chain": "llama.cpp"},
    {"top_k": 9, "top_p": 0.7, "chain": ("top_p", "top_k")},
)


@pytest.mark.parametrize("knobs", RIGHT, ids=repr)
def test_a_right_sampler_passes(api, knobs):
    report = check_sampler(lambda x: api.kept(x, **knobs), knobs)
    assert report.ok, str(report)
    assert report.differences == ()
    assert report.draws is None
    assert str(report).endswith(f": all {report.rows} rows agree.")
    assert report.rows > 100


@pytest.mark.parametrize("returns", ["mask", "logits", "probabilities"])
def test_a_right_sampler_passes_in_every_form_of_answer(returns):
    knobs = {"temperature": 0.7, "top_p": 0.9}

    def fn(x):
        ids = rheostat.kept(x, **knobs)
        mask = np.isin(np.arange(x.size), ids)
        if returns == "mask":
            return mask
        logits = np.where(mask, x, np.float32(-np.inf))
        return logits if returns == "logits" else rheostat.softmax(logits, temperature=0.7)

    assert check_sampler(fn, knobs, returns=returns).ok


@pytest.mark.parametrize("knobs", [{}, {"temperature": 0.5}, {"temperature": 0}, {"min_p": 0.01}], ids=repr)
def test_probabilities_below_every_weight_are_no_difference(knobs):
    """A wide row has tokens whose probability is a float32 above 0, and whose integer weight is 0."""
    temperature = knobs.get("temperature", 1.0)

    def fn(x):
        mask = np.isin(np.arange(x.size), rheostat.kept(x, **knobs))
        return rheostat.softmax(np.where(mask, x, np.float32(-np.inf)), temperature=temperature)

    report = check_sampler(fn, knobs, returns="probabilities")
    assert report.ok, str(report)


def test_a_right_draw_passes_and_says_how_sure_that_is():
    knobs = {"temperature": 1.2, "top_p": 0.9}
    counter = iter(range(10**9))

    def draw(x):
        return rheostat.sample(x, seed=1, position=next(counter), **knobs)

    report = check_sampler(keeps(**knobs), knobs, draw=draw)
    assert report.ok, str(report)
    assert report.draws.worst.p_value > 1e-6
    assert "(a right sampler fails 1e-06 of the time)" in str(report)
    assert check_sampler(draw, knobs, returns="token").ok


# The planted faults: (knobs, the sampler, its causes with what they say).


def drops_crossing(x):
    p, order = weights(x)
    return order[: max(np.searchsorted(np.cumsum(p), 0.7), 1)]


def one_token_more(x):
    return np.argsort(-x, kind="stable")[: min(6, (x > -np.inf).sum())]


def all_ties(x):
    return np.flatnonzero((x >= np.sort(x)[::-1][:5][-1]) & (x > -np.inf))


def highest_ids(x):
    order = np.lexsort((-np.arange(x.size), -x))
    return order[: min(5, (x > -np.inf).sum())]


def summed_in_float32(x):
    p, order = weights(x)
    total = np.cumsum(p.astype(np.float32), dtype=np.float32)
    return order[: np.searchsorted(total, np.float32(0.9)) + 1]


def without_renormalisation(x):
    """typical_p of the whole distribution, among the ten largest."""
    return np.intersect1d(rheostat.kept(x, typical_p=0.8), rheostat.kept(x, top_k=10))


PLANTED = {
    "the crossing token dropped": (
        {"top_p": 0.7}, drops_crossing, "boundary", "drops the token that crosses the limit of top_p",
    ),
    "one token more than k": ({"top_k": 5}, one_token_more, "boundary", "keeps one token more than top_k"),
    "what lies on min_p": (
        {"min_p": 0.5}, lambda x: rheostat.kept(x, min_p=0.5 + 1e-12),
        "boundary", "drops what lies exactly on the limit of min_p",
    ),
    "all ties kept": (
        {"top_k": 5}, all_ties, "tie", "keeps all tokens that are equal to the last one of top_k",
    ),
    "higher ids first": (
        {"top_k": 5}, highest_ids, "tie", "keeps others of equal logits than the lowest ids",
    ),
    "temperature last": (
        {"temperature": 0.5, "top_p": 0.8}, keeps(temperature=0.5, top_p=0.8, chain="llama.cpp"),
        "order", "runs top_p, temperature in this order",
    ),
    "min_p after top_p": (
        {"temperature": 2.0, "min_p": 0.3, "top_p": 0.7},
        keeps(temperature=2.0, min_p=0.3, top_p=0.7, chain=("min_p", "temperature", "top_p")),
        "order", "runs min_p, temperature, top_p in this order",
    ),
    "no renormalisation": (
        {"top_k": 10, "typical_p": 0.8, "chain": ("top_k", "typical_p")}, without_renormalisation,
        "renormalisation", "gives each filter the probabilities before the filters ahead of it",
    ),
    "a float32 sum": (
        {"top_p": 0.9}, summed_in_float32, "float sum", "cuts where its float32 arithmetic says so",
    ),
    "a knob that does nothing": (
        {"top_k": 5, "top_p": 0.8}, keeps(top_k=5), "no-op", "keeps what it would without top_p",
    ),
    "an off value that removes": (
        {"top_p": 1.0}, keeps(top_p=0.9999), "no-op", "removes tokens though nothing is set",
    ),
    "something else": ({"top_p": 0.7}, keeps(top_k=7), "unknown", "keeps other tokens"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named_and_shown_on_the_smallest_row(fault):
    knobs, fn, cause, what = PLANTED[fault]
    report = check_sampler(fn, knobs)
    assert not report.ok
    found = report.differences[0]
    assert (found.cause, found.what) == (cause, what), str(report)
    assert found.cause in CAUSES
    row = np.array(found.row, np.float32)
    assert tuple(np.sort(fn(row))) == found.theirs != found.right
    assert tuple(reference.kept(row, **knobs)) == found.right
    assert row.size <= 12, str(report)
    assert f"{cause}: it {what} (in {found.rows} row" in str(report)


def test_a_fault_is_shown_on_a_row_that_no_shorter_one_replaces():
    report = check_sampler(PLANTED["all ties kept"][1], {"top_k": 5})
    assert len(report.differences[0].row) == 6  # five and one more, the last two equal


def test_faults_together_are_told_apart():
    """Sorted upwards with the higher id first, and summed in float32."""

    def fn(x):
        order = np.argsort(x, kind="stable")
        p = np.exp(x[order] - x.max())
        cut = np.cumsum(p / p.sum(), dtype=np.float32) <= np.float32(1 - 0.9)
        cut[-1] = False
        return order[~cut]

    report = check_sampler(fn, {"top_p": 0.9})
    assert {difference.cause for difference in report.differences} == {"tie", "float sum"}
    assert sum(difference.rows for difference in report.differences) < report.rows / 3


@pytest.mark.parametrize(
    ("change", "cause", "what"),
    [
        (lambda p: p * 0.8, "renormalisation", "do not add up to 1"),
        (lambda p: np.sqrt(p) / np.sqrt(p).sum(), "probabilities", "another temperature or distribution"),
    ],
)
def test_wrong_probabilities_of_the_right_tokens_are_found(change, cause, what):
    def fn(x):
        return change(rheostat.softmax(rheostat.top_p(x, 0.9)))

    report = check_sampler(fn, {"top_p": 0.9}, returns="probabilities")
    assert [difference.cause for difference in report.differences] == [cause]
    assert what in report.differences[0].what
    assert not report.ok


def test_a_sampler_that_raises_is_shown_with_its_error():
    def fn(x):
        if x.size == 1:
            raise IndexError("too small")
        return rheostat.kept(x, top_k=3)

    report = check_sampler(fn, {"top_k": 3})
    assert [(d.cause, d.what, d.rows) for d in report.differences] == [
        ("error", "raises IndexError: too small", 1)
    ]


def test_draws_of_the_wrong_set_are_named_too():
    counter = iter(range(10**9))

    def draw(x):
        ids = drops_crossing(x)
        mask = np.where(np.isin(np.arange(x.size), ids), x, np.float32(-np.inf))
        return rheostat.sample(mask, seed=2, position=next(counter))

    report = check_sampler(draw, {"top_p": 0.7}, returns="token", draws=500)
    assert report.differences[0].what == "drops the token that crosses the limit of top_p"
    assert not report.ok


def test_draws_of_the_right_set_by_the_wrong_weights_fail_the_chi_square():
    """At another temperature than the filters saw."""
    counter = iter(range(10**9))
    knobs = {"top_k": 4}

    def draw(x):
        return rheostat.sample(x, seed=3, position=next(counter), top_k=4, temperature=1.3)

    report = check_sampler(keeps(**knobs), knobs, draw=draw)
    assert report.differences == ()
    assert not report.draws.ok
    assert not report.ok
    assert "draws: FAIL" in str(report)
    assert report.draws.outside == 0


def test_draws_of_tokens_that_are_not_kept_need_no_test():
    report = check_sampler(keeps(top_k=1), {"top_k": 1}, draw=lambda x: x.size - 1, draws=100)
    assert report.draws.outside > 0
    assert not report.draws.ok
    assert "draws are of tokens that it does not keep" in str(report)


def test_a_right_sampler_fails_about_as_often_as_is_said():
    """400 tests at the level of one in ten: 40 are expected to fail, and 75 never do (1e-8)."""
    w = np.array([5, 3, 2, 2, 1, 1, 1], np.uint64)
    rng = np.random.default_rng(5)
    p_values = [
        chi_square(rng.multinomial(2000, w / w.sum()).astype(np.int64), w).p_value for _ in range(400)
    ]
    assert 15 < sum(p < 0.1 for p in p_values) < 75
    assert abs(np.mean(p_values) - 0.5) < 0.08


def test_the_tail_of_chi_square_is_the_tables():
    """Upper 5 % and 0.1 % points, Abramowitz and Stegun, table 26.8."""
    for freedom, point, tail in ((2, 5.99146, 0.05), (4, 9.48773, 0.05), (10, 29.588, 0.001)):
        w = np.ones(freedom + 1, np.uint64)
        draws = 10_000 * (freedom + 1)
        # Two cells moved by d give 2 d**2 / 10,000.
        d = math.sqrt(point * 10_000 / 2)
        counts = np.full(freedom + 1, 10_000, np.int64)
        counts[0] += round(d)
        counts[1] -= round(d)
        assert counts.sum() == draws
        found = chi_square(counts, w)
        assert found.freedom == freedom
        assert found.p_value == pytest.approx(tail, rel=0.05)


def test_rare_tokens_share_a_cell_and_a_lone_token_passes():
    w = np.array([10**6, 1, 1, 1], np.uint64)
    assert chi_square(np.array([1000, 0, 0, 0]), w) == (pytest.approx(0, abs=0.01), 0, 1.0)
    assert chi_square(np.array([50]), np.array([7], np.uint64)) == (0, 0, 1.0)


def test_the_own_rows_have_something_finite_and_are_not_changed_by_a_sampler():
    for x in (*rows_for_sets(), *rows_for_draws()):
        assert x.dtype == np.float32
        assert x.ndim == 1
        assert (x > -np.inf).any()
    assert all(x.size <= 12 for x in rows_for_draws())

    def clears(x):
        ids = rheostat.kept(x, top_k=2)
        x[:] = 0
        return ids

    assert check_sampler(clears, {"top_k": 2}).ok


def test_own_rows_may_be_given():
    report = check_sampler(all_ties, {"top_k": 5}, rows=[[3.0] * 7, [5.0, 4, 3, 2, 1, 0]])
    assert report.rows == 2
    assert report.differences[0].rows == 1


def test_shrinking_leaves_what_is_needed():
    assert fewest(list("abcdefgh"), lambda left: "b" in left and "g" in left) == ["b", "g"]
    assert fewest([1], lambda left: True) == [1]
    tries = []
    fewest(list(range(100)), lambda left: tries.append(1) is None and len(left) > 98, tries=7)
    assert len(tries) == 7
    rounded = simplest([1.25, 2.5], lambda v: (round(v), round(v, 1)), lambda left: sum(left) > 3.6)
    assert rounded == [1.2, 2.5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"knobs": {"seed": 1}}, "knobs must be among chain, temperature, top_k, "),
        ({"knobs": {"top_p": 2}}, "top_p must be in (0, 1], got 2"),
        (
            {"knobs": {"chain": (len,)}},
            "chain must hold names alone to be checked, got <built-in function len>",
        ),
        (
            {"returns": "set"},
            "returns must be one of 'ids', 'mask', 'probabilities', 'logits', 'token', got 'set'",
        ),
        ({"draws": 10}, "draws must be in [100, 10000000], got 10"),
        ({"false_alarm": 0}, "false_alarm must be in (0, 1), got 0"),
        ({"rows": []}, "rows must hold at least one row, got none"),
        ({"rows": [[[1.0, 2.0]] * 2]}, "rows must hold rows, (vocab,), got shape (2, 2) in it"),
        ({"rows": [[-np.inf]]}, "logits must have a finite value in every row, got none in row 0"),
        ({"fn": lambda x: [x.size]}, "fn must return ids in [0, 1), got 1 to 1"),
        ({"fn": lambda x: 7, "returns": "token"}, "fn must return a token in [0, "),
    ],
)
def test_bad_arguments_are_told_in_one_sentence(arguments, message):
    given = {"fn": keeps(), "knobs": {}} | arguments
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # KnobError and LogitsError
        check_sampler(given.pop("fn"), given.pop("knobs"), **given)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fn", "returns", "message"),
    [
        (
            lambda x: x,
            "ids",
            "fn must return ids, (n,) of integers, got shape (1,) of float32 for a row of 1",
        ),
        (lambda x: [True, False], "mask", "fn must return mask, (1,), got shape (2,) of bool for a row of 1"),
        (lambda x: x[:, None], "logits", "fn must return logits, (1,), got shape (1, 1) of float32"),
        (lambda x: 1.5, "token", "fn must return a token, got float"),
        (lambda x: True, "token", "fn must return a token, got bool"),
    ],
)
def test_an_answer_of_another_kind_is_a_type_error(fn, returns, message):
    with pytest.raises(TypeError) as caught:
        check_sampler(fn, {}, returns=returns)
    assert str(caught.value).startswith(message)


def test_what_is_shown_is_in_the_order_of_frequency():
    report = check_sampler(PLANTED["higher ids first"][1], {"top_k": 5, "top_p": 0.999})
    counts = [difference.rows for difference in report.differences]
    assert counts == sorted(counts, reverse=True)


def test_knobs_are_what_was_given_and_the_report_reads_as_one(capsys):
    report = check_sampler(keeps(top_k=5), {"top_k": 5, "top_p": 0.8})
    assert report.knobs == {"top_k": 5, "top_p": 0.8}
    lines = str(report).splitlines()
    assert lines[0] == f"top_k=5, top_p=0.8: {report.differences[0].rows} of {report.rows} rows differ."
    assert lines[1].startswith("no-op: it keeps what it would without top_p (in ")
    assert lines[2].startswith("  Row of 2: [")
    assert lines[3] == "  kept 2: [0, 1]; right: 1: [0]"
