"""`check_sampler` on draws: a slight lean of many rows is told, and nothing is claimed of what was not
tested.
"""

import math

import numpy as np
import pytest
import rheostat
from rheostat.testing import check_sampler
from rheostat.testing.chi_square import ChiSquare, chi_square, summed
from rheostat.testing.sampler_rows import rows_for_draws
from rheostat.testing.temperature_fit import temperature_fit

TOP_P = {"top_p": 0.9}
ZERO = "integer division or modulo by zero"


def keeps(x):
    return rheostat.kept(x, **TOP_P)


def leaning(exponent, seed=0):
    """Draws with the right weights ** exponent."""
    rng = np.random.default_rng(seed)
    known = {}

    def draw(x):
        if x.tobytes() not in known:
            ids = keeps(x)
            w = np.exp((x[ids].astype(np.float64) - x.max()) * exponent)
            known[x.tobytes()] = ids, np.cumsum(w) / w.sum()
        ids, ends = known[x.tobytes()]
        return int(ids[min(np.searchsorted(ends, rng.random(), side="right"), ids.size - 1)])

    return draw


@pytest.mark.parametrize("exponent", [1.1, 1 / 1.1])
def test_a_temperature_that_is_a_tenth_off_is_told_at_the_default(exponent):
    for report in (
        check_sampler(leaning(exponent), TOP_P, returns="token"),
        check_sampler(keeps, TOP_P, draw=leaning(exponent, seed=1)),
    ):
        assert report.differences == ()
        assert not report.draws.ok
        assert report.draws.temperature.factor == pytest.approx(1 / exponent, abs=0.03)
        assert "draws: FAIL, p = " in str(report)


def test_a_twentieth_is_told_where_logits_are_far_apart_or_draws_many():
    knobs = {"temperature": 0.7, "top_p": 1.0}
    rng = np.random.default_rng(4)

    def draw(x):
        w = np.exp((x.astype(np.float64) - x.max()) * 1.05 / 0.7)
        return int(np.searchsorted(np.cumsum(w / w.sum())[:-1], rng.random(), side="right"))

    for test in (
        check_sampler(lambda x: np.arange(x.size), knobs, draw=draw, rows=rows_for_draws()).draws,
        check_sampler(keeps, TOP_P, draw=leaning(1.05), draws=12_000).draws,
    ):
        assert not test.ok, str(test)
        assert 42 * test.worst.p_value > 1e-6, "no row shows it alone"


def test_the_p_that_is_told_is_the_one_that_is_compared():
    for exponent in (1, 1.05, 1.2):
        test = check_sampler(keeps, TOP_P, draw=leaning(exponent), draws=1000, false_alarm=1e-3).draws
        least = min(14 * test.worst.p_value, test.together.p_value, test.temperature.p_value)
        assert test.p_value == pytest.approx(min(3 * least, 1))
        assert test.ok == (test.p_value >= 1e-3)
        assert f"p = {test.p_value:.2g} in 1000 from each of 14 rows" in str(test)
        assert "it fails below p = 0.001 (a right sampler fails 0.001 of the time)" in str(test)


def test_a_lean_to_low_ids_that_no_temperature_makes_is_told_by_the_sum():
    """Of equal logits the first comes a little too often, in each of fourteen rows."""
    rng = np.random.default_rng(3)

    def draw(x):
        return int(min(rng.integers(x.size), rng.integers(10 * x.size)))

    report = check_sampler(lambda x: np.arange(x.size), draw=draw, rows=[[0.0] * n for n in range(4, 18)])
    assert report.draws.temperature == (1.0, 1.0)
    assert report.draws.together.p_value < 1e-9
    assert 42 * report.draws.worst.p_value > 1e-6, "no row shows it alone"
    assert not report.ok


def test_one_token_in_each_row_is_not_tested():
    report = check_sampler(
        lambda x: [int(x.argmax())], {"temperature": 0}, draw=lambda x: int(x.argmax()), draws=100
    )
    assert report.ok
    assert not report.draws.tested
    assert str(report).endswith("\ndraws: not tested, each row keeps one token.")


