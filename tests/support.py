"""What the tests share: rows of every kind, and the comparison of two implementations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rheostat

DATA = Path(__file__).parent / "data"

LENGTHS = (1, 2, 15, 16, 17, 255, 256, 257, 4095)
LONG_LENGTHS = (32_000, 49_152, 128_256)
TEMPERATURES = (0, 1e-3, 0.3, 0.7, 1, 1.5, 100)
TOP_PS = (1e-9, 0.1, 0.5, 0.9, 0.999999, 1)
LEVELS = tuple(rheostat.build_info()["simd_available"])


def peers():
    """The recorded rows (12, 49152) float32, and the peers' cases: (peer, row, knobs or chain, kept ids)."""
    file = np.load(DATA / "peer_kept_sets.npz")
    cases = json.loads(bytes(file["meta"]))["cases"]
    return file["logits"], [{**case, "kept": np.sort(file[case["kept"]])} for case in cases]


def half_rows():
    """24 rows (24, 49152) float16 of the same model: many exact ties."""
    return np.load(DATA / "smollm2_logits.npz")["logits"]


def rows_of_every_kind(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows of n logits, float32: smooth, peaked, tied, masked, shifted, subnormal."""
    rng = np.random.default_rng([seed, n])
    normal = rng.normal(size=n).astype(np.float32)
    masked = normal.copy()
    masked[rng.random(n) < 0.7] = -np.inf
    masked[rng.integers(n)] = 1
    one_hot = np.full(n, -np.inf, np.float32)
    one_hot[rng.integers(n)] = 3
    peaked = normal * 2
    peaked[rng.integers(n)] += 20
    real = np.resize(peers()[0][0], n)
    return {
        "flat": normal,
        "peaked": peaked,
        "wide": rng.uniform(-30, 30, n).astype(np.float32),
        "all equal": np.full(n, 2.5, np.float32),
        "eight values": rng.integers(0, 8, n).astype(np.float32),
        "signed zeros": np.where(rng.random(n) < 0.5, np.float32(0), np.float32(-0.0)),
        "one-hot": one_hot,
        "masked": masked,
        "shifted up": normal + np.float32(1000),
        "shifted down": normal - np.float32(1000),
        "subnormal": (normal * np.float32(1e-40)).astype(np.float32),
        "huge": (normal * np.float32(1e37)).astype(np.float32),
        "real": real,
    }


def bits(array) -> np.ndarray:
    """float32 as integers: equal means equal to the last bit, signed zeros told apart."""
    return np.asarray(array).view(np.uint32)


def outcome(function):
    """What a call gives: its value, or its exception with all that it says."""
    try:
        return "value", function()
    except Exception as error:
        details = {name: str(value) for name, value in vars(error).items() if name != "__notes__"}
        return type(error), str(error), details


def assert_same_outcome(call):
    """`call(module)` gives the same value or the same error with both implementations."""
    fast, slow = outcome(lambda: call(rheostat)), outcome(lambda: call(rheostat.reference))
    if fast[0] == "value" and slow[0] == "value":
        np.testing.assert_equal(fast[1], slow[1])
    else:
        assert fast == slow


def same_bits(a, b):
    """Asserts that a is a float32 array of exactly these numbers."""
    assert type(a) is np.ndarray
    assert a.dtype == np.float32
    assert a.shape == b.shape
    np.testing.assert_array_equal(a.view(np.uint32), np.ascontiguousarray(b, np.float32).view(np.uint32))
