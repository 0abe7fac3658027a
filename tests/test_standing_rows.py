"""Narrow, masked and penalised rows, read where they stand, give what the reference gives at every level."""

import ml_dtypes
import numpy as np
import pytest
import rheostat
from rheostat import SamplingParams, _rheostat, reference
from support import LEVELS, bits, outcome, rows_of_every_kind

DTYPES = [np.float32, np.float16, ml_dtypes.bfloat16]
# Around vectors, words and blocks; and from 2,048 on rows are surveyed.
LENGTHS = (1, 15, 17, 32, 33, 257, 2049, 4099)
CHANCES = [0, 1, 2**63, 2**64 - 1, 0x0123_4567_89AB_CDEF]
EVERYTHING = ("raw_logprob", "rank", "kept_count", "kept_mass", "entropy")
KNOBS = (
    {},
    {"temperature": 0.8, "top_p": 0.9},
    {"temperature": 1.5, "top_p": 0.999},
    {"temperature": 0},
    {"top_k": 40, "min_p": 0.05, "top_p": 0.95},
    {"typical_p": 0.9},
)
PENALTIES = {
    "repetition_penalty": 1.3,
    "frequency_penalty": 0.25,
    "prompt_ids": [0, 0],
    "logit_bias": {0: 4.0},
}


@pytest.fixture
def level():
    """Sets the SIMD level, and puts back what was."""
    before = rheostat.build_info()["simd"]
    yield _rheostat._set_simd_level
    _rheostat._set_simd_level(before)


def masks_of_every_kind(n):
    """Words for n tokens that leave few, half, nearly all, one, or a stretch of them; and too few words."""
    rng = np.random.default_rng(n)
    shares = {"few": 0.01, "half": 0.5, "most": 0.98}
    masks = {name: rng.random(n) < share for name, share in shares.items()}
    masks |= {name: np.zeros(n, bool) for name in ("one", "stretch")}
    masks["one"][rng.integers(n)] = masks["few"][n // 2] = masks["half"][n - 1] = masks["most"][0] = True
    masks["stretch"][n // 3 : n // 2 + 1] = True
    words = {
        name: np.packbits(np.pad(mask, (0, -n % 32)), bitorder="little").view(np.int32)
        for name, mask in masks.items()
    }
    return words | {"short": np.full((n + 63) // 64, -1, np.int32)}


def check(row, level, **knobs):
    wanted = outcome(lambda: (reference.kept(row, **knobs), reference.sample(row, u=CHANCES, **knobs)))
    for name in LEVELS:
        assert level(name)
        found = outcome(lambda: (rheostat.kept(row, **knobs), rheostat.sample(row, u=CHANCES, **knobs)))
        if wanted[0] == "value":
            assert found[0] == "value", found
        np.testing.assert_equal(found, wanted, name)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("n", LENGTHS)
def test_narrow_rows_of_every_kind(n, dtype, level):
    for row in rows_of_every_kind(n).values():
        with np.errstate(over="ignore"):
            row = row.astype(dtype)  # what is too large is infinite, and an error
        strided = np.repeat(row, 2)[::2]
        for knobs in KNOBS:
            check(row, level, **knobs)
        check(strided, level, **KNOBS[1])
        check(np.concatenate([row[:1], row])[1:], level, **KNOBS[1])  # begins elsewhere


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LENGTHS)
def test_masked_and_penalised_rows(n, dtype, level):
    rows = rows_of_every_kind(n)
    for kind in ("flat", "peaked", "eight values", "masked"):
        for name, words in masks_of_every_kind(n).items():
            allowed = np.unpackbits(words.view(np.uint8), bitorder="little")[:n].astype(bool)
            allowed = np.pad(allowed, (0, n - allowed.size))
            row = rows[kind].copy()
            row[np.flatnonzero(~allowed)[::2]] = np.nan  # is not read
            row[np.flatnonzero(~allowed)[1::2]] = np.inf
            row = row.astype(dtype)
            for knobs in KNOBS[:2] if name in ("few", "half") else KNOBS[1:2]:
                check(row, level, bitmask=words, **knobs)
            ids = np.flatnonzero(allowed)[::3]
            check(row, level, bitmask=words, output_ids=ids, **PENALTIES, **KNOBS[1])
            check(row, level, bitmask=words, banned_token_ids=ids[1:], **KNOBS[4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [40, 5000])
def test_what_is_no_logit_is_found_where_it_may_come(n, bad, dtype, level):
    words = masks_of_every_kind(n)
    for place in (0, n // 2, n - 1):
        row = np.full(n, -np.inf)
        row[place] = bad
        row = row.astype(dtype)
        check(row, level, top_p=0.9)
        check(row, level, top_p=0.9, output_ids=[place], **PENALTIES)
        row = np.ones(n)
        row[place] = bad
        for mask in words.values():
            check(row.astype(dtype), level, bitmask=mask, top_p=0.9)
            check(row.astype(dtype), level, bitmask=mask, output_ids=[n - 1], **PENALTIES, top_p=0.9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [33, 4099])
def test_samplers_tell_the_same_of_such_rows(n, dtype, level):
    rows = rows_of_every_kind(n)
    batch = np.stack([rows[kind] for kind in ("peaked", "flat", "eight values")]).astype(dtype)
    masks = masks_of_every_kind(n)
    for words in (None, masks["few"], masks["half"], masks["short"]):
        given = {} if words is None else {"bitmask": words}
        for further in ({}, {"repetition_penalty": 1.2, "presence_penalty": 0.1}):
            params = SamplingParams(seed=3, top_p=0.9, logprobs=3, report=EVERYTHING, **further)
            tokens = []
            for module in (reference, rheostat):
                for name in LEVELS if module is rheostat else LEVELS[:1]:
                    assert level(name)
                    sampler = module.Sampler(params, n - 1, prompt_ids=[0])
                    told = [repr(sampler.sample(row, **given)) for row in batch]
                    many = module.BatchSampler(n - 1)
                    for stream in range(3):
                        many.add(params, prompt_ids=[0], stream=stream)
                    each = {} if words is None else {"bitmask": np.stack([words] * 3)}
                    tokens.append((told, [repr(token) for token in many.step(batch, **each)]))
            assert all(other == tokens[0] for other in tokens)


@pytest.mark.parametrize("dtype", DTYPES)
def test_process_logprobs_and_verify_of_such_rows(dtype, level):
    n = 4099
    row = rows_of_every_kind(n)["peaked"].astype(dtype)
    knobs = {"bitmask": masks_of_every_kind(n)["half"], "output_ids": [5, 7, n - 1], **PENALTIES}
    params = SamplingParams(seed=1, temperature=1.2, repetition_penalty=1.1)
    draft = np.stack([row, row])
    ids = [int(reference.sample(row, seed=1, temperature=1.2))]

    def told(module):
        return (
            bits(module.process(row, **knobs)),
            bits(module.process(row, top_p=0.8, **knobs)),
            module.logprobs(row, [5, 7, n - 1], top=4, **knobs),
            module.verify(ids, draft[:1], draft, params, seed=1, position=0, method="lossless"),
        )

    wanted = told(reference)
    for name in LEVELS:
        assert level(name)
        np.testing.assert_equal(told(rheostat), wanted, name)
