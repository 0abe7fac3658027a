"""DLPack without torch: honest exporters, old ones, and hostile ones made with ctypes."""

import ctypes
import gc
import weakref

import ml_dtypes
import numpy as np
import pytest
import rheostat
from dlpack_support import ROW, Deleter, Device, Exporter, Forged, OldExporter, new_capsule
from rheostat import KnobError

BATCH = np.random.default_rng(4).standard_normal((5, 29)).astype(np.float32)
UNREADABLE = "^logits must be a readable DLPack tensor, got [A-Z][A-Za-z]+$"


def check(api, x, expected):
    result = api.top_k(x, 0)
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    np.testing.assert_array_equal(
        result.view(np.uint32), np.ascontiguousarray(expected, np.float32).view(np.uint32)
    )


@pytest.mark.parametrize("exporter", [Exporter, OldExporter])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_exporters_are_read_whatever_their_strides(api, exporter, dtype):
    x = BATCH.astype(dtype)
    for array in (x, x[0], x[:, ::3], x[:, ::-1], x[::-2], x.T, x[:, :4], x[:1], x[:, :1], x[:0]):
        check(api, exporter(array), array)


def test_a_read_only_exporter_is_read(api):
    x = BATCH.copy()
    x.flags.writeable = False
    check(api, Exporter(x), BATCH)


@pytest.mark.parametrize("device", [(1, 0), (3, 0), (11, 2)])
def test_pinned_memory_is_on_the_cpu(api, device):
    check(api, Forged(BATCH, device=device, claimed=device), BATCH)


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ((2, 1), "cuda:1"),
        ((8, 0), "metal:0"),
        ((10, 3), "rocm:3"),
        ((14, 0), "xpu:0"),
        ((99, 5), "device 99:5"),
    ],
)
def test_another_device_is_named_with_the_cure(api, device, name):
    with pytest.raises(TypeError) as error:
        api.top_k(Exporter(ROW, device), 0)
    assert str(error.value) == f"logits must be on the CPU, got {name}; pass logits.cpu()"


@pytest.mark.parametrize("versioned", [True, False])
def test_forged_tensors_that_keep_the_rules_are_read(api, versioned):
    flat = np.arange(40, dtype=np.float32)
    cases = [
        (Forged(flat, versioned=versioned), flat),
        (Forged(flat, shape=(4, 10), versioned=versioned), flat.reshape(4, 10)),
        (Forged(flat, shape=(4, 3), strides=(10, 2), versioned=versioned), flat.reshape(4, 10)[:, :6:2]),
        (Forged(flat, shape=(5,), byte_offset=16, versioned=versioned), flat[4:9]),
        (
            Forged(flat, shape=(2, 5), strides=(-10, -1), byte_offset=156, versioned=versioned),
            flat[::-1].reshape(4, 10)[:2, :5],
        ),
        (Forged(flat, shape=(3, 4), strides=(0, 0), byte_offset=8, versioned=versioned), np.full((3, 4), 2)),
    ]
    for forged, expected in cases:
        check(api, forged, np.float32(expected))
        gc.collect()
        assert forged.deleted == 1
    empty = Forged(flat, shape=(0, 4), versioned=versioned)
    assert api.top_k(empty, 0).shape == (0, 4)
    assert empty.deleted == 1


def test_an_unaligned_tensor_is_read(api):
    memory = np.zeros(41, np.uint8)
    memory[1:41] = np.arange(10, dtype=np.float32).view(np.uint8)
    check(api, Forged(memory, shape=(2, 5), byte_offset=1), np.arange(10, dtype=np.float32).reshape(2, 5))


def test_bfloat16_is_read_in_place():
    """Fast alone: NumPy, and so the reference, has no name for it outside torch."""
    x = BATCH.astype(ml_dtypes.bfloat16)
    check(rheostat, Forged(x, code=4, bits=16), x.astype(np.float32))
    with pytest.raises(TypeError, match=UNREADABLE):
        rheostat.reference.top_k(Forged(x, code=4, bits=16), 0)


