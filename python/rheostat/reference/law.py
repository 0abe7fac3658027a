"""The numeric law: integer weights, their sum, the order of tokens, the draw.

Everything here is IEEE arithmetic written out in full (add, sub, mul, div, fma, rint): no libm, no tolerance.
A change of one bit here is a breaking change, and `LAW` counts it.

Shapes: a row is (n,) float32 with a finite maximum; -inf is a forbidden token.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LAW = 1

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
SQRT_HALF = 0.7071067811865476

# 2**f on [-0.5, 0.5], highest power first: a minimax fit of the relative error (1.73e-7) with p(0) = 1.
COEFFICIENTS = np.array([0.0013264653, 0.009671511, 0.05550734, 0.24022242, 0.693147, 1.0], np.float32)

# Below 2**-100 of the largest a weight is 0.
LOWEST_EXPONENT = np.float32(-100.0)

# The integer weight of the row's maximum.
UNIT = 2**43

# Float64 sums run in so many lanes.
LANES = 16


def fma(a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 a * b + c, rounded once, where the result is a normal number. NumPy has no fma, so: an exact
    product, a sum in float64, and where that is not enough its error.

    The product of two float32 is exact in float64. The sum is not, and rounding it again to float32 rounds
    twice. Rounding keeps order, and the middle between two neighbours in float32 is a float64: so the second
    rounding goes wrong only where the sum is such a middle and the exact value is not. There the error of the
    sum tells on which side it lies.
    """
    product = np.multiply(a, b, dtype=np.float64)
    total = product + c
    middle = (total.view(np.int64) & (2**29 - 1)) == 2**28  # float64 has 29 bits more
    if middle.any():
        x, y, z = product[middle], np.broadcast_to(c, product.shape)[middle], total[middle]
        virtual = z - x  # Knuth's two-sum: z + error == x + y, exactly
        error = (x - (z - virtual)) + (y - virtual)
        total[middle] = np.where(error == 0, z, np.nextafter(z, np.copysign(np.inf, error)))
    return total.astype(np.float32)


def exp2(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """2**y for y in [-100, 0]: split y = n + f, a polynomial for 2**f by Horner, an exact scaling by 2**n."""
    n = np.rint(y)  # half to even
    f = y - n  # exact, in [-0.5, 0.5]
    q = np.full_like(f, COEFFICIENTS[0])
    for coefficient in COEFFICIENTS[1:]:
        q = fma(q, f, coefficient)
    return np.ldexp(q, n.astype(np.int32))


def weights(x: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The float weights w = exp((x - max x) / temperature): (n,) float32, 1 at the maximum."""
    scale = np.float32(LOG2_E / temperature)
    with np.errstate(over="ignore", under="ignore"):
        y = (x - x.max()) * scale  # two roundings
        alive = y >= LOWEST_EXPONENT  # so -inf weighs exactly 0
        return np.where(alive, exp2(np.where(alive, y, np.float32(0))), np.float32(0))


def integer_weights(x: NDArray[np.float32], temperature: float) -> NDArray[np.uint64]:
    """The integer weights W = rint(w * 2**43): their sums are exact, whatever the order."""
    return np.rint(weights(x, temperature).astype(np.float64) * UNIT).astype(np.uint64)


def total(w: NDArray[np.uint64]) -> int:
    """sum(W), at most 2**63 for the largest vocabulary."""
    return int(w.sum(dtype=np.uint64))


def share(p: float, s: int) -> int:
    """ceil(p * s) for the exact double p."""
    numerator, denominator = p.as_integer_ratio()
    return -(-numerator * s // denominator)


def ln(z: float) -> float:
    """The law's own logarithm, in basic float64 operations: the same bits everywhere.

    z = b * 2**e with b in [sqrt(1/2), sqrt(2)); ln b = 2 artanh s, s = (b - 1) / (b + 1), by its series to
    s**23.
    """
    b, e = math.frexp(z)
    if b < SQRT_HALF:
        b, e = 2 * b, e - 1
    s = (b - 1) / (b + 1)
    a = 0.0
    for k in range(23, 0, -2):
        a = a * (s * s) + 1 / k
    return e * LN_2 + 2 * s * a


def lane_sum(ids: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """The float64 sum of one value per id, in the law's order: lane id % 16 adds its own in id order, then
    the lanes.

    An order has to be written down, since float64 addition is not associative; this one is fast in 16 lanes.
    """
    lanes = np.bincount(ids % LANES, values, LANES)  # adds one by one, as given
    return float(np.cumsum(lanes)[-1])


def log_probabilities(x: NDArray[np.float32], temperature: float, s: int) -> NDArray[np.float64]:
    """l = (x - m) / T - ln(S / 2**43): the logarithm is taken once, never per token.

    The 0.0 makes 0.0 of -0.0, which else would tell the sign of a maximum that is 0.
    """
    with np.errstate(over="ignore"):
        distance = (x.astype(np.float64) - float(x.max())) / temperature
    return distance - ln(float(s) / UNIT) + 0.0


def entropy(ids: NDArray[np.int64], w: NDArray[np.uint64], log_p: NDArray[np.float64]) -> float:
    """H = -sum (W/S) * l over W > 0, in nats."""
    heavy = w > 0
    p = w[heavy].astype(np.float64) / float(total(w))
    return -lane_sum(ids[heavy], p * log_p[heavy])


def order(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions by logit descending, then by position ascending; -0.0 equals 0.0."""
    return np.argsort(-x, kind="stable")


def first(x: NDArray[np.float32]) -> int:
    """The first position in that order."""
    return int(np.argmax(x))


def draw(w: NDArray[np.uint64], u: int) -> int:
    """The first position whose cumulative weight exceeds r = floor(u * S / 2**64), u in [0, 2**64)."""
    r = (u * total(w)) >> 64
    return int(np.searchsorted(np.cumsum(w, dtype=np.uint64), np.uint64(r), side="right"))
