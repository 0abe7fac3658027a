"""softmax and log_softmax, beside NumPy's textbook, scipy, and one read by np.max."""

import numpy as np
import peers
import pytest
import rheostat
import workloads
from scipy import special

TEMPERATURE = 0.8
SUBJECTS = {
    "np.max": lambda row, out: np.max(row),
    "rheostat": lambda row, out: rheostat.softmax(row, temperature=TEMPERATURE),
    "rheostat, out": lambda row, out: rheostat.softmax(row, temperature=TEMPERATURE, out=out),
    "numpy, textbook": lambda row, out: peers.softmax(row, TEMPERATURE),
    "scipy": lambda row, out: special.softmax(row / np.float32(TEMPERATURE)),
}
LOG_SUBJECTS = {
    "rheostat": lambda row: rheostat.log_softmax(row, temperature=TEMPERATURE),
    "scipy": lambda row: special.log_softmax(row / np.float32(TEMPERATURE)),
}


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("vocab", workloads.VOCABULARIES)
@pytest.mark.parametrize("kind", ["real", "flat"])
def test_softmax(benchmark, kind, vocab, subject):
    benchmark.group = f"softmax, {kind}, V={vocab}"
    row = workloads.workload(kind, vocab).row
    result = benchmark(SUBJECTS[subject], row, np.empty_like(row))
    exact = special.softmax(row.astype(np.float64) / TEMPERATURE)
    np.testing.assert_allclose(result, row.max() if subject == "np.max" else exact, rtol=2e-5, atol=1e-30)


@pytest.mark.parametrize("subject", LOG_SUBJECTS)
@pytest.mark.parametrize("vocab", workloads.VOCABULARIES)
def test_log_softmax(benchmark, vocab, subject):
    benchmark.group = f"log_softmax, real, V={vocab}"
    row = workloads.real(vocab)
    exact = special.log_softmax(row.astype(np.float64) / TEMPERATURE)
    np.testing.assert_allclose(benchmark(LOG_SUBJECTS[subject], row), exact, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_softmax_batch(benchmark, threads):
    benchmark.group = f"softmax, 32 real rows, V={workloads.LONG}"
    rows = workloads.batch(workloads.LONG)
    out = np.empty_like(rows)
    rheostat.set_num_threads(threads)
    try:
        benchmark(rheostat.softmax, rows, out=out)
    finally:
        rheostat.set_num_threads(0)
    np.testing.assert_array_equal(out, np.stack([rheostat.softmax(row) for row in rows]))


def test_scipy_batch(benchmark):
    benchmark.group = f"softmax, 32 real rows, V={workloads.LONG}"
    rows = workloads.batch(workloads.LONG)
    np.testing.assert_allclose(benchmark(special.softmax, rows, axis=1), rheostat.softmax(rows), rtol=2e-5)
