"""The same work with what is installed: temperature, top-p, draw.

Each gives the call that is timed, and what it keeps.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]
CHANCE = np.random.default_rng()

Kept = NDArray[np.int64]
Peer = Callable[[Row, float, float], tuple[Callable[[], Any], Kept]]


def _calls(sample: Callable[[Row, float, float], tuple[int, Kept]]) -> Peer:
    """The peer of a function that gives a token and what it kept."""

    def prepare(row: Row, temperature: float, top_p: float) -> tuple[Callable[[], Any], Kept]:
        return lambda: sample(row, temperature, top_p), sample(row, temperature, top_p)[1]

    return prepare


def numpy_textbook(row: Row, temperature: float, top_p: float) -> tuple[int, Kept]:
    """Softmax, sort everything, cut where the running sum reaches top_p, draw."""
    weights = np.exp((row - row.max()) / np.float32(temperature))
    probabilities = weights / weights.sum()
    order = np.argsort(probabilities)[::-1]
    cumulative = np.cumsum(probabilities[order], dtype=np.float64)
    size = int(np.searchsorted(cumulative, top_p)) + 1
    drawn = int(np.searchsorted(cumulative[:size], CHANCE.random() * cumulative[size - 1], side="right"))
    return int(order[drawn]), order[:size]


def numpy_partition(row: Row, temperature: float, top_p: float) -> tuple[int, Kept]:
    """NumPy at its best on a peaked row: only as many of the largest are sorted as reach top_p."""
    weights = np.exp((row - row.max()) * np.float32(1 / temperature))
    target = top_p * float(weights.sum(dtype=np.float64))
    count = min(64, row.size)
    largest = np.argpartition(weights, row.size - count)[row.size - count :]
    while count < row.size and weights[largest].sum(dtype=np.float64) < target:
        count = min(8 * count, row.size)
        largest = np.argpartition(weights, row.size - count)[row.size - count :]
    order = largest[np.argsort(weights[largest])[::-1]]
    cumulative = np.cumsum(weights[order], dtype=np.float64)
    size = int(np.searchsorted(cumulative, target)) + 1
    drawn = int(np.searchsorted(cumulative[:size], CHANCE.random() * cumulative[size - 1], side="right"))
    return int(order[drawn]), order[:size]


def torch_peer() -> Peer:
    """As transformers does it: sort, softmax, cumulative sum, scatter back, softmax, multinomial."""
    torch: Any = __import__("torch")
    torch.set_num_threads(1)  # as all others, and as fast as it gets on a machine that does other work

    def sample(row: Row, temperature: float, top_p: float) -> tuple[int, Kept]:
        scores = torch.from_numpy(row)[None] / temperature
        ascending, places = torch.sort(scores, descending=False)
        removed = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - top_p
        removed[..., -1:] = False
        scores = scores.masked_fill(removed.scatter(1, places, removed), -torch.inf)
        token = torch.multinomial(scores.softmax(dim=-1), 1)
        return int(token), np.flatnonzero(torch.isfinite(scores[0]).numpy())

    return _calls(sample)


def transformers_peer() -> Peer:
    """Its own warpers as `generate` calls them, then softmax and multinomial."""
    torch: Any = __import__("torch")
    generation: Any = __import__("transformers.generation", fromlist=["generation"])
    torch.set_num_threads(1)

    def sample(row: Row, temperature: float, top_p: float) -> tuple[int, Kept]:
        scores = torch.from_numpy(row)[None]
        for warper in (generation.TemperatureLogitsWarper(temperature), generation.TopPLogitsWarper(top_p)):
            scores = warper(None, scores)
        token = torch.multinomial(scores.softmax(dim=-1), 1)
        return int(token), np.flatnonzero(torch.isfinite(scores[0]).numpy())

    return _calls(sample)


def llama_peer() -> Peer:
    """llama.cpp's own samplers over its array of candidates, which is filled at each token."""
    llama_cpp: Any = __import__("llama_cpp")
    internals: Any = __import__("llama_cpp._internals", fromlist=["internals"])

    def prepare(row: Row, temperature: float, top_p: float) -> tuple[Callable[[], Any], Kept]:
        candidates = internals.LlamaTokenDataArray(n_vocab=row.size)
        array = ctypes.byref(candidates.candidates)
        samplers = internals.LlamaSampler()
        samplers.add_temp(temperature)
        samplers.add_top_p(top_p, 1)
        candidates.copy_logits(row)
        llama_cpp.llama_sampler_apply(samplers.sampler, array)
        kept = candidates.candidates_data.id[: candidates.candidates.size].astype(np.int64)
        samplers.add_dist(int(CHANCE.integers(2**32)))

        def call() -> int:
            candidates.copy_logits(row)
            llama_cpp.llama_sampler_apply(samplers.sampler, array)
            return int(candidates.candidates.data[candidates.candidates.selected].id)

        return call, kept

    return prepare


# Each program that may be installed: the modules it needs, and its peer.
PROGRAMS: dict[str, tuple[tuple[str, ...], Callable[[], Peer]]] = {
    "llama.cpp": (("llama_cpp",), llama_peer),
    "torch": (("torch",), torch_peer),
    "transformers": (("transformers", "torch"), transformers_peer),
}
DISTRIBUTIONS = {"llama_cpp": "llama-cpp-python"}


def installed() -> dict[str, Peer]:
    """The peers of this environment, by name."""
    peers = {"NumPy, partition": _calls(numpy_partition), "NumPy, sort": _calls(numpy_textbook)}
    there = {name: make for name, (modules, make) in PROGRAMS.items() if all(map(find_spec, modules))}
    return peers | {name: make() for name, make in there.items()}


def versioned() -> list[str]:
    """The distributions that are measured."""
    modules = dict.fromkeys(module for modules, _ in PROGRAMS.values() for module in modules)
    return ["numpy", *(DISTRIBUTIONS.get(module, module) for module in modules if find_spec(module))]
