"""build_info and set_num_threads: what a build says of itself, and what it refuses."""

from importlib.metadata import version

import numpy as np
import pytest
from rheostat import KnobError


@pytest.fixture(autouse=True)
def _default_threads(api):
    yield
    api.set_num_threads(0)


def test_a_build_names_version_law_simd_and_threads(api):
    info = api.build_info()
    assert list(info) == ["version", "law", "simd", "simd_available", "threads"]
    assert info["version"] == version("rheostat")
    assert info["law"] == api.LAW == 1
    assert info["simd"] in info["simd_available"]
    assert info["threads"] >= 1


@pytest.mark.parametrize("n", [0, 1, 2, 1024, np.int64(2)])
def test_any_number_of_threads_gives_the_same_bits(api, n):
    logits = np.random.default_rng(1).normal(size=(6, 20_000)).astype(np.float32)
    before = api.softmax(logits)
    assert api.set_num_threads(n) is None
    np.testing.assert_array_equal(api.softmax(logits), before)


@pytest.mark.parametrize("n", [-1, 1025, 2**70])
def test_a_number_of_threads_out_of_range_is_a_knob_error(api, n):
    with pytest.raises(KnobError) as caught:
        api.set_num_threads(n)
    assert str(caught.value).startswith("n must be in [0, 1024], got ")
    assert caught.value.argument == "n"


@pytest.mark.parametrize(
    ("n", "got"),
    [
        (True, "n must be an integer or one integer per row, got bool"),
        (1.0, "n must be an integer or one integer per row, got float"),
        (None, "n must be an integer or one integer per row, got NoneType"),
        ([1, 2], "n must be an integer, got several"),
        (np.array([1, 2]), "n must be an integer, got several"),
    ],
)
def test_a_number_of_threads_that_is_no_integer_is_a_type_error(api, n, got):
    with pytest.raises(TypeError) as caught:
        api.set_num_threads(n)
    assert str(caught.value) == got