@pytest.mark.parametrize(
    ("code", "bits", "name"),
    [(0, 64, "int64"), (1, 8, "uint8"), (5, 64, "complex64"), (6, 8, "bool"), (0, 16, "int16")],
)
def test_other_dtypes_are_named(api, code, bits, name):
    forged = Forged(BATCH.astype(np.complex128), shape=(2, 2), code=code, bits=bits)
    with pytest.raises(TypeError) as error:
        api.top_k(forged, 0)
    assert str(error.value) == f"logits must be float32, float64, float16 or bfloat16, got {name}"
    del error  # its frames hold what the reference read
    gc.collect()
    assert forged.deleted == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"lanes": 2},
        {"lanes": 0},
        {"code": 2, "bits": 24},
        {"code": 9, "bits": 8},
        {"code": 255, "bits": 255},
        {"data": None},
        {"shape": (-1, 4)},
        {"shape": (3, -(2**62))},
        {"shape": (2**40, 2**40)},
        {"ndim": -1},
        {"ndim": 65},
        {"ndim": 2**31 - 1},
        {"device": Device(2, 0)},
        {"device": Device(-7, -7)},
        {"major": 2},
    ],
    ids=str,
)
def test_malformed_tensors_are_errors_and_are_deleted_once(api, lie):
    lie = dict(lie)
    device = lie.pop("device", Device(1, 0))
    memory = lie.pop("data", ROW)
    forged = Forged(ROW, device=(device.type, device.id), **lie)
    if memory is None:
        forged.managed.tensor.data = None
    with pytest.raises(TypeError) as error:
        api.top_k(forged, 0)
    text = str(error.value)
    if api is rheostat and device.type != 1:  # NumPy does not say which device
        assert text.startswith("logits must be on the CPU, got ")
    else:
        assert text == "logits must be a readable DLPack tensor, got Forged"
    gc.collect()
    assert forged.deleted <= 1
    if api is rheostat:
        assert forged.deleted == 1


def test_lies_that_only_the_fast_code_finds():
    """NumPy believes these: null shapes, strides or offsets beyond every address."""
    for forged in (
        Forged(ROW, shape=(4, 4), strides=(2**62, 1)),
        Forged(ROW, shape=(4, 4), strides=(-(2**63), 2**63 - 1)),
        Forged(ROW, byte_offset=2**64 - 1),
    ):
        with pytest.raises(TypeError, match=UNREADABLE):
            rheostat.top_k(forged, 0)
        assert forged.deleted == 1
    forged = Forged(ROW)
    forged.managed.tensor.shape = None
    with pytest.raises(TypeError, match=UNREADABLE):
        rheostat.top_k(forged, 0)
    assert forged.deleted == 1


def test_huge_and_empty_vocabularies_are_named(api):
    for shape, got in [((2**40,), 2**40), ((3, 2**21), 2**21), ((0,), 0), ((3, 0), 0)]:
        forged = Forged(ROW, shape=shape)
        with pytest.raises(KnobError) as error:
            api.top_k(forged, 0)
        assert str(error.value) == f"logits must have a vocabulary of 1 to 1048576, got {got}"
        assert error.value.value == got
        del error
        gc.collect()
        assert forged.deleted == 1
    with pytest.raises(KnobError, match=r"got shape \(1, 1, 29\); pass logits\[:, -1\]"):
        api.top_k(Forged(ROW, shape=(1, 1, 29)), 0)
    with pytest.raises(KnobError, match=r"got shape \(\)$"):
        api.top_k(Forged(ROW, shape=()), 0)


def test_a_tensor_without_a_deleter_is_read(api):
    forged = Forged(ROW)
    forged.managed.deleter = Deleter()
    check(api, forged, ROW)


class Consumed(Exporter):
    """Gives the same capsule again and again."""

    def __init__(self, array):
        super().__init__(array)
        self.capsule = array.__dlpack__()

    def __dlpack__(self, **_):
        return self.capsule


def test_a_consumed_capsule_is_an_error(api):
    consumed = Consumed(ROW)
    check(api, consumed, ROW)
    with pytest.raises(TypeError, match=UNREADABLE):
        api.top_k(consumed, 0)


@pytest.mark.parametrize("junk", [None, 1, "capsule", object()])
def test_what_is_no_capsule_is_an_error(api, junk):
    class Junk(Exporter):
        def __dlpack__(self, **_):
            return junk

    class Misnamed(Exporter):
        def __dlpack__(self, **_):
            return new_capsule(ROW.ctypes.data, b"tensor", None)

    for exporter in (Junk(ROW), Misnamed(ROW)):
        with pytest.raises(TypeError, match=UNREADABLE):
            api.top_k(exporter, 0)


