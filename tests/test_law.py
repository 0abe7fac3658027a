"""The reference against textbook formulas in float64 and in exact arithmetic, within stated bounds."""

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat.reference import law
from support import LENGTHS, peers, rows_of_every_kind

UNIT = 2.0**-24


def exact_fma(a, b, c) -> np.float32:
    """a * b + c in rationals, rounded to float32 once, half to even."""
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    near = np.float32(float(exact))  # within one unit: float() rounds once, float32() again
    around = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
    distance = [abs(Fraction(float(x)) - exact) for x in around]
    best = [x for x, d in zip(around, distance, strict=True) if d == min(distance)]
    return best[0] if len(best) == 1 else next(x for x in best if x.view(np.uint32) % 2 == 0)


def fma(a, b, c) -> np.float32:
    return law.fma(*(np.array([x], np.float32) for x in (a, b, c)))[0]


def near_midpoints(count: int):
    """a, b, c with a * b + c a quarter of a float64's unit or less beside the middle of two float32.

    (1 + 2**-k) * (1 - 2**-k) is 1 - 2**-2k: half a float32 unit of c, less next to nothing. Rounded to
    float64 it is the middle itself, which then goes to the even side, right or wrong.
    """
    rng = np.random.default_rng(11)
    for _ in range(count):
        k, e = int(rng.integers(15, 24)), int(rng.integers(-20, 20))
        a = np.float32(1 + 2.0**-k)
        b = np.float32(rng.choice([-1, 1]) * (1 - 2.0**-k) * 2.0 ** (e - 24))
        yield a, b, np.float32(rng.integers(2**23 + 1, 2**24) * 2.0 ** (e - 23))


def test_fma_is_exact_beside_midpoints_where_float64_alone_is_not():
    naive_fails = 0
    for a, b, c in near_midpoints(2000):
        wanted = exact_fma(a, b, c)
        assert fma(a, b, c).view(np.uint32) == wanted.view(np.uint32), (a, b, c)
        naive = np.float32(np.float64(a) * np.float64(b) + np.float64(c))
        naive_fails += naive != wanted
    assert naive_fails > 100  # the cases are what they are meant to be


@given(*[st.floats(-4, 4, width=32, allow_subnormal=False)] * 3)
@settings(max_examples=2000, derandomize=True, deadline=None)
def test_fma_is_exact(a, b, c):
    if abs(a * b + c) > 1e-30:
        assert fma(a, b, c).view(np.uint32) == exact_fma(np.float32(a), np.float32(b), np.float32(c)).view(
            np.uint32
        )


def test_the_polynomial_keeps_its_bound_and_its_symmetry():
    y = np.linspace(-1.5, -0.5, 500_001).astype(np.float32)
    assert np.max(np.abs(law.exp2(y) / np.exp2(y.astype(np.float64)) - 1)) <= 1.73e-7
    half = np.array([0.5, -0.5], np.float32)
    q = np.full(2, law.COEFFICIENTS[0])
    for coefficient in law.COEFFICIENTS[1:]:
        q = law.fma(q, half, coefficient)
    assert q[0] == 2 * q[1]
    assert law.exp2(np.zeros(1, np.float32))[0] == 1


def test_rust_and_the_reference_hold_the_same_coefficients():
    source = (Path(__file__).parent.parent / "rust" / "law.rs").read_text(encoding="utf-8")
    text = re.search(r"pub const COEFFICIENTS: .*? =\s*\[(.*?)\]", source, re.DOTALL)[1]
    numbers = [np.float32(number.replace("_", "")) for number in text.split(",") if number.strip()]
    np.testing.assert_array_equal(numbers, law.COEFFICIENTS)


@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_is_within_its_bound_of_float64(n, api):
    for kind, row in rows_of_every_kind(n).items():
        for temperature in (0.3, 0.7, 1, 1.5, 100):
            if kind == "huge" and temperature < 100:
                continue  # x - m overflows or the rest is 0
            p = api.softmax(row, temperature=temperature).astype(np.float64)
            x = row.astype(np.float64)
            exact = np.exp((x - x.max()) / temperature)
            z = exact.sum()
            alive = (x - x.max()) / temperature > -69  # above 2**-100
            distance = np.abs(x[alive] - x.max()) / temperature
            mean = float((exact[alive] * distance).sum() / z)
            error = np.abs(p[alive] / (exact[alive] / z) - 1)
            assert np.all(error <= (9 + 3 * distance + 3 * mean) * UNIT), kind
            assert np.all(p[(x - x.max()) / temperature < -70] == 0)


def test_softmax_agrees_with_scipy(api):
    for row in [*peers()[0], *rows_of_every_kind(1000).values()]:
        if np.ptp(row[np.isfinite(row)]) > 1e4:
            continue
        for temperature in (0.5, 1, 2):
            x = row.astype(np.float64) / temperature
            np.testing.assert_allclose(
                api.softmax(row, temperature=temperature), scipy.special.softmax(x), rtol=3e-5, atol=1e-30
            )
            finite = np.isfinite(row)
            np.testing.assert_allclose(
                api.log_softmax(row, temperature=temperature)[finite],
                scipy.special.log_softmax(x)[finite],
                rtol=2e-7,
                atol=3e-7,
            )


def test_softmax_sums_to_one(api):
    for row in rows_of_every_kind(4095).values():
        assert api.softmax(row).astype(np.float64).sum() == pytest.approx(1, abs=3e-6)


def test_shares_are_exact():
    rng = np.random.default_rng(5)
    for p, s in zip(rng.random(500), rng.integers(1, 2**63, 500), strict=True):
        assert law.share(p, int(s)) - 1 < Fraction(float(p)) * int(s) <= law.share(p, int(s))
    assert law.share(1.0, 2**63) == 2**63
    assert law.share(5e-324, 2**63) == 1


def test_logarithms_are_the_textbook_s():
    z = np.concatenate([np.linspace(1, 2**20, 50_001), 2.0 ** np.arange(-43, 21), [np.sqrt(0.5), np.sqrt(2)]])
    ours = np.array([law.ln(float(value)) for value in z])
    np.testing.assert_allclose(ours, np.log(z), rtol=5e-16, atol=1e-300)


def test_a_draw_splits_the_chances_by_weight():
    w = np.array([3, 0, 1], np.uint64)
    assert [law.draw(w, u) for u in (0, 3 * 2**62 - 1, 3 * 2**62, 2**64 - 1)] == [0, 0, 2, 2]
