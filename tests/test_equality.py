"""The fast code equals the reference bit by bit: every kind of row, every length, every SIMD level."""

import numpy as np
import pytest
import rheostat
from rheostat import SamplingParams, _rheostat, reference
from support import (
    LENGTHS,
    LEVELS,
    LONG_LENGTHS,
    TEMPERATURES,
    TOP_PS,
    bits,
    half_rows,
    outcome,
    peers,
    rows_of_every_kind,
)

CHANCES = [0, 1, 2**63, 2**64 - 1, 0x0123_4567_89AB_CDEF]


@pytest.fixture
def level():
    """Sets the SIMD level, and puts back what was."""
    before = rheostat.build_info()["simd"]
    yield _rheostat._set_simd_level
    _rheostat._set_simd_level(before)


def check_softmax(row, temperature, level):
    wanted = bits(reference.softmax(row, temperature=temperature))
    wanted_log = bits(reference.log_softmax(row, temperature=temperature))
    for name in LEVELS:
        assert level(name)
        np.testing.assert_array_equal(bits(rheostat.softmax(row, temperature=temperature)), wanted, name)
        np.testing.assert_array_equal(
            bits(rheostat.log_softmax(row, temperature=temperature)), wanted_log, name
        )


def check_sampling(row, level, **knobs):
    wanted = reference.kept(row, **knobs)
    tokens = reference.sample(row, u=CHANCES, **knobs)
    for name in LEVELS:
        assert level(name)
        np.testing.assert_array_equal(rheostat.kept(row, **knobs), wanted, name)
        np.testing.assert_array_equal(rheostat.sample(row, u=CHANCES, **knobs), tokens, name)


@pytest.mark.parametrize("n", LENGTHS)
def test_softmax_of_every_kind_of_row(n, level):
    for row in rows_of_every_kind(n).values():
        for temperature in TEMPERATURES:
            check_softmax(row, temperature, level)


@pytest.mark.parametrize("n", LENGTHS)
def test_top_p_of_every_kind_of_row(n, level):
    for row in rows_of_every_kind(n).values():
        for temperature in TEMPERATURES:
            for p in TOP_PS:
                check_sampling(row, level, temperature=temperature, top_p=p)


