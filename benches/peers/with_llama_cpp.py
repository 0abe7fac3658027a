"""llama.cpp through llama-cpp-python: its sampler chain over its array of (id, logit, p)."""

from __future__ import annotations

import ctypes

import llama_cpp
import numpy as np
from llama_cpp._internals import LlamaSampler, LlamaTokenDataArray

from peers.base import Peer, Task


def chain(temperature: float, top_p: float) -> LlamaSampler:
    """Temperature first, as rheostat has it; llama.cpp's own programs put it last, which is other work."""
    samplers = LlamaSampler()
    samplers.add_temp(temperature)
    if top_p < 1:
        samplers.add_top_p(top_p, 1)
    return samplers


def sample(row: np.ndarray, temperature: float, top_p: float) -> Task:
    """The array is filled at each step, as its users must: a sampler sorts and cuts it in place."""
    candidates = LlamaTokenDataArray(n_vocab=row.size)
    pointer = ctypes.byref(candidates.candidates)
    filters = chain(temperature, top_p)
    candidates.copy_logits(row)
    llama_cpp.llama_sampler_apply(filters.sampler, pointer)
    kept = candidates.candidates_data.id[: candidates.candidates.size].copy()
    filters.close()

    samplers = chain(temperature, top_p)
    samplers.add_dist(7)

    def step() -> int:
        candidates.copy_logits(row)
        llama_cpp.llama_sampler_apply(samplers.sampler, pointer)
        return candidates.candidates.data[candidates.candidates.selected].id

    return Task(step, kept)


PEERS = {"llama.cpp": Peer("llama.cpp", f"llama-cpp-python {llama_cpp.__version__}", sample=sample)}
