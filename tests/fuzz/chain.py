"""All knobs over one to three rows: masks, biases, penalties, filters in any order, chance."""

import numpy as np

FILTERS = ["temperature", "top_k", "top_p", "min_p", "typical_p"]
FILTERS += ["epsilon_cutoff", "eta_cutoff", "top_h", "top_n_sigma", "xtc"]
FEW = 6
# Of a row; seldom too few for the ids.
SIZES = [1, 2, 6, 9, 9, 17, 17, 40, 40, 40]


def number(rng, low, high, *special):
    """Mostly within the bounds; at times one of the special values, or one that breaks the rule."""
    if special and rng.random() < 0.25:
        return special[rng.integers(len(special))]
    if rng.random() < 0.01:
        return [-1, 2.5, float("nan"), float("inf"), -0.0, True, "0.5", None][rng.integers(8)]
    return float(rng.uniform(low, high))


def ids(rng, most=4, least=0):
    return rng.integers(0, FEW, rng.integers(least, max(most, least + 1))).tolist()


def count(rng, most):
    return int(rng.integers(0, most)) if rng.random() > 0.01 else [-1, 2**70, 1.5][rng.integers(3)]


def bias(rng):
    return number(rng, -5, 5, -np.inf, 3e38, 0)


KNOBS = {
    "temperature": lambda r: number(r, 0.1, 3, 0, 1, 1e-30, 1e30, 100),
    "top_k": lambda r: count(r, 20),
    "top_p": lambda r: number(r, 0.001, 1, 1, 1e-9, 0.999999),
    "min_p": lambda r: number(r, 0, 1, 0, 1, 1e-20),
    "typical_p": lambda r: number(r, 0.001, 1, 1),
    "epsilon_cutoff": lambda r: number(r, 0, 0.5, 5e-324),
    "eta_cutoff": lambda r: number(r, 0, 0.5, 5e-324),
    "top_h": lambda r: number(r, 0, 1, 1),
    "top_n_sigma": lambda r: number(r, 0, 4, 1e-9),
    "xtc_threshold": lambda r: number(r, 0, 1, 0.5),
    "xtc_probability": lambda r: number(r, 0, 1, 0, 1),
    "vocab_size": lambda r: int(r.integers(1 if r.random() < 0.1 else FEW, 10)),
    "allowed_token_ids": lambda r: ids(r, 6, 1),
    "banned_token_ids": lambda r: ids(r),
    "bad_words": lambda r: [ids(r, 4, 1) for _ in range(r.integers(0, 3))],
    "no_repeat_ngram_size": lambda r: count(r, 4),
    "min_tokens": lambda r: count(r, 8),
    "eos_token_id": lambda r: ids(r, 3, 1),
    "stop_token_ids": lambda r: ids(r, 3),
    "logit_bias": lambda r: {int(id): bias(r) for id in ids(r)},
    "sequence_bias": lambda r: {tuple(ids(r, 4, 1)): bias(r) for _ in range(r.integers(0, 3))},
    "repetition_penalty": lambda r: number(r, 0.5, 2, 1, 1e-40),
    "frequency_penalty": lambda r: number(r, -2, 2, 0, 3e38),
    "presence_penalty": lambda r: number(r, -2, 2, 0),
    "penalty_last_n": lambda r: count(r, 12),
    "dry_multiplier": lambda r: number(r, 0, 3, 0),
    "dry_base": lambda r: number(r, 1, 3),
    "dry_allowed_length": lambda r: count(r, 4),
    "dry_penalty_last_n": lambda r: count(r, 20),
    "dry_sequence_breakers": lambda r: ids(r, 3),
}


def row(rng, n):
    kind = rng.integers(5)
    x = rng.normal(size=n) * [0.3, 3, 20][rng.integers(3)]
    if kind == 0:
        x = np.round(x)
    if kind == 1:
        x[rng.random(n) < 0.5] = -np.inf
    if kind == 2:
        x[:] = x[0]
    if rng.random() < 0.02:
        x[rng.integers(n)] = [np.nan, np.inf, -np.inf, 3e38][rng.integers(4)]
    return x.astype(np.float32).tolist()


def case(rng):
    """Lines that make one call."""
    rows, n = [0, 0, 1, 3][rng.integers(4)], SIZES[rng.integers(len(SIZES))]
    x = [row(rng, n) for _ in range(rows)] if rows else row(rng, n)
    names = rng.permutation(list(KNOBS))[: rng.integers(0, 9)]
    knobs = {name.item(): KNOBS[name](rng) for name in names}
    if rng.random() < 0.1 and rows and knobs:  # one value per row
        name = next(iter(knobs))
        knobs[name] = [KNOBS[name](rng) for _ in range(rows if rng.random() < 0.9 else 2)]
    if rng.random() < 0.5:
        history = [ids(rng, 12) for _ in range(max(rows, 1))]
        knobs["output_ids"] = history if rows else history[0]
        knobs["prompt_ids"] = ids(rng, 8) if not rows else [ids(rng, 8) for _ in range(rows)]
    chain = rng.integers(6)
    if chain < 3:
        knobs["chain"] = ["vllm", "hf", "llama.cpp"][chain]
    elif chain == 3:
        knobs["chain"] = tuple(name.item() for name in rng.permutation(FILTERS))
    seed, streams = int(rng.integers(0, 2**63)), list(range(rows)) if rows else int(rng.integers(0, 5))
    chance = f"seed={seed}, stream={streams}"
    apart = [5 * stream for stream in streams] if rows else 1
    call = [
        f"api.sample(x, {chance}, **knobs)",
        f"api.kept(x, {chance}, **knobs)",
        f"api.process(x, {chance}, **knobs)",
        f"api.logprobs(x, {[0] * rows if rows else 0}, top={rng.integers(0, 4)}, {chance}, **knobs)",
        f"api.choose(x, {[1, 1, 2, 3][rng.integers(4)]}, seed={seed}, stream={apart}, **knobs)",
    ][rng.integers(5)]
    return f"x = np.array({x!r}, np.float32)\nknobs = {knobs!r}\nresult = {call}"
