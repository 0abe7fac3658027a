"""The array boundary: numbers of every type in every layout and wrapping, with and without `out`."""

import numpy as np


class Wrapped:
    """What has an array to give."""

    def __init__(self, array):
        self.array = np.asarray(array)

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


class Interface:
    """What tells where its memory is."""

    def __init__(self, array):
        self.array = np.asarray(array)
        self.__array_interface__ = self.array.__array_interface__


class Tensor:
    """What exports its memory by DLPack."""

    def __init__(self, array):
        self.array = np.asarray(array)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)


def unaligned(array):
    """The same numbers, one byte off."""
    array = np.asarray(array)
    return np.frombuffer(b"\0" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)


def frozen(array):
    array = np.array(array)
    array.flags.writeable = False
    return array


NAMES = {
    "Wrapped": Wrapped,
    "Interface": Interface,
    "Tensor": Tensor,
    "unaligned": unaligned,
    "frozen": frozen,
}

TYPES = ["f4"] * 6 + ["f8", "f8", "f2", ">f4", ">f8", "i4", "i8", "u1", "?", "c8", "O", "f16", "U3"]
LAYOUTS = (
    ["{}"] * 6
    + ["{}[::-1]", "{}[..., ::2]", "{}[..., ::-1]", "{}.T", "np.asfortranarray({})", "unaligned({})"]
    + ["np.broadcast_to({}, (3, *np.shape({})))", "{}[None]", "{}[..., None]", "{}[:0]", "frozen({})"]
    + ["np.repeat({}, 2, axis=-1)[..., ::2]"]
)
WRAPPINGS = (
    ["{}"] * 8
    + ["{}.tolist()", "memoryview({})", "Wrapped({})", "Interface({})", "Tensor({})", "{}.view(np.recarray)"]
    + ["np.ma.masked_array({})", "tuple({}.tolist())", "bytearray({})", "[{}, {}]", "np.matrix({})"]
)
OUTS = ["None"] * 6 + [
    "x",
    "np.zeros(np.shape(x), np.float32)",
    "np.zeros(np.shape(x), np.float32)",
    "np.zeros(np.shape(x))",
    "np.zeros((2, *np.shape(x)), np.float32)[1]",
    "np.zeros((*np.shape(x), 2), np.float32)[..., 0]",
    "np.zeros(np.shape(x), '>f4')",
    "unaligned(np.zeros(np.shape(x), np.float32))",
    "frozen(np.zeros(np.shape(x), np.float32))",
    "x[..., ::-1]",
    "np.zeros(3, np.float32)",
    "[0.0]",
]
CALLS = [
    "api.softmax(x, temperature={t}, out=out)",
    "api.log_softmax(x, temperature={t}, out=out)",
    "api.top_p(x, {p}, out=out)",
    "api.top_k(x, {k}, out=out)",
    "api.min_p(x, {p}, temperature={t}, out=out)",
    "api.process(x, top_k={k}, temperature={t}, out=out)",
    "api.kept(x, top_p={p}, min_p=0.01)",
    "api.sample(x, u={u}, top_p={p})",
    "api.sample(x, seed=1, stream=[0, 1, 2])",
    "api.logprobs(x, 0, top={k}).logprobs",
    "api.choose(x, 1, seed=[3, 4])",
]


def pick(rng, items):
    """What `rng.choice` takes, which would make an array of them first."""
    return items[rng.integers(len(items))]


def case(rng):
    """Lines that read `x`, maybe into `out`."""
    n = pick(rng, [1, 2, 3, 7, 17, 40])
    shape = [(n,), (n,), (2, n), (3, n), (1, n), (0, n), (n, 0), (), (2, 1, n)][rng.integers(9)]
    values = (rng.normal(size=shape) * pick(rng, [1.0, 5.0, 1e-40, 1e37, 1e300])).tolist()
    if rng.random() < 0.3:
        values = np.round(rng.normal(size=shape) * 3).tolist()
    text = f"np.array({values!r}).astype({pick(rng, TYPES)!r})"
    if rng.random() < 0.15:
        special = pick(rng, ["inf", "-inf", "nan", "-0.0", "1e39", "-1e39"])
        text = f"np.where(np.arange(np.size({values!r})).reshape({shape}) % 5 == 1, {special}, {text})"
        text = f"{text}.astype({pick(rng, TYPES[:10])!r})"
    text = pick(rng, LAYOUTS).replace("{}", text)
    text = pick(rng, WRAPPINGS).replace("{}", text)
    call = pick(rng, CALLS).format(
        t=pick(rng, ["1.0", "0.7", "0", "30.0"]),
        p=pick(rng, ["0.9", "0.3", "1.0", "1e-9"]),
        k=pick(rng, ["0", "1", "5"]),
        u=pick(rng, ["0", "2**63", "2**64 - 1"]),
    )
    return f"x = {text}\nout = {pick(rng, OUTS)}\nresult = {call}"
