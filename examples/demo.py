"""Writes text with the model in the box, then samples recorded rows of a real model, and says what happened.

Every token and every kept set is compared with the reference in NumPy; one that differs ends the demo with
status 1. Times are single-threaded, the fastest of a few calls for each row, their median over the rows.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import rheostat
from rheostat import lab

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches"))
from peers.with_numpy import sample_textbook  # noqa: E402  # the sampler that the benchmarks compare with, too

SETTINGS = [(0.3, 0.9), (0.7, 0.9), (1.0, 0.9), (1.5, 0.99)]
SEED = 7
PROMPT = "The default is"
TEXTS = [
    {"temperature": 0, "repetition_penalty": 1.1},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1.2, "min_p": 0.02},
]
MAX_TOKENS = 48
WIDTH = 96
VOCAB = 49_152
BAR_WIDTH = 15
COMMAND = os.path.relpath(Path(sys.executable).with_name("rheostat"))  # as it can be typed here


class Measured(NamedTuple):
    """One row at one setting; times in microseconds."""

    size: int
    mass: float
    token: int
    agrees: bool
    rheostat: float
    numpy: float
    np_max: float


class Style:
    """Colour on a terminal that wants it, plain text elsewhere; ASCII where the encoding has nothing else."""

    def __init__(self, stream) -> None:
        self.is_terminal = stream.isatty()
        dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
        self.colour = self.is_terminal and not dumb
        try:
            "█·µ".encode(stream.encoding or "ascii")
            self.block, self.dot, self.micro = "█", "·", "µ"
        except UnicodeEncodeError:
            self.block, self.dot, self.micro = "#", "-", "u"

    def paint(self, code: int, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def bold(self, text: str) -> str:
        return self.paint(1, text)

    def dim(self, text: str) -> str:
        return self.paint(2, text)

    def good(self, text: str, is_good: bool) -> str:
        return self.paint(32 if is_good else 31, text)

    def progress(self, text: str) -> None:
        """A line that the next one overwrites; nothing in a pipe."""
        if self.is_terminal:
            sys.stdout.write(f"\r\033[K{text}")
            sys.stdout.flush()


def recorded_rows() -> list[np.ndarray]:
    """36 rows (49152,) float32."""
    data = ROOT / "tests" / "data"
    halves = np.load(data / "smollm2_logits.npz")["logits"].astype(np.float32)
    return [*halves, *np.load(data / "peer_kept_sets.npz")["logits"]]


def fastest(call, calls: int) -> float:
    """Microseconds of the fastest of so many calls."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


def measure(row: np.ndarray, position: int, temperature: float, top_p: float) -> Measured:
    knobs = {"temperature": temperature, "top_p": top_p}
    chance = {"seed": SEED, "position": position}
    token = rheostat.sample(row, **knobs, **chance)
    kept = rheostat.kept(row, **knobs)
    agrees = token == rheostat.reference.sample(row, **knobs, **chance)
    agrees = agrees and np.array_equal(kept, rheostat.reference.kept(row, **knobs))
    mass = rheostat.softmax(row, temperature=temperature)[kept].sum(dtype=np.float64)
    return Measured(
        size=len(kept),
        mass=float(mass),
        token=token,
        agrees=agrees,
        rheostat=fastest(lambda: rheostat.sample(row, **knobs, **chance), 10),
        numpy=fastest(lambda: sample_textbook(row, temperature, top_p, 0.5), 3),
        np_max=fastest(lambda: np.max(row), 10),
    )


def print_header(rows: list[np.ndarray], style: Style) -> None:
    info = rheostat.build_info()
    parts = ["", f"SIMD {info['simd']}", f"NumPy {np.__version__}", "one thread", f"seed {SEED}"]
    print(style.bold(f"rheostat {info['version']}") + style.dim(f" {style.dot} ".join(parts)))
    print(
        f"{len(rows)} rows of logits recorded from SmolLM2-135M-Instruct, {VOCAB:,} tokens each; "
        "a line is all of them.\n"
    )
    times = f"{style.micro}s per row"
    print(
        style.dim(
            f"{'':13}{'tokens in the nucleus':<31} {'mass':>6}  {'tokens drawn':<15}"
            f"{'equal to':>10}{times:>16}"
        )
    )
    print(
        style.bold(
            f"{'temp':>4} {'top_p':>6} {'median':>7} {'on a log scale':<{BAR_WIDTH}} {'largest':>7} "
            f"{'kept':>6}  {'in rows 1, 2, 3':<15}{'reference':>10}{'rheostat':>9}{'NumPy':>6}{'max':>5}"
        )
    )