@pytest.mark.parametrize(
    "device", [None, 1, (1,), (1, 0, 0), ("cpu", 0), (1.0, 0), [1, 0], (2**40, 0), (1, -(2**31) - 1)], ids=str
)
def test_a_device_that_is_none_is_an_error(api, device):
    with pytest.raises(TypeError, match=UNREADABLE):
        api.top_k(Exporter(ROW, device), 0)


def test_what_an_exporter_raises_comes_through(api):
    class Raises(Exporter):
        def __init__(self, error, where):
            super().__init__(ROW)
            self.error, self.where = error, where

        def __dlpack__(self, **_):
            if self.where == "export":
                raise self.error
            return super().__dlpack__()

        def __dlpack_device__(self):
            if self.where == "device":
                raise self.error
            return super().__dlpack_device__()

    for where in ("export", "device"):
        for error in (
            OSError("on fire"),
            RuntimeError("on fire"),
            TypeError("on fire"),
            BufferError("on fire"),
        ):
            with pytest.raises(type(error), match=r"^on fire$"):
                api.top_k(Raises(error, where), 0)

    class Deviceless:
        def __dlpack__(self, **_):
            raise AssertionError

    with pytest.raises(AttributeError, match="__dlpack_device__"):
        api.top_k(Deviceless(), 0)


def test_a_detach_that_gives_something_else_is_an_error(api):
    class Detached(Exporter):
        def detach(self):
            return 3

    with pytest.raises(AttributeError, match="'int' object has no attribute '__dlpack_device__'"):
        api.top_k(Detached(ROW), 0)


def test_an_exchange_api_that_is_none_is_passed_over(api):
    empty = (ctypes.c_uint64 * 8)()
    old = (ctypes.c_uint64 * 8)(1)
    for interface in (
        None,
        3,
        new_capsule(ROW.ctypes.data, b"other", None),
        new_capsule(ctypes.addressof(empty), b"dlpack_exchange_api", None),
        new_capsule(ctypes.addressof(old), b"dlpack_exchange_api", None),
    ):
        exporter = type("Exporting", (Exporter,), {"__dlpack_c_exchange_api__": interface})
        check(api, exporter(ROW), ROW)


def test_a_failing_exchange_api_is_passed_over_and_a_working_one_used():
    function = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(ctypes.c_void_p))
    forged = Forged(BATCH)

    @function
    def works(_, out):
        out[0] = ctypes.addressof(forged.managed)
        return 0

    @function
    def fails(_, out):
        return -1

    @function
    def gives_nothing(_, out):
        return 0

    for code, expected, calls in ((works, BATCH, 1), (fails, ROW, 0), (gives_nothing, ROW, 0)):
        table = (ctypes.c_uint64 * 8)(1, 0, 0, ctypes.cast(code, ctypes.c_void_p).value)
        interface = new_capsule(ctypes.addressof(table), b"dlpack_exchange_api", None)
        exporter = type("Exporting", (Exporter,), {"__dlpack_c_exchange_api__": interface})
        forged.deleted = 0
        check(rheostat, exporter(ROW), expected)
        assert forged.deleted == calls


def test_the_memory_lives_as_long_as_it_is_read_and_no_longer(api):
    class Tracked(np.ndarray):
        pass

    class Once:
        """Its only reference to the array goes with the capsule."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **_):
            array, self.array = self.array, None
            return array.__dlpack__()

        def __dlpack_device__(self):
            return (1, 0)

    array = BATCH.copy().view(Tracked)
    gone = weakref.ref(array)
    once = Once(array)
    del array
    check(api, once, BATCH)
    gc.collect()
    assert gone() is None


def test_out_may_be_the_array_that_is_exported_but_not_overlap_it(api):
    x = BATCH.copy()
    assert api.top_k(Exporter(x), 0, out=x) is x
    np.testing.assert_array_equal(x, BATCH)
    backwards = x[::-1, ::-1]
    assert api.top_k(Exporter(backwards), 0, out=backwards) is backwards
    np.testing.assert_array_equal(x, BATCH)
    api.top_k(Exporter(x[:, :14]), 0, out=x[:, 14:28])
    np.testing.assert_array_equal(x[:, 14:28], BATCH[:, :14])
    with pytest.raises(KnobError, match="got an overlapping array"):
        api.top_k(Exporter(x[:, :14]), 0, out=x[:, 13:27])
