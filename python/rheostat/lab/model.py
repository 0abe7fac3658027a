"""The model as it is used: from token ids to the logits of the next token, one thread, float32."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from importlib.resources import files
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat import TokenTable
from rheostat.lab import network
from rheostat.lab.files import whole
from rheostat.lab.network import Array, Parameters
from rheostat.lab.reader import Reader
from rheostat.lab.vocabulary import Vocabulary

WEIGHTS = "weights.npz"  # beside this file

CONTEXT_LENGTH = 512


class Model:
    """A language model: call it with token ids, of any number, and it gives the logits of the next one.

    >>> import rheostat
    >>> from rheostat import lab
    >>> model = lab.load()
    >>> ids = model.encode("Return True if the")
    >>> ids += [rheostat.sample(model(ids), temperature=0)]
    >>> model.decode(ids)
    'Return True if the operand'

    Where ids continue those of the call before, only the new ones are read. `start` and `step` do the same
    without a memory of calls, for many continuations of one beginning.
    """

    def __init__(self, vocabulary: Vocabulary, parameters: Parameters, info: dict[str, Any]) -> None:
        self.vocabulary = vocabulary
        self.parameters = parameters
        self.info = info
        """How it was made and what it reached: knobs, seed, digest of the text, bits per byte."""
        self.table = TokenTable.from_bytes(vocabulary.tokens)
        """The bytes of each token, for stops and streams."""
        self.context_length = CONTEXT_LENGTH
        """A call looks at the last so many ids at most, half of them at least; `step` has no limit."""
        # np.vecdot multiplies row by row, so that no BLAS makes threads of it: on a busy machine they wait
        # for one another much longer than the product takes. So the columns lie as rows.
        self._columns = {name: np.ascontiguousarray(parameters[name].T) for name in "WUP"}
        self._said: dict[int, Array] = {}  # what each token says to the gates, once it was read
        self._read: tuple[list[int], Array] = ([], self._beginning())

    @property
    def vocab_size(self) -> int:
        """How many logits there are."""
        return len(self.vocabulary)

    @property
    def eos_token_id(self) -> int:
        """The token that ends a text."""
        return self.vocabulary.end

    def encode(self, text: str) -> list[int]:
        """The ids of any text; what no merge knows is bytes."""
        return self.vocabulary.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids; what is not UTF-8 becomes U+FFFD."""
        return self.vocabulary.decode(ids)

    def __call__(self, ids: Sequence[int]) -> Array:
        """Logits (vocab_size,) of the token after ids.

        Of ids beyond the context the oldest are dropped, half a context at a time, so that what is read of a
        text that grows begins at the same place for many calls.
        """
        beyond = max(len(ids) - self.context_length, 0)
        half = self.context_length // 2
        ids = list(ids)[(beyond + half - 1) // half * half :]
        read, state = self._read
        if read != ids[: len(read)]:
            read, state = [], self._beginning()
        state = self._advance(state, ids[len(read) :])
        self._read = (ids, state)
        return self._logits(state)

    def start(self, ids: Sequence[int] = ()) -> tuple[Array, Array]:
        """The state after reading ids from the beginning of a text, and the logits of the next token."""
        state = self._advance(self._beginning(), ids)
        return state, self._logits(state)

    def step(self, state: Array, id: int) -> tuple[Array, Array]:
        """The state after one more token, and the logits of the next; the state given stays as it was."""
        state = self._advance(state, [id])
        return state, self._logits(state)

    def __repr__(self) -> str:
        count = sum(value.size for value in self.parameters.values())
        return f"<{type(self).__name__} of {count:,} parameters, {self.vocab_size:,} tokens>"

    def _beginning(self) -> Array:
        """A text begins where another has ended."""
        hidden = len(self.parameters["U"])
        return self._advance(np.zeros(hidden, np.float32), [self.vocabulary.end])

    def reader(self) -> Reader:
        """What reads one text token by token, for a loop with a window that slides."""
        return Reader(self)

    def _advance(self, state: Array, ids: Sequence[int]) -> Array:
        for id in ids:
            state = network.gates(state, self._says(id), np.vecdot(self._columns["U"], state)).h
        return state

    def _says(self, id: int) -> Array:
        try:
            id = index(id)
        except TypeError:
            raise TypeError(f"token ids must be integers, got {type(id).__name__}") from None
        if not 0 <= id < self.vocab_size:
            raise ValueError(f"token ids must be in [0, {self.vocab_size}), got {id}")
        said = self._said.get(id)
        if said is None:
            p = self.parameters
            said = self._said[id] = np.vecdot(self._columns["W"], p["E"][id]) + p["b"]
        return said

    def _logits(self, state: Array) -> Array:
        p = self.parameters
        logits: Array = np.vecdot(p["E"], np.vecdot(self._columns["P"], state)) + p["c"]
        return logits


def rounded(weights: Array) -> tuple[NDArray[np.int8], Array]:
    """A matrix (rows, columns) as int8, and for each row the scale (rows, 1) that makes 127 its largest."""
    scale = np.maximum(np.abs(weights).max(axis=1, keepdims=True), np.float32(1e-12)) / np.float32(127)
    return np.rint(weights / scale).astype(np.int8), scale


def rounded_parameters(parameters: Parameters) -> Parameters:
    """What `load` will give after `save`."""
    restored = {}
    for name, value in parameters.items():
        restored[name] = value
        if value.ndim == 2:
            steps, scale = rounded(value)
            restored[name] = steps * scale
    return restored


def save(path: str | os.PathLike[str], model: Model) -> None:
    """Writes a model whole or not at all; matrices as int8, which changes its logits a little."""
    arrays: dict[str, Any] = {
        "info": np.array(json.dumps(model.info)),
        "merges": np.array(model.vocabulary.merges, np.uint16).reshape(-1, 2),
    }
    for name, value in model.parameters.items():
        arrays[name] = value
        if value.ndim == 2:
            arrays[name], arrays[f"{name}.scale"] = rounded(value)
    with whole(path) as file:
        np.savez(file, **arrays)


def load(path: str | os.PathLike[str] | None = None) -> Model:
    """The model in the box, or one that `save` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no model.
    """
    source = Path(path) if path is not None else files("rheostat.lab") / WEIGHTS
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        info = json.loads(arrays.pop("info").item())
        merges = [(int(a), int(b)) for a, b in arrays.pop("merges")]
    except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile):
        raise ValueError(f"{source} holds no model that rheostat has trained") from None
    parameters = {}
    for name, value in arrays.items():
        if not name.endswith(".scale"):
            scale = arrays.get(f"{name}.scale")
            parameters[name] = value if scale is None else value * scale
    return Model(Vocabulary(merges), parameters, info)
