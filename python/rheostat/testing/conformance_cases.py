"""The fixed list of cases: rows as recipes, and calls on them with their arguments, all of it plain JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rheostat.testing.rows import words

Case = dict[str, Any]

# Kinds of rows by name. Lengths lie around the widths of vectors, cells and blocks; two are as long as
# vocabularies.
ROWS: dict[str, dict[str, Any]] = {
    "one": {"kind": "equal", "n": 1, "seed": 1, "exponent": 0},
    "two": {"kind": "bell", "n": 2, "seed": 2, "exponent": -15},
    "bell 15": {"kind": "bell", "n": 15, "seed": 3, "exponent": -14},
    "bell 16": {"kind": "bell", "n": 16, "seed": 4, "exponent": -14},
    "bell 17": {"kind": "bell", "n": 17, "seed": 5, "exponent": -14},
    "bell 257": {"kind": "bell", "n": 257, "seed": 6, "exponent": -14},
    "peaked 1000": {"kind": "bell", "n": 1000, "seed": 7, "exponent": -15, "raised": [[700, 300_000]]},
    "flat 4095": {"kind": "bell", "n": 4095, "seed": 8, "exponent": -16},
    "wide 4096": {"kind": "uniform", "n": 4096, "seed": 9, "exponent": -18},
    "eight values 513": {"kind": "steps", "n": 513, "seed": 10, "exponent": 0},
    "equal 1000": {"kind": "equal", "n": 1000, "seed": 11, "exponent": 1},
    "zeros 100": {"kind": "zeros", "n": 100, "seed": 12},
    "masked 600": {"kind": "bell", "n": 600, "seed": 13, "exponent": -14, "forbidden": 12},
    "all but one masked": {"kind": "bell", "n": 64, "seed": 14, "exponent": -14, "forbidden": 16},
    "shifted up": {"kind": "bell", "n": 300, "seed": 15, "exponent": -13, "offset": 8_192_000},
    "shifted down": {"kind": "bell", "n": 300, "seed": 16, "exponent": -13, "offset": -8_192_000},
    "subnormal": {"kind": "uniform", "n": 300, "seed": 17, "exponent": -149},
    "huge": {"kind": "uniform", "n": 300, "seed": 18, "exponent": 103},
    "recorded 0": {"kind": "recorded", "n": 4096, "seed": 0},
    "recorded 2": {"kind": "recorded", "n": 4096, "seed": 2},
    "recorded 5": {"kind": "recorded", "n": 4096, "seed": 5},
    "peaked 49152": {"kind": "bell", "n": 49_152, "seed": 19, "exponent": -14, "raised": [[77, 160_000]]},
    "flat 128256": {"kind": "bell", "n": 128_256, "seed": 20, "exponent": -16},
}
LONG = ("peaked 49152", "flat 128256")

FILTERS: tuple[dict[str, Any], ...] = (
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1.5, "top_p": 0.95, "top_k": 40},
    {"top_p": 0.5, "chain": "llama.cpp", "temperature": 0.6},
    {"temperature": 0},
    {"top_k": 7, "min_p": 0.05},
    {"min_p": 0.1, "temperature": 2.0},
    {"typical_p": 0.6},
    {"typical_p": 0.95, "top_p": 0.9, "chain": "hf"},
    {"epsilon_cutoff": 0.003},
    {"eta_cutoff": 0.01},
    {"top_h": 0.4},
    {"top_n_sigma": 1.25},
    {"xtc_probability": 1.0, "xtc_threshold": 0.02, "seed": 5},
    {"top_k": 50, "typical_p": 0.9, "eta_cutoff": 1e-4, "top_n_sigma": 3.0, "temperature": 1.2},
    {"top_p": 0.999999},
    {"temperature": 1e-30, "top_p": 0.9},
    {"temperature": 1e30, "top_p": 0.1},
)
HISTORY = {"prompt_ids": [0, 1, 0, 1, 0], "output_ids": [0, 1, 0, 1]}
SHAPES: tuple[dict[str, Any], ...] = (
    {"repetition_penalty": 1.3, "logit_bias": {"0": -1.5, "1": "-inf"}, "top_p": 0.9},
    {"frequency_penalty": 0.3, "presence_penalty": -0.5, "penalty_last_n": 4},
    {"dry_multiplier": 0.8, "dry_allowed_length": 1, "sequence_bias": [[[1, 0], 2.5], [[0], -0.25]]},
    {"no_repeat_ngram_size": 3, "bad_words": [[1, 0]], "temperature": 0.5, "top_k": 9},
    {"allowed_token_ids": [0, 1, 5, 9, 11], "banned_token_ids": [5], "min_p": 0.01},
    {"bitmask": [0x55555555], "vocab_size": 13, "min_tokens": 9, "eos_token_id": 2, "stop_token_ids": [4]},
)
REPORT = ("raw_logprob", "rank", "kept_count", "kept_mass", "entropy")
SEQUENCES: tuple[dict[str, Any], ...] = (
    {"temperature": 0.8, "top_p": 0.95, "frequency_penalty": 0.4, "logprobs": 3, "report": REPORT, "seed": 7},
    {
        "mirostat": 2,
        "mirostat_tau": 3.0,
        "mirostat_eta": 0.2,
        "temperature": 1.3,
        "report": ["entropy"],
        "seed": 8,
    },
    {"repetition_penalty": 1.2, "dry_multiplier": 0.5, "top_k": 30, "logprobs": 0, "seed": 9},
    {"temperature": 0, "no_repeat_ngram_size": 2, "logprobs": 2, "report": ["rank"], "seed": 10},
    {
        "xtc_probability": 0.5,
        "xtc_threshold": 0.01,
        "min_p": 0.001,
        "report": ["kept_count"],
        "seed": 2**64 - 1,
    },
)
STOPS: tuple[dict[str, Any], ...] = (
    {"stops": [], "pieces": ["a", "b"]},
    {"stops": ["STOP"], "pieces": ["Hello S", "un, S", "TOP!"]},
    {"stops": ["User:", "\nUser:"], "pieces": ["ok\n", "User", ":"]},
    {"stops": ["User:", "\nUser:"], "pieces": ["ok\n", "User", ":"], "tie": "longest"},
    {"stops": ["ab", "abcd"], "pieces": ["xabcd"], "include": True},
    {"stops": ["abcd", "bc"], "pieces": ["a", "b", "x", "abc", "d"]},
    {"stops": ["\u00e9t"], "pieces": [{"hex": "63c3"}, {"hex": "a97a"}, {"hex": "c3a9"}, "t"]},
    {"stops": ["\ufffd"], "pieces": [{"hex": "ff61"}, {"hex": "efbf"}, {"hex": "bd"}]},
    {"stops": ["x"], "pieces": ["\U0001f600", {"hex": "f09f98"}]},
    {
        "stops": [{"hex": "ff00"}],
        "pieces": [{"hex": "61ff"}, {"hex": "ff"}, {"hex": "0062"}],
        "kind": "bytes",
    },
    {"stops": [[5, 6], [2]], "pieces": [[1, 5], [7, 5], [6, 9]], "kind": "tokens"},
    {
        "stops": [[2**32 - 1, 0]],
        "pieces": [[2**32 - 1], [2**32 - 1, 0, 4]],
        "kind": "tokens",
        "include": True,
    },
    {"stops": ["aa"], "pieces": ["a", "a", "a"], "armed_from": 2},
    {"stops": ["aba", "ab", "b"], "pieces": ["a", "cab", "a"], "armed_from": 1},
)


def cases() -> list[Case]:
    """All cases, in the order of the file."""
    return [*softmaxes(), *sets(), *shaped(), *tokens(), *scores(), *drafts(), *sequences(), *streams()]


def softmaxes() -> Iterator[Case]:
    """Softmax and its logarithm at several temperatures."""
    for row in ROWS:
        for temperature in (1.0, 0.3) if row in LONG else (1.0, 0.3, 1.5, 100.0, 0, 1e-30):
            yield {"call": "softmax", "row": row, "temperature": temperature}
        for temperature in (0.7,) if row in LONG else (0.7, 4.0, 0):
            yield {"call": "log_softmax", "row": row, "temperature": temperature}


def sets() -> Iterator[Case]:
    """What filters keep, together and one by one."""
    for at, row in enumerate(ROWS):
        for number, knobs in enumerate(FILTERS):
            if (at + number) % 2 == 0 or number < 2:
                yield {"call": "kept", "row": row, "knobs": knobs}
        yield {"call": "top_p", "row": row, "value": 0.75, "temperature": 1.25}
        yield {"call": "top_k", "row": row, "value": 5, "temperature": 1.0}
        yield {"call": "min_p", "row": row, "value": 0.2, "temperature": 0.5}


def shaped() -> Iterator[Case]:
    """Logits after masks, biases and penalties, over a history."""
    for at, row in enumerate(["bell 15", "bell 16", "bell 17", "bell 257", "eight values 513", "recorded 2"]):
        for number, knobs in enumerate(SHAPES):
            if (at + number) % 2 == 0:
                yield {"call": "process", "row": row, "knobs": HISTORY | knobs}


def tokens() -> Iterator[Case]:
    """Tokens by position, and several without replacement."""
    for at, row in enumerate(ROWS):
        for number in (at % 6, 6 + at % 6, 12 + at % 5):
            knobs = FILTERS[number] | {"seed": 11, "stream": at}
            yield {"call": "sample", "row": row, "positions": 16, "knobs": knobs}
    for row in ("bell 15", "bell 257", "masked 600", "recorded 0"):
        yield {"call": "choose", "row": row, "count": 5, "knobs": {"seed": 3, "temperature": 1.5}}


def scores() -> Iterator[Case]:
    """Log-probabilities and ranks."""
    for at, (row, recipe) in enumerate(ROWS.items()):
        ids = [0, recipe["n"] - 1, recipe["n"] // 2]
        yield {"call": "logprobs", "row": row, "token_ids": ids, "top": 5, "knobs": FILTERS[at % 7]}


def drafts() -> Iterator[Case]:
    """What stays of a draft."""
    params = {"top_p": 0.95, "temperature": 1.5, "frequency_penalty": 0.3}
    for row in ("bell 15", "bell 257", "eight values 513", "recorded 0"):
        for method in ("match", "lossless"):
            for seed in range(4):
                yield {
                    "call": "verify",
                    "row": row,
                    "drafted": 3,
                    "method": method,
                    "seed": seed,
                    "params": params,
                }


def sequences() -> Iterator[Case]:
    """Samplers, alone and in a batch, with all that they tell."""
    for row in ("bell 257", "eight values 513", "recorded 0", "recorded 5", "masked 600"):
        for params in SEQUENCES:
            yield {"call": "sampler", "row": row, "steps": 12, "prompt_ids": [0, 3, 0], "params": params}
    for params in SEQUENCES[:2]:
        yield {"call": "batch", "row": "bell 257", "sequences": 5, "steps": 6, "params": params}


def streams() -> Iterator[Case]:
    """Stops: written by hand, and drawn."""
    for case in STOPS:
        yield {"call": "stops", "kind": "text", "tie": "first", "include": False, "armed_from": 0} | case
    for seed in range(24):
        yield {"call": "stops"} | random_stream(seed)


def random_stream(seed: int) -> Case:
    """Stops and a stream of two letters, where they overlap all the time."""
    kind = ("text", "bytes", "tokens")[seed % 3]
    bits = iter("".join(f"{int(word):064b}" for word in words(100 + seed, 4)))

    def piece(length: int) -> Any:
        letters = ["ab"[int(next(bits))] for _ in range(length)]
        if kind == "tokens":
            return [ord(letter) for letter in letters]
        return "".join(letters) if kind == "text" else {"hex": "".join(letters).encode().hex()}

    return {
        "kind": kind,
        "stops": [piece(1 + (seed + number) % 5) for number in range(1 + seed % 3, 4)],
        "pieces": [piece(number % 4) for number in range(1, 9)],
        "tie": ("first", "longest")[seed // 3 % 2],
        "include": seed % 4 == 3,
        "armed_from": seed % 5 // 2,
    }
