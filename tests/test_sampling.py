"""Draws: composition, chance, streams, several tokens of a row, choose, and the distribution itself."""

import numpy as np
import rheostat
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rheostat import reference
from scipy import stats
from support import assert_same_outcome, half_rows, peers, rows_of_every_kind

ROW = peers()[0][0]

PINNED = {
    "position": [3143, 38795, 6526, 25308, 3345, 45711, 33, 4245],
    "stream": [198, 19, 198, 788, 12631, 7224, 4245, 24299],
    "choose": [828, 66, 3591, 14073, 19, 4586],
}


def logits_and_knobs():
    row = hnp.arrays(
        np.float32,
        st.integers(1, 300),
        elements=st.one_of(
            st.floats(-30, 30, width=32), st.sampled_from([0.0, -0.0, 1.0, 2.0]), st.just(-float("inf"))
        ),
    ).filter(lambda row: np.isfinite(row).any())
    return st.tuples(
        row,
        st.one_of(st.sampled_from([0, 0.3, 0.7, 1, 1.5, 100]), st.floats(1e-30, 1e30)),
        st.floats(1e-9, 1),
        st.integers(0, 2**64 - 1),
    )


@given(logits_and_knobs())
@settings(max_examples=500, derandomize=True, deadline=None)
def test_composition_a_fused_path_never_differs_from_its_parts(case):
    row, t, p, u = case
    for api in (rheostat, reference):
        fused = api.sample(row, temperature=t, top_p=p, u=u)
        assert fused == api.sample(api.top_p(row, p, temperature=t), temperature=t, u=u)
        k = 1 + u % 10
        fused = api.sample(row, temperature=t, top_k=k, u=u)
        assert fused == api.sample(api.top_k(row, k, temperature=t), temperature=t, u=u)
        fused = api.sample(row, temperature=t, min_p=p, u=u)
        assert fused == api.sample(api.min_p(row, p, temperature=t), temperature=t, u=u)
        parts = api.top_p(api.top_k(api.min_p(row, p / 2, temperature=t), k, temperature=t), p, temperature=t)
        fused = api.sample(row, temperature=t, min_p=p / 2, top_k=k, top_p=p, u=u)
        assert fused == api.sample(parts, temperature=t, u=u)
    kept = np.flatnonzero(rheostat.top_p(row, p, temperature=t) > -np.inf)
    np.testing.assert_array_equal(rheostat.kept(row, temperature=t, top_p=p), kept)


@given(logits_and_knobs())
@settings(max_examples=500, derandomize=True, deadline=None)
def test_fast_and_reference_give_the_same(case):
    row, t, p, u = case
    for chain in ("vllm", "hf", "llama.cpp", ("top_p", "temperature", "min_p", "top_k")):
        knobs = {"temperature": t, "top_p": p, "min_p": p / 3, "top_k": u % 50, "chain": chain}
        assert_same_outcome(lambda api, knobs=knobs: api.kept(row, **knobs))
        assert_same_outcome(lambda api, knobs=knobs: api.sample(row, u=u, **knobs))
        assert_same_outcome(lambda api, knobs=knobs: api.choose(row, 1 + u % 4, seed=u, **knobs))


def test_a_nucleus_is_minimal_and_takes_ties_by_id(api):
    row = np.array([1, 3, 3, 3, 0], np.float32)
    np.testing.assert_array_equal(api.kept(row, top_p=0.5), [1, 2])
    np.testing.assert_array_equal(api.kept(row, top_k=2), [1, 2])
    np.testing.assert_array_equal(api.kept(row, temperature=0), [1])
    np.testing.assert_array_equal(api.kept(np.zeros(8, np.float32), top_p=0.5), [0, 1, 2, 3])


def test_temperature_0_is_the_first_of_the_largest_in_every_chain(api):
    for row in rows_of_every_kind(257).values():
        first = int(np.argmax(row))
        for chain in ("vllm", "hf", "llama.cpp"):
            assert api.sample(row, temperature=0, top_p=0.3, min_p=0.1, top_k=9, chain=chain, seed=1) == first
        one_hot = np.zeros(257, np.float32)
        one_hot[first] = 1
        np.testing.assert_array_equal(api.softmax(row, temperature=0), one_hot)


def test_forbidden_tokens_are_kept_nowhere_and_weightless_ones_are_kept_but_never_drawn(api):
    row = np.array([0, -np.inf, -1000, 0], np.float32)
    np.testing.assert_array_equal(api.kept(row), [0, 2, 3])
    np.testing.assert_array_equal(api.sample(row, u=[0, 2**63 - 1, 2**63, 2**64 - 1]), [0, 0, 3, 3])


def test_the_chance_is_numpy_s_philox(api):
    for seed, stream, position in [
        (0, 0, 0),
        (7, 3, 11),
        (2**64 - 1, 2**64 - 1, 2**64 - 1),
        (5, 0, 2**64 - 1),
    ]:
        word = int(np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)[0])
        place = {"seed": seed, "stream": stream, "position": position}
        for row in half_rows()[:3]:
            assert api.sample(row, temperature=1.5, **place) == api.sample(row, temperature=1.5, u=word)


def test_pinned_draws_stay(api):
    """A change here is a change of the law."""
    np.testing.assert_array_equal(
        api.sample(ROW, seed=1, position=np.arange(8), temperature=1.5), PINNED["position"]
    )
    np.testing.assert_array_equal(api.sample(ROW, seed=1, stream=np.arange(8), top_p=0.95), PINNED["stream"])
    np.testing.assert_array_equal(api.choose(ROW, 6, seed=9, temperature=1.5), PINNED["choose"])


