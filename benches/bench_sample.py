"""From a row to a token, by temperature and top-p: rheostat, three samplers in NumPy, np.max."""

import numpy as np
import peers
import pytest
import rheostat
import workloads

CASES = [(kind, vocab) for kind in workloads.KINDS for vocab in workloads.VOCABULARIES]
U = 0.6


def group(kind, vocab):
    return f"sample, {kind}, V={vocab}"


@pytest.mark.parametrize(("kind", "vocab"), CASES)
def test_np_max(benchmark, kind, vocab):
    benchmark.group = group(kind, vocab)
    row = workloads.workload(kind, vocab).row
    assert benchmark(np.max, row) == row.max()


@pytest.mark.parametrize(("kind", "vocab"), CASES)
def test_rheostat(benchmark, kind, vocab):
    benchmark.group = group(kind, vocab)
    row, temperature, top_p = workloads.workload(kind, vocab)
    knobs = {"temperature": temperature, "top_p": top_p, "u": int(U * 2**64)}
    expected = rheostat.reference.sample(row, **knobs)
    assert rheostat.sample(row, **knobs) == expected
    assert benchmark(rheostat.sample, row, **knobs) == expected


@pytest.mark.parametrize("peer", peers.SAMPLERS)
@pytest.mark.parametrize(("kind", "vocab"), CASES)
def test_peer(benchmark, kind, vocab, peer):
    benchmark.group = group(kind, vocab)
    row, temperature, top_p = workloads.workload(kind, vocab)
    token, kept = peers.SAMPLERS[peer](row, temperature, top_p, U)
    check_same_nucleus(kept, row, temperature, top_p)
    assert token in kept
    assert benchmark(peers.SAMPLERS[peer], row, temperature, top_p, U)[0] == token


def check_same_nucleus(kept, row, temperature, top_p):
    """The same tokens but for a float32 sum's error, one token in a thousand; ties are broken anyhow."""
    exact = rheostat.kept(row, temperature=temperature, top_p=top_p)
    assert abs(len(kept) - len(exact)) <= 1 + len(exact) // 1000
    np.testing.assert_allclose(np.sort(row[kept])[-100:], np.sort(row[exact])[-100:])


@pytest.mark.parametrize("threads", [1, 2])
def test_rheostat_batch(benchmark, threads):
    benchmark.group = f"sample, 32 real rows, V={workloads.LONG}"
    rows = workloads.batch(workloads.LONG)
    knobs = {"temperature": 0.8, "top_p": 0.9, "seed": 1, "stream": np.arange(32)}
    expected = [rheostat.sample(row, **{**knobs, "stream": i}) for i, row in enumerate(rows)]
    rheostat.set_num_threads(threads)
    try:
        assert benchmark(rheostat.sample, rows, **knobs).tolist() == expected
    finally:
        rheostat.set_num_threads(0)


@pytest.mark.parametrize("peer", peers.SAMPLERS)
def test_peer_batch(benchmark, peer):
    benchmark.group = f"sample, 32 real rows, V={workloads.LONG}"
    rows = workloads.batch(workloads.LONG)
    for row in rows:
        check_same_nucleus(peers.SAMPLERS[peer](row, 0.8, 0.9, U)[1], row, 0.8, 0.9)

    def sample_all():
        return [peers.SAMPLERS[peer](row, 0.8, 0.9, U)[0] for row in rows]

    assert len(benchmark(sample_all)) == 32
