"""Mirostat 2: the surprise allowed follows the surprise of what was drawn."""

import numpy as np
import pytest
import rheostat
from hypothesis import given
from hypothesis import strategies as st
from rheostat import SamplingParams, reference
from rows_strategy import few, rows, temperatures
from support import LEVELS, rows_of_every_kind


def test_mu_starts_at_twice_tau_and_follows(api):
    x = np.log([0.5, 0.25, 0.125, 0.125])
    sampler = api.Sampler(SamplingParams(seed=1, mirostat=2, mirostat_tau=0.75, mirostat_eta=0.5), 4)
    assert sampler.mu == 1.5
    token = sampler.sample(x)  # a surprise of 1, 2, 3 and 3 bits: the first alone is allowed
    assert token.id == 0
    assert sampler.mu == 1.5 - 0.5 * (0 - 0.75)


def test_the_surprise_is_that_of_the_final_kept_set(api):
    x = np.log([0.5, 0.25, 0.25])
    params = SamplingParams(seed=3, mirostat=2, mirostat_tau=4, mirostat_eta=1.0, logprobs=0, top_k=2)
    sampler = api.Sampler(params, 3)
    mu = sampler.mu
    for _ in range(5):
        token = sampler.sample(x)
        mu = mu - 1.0 * (-token.logprob / np.log(2) - 4)
        assert sampler.mu == mu


def test_at_least_the_first_token_stays(api):
    params = SamplingParams(seed=1, mirostat=2, mirostat_tau=1e-9, report=("kept_count",))
    token = api.Sampler(params, 5).sample([1.0, 1.0, 1.0, 1.0, 1.0])
    assert (token.id, token.kept_count) == (0, 1)


def test_mirostat_stands_where_the_chain_says(api):
    x = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    counts = []
    for chain in (("mirostat", "temperature"), ("temperature", "mirostat")):
        params = SamplingParams(
            chain=chain, temperature=0.1, mirostat=2, mirostat_tau=1.0, report=("kept_count",)
        )
        counts.append(api.Sampler(params, 4).sample(x).kept_count)
    assert counts == [2, 1]  # up to 2 bits: of the plain distribution two, of the sharp one a single token


def test_forced_tokens_and_new_parameters_leave_mu(api):
    params = SamplingParams(seed=1, mirostat=2)
    sampler = api.Sampler(params, 10)
    sampler.sample(np.arange(10.0))
    mu = sampler.mu
    sampler.accept([1, 2])
    sampler.set_params(params.replace(mirostat_tau=3.0))
    assert sampler.mu == mu != 6.0
    sampler.set_params(SamplingParams())
    assert sampler.mu is None
    sampler.set_params(params)
    assert sampler.mu == 10.0


def test_the_text_becomes_about_as_surprising_as_tau(api):
    rng = np.random.default_rng(0)
    params = SamplingParams(seed=1, mirostat=2, mirostat_tau=3.0, logprobs=0)
    sampler = api.Sampler(params, 500)
    rows = rng.normal(size=(400, 500)).astype(np.float32) * 2
    surprises = [-sampler.sample(x).logprob / np.log(2) for x in rows]
    assert np.mean(surprises[100:]) == pytest.approx(3.0, abs=0.15)


@few
@given(rows(), temperatures, st.floats(-1, 12), st.integers(0, 2**64 - 1))
def test_the_kept_set_is_the_reference_s_for_every_mu(x, temperature, mu, seed):
    params = SamplingParams(
        seed=seed, temperature=temperature, mirostat=2, logprobs=x.size, report=("kept_count", "kept_mass")
    )
    tokens = []
    for api in (rheostat, reference):
        sampler = api.Sampler(params, x.size)
        saved = bytearray(sampler.snapshot())
        saved[32:40] = np.float64(mu).tobytes()
        sampler.restore(bytes(saved))
        tokens.append((sampler.sample(x), sampler.mu))
    assert tokens[0] == tokens[1]


@pytest.mark.parametrize("n", [1, 16, 257, 4095])
def test_every_kind_of_row_at_every_level(n):
    before = rheostat.build_info()["simd"]
    try:
        for x in rows_of_every_kind(n).values():
            for tau in (0.1, 2.0, 6.0):
                params = SamplingParams(
                    seed=1, mirostat=2, mirostat_tau=tau, logprobs=5, report=("kept_count", "entropy")
                )
                slow = reference.Sampler(params, n)
                wanted = [slow.sample(x) for _ in range(3)], slow.mu
                for level in LEVELS:
                    assert rheostat._rheostat._set_simd_level(level)
                    fast = rheostat.Sampler(params, n)
                    assert ([fast.sample(x) for _ in range(3)], fast.mu) == wanted
    finally:
        rheostat._rheostat._set_simd_level(before)
