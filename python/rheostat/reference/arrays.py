"""The array boundary: whatever holds numbers becomes float32 rows, and ``out`` is checked."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError, LogitsError

MAX_VOCAB = 1_048_576
FLOATS = ("float32", "float64", "float16", "bfloat16")


Array = NDArray[Any]
Row = NDArray[np.float32]


def as_logits(logits: Any) -> tuple[Array, bool]:
    """(vocab,) or (batch, vocab) of anything, as (batch, vocab), and whether it was one row.

    float32, or float64 as it came: `check_row` rounds it and tells what cannot be.
    """
    x = _as_array(logits)
    if x.dtype.name not in FLOATS:
        raise _refused_dtype(x.dtype.name)
    if x.ndim not in (1, 2):
        cure = "; pass logits[:, -1]" if x.ndim == 3 else ""
        raise KnobError(
            f"logits must be (vocab,) or (batch, vocab), got shape {x.shape}{cure}", "logits", x.shape
        )
    vocab = x.shape[-1]
    if not 1 <= vocab <= MAX_VOCAB:
        raise KnobError(f"logits must have a vocabulary of 1 to {MAX_VOCAB}, got {vocab}", "logits", vocab)
    rows = np.atleast_2d(x)
    if rows.dtype.name in ("float16", "bfloat16") or not rows.dtype.isnative:
        rows = rows.astype(np.float64 if rows.dtype.name == "float64" else np.float32)
    return rows, x.ndim == 1


def check_row(x: Array, row: int) -> Row:
    """Row `row` as float32, checked: the error names the lowest token that is NaN, +inf or too large."""
    values = x[row]
    with np.errstate(over="ignore"):
        rounded: Row = values.astype(np.float32)
    bad = np.isnan(values) | (values == np.inf) | (np.isfinite(values) & np.isinf(rounded))
    if bad.any():
        token = int(np.argmax(bad))
        value = float(values[token])
        message = f"logits must be finite or -inf, got {value!r} at row {row}, token {token}"
        raise LogitsError(message, row, token)
    if not (rounded > -np.inf).any():
        raise LogitsError(f"logits must have a finite value in every row, got none in row {row}", row, None)
    return rounded


@contextmanager
def named(name: str) -> Iterator[None]:
    """Tells errors about logits under the name of the argument that holds them."""
    try:
        yield
    except (KnobError, LogitsError, TypeError) as error:
        text = str(error)
        if not text.startswith("logits "):
            raise
        message = name + text.removeprefix("logits")
        if isinstance(error, LogitsError):
            raise LogitsError(message, error.row, error.token_id) from None
        if isinstance(error, KnobError):
            raise KnobError(message, name, error.value) from None
        raise TypeError(message) from None


def finish(results: list[Row], target: Row) -> Row:
    """The results in their place."""
    places = np.asarray(target)  # a plain array, whatever a subclass overrides
    places = places[None] if places.ndim == 1 else places
    for place, result in zip(places, results, strict=True):
        place[:] = result
    return target


def as_out(out: Any, logits: Any, x: Array, is_row: bool) -> Row:
    """Where results go: a fresh float32 array, or ``out``, which may be ``logits`` but not overlap it."""
    shape = x.shape[1:] if is_row else x.shape
    if out is None:
        return np.empty(shape, np.float32)
    is_array = isinstance(out, np.ndarray)
    if not is_array or out.dtype.name != "float32":
        got = out.dtype.name if is_array else type(out).__name__
        raise TypeError(f"out must be a float32 NumPy array, got {got}")
    if out.shape != shape:
        raise KnobError(f"out must have the shape of logits {shape}, got {out.shape}", "out", out.shape)
    if not out.flags.writeable:
        raise KnobError("out must be writeable, got a read-only array", "out", "a read-only array")
    memory = _bits(logits) if _is_torch_bfloat16(logits) else _as_array(logits)
    if np.shares_memory(np.asarray(out), memory) and not _is_same(out, memory):
        raise KnobError(
            "out must be logits itself or not overlap it, got an overlapping array",
            "out",
            "an overlapping array",
        )
    array: Row = out
    return array


def _as_array(logits: Any) -> Array:
    """A view of the memory wherever one can exist; the dtype and the shape are checked elsewhere."""
    if isinstance(logits, np.ndarray):
        if np.ma.is_masked(logits):
            got = f"a masked {type(logits).__name__}"
            raise TypeError(f"logits must have no masked item, got {got}; pass logits.filled(-np.inf)")
        return np.asarray(logits)
    if isinstance(logits, list | tuple):
        return _from_list(logits)
    if hasattr(logits, "__dlpack__"):
        return _from_dlpack(logits)
    names = ("__array__", "__array_interface__", "__array_struct__")
    if any(hasattr(logits, name) for name in names) or _is_buffer(logits):
        return np.asarray(logits)
    raise TypeError(f"logits must be an array or a list of numbers, got {type(logits).__name__}")


def _from_list(logits: list[Any] | tuple[Any, ...]) -> Array:
    try:
        x = np.asarray(logits)
    except (TypeError, ValueError):
        message = "logits must be numbers in rows of equal length, got a ragged list"
        raise TypeError(message) from None
    return x.astype(np.float64) if x.dtype.kind in "iu" else x


def _is_buffer(logits: Any) -> bool:
    try:
        memoryview(logits)
    except Exception:
        return False
    return True


class _Exported:
    """A capsule as NumPy wants to be handed it, so that its complaints are told from the producer's."""

    def __init__(self, capsule: Any, device: tuple[int, int]) -> None:
        self.capsule, self.device = capsule, device

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