@pytest.mark.parametrize("n", LENGTHS)
def test_top_k_and_min_p_of_every_kind_of_row(n, level):
    for row in rows_of_every_kind(n).values():
        for chain in ("vllm", "hf", "llama.cpp"):
            for knobs in (
                {"top_k": 1},
                {"top_k": n // 2 + 1},
                {"min_p": 0.05},
                {"min_p": 1},
                {"min_p": 1e-20},
                {"top_k": 40, "top_p": 0.95, "min_p": 0.02, "temperature": 0.7},
                {"top_k": n, "top_p": 0.5, "min_p": 1e-6, "temperature": 1.5},
            ):
                check_sampling(row, level, chain=chain, **knobs)


SEEDS = list(range(6))
CUTS = (
    {"typical_p": 0.3},
    {"typical_p": 0.95},
    {"epsilon_cutoff": 0.01},
    {"epsilon_cutoff": 5e-324},
    {"eta_cutoff": 0.02},
    {"eta_cutoff": 5e-324},
    {"top_h": 0.5},
    {"top_h": 1},
    {"top_n_sigma": 1.5},
    {"top_n_sigma": 1e-9},
    {"top_k": 30, "typical_p": 0.8, "eta_cutoff": 0.001, "top_h": 0.9, "top_n_sigma": 3, "temperature": 0.7},
)
HISTORY = {"prompt_ids": [0, 1, 0, 1, 0], "output_ids": [0, 1, 0]}
SHAPES = (
    {"logit_bias": {0: -1.5}, "repetition_penalty": 1.3, "top_p": 0.9},
    {"frequency_penalty": 0.2, "presence_penalty": -0.5, "penalty_last_n": 4, "typical_p": 0.9},
    {"dry_multiplier": 0.8, "dry_allowed_length": 1, "sequence_bias": {(1, 0): 2.5, (0,): -0.25}},
)


@pytest.mark.parametrize("n", LENGTHS)
def test_the_cuts_of_every_kind_of_row(n, level):
    for row in rows_of_every_kind(n).values():
        for knobs in CUTS:
            check_sampling(
                row, level, temperature=1.3, **{k: v for k, v in knobs.items() if k != "temperature"}
            )
            check_sampling(row, level, chain="llama.cpp", **knobs)


@pytest.mark.parametrize("n", LENGTHS)
def test_xtc_of_every_kind_of_row(n, level):
    for row in rows_of_every_kind(n).values():
        for threshold in (0, 0.001, 0.1, 0.4, 1):
            knobs = {"xtc_threshold": threshold, "xtc_probability": 0.5, "top_p": 0.99, "chain": "llama.cpp"}
            wanted = reference.sample(row, seed=SEEDS, **knobs)
            kept = [reference.kept(row, seed=seed, **knobs) for seed in range(6)]
            for name in LEVELS:
                assert level(name)
                np.testing.assert_array_equal(rheostat.sample(row, seed=SEEDS, **knobs), wanted, name)
                for seed in range(6):
                    np.testing.assert_array_equal(rheostat.kept(row, seed=seed, **knobs), kept[seed], name)


@pytest.mark.parametrize("n", [2, 17, 257, 4095])
def test_penalties_of_every_kind_of_row(n, level):
    for row in rows_of_every_kind(n).values():
        for knobs in SHAPES:
            wanted = outcome(lambda: bits(reference.process(row, **HISTORY, **knobs)))  # noqa: B023
            for name in LEVELS:
                assert level(name)
                found = outcome(lambda: bits(rheostat.process(row, **HISTORY, **knobs)))  # noqa: B023
                if wanted[0] == "value":
                    np.testing.assert_array_equal(found[1], wanted[1], name)
                else:
                    assert found == wanted


@pytest.mark.parametrize("n", LENGTHS)
def test_process_and_logprobs_of_every_kind_of_row(n, level):
    ids = [0, n // 2, n - 1] * 4
    for row in rows_of_every_kind(n).values():
        for knobs in ({}, {"temperature": 0.7, "top_p": 0.9}, {"typical_p": 0.5, "temperature": 2}):
            wanted = outcome(lambda: bits(reference.process(row, **knobs)))  # noqa: B023
            scores = reference.logprobs(row, ids, top=20, **knobs)
            for name in LEVELS:
                assert level(name)
                found = outcome(lambda: bits(rheostat.process(row, **knobs)))  # noqa: B023
                np.testing.assert_equal(found, wanted, name)
                np.testing.assert_equal(rheostat.logprobs(row, ids, top=20, **knobs), scores, name)


@pytest.mark.parametrize("n", LONG_LENGTHS)
def test_long_rows(n, level):
    rows = rows_of_every_kind(n)
    for kind in ("flat", "peaked", "all equal", "eight values", "masked", "real"):
        check_softmax(rows[kind], 0.7, level)
        for temperature, p in ((0.7, 0.9), (1.5, 0.9), (1, 0.999999), (1, 1)):
            check_sampling(rows[kind], level, temperature=temperature, top_p=p)
        check_sampling(rows[kind], level, top_k=1000, min_p=0.001, temperature=1.2)
        for knobs in CUTS[1::2]:
            check_sampling(rows[kind], level, **knobs)


def test_real_rows_in_float32_and_in_float16_with_its_ties(level):
    for row in [*peers()[0], *half_rows()[:8]]:
        check_softmax(row, 0.8, level)
        check_sampling(row, level, temperature=0.8, top_p=0.9)
        check_sampling(row, level, temperature=1.5, top_p=0.95, top_k=500)


@pytest.mark.parametrize("n", [2, 17, 41, 257, 4095])
@pytest.mark.parametrize("first", [0.0, -0.0])
@pytest.mark.parametrize("knobs", [{}, {"top_k": 1}, {"top_p": 0.3}, {"temperature": 0}, {"typical_p": 0.5}])
def test_zeros_of_either_sign_are_one_number(n, first, knobs, level):
    row = np.full(n, -first, np.float32)
    row[0] = first
    everything = ("raw_logprob", "rank", "kept_count", "kept_mass", "entropy")
    params = SamplingParams(seed=1, logprobs=3, report=everything, **knobs)
    scores = reference.logprobs(row, [0, n - 1], top=3, **knobs)
    token = reference.Sampler(params, n).sample(row)
    assert not any(np.signbit(value) for value in (token.logprob, token.entropy) if value == 0)
    for name in LEVELS:
        assert level(name)
        check_softmax(row, 0.7, level)
        for wanted, found in zip(scores, rheostat.logprobs(row, [0, n - 1], top=3, **knobs), strict=True):
            np.testing.assert_array_equal(found.view(np.int64), wanted.view(np.int64), name)
        assert repr(rheostat.Sampler(params, n).sample(row)) == repr(token)


@pytest.mark.parametrize("n", [15, 256, 257, 5000])
@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"temperature": 1e-30},
        {"temperature": 1e30},
        {"top_p": 0.95},
        {"min_p": 1e-30},
        {"banned_token_ids": range(1, 15)},
    ],
)
def test_what_is_told_of_wide_kept_sets(n, knobs, level):
    row = np.random.default_rng(n).normal(size=n).astype(np.float32) * 30  # of some the weight is 0
    row[1::7] = -np.inf
    for top in (1, 5, 32, 40):
        params = SamplingParams(seed=1, logprobs=top, report=("kept_count", "entropy"), **knobs)
        wanted = reference.Sampler(params, n).sample(row)
        for name in LEVELS:
            assert level(name)
            assert repr(rheostat.Sampler(params, n).sample(row)) == repr(wanted), name


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_s_bits_do_not_depend_on_its_batch(name, threads):
    rng = np.random.default_rng(3)
    batch = rng.normal(size=(9, 20_001)).astype(np.float32) * 4
    temperatures = rng.uniform(0.3, 2, 9)
    function = getattr(rheostat, name)
    rheostat.set_num_threads(threads)
    try:
        whole = function(batch, temperature=temperatures)
    finally:
        rheostat.set_num_threads(0)
    for row in range(9):
        alone = function(batch[row], temperature=temperatures[row])
        np.testing.assert_array_equal(bits(whole[row]), bits(alone))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_s_token_does_not_depend_on_its_batch(threads):
    rng = np.random.default_rng(4)
    batch = rng.normal(size=(7, 20_001)).astype(np.float32) * 3
    order = rng.permutation(7)
    seeds, knobs = np.arange(7), {"top_p": rng.uniform(0.1, 1, 7), "temperature": rng.uniform(0, 2, 7)}
    rheostat.set_num_threads(threads)
    try:
        tokens = rheostat.sample(batch, seed=seeds, **knobs)
        moved = rheostat.sample(batch[order], seed=seeds[order], **{k: v[order] for k, v in knobs.items()})
        strided = rheostat.sample(np.repeat(batch, 2, axis=0)[::2], seed=seeds, **knobs)
        columns = rheostat.sample(np.asfortranarray(batch), seed=seeds, **knobs)
    finally:
        rheostat.set_num_threads(0)
    np.testing.assert_array_equal(moved, tokens[order])
    np.testing.assert_array_equal(strided, tokens)
    np.testing.assert_array_equal(columns, tokens)
    for row in range(7):
        alone = {name: values[row] for name, values in knobs.items()}
        assert rheostat.sample(batch[row], seed=row, **alone) == tokens[row]
    np.testing.assert_array_equal(reference.sample(batch, seed=seeds, **knobs), tokens)


def test_the_largest_vocabulary():
    row = np.zeros(1_048_576, np.float32)
    assert rheostat.sample(row, u=2**64 - 1) == 1_048_575
    assert rheostat.sample(row, u=0) == 0
    np.testing.assert_array_equal(rheostat.softmax(row), np.full(1_048_576, 2.0**-20, np.float32))
    assert len(rheostat.kept(row, top_p=0.5)) == 524_288
    row[7] = 1
    np.testing.assert_array_equal(rheostat.kept(row, top_p=0.3), reference.kept(row, top_p=0.3))
