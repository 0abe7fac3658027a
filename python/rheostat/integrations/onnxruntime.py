"""rheostat in onnxruntime: a decoder in an `InferenceSession` as the model of `rheostat.generate`.

What is said here of the host was read and tested in 1.32.0; the names of inputs and outputs are those that
optimum and transformers export.
"""

from __future__ import annotations

import ctypes
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError

# The element types of ONNX (TensorProto.DataType) that logits come in, and how their memory is read.
BFLOAT16 = 16
LOGITS = {1: np.float32, 10: np.float16, 11: np.float64, BFLOAT16: np.uint16}
# What a session calls the types that a cache comes in.
TYPES = {"tensor(float)": 1, "tensor(float16)": 10, "tensor(double)": 11, "tensor(bfloat16)": BFLOAT16}
INTEGERS: dict[str, type[np.signedinteger[Any]]] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
ONCE = ("input_ids", "attention_mask", "position_ids")
# Of an export that holds two graphs, one for the prompt and one for what follows it: which is meant.
BRANCH = "use_cache_branch"


class OnnxModel:
    """A decoder in an `onnxruntime.InferenceSession` as the model of `rheostat.generate`.

    Inputs are `input_ids` and, if the session has them, `attention_mask`, `position_ids` and a key-value
    cache (`past_key_values.0.key` and so on, given back as `present.0.key`), with `use_cache_branch` where
    two graphs were merged. The cache stays in onnxruntime from one token to the next. Without a cache every
    token reads the whole text again.

    Logits may be float32, float16, float64 or bfloat16, and are read where onnxruntime wrote them, the last
    position alone. bfloat16, which `session.run` cannot give, is widened to float32, which is exact.

    Args:
        session: the session, on the CPU. Its threads are its own: see `SessionOptions`.
        logits: the name of the output.

    Raises:
        KnobError: the session is no such decoder.

    Example (not run; it needs a model)::

        model = OnnxModel(onnxruntime.InferenceSession("model.onnx"))
        table = rheostat.TokenTable.from_tokenizers(tokenizer)
        done = rheostat.generate(model, tokenizer.encode("Once").ids, params, table=table).run()
    """

    def __init__(self, session: Any, *, logits: str = "logits") -> None:
        self._session = session
        inputs = {each.name: each for each in session.get_inputs()}
        outputs = {each.name: each for each in session.get_outputs()}
        if "input_ids" not in inputs or logits not in outputs:
            rule = f"session must have the input input_ids and the output {logits}"
            got = f"{', '.join(inputs)} and {', '.join(outputs)}"
            raise KnobError(f"{rule}, got {got}", "session", session)
        presents = {_place(name): name for name in outputs if name.startswith("present")}
        pasts = {name: presents.get(_place(name)) for name in inputs if name.startswith("past")}
        others = [name for name in inputs if name not in (*ONCE, BRANCH) and name not in pasts]
        others += [name for name, present in pasts.items() if present is None]
        if others:
            rule = f"session must have no inputs but {', '.join([*ONCE, BRANCH])} and a cache it gives back"
            raise KnobError(f"{rule}, got {', '.join(others)}", "session", session)
        self._integers = {name: _integers(inputs[name]) for name in ONCE if name in inputs}
        self._is_merged = BRANCH in inputs
        self._empty = {name: _empty_cache(inputs[name]) for name in pasts}
        self._pasts: dict[str, str] = {name: str(present) for name, present in pasts.items()}
        self._cache: dict[str, Any] = {}
        self._ids: list[int] = []
        self._logits = logits
        width = outputs[logits].shape[-1]
        self.vocab_size: int | None = width if isinstance(width, int) else None
        """How wide the logits are; None where the model does not say."""

    def start(self, ids: list[int]) -> NDArray[Any]:
        """Forgets what was read and reads these."""
        if not ids:
            raise KnobError(
                "prompt_ids must hold at least one token for a decoder, got none", "prompt_ids", ids
            )
        self._cache, self._ids = {}, []
        return self._read(ids)

    def next(self, id: int) -> NDArray[Any]:
        """Reads one more."""
        return self._read([id])

    def _read(self, ids: list[int]) -> NDArray[Any]:
        from onnxruntime import OrtValue

        every = [*self._ids, *ids]
        new = ids if self._pasts else every
        binding = self._session.io_binding()
        for name, values in (
            ("input_ids", new),
            ("attention_mask", np.ones(len(every))),
            ("position_ids", np.arange(len(every) - len(new), len(every))),
        ):
            if name in self._integers:
                binding.bind_cpu_input(name, np.asarray(values, self._integers[name])[None])
        if self._is_merged:
            binding.bind_cpu_input(BRANCH, np.array([bool(self._cache)]))
        for name, (shape, kind) in self._empty.items():
            past = self._cache.get(name)
            if past is None:
                past = OrtValue.ortvalue_from_shape_and_type(shape, kind)
            binding.bind_ortvalue_input(name, past)
        names = [self._logits, *self._pasts.values()]
        for name in names:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        found = dict(zip(names, binding.get_outputs(), strict=True))
        self._cache = {name: found[present] for name, present in self._pasts.items()}
        self._ids = every
        return last_row(found[self._logits])


def last_row(value: Any) -> NDArray[Any]:
    """(vocab,) the last row of an `OrtValue` on the CPU, (1, length, vocab) or (1, vocab), which it keeps."""
    kind, (*rows, vocab) = value.element_type(), value.shape()
    if kind not in LOGITS:
        raise TypeError(f"logits must be float32, float64, float16 or bfloat16, got {value.data_type()}")
    dtype = np.dtype(LOGITS[kind])
    size = vocab * dtype.itemsize
    memory: Any = (ctypes.c_char * size).from_address(value.data_ptr() + (math.prod(rows) - 1) * size)
    memory.owner = value
    row: NDArray[Any] = np.frombuffer(memory, dtype)
    if kind == BFLOAT16:  # the upper half of a float32
        return (row.astype(np.uint32) << 16).view(np.float32)
    row.flags.writeable = False
    return row


def _place(name: str) -> str:
    """What a cache's input and output have in common: `past_key_values.0.key` and `present.0.key`."""
    return re.sub(r"^(past|present)(_key_values)?", "", name)


def _integers(given: Any) -> type[np.signedinteger[Any]]:
    if given.type not in INTEGERS:
        raise KnobError(
            f"session must have {given.name} of integers, got {given.type}", "session", given.type
        )
    return INTEGERS[given.type]


def _empty_cache(past: Any) -> tuple[list[int], int]:
    """The shape of a cache of no tokens, and its type: of its open dimensions the first is the batch."""
    if past.type not in TYPES:
        raise KnobError(f"session must have a cache of floats, got {past.type}", "session", past.type)
    shape = [size if isinstance(size, int) else 0 for size in past.shape]
    return [1, *shape[1:]], TYPES[past.type]
