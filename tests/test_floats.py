"""A host program that computes in another floating-point environment gets the same bits and keeps its own."""

import ctypes
import platform
import shutil
import subprocess

import numpy as np
import pytest
import rheostat
from rheostat import BatchSampler, Sampler, SamplingParams, _rheostat
from support import LEVELS, bits, rows_of_every_kind

# The control register of the thread, read and written as a library built with -ffast-math would.
REGISTER = {
    "x86_64": """
        unsigned read_control(void) { unsigned c; __asm__ volatile("stmxcsr %0" : "=m"(c)); return c; }
        void write_control(unsigned c) { __asm__ volatile("ldmxcsr %0" : : "m"(c)); }
    """,
    "aarch64": """
        unsigned read_control(void) { unsigned long c; __asm__ volatile("mrs %0, fpcr" : "=r"(c)); return c; }
        void write_control(unsigned c) { __asm__ volatile("msr fpcr, %0" : : "r"((unsigned long)c)); }
    """,
}
ENVIRONMENTS = {
    "x86_64": {
        "FTZ and DAZ": 0x1F80 | 0x8040,
        "FTZ": 0x1F80 | 0x8000,
        "DAZ": 0x1F80 | 0x0040,
        "rounds down": 0x1F80 | 0x2000,
        "rounds up": 0x1F80 | 0x4000,
        "rounds to zero, FTZ, DAZ": 0x1F80 | 0x6000 | 0x8040,
        "traps inexact results": 0x1F80 & ~0x1000,
    },
    "aarch64": {
        "flushes": 1 << 24,
        "rounds up": 1 << 22,
        "rounds down": 2 << 22,
        "rounds to zero and flushes": 3 << 22 | 1 << 24,
    },
}.get(platform.machine(), {})
FLAGS = 0x3F if platform.machine() == "x86_64" else 0

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or platform.machine() not in REGISTER,
    reason="needs a C compiler, on x86-64 or aarch64",
)


@pytest.fixture(scope="module")
def register(tmp_path_factory):
    """The control register: `read_control()` and `write_control(value)`."""
    folder = tmp_path_factory.mktemp("register")
    (folder / "register.c").write_text(REGISTER[platform.machine()])
    command = ["cc", "-shared", "-fPIC", "-o", folder / "register.so", folder / "register.c"]
    subprocess.run(command, check=True)
    library = ctypes.PyDLL(folder / "register.so")
    library.read_control.restype = ctypes.c_uint
    library.write_control.argtypes = [ctypes.c_uint]
    return library


def under(register, control, call):
    """What the call gives under this control word, and the word that it leaves, without the sticky flags."""
    before = register.read_control()
    register.write_control(control)
    try:
        result = call()
        left = register.read_control()
    finally:
        register.write_control(before)
    return result, left & ~FLAGS


# Made beforehand: in another environment NumPy's own arithmetic has other results, or stops at a trap.
ROWS = [
    (row, row.astype(np.float64), [0.1, *(float(x) * 1.0000001 for x in row[:17])])
    for row in rows_of_every_kind(257).values()
]


def results():
    """Calls that compute, with rows of every kind: many results, each an array of bits or ids."""
    found = []
    for row, wide, numbers in ROWS:
        found.append(bits(rheostat.softmax(row, temperature=0.7)))
        found.append(bits(rheostat.log_softmax(row, temperature=1.3)))
        found.append(rheostat.kept(row, temperature=1.3, top_p=0.9, typical_p=0.9, min_p=1e-6))
        found.append(rheostat.kept(row, top_h=0.8, eta_cutoff=0.001, top_n_sigma=2.0, chain="hf"))
        found.append(bits(rheostat.process(row, output_ids=[0, 1, 1], frequency_penalty=0.3, top_k=90)))
        found.append(rheostat.sample(wide, seed=list(range(4)), repetition_penalty=1.1))
        found.append(rheostat.logprobs(row, [0, 5], top=3, dry_multiplier=0.8).logprobs)
        found.append(bits(rheostat.softmax(numbers)))
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_one_row_in_every_environment(register, level):
    best = rheostat.build_info()["simd"]
    assert _rheostat._set_simd_level(level)
    try:
        wanted = results()
        for environment, control in ENVIRONMENTS.items():
            found, left = under(register, control, results)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b, environment)
            assert left == control
    finally:
        _rheostat._set_simd_level(best)


def test_numpy_alone_has_other_results_there(register):
    """So that the tests above cannot pass by an environment that was never set."""
    tiny = np.full(4, 1e-40, np.float32)
    for control in ENVIRONMENTS.values():
        if control & (0x8040 if platform.machine() == "x86_64" else 1 << 24):
            doubled, _ = under(register, control, lambda: tiny * np.float32(2))
            assert (doubled == 0).all()


@pytest.mark.parametrize("control", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_threads_that_are_made_in_it_and_threads_that_were_there(register, control):
    batch = np.random.default_rng(0).normal(size=(8, 30_000)).astype(np.float32) * np.float32(1e-3)
    batch[3] *= np.float32(1e-37)
    streams = np.arange(8)

    def call():
        chances = {"seed": 3, "stream": streams}
        return [
            *bits(rheostat.softmax(batch, temperature=0.01)),
            rheostat.sample(batch, temperature=0.01, top_p=0.95, **chances),
            *rheostat.kept(batch, temperature=0.01, typical_p=0.9, **chances),
        ]

    try:
        rheostat.set_num_threads(1)
        wanted = call()
        rheostat.set_num_threads(3)  # whose threads are made by the next call that pays for them
        for _ in range(2):
            found, left = under(register, control, call)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b)
            assert left == control
        for a, b in zip(call(), wanted, strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        rheostat.set_num_threads(0)


@pytest.mark.parametrize("control", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_samplers_that_are_made_and_used_in_it(register, control):
    params = SamplingParams(
        seed=5, temperature=1.1, mirostat=2, repetition_penalty=1.3, dry_multiplier=0.7, logprobs=2
    )
    rows = np.random.default_rng(1).normal(size=(6, 300)).astype(np.float32) * 3

    def call():
        sampler, batch = Sampler(params, 300), BatchSampler(300)
        handles = [batch.add(params, stream=i) for i in range(2)]
        tokens = [sampler.sample(row) for row in rows]
        tokens += [list(batch.step(rows[:2], handles)) for _ in range(3)]
        sampler.set_params(params.replace(frequency_penalty=0.3))
        drafted = rheostat.verify([1, 2], rows[:2], rows[:3], params.replace(mirostat=0), seed=1, position=0)
        return tokens, sampler.sample(rows[0]), sampler.mu, drafted

    found, left = under(register, control, call)
    assert found == call()
    assert left == control


@pytest.mark.parametrize("control", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_failing_call_gives_the_environment_back(register, control):
    def call():
        with pytest.raises(rheostat.LogitsError):
            rheostat.sample([0.0, float("nan")], seed=1)
        with pytest.raises(rheostat.KnobError):
            rheostat.softmax(np.zeros(3, np.float32), temperature=-1.0)

        def cut(ids, logits, probabilities):
            raise LookupError("no such token")

        with pytest.raises(LookupError):
            rheostat.kept([0.0, 1.0], chain=(cut,))

    assert under(register, control, call)[1] == control
