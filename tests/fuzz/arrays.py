"""The array boundary: numbers of every type in every layout and wrapping, with and without `out`.

Most cases have a result to compare; in one of five anything goes, and most of these are refused.
"""

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
        self.shape = self.array.shape

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


def each(x, value):
    """The value for a single row, a list of as many for several."""
    return [value] * np.shape(x)[0] if np.ndim(x) == 2 else value


NAMES = {
    "Wrapped": Wrapped,
    "Interface": Interface,
    "Tensor": Tensor,
    "unaligned": unaligned,
    "frozen": frozen,
    "each": each,
}

TYPES = ["f4"] * 6 + ["f8", "f8", "f2", ">f4", ">f8"]
TYPES_REFUSED = ["i4", "i8", "u1", "?", "c8", "O", "f16", "U3"]
LAYOUTS = (
    ["{}"] * 6
    + ["{}[::-1]", "{}[..., ::2]", "{}[..., ::-1]", "np.asfortranarray({})", "unaligned({})", "frozen({})"]
    + ["np.repeat({}, 2, axis=-1)[..., ::2]"]
)
LAYOUTS_OF_ONE_ROW = ["np.broadcast_to({}, (3, *np.shape({})))", "{}[None]", "{}[..., None]"]
LAYOUTS_OF_ROWS = ["{}.T", "{}[:0]", "{}[:1]"]
WRAPPINGS = (
    ["{}"] * 8
    + ["{}.tolist()", "memoryview({})", "Wrapped({})", "Interface({})", "Tensor({})", "{}.view(np.recarray)"]
    + ["np.ma.masked_array({})", "tuple({}.tolist())", "np.matrix({})"]
)
WRAPPINGS_REFUSED = ["bytearray({})", "[{}, {}]"]
OUTS = ["None"] * 4 + [
    "np.zeros(np.shape(x), np.float32)",
    "np.zeros((2, *np.shape(x)), np.float32)[1]",
    "np.zeros((*np.shape(x), 2), np.float32)[..., 0]",
    "np.zeros(np.shape(x), '>f4')",
]
OUTS_REFUSED = [
    "np.zeros(np.shape(x))",
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
    "api.sample(x, u=each(x, {u}), top_p={p})",
    "api.sample(x, seed=1, stream=each(x, 2))",
    "api.logprobs(x, each(x, 0), top={k}).logprobs",
    "api.choose(x, 1, seed=each(x, 3))",
]
CALLS_OF_SOME_SHAPES = [
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
    anything = rng.random() < 0.2

    def pick_of(items, refused):
        return pick(rng, items + refused if anything else items)

    n = pick(rng, [1, 2, 3, 7, 17, 40])
    shape = pick_of([(n,), (n,), (2, n), (3, n), (1, n), (0, n)], [(n, 0), (), (2, 1, n)])
    scale = pick_of([1.0, 1.0, 5.0, 5.0, 1e-40, 1e37], [1e300])
    values = (rng.normal(size=shape) * scale).tolist()
    if rng.random() < 0.3:
        values = np.round(rng.normal(size=shape) * 3).tolist()
    kind = pick_of(TYPES, TYPES_REFUSED)
    text = f"np.array({values!r}).reshape({shape}).astype({kind!r})"
    if rng.random() < 0.15:
        special = pick_of(["-inf", "-inf", "-0.0", "-1e39"], ["inf", "nan", "1e39"])
        text = f"np.where(np.arange(np.size({values!r})).reshape({shape}) % 5 == 1, {special}, {text})"
        text = f"{text}.astype({pick(rng, TYPES)!r})"
    more = LAYOUTS_OF_ONE_ROW if len(shape) == 1 else LAYOUTS_OF_ROWS
    layout = pick_of(LAYOUTS + more, LAYOUTS_OF_ONE_ROW + LAYOUTS_OF_ROWS)
    wrapping = pick_of(WRAPPINGS, WRAPPINGS_REFUSED)
    x = wrapping.replace("{}", layout.replace("{}", text))
    is_writeable = (
        wrapping == "{}" and layout in LAYOUTS and "(" not in layout and text.endswith(".astype('f4')")
    )
    out = pick_of(OUTS + ["x"] * is_writeable, [*OUTS_REFUSED, "x"])
    call = pick_of(CALLS, CALLS_OF_SOME_SHAPES).format(
        t=pick(rng, ["1.0", "0.7", "0", "30.0"]),
        p=pick(rng, ["0.9", "0.3", "1.0", "1e-9"]),
        k=pick(rng, ["0", "1", "5"]),
        u=pick(rng, ["0", "2**63", "2**64 - 1"]),
    )
    return f"x = {x}\nout = {out}\nresult = {call}"
