"""What a call costs before it does any work: 32 tokens, by function, by knobs given, by the kind of input."""

import numpy as np
import pytest
import rheostat
import rows

ROW = rows.flat(32)
KNOBS = {"temperature": 0.8, "top_p": 0.9, "seed": 7, "position": 3}
CALLS = {
    "softmax": lambda: rheostat.softmax(ROW),
    "top_p": lambda: rheostat.top_p(ROW, 0.9),
    "kept": lambda: rheostat.kept(ROW, top_p=0.9),
    "sample, u alone": lambda: rheostat.sample(ROW, u=1),
    "sample, four knobs": lambda: rheostat.sample(ROW, **KNOBS),
    "choose 4": lambda: rheostat.choose(ROW, 4, seed=7),
}
INPUTS = {
    "float32": ROW,
    "float64": ROW.astype(np.float64),
    "float16": ROW.astype(np.float16),
    "strided": np.repeat(ROW, 2)[::2],
    "list": ROW.tolist(),
    "buffer": memoryview(ROW),
}


@pytest.mark.benchmark(group="a call on 32 tokens")
def test_np_max_of_one_element(benchmark):
    assert benchmark(np.max, ROW[:1]) == ROW[0]


@pytest.mark.benchmark(group="a call on 32 tokens")
@pytest.mark.parametrize("call", CALLS)
def test_call(benchmark, call):
    first = CALLS[call]()
    np.testing.assert_array_equal(benchmark(CALLS[call]), first)


@pytest.mark.benchmark(group="sample, by the kind of input")
@pytest.mark.parametrize("kind", INPUTS)
def test_input(benchmark, kind):
    exact = kind != "float16"  # the only one that is another row
    token = rheostat.sample(ROW if exact else ROW.astype(np.float16).astype(np.float32), **KNOBS)
    assert benchmark(rheostat.sample, INPUTS[kind], **KNOBS) == token
