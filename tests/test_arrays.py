"""What counts as logits, what does not, and with which words."""

import array

import ml_dtypes
import numpy as np
import pytest
from rheostat import KnobError, LogitsError
from support import same_bits

RNG = np.random.default_rng(7)
ROW = RNG.standard_normal(37).astype(np.float32)
BATCH = RNG.standard_normal((5, 37)).astype(np.float32)
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


def unaligned(x):
    """The same array one byte off."""
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    y = memory.view(x.dtype).reshape(x.shape)
    y[...] = x
    assert not y.flags.aligned
    return y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [ROW, BATCH, BATCH[:, ::-1], BATCH[::-2], BATCH[:, ::3], BATCH.T, ROW[::-4]])
def test_every_float_dtype_and_every_stride_is_read(api, x, dtype):
    wide = np.zeros((*x.shape[:-1], x.shape[-1] * 2), dtype)
    strided = wide[..., ::2]
    strided[...] = x
    expected = x.astype(dtype).astype(np.float32)
    for given in (x.astype(dtype), strided, strided[..., ::-1][..., ::-1]):
        before = given.tobytes()
        same_bits(api.top_k(given, 0), expected)
        assert given.tobytes() == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x", [ROW, BATCH])
def test_unaligned_and_byte_swapped_arrays_are_read(api, x, dtype):
    x = x.astype(dtype)
    same_bits(api.top_k(unaligned(x), 0), x.astype(np.float32))
    swapped = x.astype(x.dtype.newbyteorder())
    same_bits(api.top_k(swapped, 0), x.astype(np.float32))


def test_special_values_keep_their_bits(api):
    x = np.array([-0.0, 0.0, -np.inf, 1e-45, -1e-38, 3.4028235e38], np.float32)
    same_bits(api.top_k(x, 0), x)
    same_bits(api.top_k(x.astype(np.float64), 0), x)
    halves = np.array([-0.0, -np.inf, 6e-8, 65504], np.float16)
    same_bits(api.top_k(halves, 0), halves.astype(np.float32))
    brains = np.array([-0.0, -np.inf, 1e-40, 3e38], ml_dtypes.bfloat16)
    same_bits(api.top_k(brains, 0), brains.astype(np.float32))


def test_every_float16_and_bfloat16_widens_exactly(api):
    bits = np.arange(1 << 16, dtype=np.uint16)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = bits.view(dtype)
        x = x[np.isfinite(x.astype(np.float32))]
        for given in (x, np.repeat(x, 2)[::2]):
            same_bits(api.top_k(given, 0), x.astype(np.float32))


def test_float64_rounds_half_to_even(api):
    ulp = 2.0**-23
    x = np.array([1 + ulp / 2, 1 + 1.5 * ulp, 1 + ulp / 2 + 2**-52, 2.0**-150, 2.0**-149 * 1.5])
    same_bits(api.top_k(x, 0), np.array([1, 1 + 2 * ulp, 1 + ulp, 0, 2.0**-148], np.float32))


@pytest.mark.parametrize("x", [[1, 2.5, -3], (1, 2, 3), [[1, 2], [3, 4]], ([0.1, -0.0],), [2**62 + 1, 1]])
def test_lists_of_numbers_are_logits(api, x):
    same_bits(api.top_k(x, 0), np.asarray(x, np.float64).astype(np.float32))


def test_lists_of_arrays_are_logits(api):
    same_bits(api.top_k([ROW, ROW], 0), np.stack([ROW, ROW]))
    same_bits(api.top_k([np.float32(1), np.float32(2)], 0), np.array([1, 2], np.float32))


def test_other_holders_of_numbers_are_logits(api):
    class Arrayed:
        def __array__(self, dtype=None, copy=None):
            return BATCH

    class Interfaced:
        __array_interface__ = ROW.__array_interface__

    same_bits(api.top_k(Arrayed(), 0), BATCH)
    same_bits(api.top_k(Interfaced(), 0), ROW)
    same_bits(api.top_k(memoryview(BATCH), 0), BATCH)
    same_bits(api.top_k(array.array("d", [1.5, 2.5]), 0), np.array([1.5, 2.5], np.float32))


def test_subclasses_and_read_only_arrays_are_logits(api):
    class Subclass(np.ndarray):
        pass

    frozen = BATCH.copy()
    frozen.flags.writeable = False
    for x in (frozen, BATCH.view(Subclass), np.ma.MaskedArray(BATCH), BATCH.view(np.matrix)):
        same_bits(api.top_k(x, 0), BATCH)
    broadcast = np.broadcast_to(ROW, (3, 37))
    same_bits(api.top_k(broadcast, 0), np.stack([ROW] * 3))
    same_bits(api.top_k(np.broadcast_to(np.float32(2), (3, 4)), 0), np.full((3, 4), 2, np.float32))


