"""A program that uses rheostat, for `mypy --strict` to read; nothing runs it."""

from array import array
from typing import assert_type

import numpy as np
import rheostat
from numpy.typing import NDArray
from rheostat import StopSet

row = np.zeros(8, np.float32)
batch = np.zeros((2, 8), np.float16)
Row = np.ndarray[tuple[int], np.dtype[np.float32]]


def logits_of(token: int) -> Row:
    return np.roll(row, token)


def generate(first: int, seed: int) -> list[int]:
    tokens = [first]
    for position in range(4):
        tokens.append(rheostat.sample(logits_of(tokens[-1]), top_p=0.9, seed=seed, position=position))
    return tokens


assert_type(rheostat.sample(row, temperature=0.7, top_k=40, u=1), int)
assert_type(rheostat.sample([0.0, 1.0], min_p=np.float32(0.1)), int)
assert_type(rheostat.sample(batch, seed=1, stream=[0, 1], top_p=np.array([0.5, 0.9])), NDArray[np.int64])
assert_type(rheostat.sample([[0.0, 1.0], [1.0, 0.0]], chain=("top_p", "temperature")), NDArray[np.int64])
assert_type(rheostat.kept(row, top_k=3), NDArray[np.int64])
assert_type(rheostat.kept(batch, top_k=[1, 2]), list[NDArray[np.int64]])
assert_type(rheostat.choose(row, 2, seed=np.uint64(3)), NDArray[np.int64])
assert_type(rheostat.softmax(memoryview(array("f", [0, 1])), temperature=[1, 2]), NDArray[np.float32])
assert_type(rheostat.top_p(row, 0.9, out=row), NDArray[np.float32])

anything: NDArray[np.float32] = rheostat.reference.softmax(row)
token: int = rheostat.sample(anything)  # its shape is not known: Any

matcher = StopSet(["\nUser:"]).matcher()
text: str = matcher.feed("Hello")
if matcher.hit is not None:
    assert_type(matcher.hit.index, int)