def _from_dlpack(logits: Any) -> Array:
    """NumPy reads what it knows; of bfloat16 it knows nothing, which torch alone is helped with."""
    x = logits
    if hasattr(x, "detach"):  # a torch tensor without its gradient
        x = x.detach()
    if hasattr(x, "resolve_neg"):  # and with its sign: DLPack has no word for a lazy negation
        x = x.resolve_neg()
    unreadable = TypeError(f"logits must be a readable DLPack tensor, got {type(logits).__name__}")
    device = x.__dlpack_device__()
    try:
        kind, index = (operator.index(part) for part in device)
        if not (isinstance(device, tuple) and max(abs(kind), abs(index)) < 2**31):
            raise unreadable
    except (TypeError, ValueError):
        raise unreadable from None
    if kind not in (1, 3, 11):  # the CPU, its memory pinned for CUDA or ROCm
        name = {2: "cuda", 8: "metal", 10: "rocm", 14: "xpu"}.get(kind, f"device {kind}")
        raise TypeError(f"logits must be on the CPU, got {name}:{index}; pass logits.cpu()")
    if _is_torch_bfloat16(x):
        return (_bits(x).astype(np.uint32) << 16).view(np.float32)
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:  # a producer from before DLPack 1.0
        capsule = x.__dlpack__()
    try:
        array = np.from_dlpack(_Exported(capsule, (kind, index)))
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        raise unreadable from None
    if array.size and array.flags.owndata:  # a null pointer: NumPy took memory of its own
        raise unreadable
    return array


def _is_torch_bfloat16(x: Any) -> bool:
    return str(getattr(x, "dtype", None)) == "torch.bfloat16"


def _bits(tensor: Any) -> Array:
    """The memory of a bfloat16 tensor as integers."""
    return np.from_dlpack(tensor.detach().view(sys.modules["torch"].int16)).view(np.uint16)


def _is_same(a: Array, b: Array) -> bool:
    """Whether two arrays of one shape are the same elements in the same order."""
    strides = zip(a.shape, a.strides, b.strides, strict=True)
    return (
        a.dtype == b.dtype
        and all(size == 1 or one == other for size, one, other in strides)
        and a.ctypes.data == b.ctypes.data
    )


def _refused_dtype(name: str) -> TypeError:
    return TypeError(f"logits must be float32, float64, float16 or bfloat16, got {name}")