def test_a_masked_item_is_no_logit(api):
    """What lies beneath a mask is not drawn in silence; a MaskedArray that masks nothing is an array."""
    masked = np.ma.masked_array([2.0, 1.0, 0.5], [True, False, False])
    message = "logits must have no masked item, got a masked MaskedArray; pass logits.filled(-np.inf)"
    for call in (api.sample, api.softmax, api.kept):
        for x in (
            masked,
            np.ma.masked_array(BATCH, np.isclose(BATCH, BATCH[1, 1])),
            masked.astype(np.float32),
        ):
            with pytest.raises(TypeError) as caught:
                call(x)
            assert str(caught.value) == message
    assert api.sample(masked.filled(-np.inf), temperature=0) == 1


def test_the_methods_of_a_subclass_are_not_called(api):
    class Hostile(np.ndarray):
        armed = False

        def __array_finalize__(self, parent):
            if self.armed:
                raise OSError("no")

        def astype(self, *_, **__):
            raise OSError("no")

        reshape = view = __array__ = __array_function__ = __array_ufunc__ = astype

    x, swapped, out = ROW.view(Hostile), ROW.astype(">f4").view(Hostile), np.empty_like(ROW).view(Hostile)
    Hostile.armed = True
    same_bits(api.top_k(x, 0), ROW)
    same_bits(api.top_k(swapped, 0), ROW)
    assert api.top_k(x, 0, out=out) is out
    same_bits(np.asarray(out), ROW)


def test_a_batch_of_no_rows_is_fine(api):
    for dtype in DTYPES:
        assert api.top_k(np.zeros((0, 7), dtype), 0).shape == (0, 7)
    strided = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (0, 7), (0, 0))
    assert api.top_k(strided, 0).shape == (0, 7)


def test_the_largest_vocabulary_is_fine(api):
    assert api.top_k(np.zeros(1_048_576, np.float16), 0).shape == (1_048_576,)
    assert api.top_k(np.float32([[3]]), 0).tolist() == [[3]]


TYPE_ERRORS = [
    (np.arange(3), "logits must be float32, float64, float16 or bfloat16, got int64"),
    (np.zeros(3, bool), "logits must be float32, float64, float16 or bfloat16, got bool"),
    (np.zeros(3, complex), "logits must be float32, float64, float16 or bfloat16, got complex128"),
    (np.zeros(3, object), "logits must be float32, float64, float16 or bfloat16, got object"),
    (np.zeros(3, "V2"), "logits must be float32, float64, float16 or bfloat16, got void16"),
    (np.zeros((2, 2, 2), "M8[s]"), "logits must be float32, float64, float16 or bfloat16, got datetime64[s]"),
    (
        np.zeros(3, ml_dtypes.float8_e5m2),
        "logits must be float32, float64, float16 or bfloat16, got float8_e5m2",
    ),
    (np.int32(3), "logits must be float32, float64, float16 or bfloat16, got int32"),
    (b"abc", "logits must be float32, float64, float16 or bfloat16, got bytes24"),
    (bytearray(3), "logits must be float32, float64, float16 or bfloat16, got uint8"),
    ([True, False], "logits must be float32, float64, float16 or bfloat16, got bool"),
    ([1j], "logits must be float32, float64, float16 or bfloat16, got complex128"),
    (["a", "b"], "logits must be float32, float64, float16 or bfloat16, got str32"),
    ([None, 1.0], "logits must be float32, float64, float16 or bfloat16, got object"),
    ([10**30], "logits must be float32, float64, float16 or bfloat16, got object"),
    ([[1.0], [1.0, 2.0]], "logits must be numbers in rows of equal length, got a ragged list"),
    ([1.0, [2.0]], "logits must be numbers in rows of equal length, got a ragged list"),
    (None, "logits must be an array or a list of numbers, got NoneType"),
    (1.5, "logits must be an array or a list of numbers, got float"),
    ("abc", "logits must be an array or a list of numbers, got str"),
    ({1.0}, "logits must be an array or a list of numbers, got set"),
    (range(3), "logits must be an array or a list of numbers, got range"),
]


@pytest.mark.parametrize(("x", "message"), TYPE_ERRORS)
def test_wrong_types_are_named(api, x, message):
    with pytest.raises(TypeError) as error:
        api.top_k(x, 0)
    assert type(error.value) is TypeError
    assert str(error.value) == message


