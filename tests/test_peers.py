"""What transformers and llama.cpp kept of real rows, recorded from them, is what the law keeps.

Six of their sets differ: a float32 sum stopped early. For each the test proves, in rational arithmetic, that
the peer's set falls short of p and that ours is the shortest that does not.
"""

import functools
import json
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parent / "data"
SETS = np.load(DATA / "peer_kept_sets.npz")
PROCESSORS = np.load(DATA / "peer_processors.npz")
LOGITS = SETS["logits"]
SET_CASES = json.loads(bytes(SETS["meta"]))["cases"]
PROCESSOR_CASES = json.loads(bytes(PROCESSORS["meta"]))["cases"]

# (peer, row, knob, p): how many tokens the peer kept, how many are right.
SHORT_SETS = {
    ("llama.cpp", 0, "top_p", 0.9): (895, 897),
    ("llama.cpp", 7, "top_p", 0.9): (184, 185),
    ("transformers", 0, "typical_p", 0.9): (896, 897),
}
SHORT_PROCESSOR_SETS = {
    ("llama.cpp", 0, "typical_p", 0.2): (36, 37),
    ("llama.cpp", 0, "typical_p", 0.9): (895, 897),
    ("llama.cpp", 7, "typical_p", 0.9): (184, 185),
}


def of_chain(case):
    """The chain and the knobs of a case of peer_kept_sets.npz, in our words."""
    if "knobs" in case:
        return "hf", case["knobs"]
    names = {"temp": "temperature"}
    steps = [(names.get(name, name), value) for name, value in case["chain"]]
    return tuple(name for name, _ in steps), dict(steps)


def of_processor(case):
    """The knobs and the history of a case of peer_processors.npz, in our words."""
    knobs = dict(case["params"])
    history = PROCESSORS[case["history"]].tolist()
    if "bad_words_ids" in knobs:
        knobs["bad_words"] = knobs.pop("bad_words_ids")
    if "sequence_bias" in knobs:
        knobs["sequence_bias"] = {tuple(sequence): bias for sequence, bias in knobs["sequence_bias"]}
    for name in ("penalty_last_n", "dry_penalty_last_n"):
        if knobs.get(name) == -1:  # llama.cpp's word for the whole history
            knobs[name] = len(history)
    return knobs, history


@functools.cache
def exact_terms(row):
    """Of each token: lower and upper rational bounds of exp(x - m), and its deviation |ln p + H|."""
    x = LOGITS[row]
    with localcontext() as context:
        context.prec = 50
        distance = [Decimal(float(v)) - Decimal(float(x.max())) for v in x]
        weight = [d.exp() for d in distance]
        z = sum(weight)
        log_p = [d - z.ln() for d in distance]
        entropy = -sum(w / z * lp for w, lp in zip(weight, log_p, strict=True))
        deviation = [abs(lp + entropy) for lp in log_p]
    error = Fraction(1, 10**40)  # far above the rounding of 50 digits and 50,000 terms
    return [(Fraction(w) * (1 - error), Fraction(w) * (1 + error)) for w in weight], deviation


def assert_ours_is_right(row, knob, p, peers, ours):
    """The peer's set weighs less than p of the whole; ours does not, but without its last token it would."""
    x = LOGITS[row]
    bounds, deviation = exact_terms(row)
    key = (lambda i: -x[i]) if knob == "top_p" else (lambda i: deviation[i])
    order = sorted(range(x.size), key=lambda i: (key(i), i))
    assert order[: ours.size] == sorted(ours.tolist(), key=lambda i: (key(i), i))
    assert set(peers.tolist()) == set(order[: peers.size])
    low = [sum(bounds[i][0] for i in order[:n]) for n in (ours.size, x.size)]
    high = [sum(bounds[i][1] for i in order[:n]) for n in (peers.size, ours.size - 1, x.size)]
    for target in (
        Fraction(p),
        Fraction(float(np.float32(p))),
    ):  # the double, and what a float32 peer makes of it
        assert high[0] < target * low[1]
        assert high[1] < target * low[1]
        assert low[0] >= target * high[2]


def test_the_records_hold_537_kept_sets_and_276_processor_results():
    assert (len(SET_CASES), len(PROCESSOR_CASES)) == (537, 276)


def test_kept_sets_equal_those_of_the_peers_but_for_three_float32_sums(api):
    different = {}
    for case in SET_CASES:
        chain, knobs = of_chain(case)
        ours = api.kept(LOGITS[case["row"]], chain=chain, **knobs)
        peers = SETS[case["kept"]]
        if not np.array_equal(ours, peers):
            knob = next(name for name in ("top_p", "typical_p") if name in knobs)
            different[case["peer"], case["row"], knob, knobs[knob]] = (peers.size, ours.size)
    assert different == SHORT_SETS


def test_processors_equal_those_of_the_peers_to_the_bit_but_for_three_float32_sums(api):
    different = {}
    for case in PROCESSOR_CASES:
        x = LOGITS[case["row"]]
        knobs, history = of_processor(case)
        ids = PROCESSORS[case["ids"]]
        if case["kind"] == "logits":
            result = api.process(x, prompt_ids=history, chain=(), **knobs)
            np.testing.assert_array_equal(np.flatnonzero(result != x), ids)
            np.testing.assert_array_equal(
                result[ids].view(np.uint32), PROCESSORS[case["logits"]].view(np.uint32)
            )
            continue
        kept = api.kept(x, **knobs)
        if case["kind"] == "removed":
            kept = np.setdiff1d(np.arange(x.size), kept)
        if not np.array_equal(kept, ids):
            ((knob, p),) = knobs.items()
            different[case["peer"], case["row"], knob, p] = (ids.size, kept.size)
    assert different == SHORT_PROCESSOR_SETS


@pytest.mark.parametrize(
    ("peer", "row", "knob", "p", "cases"),
    [(*key, "sets") for key in SHORT_SETS] + [(*key, "processors") for key in SHORT_PROCESSOR_SETS],
)
def test_where_they_differ_ours_is_proved_right(api, peer, row, knob, p, cases):
    ours = api.kept(LOGITS[row], **{knob: p}, chain=(knob,))
    peers = [
        SETS[case["kept"]] if cases == "sets" else PROCESSORS[case["ids"]]
        for case in (SET_CASES if cases == "sets" else PROCESSOR_CASES)
        if case["peer"] == peer and case["row"] == row and is_case(case, knob, p, cases)
    ]
    assert len(peers) == 1
    assert_ours_is_right(row, knob, p, peers[0], ours)


def is_case(case, knob, p, cases):
    if cases == "processors":
        return case["params"] == {knob: p}
    if "chain" in case:  # top_p first, so it sees temperature 1
        return case["chain"][0] == [knob, p]
    return case["knobs"] == {"temperature": 1.0, knob: p}