def print_line(temperature: float, top_p: float, measured: list[Measured], style: Style) -> None:
    size = median(m.size for m in measured)
    bar = style.block * max(1, round(BAR_WIDTH * np.log2(size + 1) / np.log2(VOCAB + 1)))
    tokens = " ".join(str(m.token) for m in measured[:3])
    agreeing = sum(m.agrees for m in measured)
    agreement = style.good(f"{f'{agreeing}/{len(measured)}':>10}", agreeing == len(measured))
    ours, numpy = (median(getattr(m, name) for m in measured) for name in ("rheostat", "numpy"))
    np_max = median(m.np_max for m in measured)
    print(
        f"{temperature:>4} {top_p:>6} {round(size):>7,} {style.paint(36, f'{bar:<{BAR_WIDTH}}')} "
        f"{max(m.size for m in measured):>7,} {median(m.mass for m in measured):>6.3f}  {tokens:<15}"
        f"{agreement}{style.bold(f'{ours:>9.1f}')}{numpy:>6.0f}{np_max:>5.1f}"
    )


def write_texts(model, style: Style) -> tuple[int, int]:
    """Writes on from the prompt at each setting: how many texts the reference writes too, of how many."""
    print(f"The model in the box writes on from {style.bold(PROMPT)}, seed {SEED}:\n")
    agreeing, times = 0, []
    prompt, ends = model.encode(PROMPT), {"max_tokens": MAX_TOKENS, "eos_token_id": model.eos_token_id}
    for knobs in TEXTS:
        params = rheostat.SamplingParams(seed=SEED, **ends, **knobs)
        generation = rheostat.generate(model, prompt, params, table=model.table)
        for _ in generation:
            style.progress(one_line(generation.text)[-WIDTH:])
        style.progress("")
        text = textwrap.fill(
            one_line(PROMPT + generation.text), WIDTH, initial_indent="  ", subsequent_indent="  "
        )
        setting = ", ".join(f"{name} {value}" for name, value in knobs.items())
        print(f"{style.dim(f'  {setting}')}\n{text}\n")
        again = rheostat.reference.generate(model, prompt, params, table=model.table).run()
        agreeing += (again.ids, again.text) == (generation.ids, generation.text)
        times.append(generation.timings)
    seconds = sum(t.model + t.sampling for t in times)
    speed = f"{sum(t.tokens for t in times) / seconds:,.0f} tokens a second"
    share = f"{sum(t.sampling for t in times) / seconds:.0%} of the time in rheostat"
    print(style.dim(f"{speed}, {share}. All knobs: {COMMAND} generate --help\n"))
    return agreeing, len(TEXTS)


def one_line(text: str) -> str:
    return " ".join(text.split())


def main() -> int:
    style = Style(sys.stdout)
    agreeing, texts = write_texts(lab.load(), style)
    if agreeing < texts:
        wrong = f"{texts - agreeing} of {texts} texts differ from the reference: this build is broken."
        print(style.good(wrong, False))
        return 1
    style.progress("loading the recorded rows")
    rows = recorded_rows()
    style.progress("")
    print_header(rows, style)
    everything: list[Measured] = []
    for temperature, top_p in SETTINGS:
        measured = []
        for position, row in enumerate(rows):
            style.progress(style.dim(f"{temperature:>4}{top_p:>7}  row {position + 1} of {len(rows)}"))
            measured.append(measure(row, position, temperature, top_p))
        style.progress("")
        print_line(temperature, top_p, measured, style)
        everything += measured
    different = sum(not m.agrees for m in everything)
    if different:
        message = f"{different} of {len(everything)} rows differ from the reference: this build is broken."
        print(f"\n{style.good(message, False)}")
        return 1
    speedup = median(m.numpy / m.rheostat for m in everything)
    reads = median(m.rheostat / m.np_max for m in everything)
    verdict = f"All {len(everything)} tokens and kept sets equal the reference, bit by bit."
    print(
        f"\n{style.good(verdict, True)}\n"
        f"In the median a token costs {reads:.1f} times np.max, which only reads the row;\n"
        f"the textbook in NumPy costs {speedup:.0f} times as much as rheostat.\n"
        f"One seed, one text of the same logits, on every machine. {style.dim('Next: README.md, make bench')}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
