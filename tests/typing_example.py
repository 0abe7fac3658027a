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


def likely(ids: NDArray[np.int64], logits: NDArray[np.float32], p: NDArray[np.float32]) -> NDArray[np.bool_]:
    return p > 0.01


assert_type(rheostat.sample(row, seed=1, chain=("top_k", likely), top_k=5, logit_bias={3: -1.5}), int)
assert_type(rheostat.kept(row, prompt_ids=[1, 2], bad_words=[[1, 3]], eos_token_id=7), NDArray[np.int64])
bitmask = np.full(1, -1, np.int32)
histories = [[1, 2], [3]]
assert_type(
    rheostat.sample(batch, u=[1, 2], output_ids=histories, bitmask=bitmask, penalty_last_n=[None, 64]),
    NDArray[np.int64],
)
pairs = {(1, 2): 0.5}
assert_type(rheostat.process(row, sequence_bias=pairs, out=row), NDArray[np.float32])
assert_type(
    rheostat.process(batch, banned_token_ids=[[1], None], logit_bias=[{1: 2}, None]), NDArray[np.float32]
)
best = rheostat.logprobs(row, [1, 2], top=3, top_p=0.9)
assert_type(best, rheostat.Logprobs)
assert_type(best.ranks, NDArray[np.int64])
assert_type(rheostat.explain(row, seed=1, top_p=0.9).token_id, int)

sampler = rheostat.Sampler(rheostat.SamplingParams(top_p=0.9, logprobs=2), 8, prompt_ids=[1])
assert_type(sampler.sample(row, bitmask=bitmask), rheostat.Token)
assert_type(sampler.sample(row).logprob, float | None)
many = rheostat.BatchSampler(8)
handles = [many.add(sampler.params, stream=i) for i in range(2)]
tokens = many.step(batch, handles, bitmask=[bitmask, None], on_bad_row="mark", kept=True)
assert_type(tokens[0], rheostat.Token)
assert_type(tokens.ids, NDArray[np.int64])
assert_type([token.id for token in tokens], list[int])
params = rheostat.SamplingParams(
    chain=("top_k", likely, "mirostat"),
    top_k=40,
    mirostat=2,
    stop=["\n"],
    eos_token_id=7,
    logit_bias={3: -1.5},
    bad_words=[[1, 2]],
    report=("rank",),
)
assert_type(params.replace(chain="vllm", seed=3), rheostat.SamplingParams)
assert_type(params.top_p, float)
assert_type(params.max_tokens, int | None)
drawn: int = rheostat.sample(row, seed=params.seed, **params.knobs())
assert_type(rheostat.SamplingParams.from_openai({"top_p": 0.9}).params, rheostat.SamplingParams)
assert_type(rheostat.explain(row, params).token_id, int)

anything: NDArray[np.float32] = rheostat.reference.softmax(row)
token: int = rheostat.sample(anything)  # its shape is not known: Any

matcher = StopSet(["\nUser:"]).matcher()
text: str = matcher.feed("Hello")
if matcher.hit is not None:
    assert_type(matcher.hit.index, int)

params = rheostat.SamplingParams(max_tokens=4, stop=["\n"])
generation = rheostat.generate(lambda ids: row, [1, 2], params, table=rheostat.TokenTable.from_bytes([b"a"]))
for step in generation:
    assert_type(step, rheostat.Step)
assert_type(generation.run().text, str)
assert_type(generation.timings.tokens_per_second, float)


class Cached:
    def start(self, ids: list[int]) -> Row:
        return logits_of(ids[-1])

    def next(self, id: int) -> Row:
        return logits_of(id)


async def stream() -> list[str]:
    return [step.text async for step in rheostat.agenerate(Cached(), [1], params)]


def rows_of(texts: list[list[int]]) -> NDArray[np.float32]:
    return np.stack([logits_of(ids[-1]) for ids in texts])


together = rheostat.generate_batch(rows_of, [[1], [2]], [params, params], vocab_size=8)
for steps in together:
    assert_type(steps, dict[int, rheostat.Step])
assert_type(together.texts, tuple[str, ...])


async def rows_later(texts: list[list[int]]) -> NDArray[np.float32]:
    return rows_of(texts)


async def many_texts() -> tuple[str, ...]:
    done = rheostat.agenerate_batch(rows_later, [[1], [2]], params, vocab_size=8, record=["a.jsonl", None])
    return (await done.run()).texts


difference = rheostat.recording.diff("a.jsonl", "b.jsonl")
if difference is not None:
    assert_type(difference.cause, str | None)