def test_what_a_draw_raises_is_a_finding_and_ends_nothing():
    calls = iter(range(10**9))

    def once(x):
        if next(calls) == 500:
            raise RuntimeError("once")
        return rheostat.sample(x, **TOP_P)

    report = check_sampler(once, TOP_P, returns="token", draws=200)
    (found,) = report.differences
    assert (found.cause, found.what, found.rows) == ("error", "raises RuntimeError: once", 1)
    calls = iter(range(10**9))
    report = check_sampler(keeps, TOP_P, draw=once, draws=200)
    assert report.differences == ()
    assert report.draws.error == "RuntimeError: once"
    assert not report.ok
    assert "draws: FAIL, it raises RuntimeError: once, p = " in str(report)
    report = check_sampler(lambda x: 1 // 0, TOP_P, returns="token")
    assert [(d.cause, d.rows) for d in report.differences] == [("error", report.rows)]
    assert report.draws is None
    report = check_sampler(keeps, TOP_P, draw=lambda x: 1 // 0)
    assert str(report).splitlines()[1:] == ["draws: FAIL, it raises ZeroDivisionError: " + ZERO + "."]


def test_rows_of_which_nothing_is_kept_have_no_draws_to_test():
    report = check_sampler(lambda x: [], TOP_P, draw=lambda x: 0, draws=100)
    assert [found.cause for found in report.differences] == ["empty"]
    assert report.draws is None
    last = check_sampler(lambda x: x.size - 1, returns="token", draws=100, rows=[[0.0, 0.0, -np.inf], [1.0]])
    assert [found.cause for found in last.differences] == ["forbidden"]
    assert last.draws.rows == 1


def test_the_temperature_of_draws_is_found_and_its_p_is_a_bound():
    """Of right samplers, with weights of which one is rare, less than one in ten has p < 0.1."""
    w = np.array([2**43, 2**41, 2**40, 2**33], np.uint64)
    rng = np.random.default_rng(11)
    p = w / w.sum()
    p_values = [temperature_fit([(rng.multinomial(150, p), w)]).p_value for _ in range(400)]
    assert 0 < np.mean(np.array(p_values) < 0.1) < 0.1
    q = p**1.25 / (p**1.25).sum()
    fit = temperature_fit([(rng.multinomial(10_000, q), w)] * 3)
    assert fit.factor == pytest.approx(0.8, abs=0.02)
    assert fit.p_value < 1e-20


def test_the_temperature_of_draws_has_ends():
    w = np.array([3, 1], np.uint64)
    assert temperature_fit([]) == (1.0, 1.0)
    assert temperature_fit([(np.array([7, 9]), np.array([4, 4], np.uint64))]) == (1.0, 1.0)
    assert temperature_fit([(np.array([1000, 0]), w)]).factor == pytest.approx(2**-6)
    assert temperature_fit([(np.array([0, 1000]), w)]).factor == pytest.approx(2**6)
    wide = np.full(200_000, 2**20, np.uint64)
    wide[0] = 2**43
    assert math.isfinite(temperature_fit([(np.ones(wide.size, np.int64), wide)]).factor)


def test_the_tail_of_an_odd_freedom_is_the_tables_and_tests_add_up():
    """Upper 5 % and 0.1 % points, Abramowitz and Stegun, table 26.8."""
    for freedom, point, tail in ((1, 3.84146, 0.05), (3, 7.81473, 0.05), (9, 27.877, 0.001)):
        assert summed([ChiSquare(point, freedom, 0.0)]).p_value == pytest.approx(tail, rel=1e-4)
    found = summed([ChiSquare(3.0, 1, 0.08), ChiSquare(2.0, 3, 0.57)])
    assert found[:2] == (5.0, 4)
    assert found.p_value == pytest.approx(3.5 * math.exp(-2.5))
    two = chi_square(np.array([60, 40]), np.array([1, 1], np.uint64))
    assert two == (4.0, 1, pytest.approx(0.0455, abs=1e-4))