def test_a_row_with_many_chances_gives_as_many_tokens(api):
    u = [3, 2**63, 2**64 - 1]
    tokens = api.sample(ROW, u=u, top_p=0.9)
    assert tokens.dtype == np.int64
    np.testing.assert_array_equal(tokens, [api.sample(ROW, u=each, top_p=0.9) for each in u])
    by_stream = api.sample(ROW, seed=4, stream=[0, 1, 2], position=5)
    np.testing.assert_array_equal(
        by_stream, [api.sample(ROW, seed=4, stream=s, position=5) for s in range(3)]
    )
    assert isinstance(api.sample(ROW, u=3), int)
    assert api.sample(ROW, u=[3]).shape == (1,)


def test_every_knob_may_have_a_value_per_row(api):
    batch = np.stack([ROW, ROW, half_rows()[0].astype(np.float32)])
    knobs = {
        "temperature": [0.5, 1.5, 0],
        "top_k": np.array([0, 40, 3]),
        "top_p": [0.9, 1, 0.5],
        "min_p": [0, 0, 1],
    }
    tokens = api.sample(batch, seed=1, stream=[5, 6, 7], **knobs)
    kept = api.kept(batch, **knobs)
    for row in range(3):
        alone = {name: values[row] for name, values in knobs.items()}
        assert tokens[row] == api.sample(batch[row], seed=1, stream=5 + row, **alone)
        np.testing.assert_array_equal(kept[row], api.kept(batch[row], **alone))


def test_no_seed_draws_a_fresh_one_for_every_row(api):
    flat = np.zeros((64, 4096), np.float32)
    first, second = api.sample(flat), api.sample(flat)
    assert len(set(first.tolist())) > 32  # by chance below 1e-60
    assert np.any(first != second)  # by chance 4096**-64


def test_an_empty_batch_gives_empty_results(api):
    empty = np.empty((0, 5), np.float32)
    assert api.sample(empty, seed=1).shape == (0,)
    assert api.sample(empty, seed=1).dtype == np.int64
    assert api.kept(empty) == []
    assert api.softmax(empty).shape == api.top_p(empty, 0.5).shape == (0, 5)
    assert api.choose(empty, 3, seed=1).shape == (0, 3)


def test_inputs_are_never_modified(api):
    batch = half_rows()[:3].astype(np.float32)
    before = batch.tobytes()
    api.softmax(batch)
    api.top_k(batch, 3)
    api.sample(batch, seed=[1, 2, 3], top_p=0.9)
    api.choose(batch, 3, seed=[1, 2, 3])
    assert batch.tobytes() == before


def test_choose_gives_distinct_ids_and_begins_with_sample_s(api):
    for row in (ROW, np.zeros(10, np.float32)):
        ids = api.choose(row, 10, seed=3, temperature=1.5)
        assert ids.dtype == np.int64
        assert len(set(ids.tolist())) == 10
        assert ids[0] == api.sample(row, seed=3, temperature=1.5)
    np.testing.assert_array_equal(np.sort(api.choose(np.zeros(10, np.float32), 10, seed=1)), np.arange(10))
    many = api.choose(ROW, 3, seed=3, stream=[0, 3, 6])
    np.testing.assert_array_equal(many, [api.choose(ROW, 3, seed=3, stream=s) for s in (0, 3, 6)])
    batch = api.choose(np.stack([ROW, ROW]), 3, seed=3, stream=[0, 3])
    np.testing.assert_array_equal(batch, many[:2])


# False-alarm rate of each test below, on seeds fixed in advance: 1e-6.
RATE = 1e-6


def test_draws_follow_the_probabilities():
    row = np.random.default_rng(0).normal(size=200).astype(np.float32) * 2
    draws = rheostat.sample(row, seed=20260101, position=np.arange(400_000), temperature=0.9, top_p=0.97)
    kept = rheostat.kept(row, temperature=0.9, top_p=0.97)
    expected = rheostat.softmax(row[kept], temperature=0.9).astype(np.float64)
    counts = np.bincount(draws, minlength=200)
    assert counts.sum() == counts[kept].sum()
    assert stats.chisquare(counts[kept], expected / expected.sum() * 400_000).pvalue > RATE


def test_streams_and_positions_are_independent():
    row = np.zeros(16, np.float32)
    streams = np.arange(60_000)
    pairs = rheostat.sample(row, seed=5, stream=streams) * 16 + rheostat.sample(
        row, seed=5, stream=streams, position=1
    )
    assert stats.chisquare(np.bincount(pairs, minlength=256)).pvalue > RATE
    pairs = rheostat.sample(row, seed=streams) * 16 + rheostat.sample(row, seed=streams + 1)
    assert stats.chisquare(np.bincount(pairs, minlength=256)).pvalue > RATE


def test_choose_follows_the_probabilities_of_drawing_without_replacement():
    row = np.log(np.array([0.5, 0.3, 0.15, 0.05])).astype(np.float32)
    pairs = rheostat.choose(row, 2, seed=8, stream=np.arange(0, 120_000, 2))
    p = np.array([0.5, 0.3, 0.15, 0.05])
    expected = p[:, None] * p[None, :] / (1 - p[:, None])
    off = ~np.eye(4, dtype=bool)
    counts = np.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16).reshape(4, 4)
    assert counts[~off].sum() == 0
    assert stats.chisquare(counts[off], expected[off] / expected[off].sum() * 60_000).pvalue > RATE
