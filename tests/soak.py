"""A session of many calls that leaves nothing behind: `python tests/soak.py 1000000`.

Every kind of call in turn, failing ones among them, over the same few objects. Afterwards the process has as
much memory, Python as many blocks, and each of the objects as many references as before.
"""

import copy
import os
import pickle
import sys
import time

import numpy as np
import rheostat
from rheostat import BatchSampler, Sampler, SamplingParams, Sequence, StopSet, TokenTable

ROW = np.random.default_rng(0).normal(size=50).astype(np.float32)
ROWS = np.stack([ROW, ROW[::-1]])
WIDE = ROW.astype(np.float64)
OUT = np.empty_like(ROWS)
MASK = np.array([-1, 0xFF], np.int32)
LIST = ROW[:9].tolist()
IDS = [1, 2, 3]
BIAS = {1: 0.5, 2: -np.inf}
PARAMS = SamplingParams(seed=1, top_p=0.9, repetition_penalty=1.2, logit_bias=BIAS, logprobs=2, stop=["ab"])
UNSTOPPED = PARAMS.replace(stop=[])
TABLE = TokenTable.from_bytes([bytes([97 + i % 26]) for i in range(50)])
STOPS = StopSet(["END", "ab"])
PIECE = "x" * 40
BAD = np.array([0.0, np.nan], np.float32)


class Exporter:
    def __dlpack_device__(self):
        return ROW.__dlpack_device__()

    def __dlpack__(self, **keywords):
        return ROW.__dlpack__(**keywords)


EXPORTER = Exporter()


def half(ids, logits, probabilities):
    return probabilities > 0.01


def raises(ids, logits, probabilities):
    raise LookupError("on purpose")


def failing(call):
    """The same call, whose error is expected."""

    def fails():
        try:
            call()
        except (ValueError, TypeError, LookupError):
            return
        raise AssertionError("an error was expected")

    return fails


def sequence():
    one = Sequence(PARAMS, TABLE, prompt_ids=IDS)
    one.push(IDS)
    one.step(ROW)
    return copy.copy(one), one.snapshot()


def batch():
    many = BatchSampler(50)
    handles = [many.add(UNSTOPPED, stream=i) for i in range(2)]
    many.step(ROWS, handles, kept=True)
    many.remove(handles[0])
    return pickle.loads(pickle.dumps(many))


def matcher():
    one = STOPS.matcher()
    one.feed("xE")
    one.feed(PIECE)
    return one.clone(), one.__getstate__(), STOPS.batch(2).feed(["a", PIECE]), STOPS.find("xENDx")


SAMPLER = Sampler(UNSTOPPED.replace(repetition_penalty=1), 50)


def step():
    start = SAMPLER.snapshot()
    SAMPLER.sample(ROW, bitmask=MASK)
    SAMPLER.restore(start)


CALLS = [
    lambda: rheostat.softmax(ROW, temperature=0.7),
    lambda: rheostat.softmax(ROWS, out=OUT),
    lambda: rheostat.top_p(WIDE, 0.9),
    lambda: rheostat.softmax(LIST),
    lambda: rheostat.kept(ROWS, top_k=5, typical_p=0.9),
    lambda: rheostat.sample(ROW, seed=1, top_p=0.9, output_ids=IDS, frequency_penalty=0.1, logit_bias=BIAS),
    lambda: rheostat.sample(ROWS, seed=1, stream=IDS[:2], bitmask=MASK),
    lambda: rheostat.sample(EXPORTER, u=5),
    lambda: rheostat.process(ROW, prompt_ids=IDS, dry_multiplier=1.0, top_k=7),
    lambda: rheostat.logprobs(ROW, IDS, top=3),
    lambda: rheostat.choose(ROW, 3, seed=1),
    lambda: rheostat.kept(ROW, chain=("top_k", half), top_k=9),
    lambda: rheostat.verify(IDS[:1], None, ROWS, UNSTOPPED, seed=1, position=0),
    lambda: Sampler(UNSTOPPED, 50, prompt_ids=IDS).sample(ROW),
    step,
    batch,
    sequence,
    matcher,
    lambda: StopSet(["a", "bc"]).matcher().feed_many(["b", PIECE]),
    lambda: pickle.loads(pickle.dumps(SAMPLER)),
    failing(lambda: rheostat.sample(BAD, seed=1)),
    failing(lambda: rheostat.softmax(ROWS, temperature=-1, out=OUT)),
    failing(lambda: rheostat.kept(ROW, chain=(raises,))),
    failing(lambda: rheostat.sample(ROW, logit_bias={99: 1.0})),
    failing(lambda: rheostat.softmax(EXPORTER, out="x")),
    failing(lambda: StopSet([""])),
    failing(lambda: SAMPLER.restore(b"junk")),
]
HELD = {
    name: value
    for name, value in list(globals().items())
    if (name.isupper() and name not in ("CALLS", "HELD")) or name in ("half", "raises")
}


def resident():
    """Resident memory in KiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def references():
    return {name: sys.getrefcount(value) for name, value in HELD.items()}


def session(calls):
    """Makes so many calls."""
    for i in range(calls):
        CALLS[i % len(CALLS)]()


def measured(calls, warm):
    """What so many calls leave, after some to warm up: KiB, blocks of Python's, references by name."""
    session(warm)
    before, blocks, held = resident(), sys.getallocatedblocks(), references()
    session(calls)
    more = {name: count - held[name] for name, count in references().items() if count != held[name]}
    return resident() - before, sys.getallocatedblocks() - blocks, more


def main():
    calls, begun = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, time.monotonic()
    # Python's own caches and free lists fill up for some 50,000 calls, and then no more.
    grown, blocks, more = measured(calls, warm=50_000)
    left = f"{grown:+} KiB, {blocks:+} blocks, {more or 'no'} references"
    print(f"{calls} calls in {time.monotonic() - begun:.0f} s: {left}")
    return 0 if grown < 1024 and abs(blocks) < 200 and not more else 1


if __name__ == "__main__":
    sys.exit(main())