SHAPE_ERRORS = [
    (np.float32(1), (), "logits must be (vocab,) or (batch, vocab), got shape ()"),
    (np.zeros((), np.float32), (), "logits must be (vocab,) or (batch, vocab), got shape ()"),
    (
        np.zeros((2, 3, 4)),
        (2, 3, 4),
        "logits must be (vocab,) or (batch, vocab), got shape (2, 3, 4); pass logits[:, -1]",
    ),
    (
        [[[1.0]]],
        (1, 1, 1),
        "logits must be (vocab,) or (batch, vocab), got shape (1, 1, 1); pass logits[:, -1]",
    ),
    (
        np.zeros((1, 1, 1, 1)),
        (1, 1, 1, 1),
        "logits must be (vocab,) or (batch, vocab), got shape (1, 1, 1, 1)",
    ),
    ([], 0, "logits must have a vocabulary of 1 to 1048576, got 0"),
    ([[]], 0, "logits must have a vocabulary of 1 to 1048576, got 0"),
    (np.zeros((3, 0), np.float32), 0, "logits must have a vocabulary of 1 to 1048576, got 0"),
    (
        np.zeros(1_048_577, np.float16),
        1_048_577,
        "logits must have a vocabulary of 1 to 1048576, got 1048577",
    ),
]


@pytest.mark.parametrize(("x", "value", "message"), SHAPE_ERRORS)
def test_wrong_shapes_are_named(api, x, value, message):
    with pytest.raises(KnobError) as error:
        api.top_k(x, 0)
    assert str(error.value) == message
    assert error.value.argument == "logits"
    assert error.value.value == value


def overflowing(cells, shape=(4, 3)):
    x = np.zeros(shape)
    for place, value in cells.items():
        x[place] = value
    return x


@pytest.mark.parametrize(
    ("x", "row", "token", "message"),
    [
        (overflowing({(2, 1): 1e300}), 2, 1, "logits must be finite or -inf, got 1e+300 at row 2, token 1"),
        (overflowing({(2, 1): -4e38}), 2, 1, "logits must be finite or -inf, got -4e+38 at row 2, token 1"),
        (
            overflowing({(1, 2): 1e39, (2, 0): 1e40}),
            1,
            2,
            "logits must be finite or -inf, got 1e+39 at row 1, token 2",
        ),
        (
            overflowing({(1, 2): 1e39, (1, 0): np.nan}),
            1,
            0,
            "logits must be finite or -inf, got nan at row 1, token 0",
        ),
        (
            overflowing({(1, 2): 1e39, (1, 1): np.inf}),
            1,
            1,
            "logits must be finite or -inf, got inf at row 1, token 1",
        ),
        ([0, 10**39], 0, 1, "logits must be finite or -inf, got 1e+39 at row 0, token 1"),
        ([[0.0, -1e39]], 0, 1, "logits must be finite or -inf, got -1e+39 at row 0, token 1"),
    ],
)
def test_a_float64_that_becomes_infinite_is_an_error(api, x, row, token, message):
    x = np.asarray(x, np.float64)
    with pytest.raises(LogitsError) as error:
        api.top_k(x, 0)
    assert str(error.value) == message
    assert (error.value.row, error.value.token_id) == (row, token)
    out = np.full(x.shape, 5, np.float32)
    with pytest.raises(LogitsError):
        api.top_k(x, 0, out=out)
    assert (out == 5).all()  # every row is checked before anything is written


def test_the_largest_float64_that_rounds_to_a_finite_float32_is_fine(api):
    largest = float(np.finfo(np.float32).max)
    edge = largest + 2.0**103  # half a step above: a tie that rounds to 2**128, infinite
    same_bits(api.top_k([np.nextafter(edge, 0), -largest], 0), np.array([largest, -largest], np.float32))
    with pytest.raises(ValueError, match="must be finite"):
        api.top_k([edge], 0)


def test_errors_of_the_given_object_come_through(api):
    class Raises:
        def __array__(self, dtype=None, copy=None):
            raise OSError("disk on fire")

    class Junk:
        def __array__(self, dtype=None, copy=None):
            return "junk"

    class Property:
        @property
        def __dlpack__(self):
            raise OSError("disk on fire")

    class BadInterface:
        __array_interface__ = {"shape": (3,), "typestr": "<f4", "version": 3, "data": "x"}  # noqa: RUF012

    for x in (Raises(), Property()):
        with pytest.raises(OSError, match="disk on fire"):
            api.top_k(x, 0)
    with pytest.raises(ValueError, match="not producing an array"):
        api.top_k(Junk(), 0)
    with pytest.raises((TypeError, ValueError)):
        api.top_k(BadInterface(), 0)
    released = memoryview(b"abcd")
    released.release()
    with pytest.raises(TypeError):
        api.top_k(released, 0)
