"""Random calls without end, the fast code against the reference: `python tests/fuzz chain --seconds 60`.

A case is a few lines of Python made from (target, seed, number) alone, run with `api` as one implementation
and as the other: same result to the bit, or the same error; the same arrays afterwards. What differs is
printed as these lines.
"""

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import rheostat
import rheostat.reference

sys.path.insert(0, str(Path(__file__).parent.parent))

import arrays
import chain
import stops
from support import outcome

TARGETS = {"arrays": arrays, "chain": chain, "stops": stops}
NAMES = {"np": np, "inf": np.inf, "nan": np.nan}


def bits(value):
    """A result so that equal means equal to the last bit."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tolist()
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return value.hex() if isinstance(value, float) else value


def run(lines, target, api):
    """What the compiled lines give with one implementation, and what is in the arrays afterwards."""
    names = NAMES | getattr(target, "NAMES", {}) | {"api": api, "x": None, "out": None, "result": None}

    def call():
        exec(lines, names)
        return bits(names["result"])

    found = outcome(call)
    left = [names[name] for name in ("x", "out") if isinstance(names[name], np.ndarray)]
    # Objects are addresses, and a long double has bytes that are none of its number.
    return found, [repr(a.tolist()) if a.dtype.char in "OgG" else a.tobytes() for a in left]


def main():
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=None, help="stop after so long; 60 without --cases")
    parser.add_argument("--cases", type=int, default=None, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    given = parser.parse_args()
    target = TARGETS[given.target]
    seconds = given.seconds if given.seconds is not None else (60 if given.cases is None else np.inf)
    warnings.simplefilter("ignore")  # NumPy's, of values that overflow
    begun, errors, done = time.monotonic(), 0, 0
    for number in itertools.count(given.first):
        if done == given.cases or time.monotonic() - begun >= seconds:
            break
        source = target.case(np.random.default_rng([given.seed, number]))
        lines = compile(source, "<case>", "exec")
        fast, slow = (run(lines, target, api) for api in (rheostat, rheostat.reference))
        if fast != slow:
            print(f"{given.target}: case {number} of seed {given.seed} differs\n\n{source}\n")
            print(f"fast:      {fast[0]}\nreference: {slow[0]}")
            if fast[0] == slow[0]:
                print("with other values in x or out afterwards")
            print(f"\nagain: python tests/fuzz {given.target} --seed {given.seed} --first {number} --cases 1")
            return 1
        done += 1
        errors += fast[0][0] != "value"
        if done % 10_000 == 0:
            print(f"{given.target}: {done} cases, {time.monotonic() - begun:.0f} s", flush=True)
    taken = time.monotonic() - begun
    print(
        f"{given.target}: {done} cases in {taken:.0f} s, seed {given.seed}: all as the reference"
        f" ({errors} of them errors)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
