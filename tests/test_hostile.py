"""Objects and pickles that mean harm, or were damaged on their way: an error, never a crash. (DLPack's are in
test_dlpack.py.)
"""

import ctypes
import dataclasses
import io
import pickle
import threading

import numpy as np
import pytest
import rheostat
import rheostat.reference
from rheostat import (
    BatchSampler,
    KnobError,
    LogitsError,
    Sampler,
    SamplingParams,
    Sequence,
    StopSet,
    TokenTable,
)

ROW = np.array([2.0, 1.0, 0.5, 0.25], np.float32)


def pickled(api):
    """One of each class that can be pickled, each in the middle of something."""
    params = SamplingParams(
        seed=3, stop=["ab", "END"], logit_bias={1: 0.5}, bad_words=[[1, 2]], mirostat=2, logprobs=1
    )
    table = api.TokenTable.from_bytes([b"a", b"b", None, "\u20ac".encode()])
    sampler = api.Sampler(params.replace(stop=[]), 4, prompt_ids=[1, 3])
    token = sampler.sample(ROW)
    batch = api.BatchSampler(4)
    batch.add(params.replace(stop=[]), prompt_ids=[1])
    tokens = batch.step(ROW[None], kept=True)
    sequence = api.Sequence(params, table, prompt_ids=[0])
    step = sequence.step(ROW)
    stops = api.StopSet([[1, 2], [2, 3, 4]], tie="longest")
    matcher = api.StopSet(["\u20acEND"]).matcher()
    matcher.feed("x\u20ac")
    hit = api.StopSet(["b"]).find("abc")
    objects = [params, table, sampler, token, batch, tokens, sequence, step, sequence.snapshot(), stops]
    objects += [api.explain(ROW, seed=1), api.logprobs(ROW, [0], top=1), step.token]
    objects += [api.verify([1], None, np.stack([ROW, ROW]), params.replace(mirostat=0), seed=1, position=0)]
    objects += [matcher, hit, KnobError("a must be b, got c", "a", 1), LogitsError("logits must be", 0, 1)]
    return objects


class Cautious(pickle._Unpickler):
    """The unpickler in Python: a damaged length cannot make it take all memory, as it can the one in C. It
    finds what rheostat's pickles name, and nothing that a changed letter happens to name.
    """

    def find_class(self, module, name):
        packages = ("rheostat", "numpy", "collections", "copyreg")
        if module.split(".")[0] in packages or (module, name) == ("builtins", "getattr"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not looked for here")


def loaded(data):
    """What the bytes are a pickle of, or the exception. A panic is no Exception and fails the test."""
    try:
        return Cautious(io.BytesIO(data)).load()
    except SystemError:
        raise  # what an extension must not do
    except Exception as error:
        return error


def test_pickles_come_back(api):
    for thing in pickled(api):
        back = loaded(pickle.dumps(thing))
        assert type(back) is type(thing)
        if " object at 0x" not in repr(thing):
            assert repr(back) == repr(thing)


def test_truncated_pickles_are_errors(api):
    for thing in pickled(api):
        data = pickle.dumps(thing)
        for length in range(0, len(data), 1 + len(data) // 60):
            assert isinstance(loaded(data[:length]), Exception)


def test_pickles_with_flipped_bits_are_errors_or_other_objects(api):
    rng = np.random.default_rng(0)
    refused = 0
    for thing in pickled(api):
        data = pickle.dumps(thing)
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(rng.integers(1, 3)):
                damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
            back = loaded(bytes(damaged))
            refused += isinstance(back, Exception)
            # A dataclass does not look at what it is given; what it lacks is an AttributeError on use.
            if type(back) is type(thing) and not dataclasses.is_dataclass(thing):
                repr(back)
                loaded(pickle.dumps(back))  # whole enough to go on its way
    assert refused > 300


JUNK = [None, True, -1, 2**70, 0.5, float("nan"), "x", b"", b"\0" * 40, (), [], {}, ("a", 1), object(), ROW]


def spoiled(state):
    """States with one part, at any depth, replaced by junk."""
    yield from JUNK
    if isinstance(state, (tuple, list)):
        for i, part in enumerate(state):
            for other in spoiled(part):
                yield type(state)([*state[:i], other, *state[i + 1 :]])
            yield type(state)([*state[:i], *state[i + 1 :]])
    if isinstance(state, bytes):
        for i in range(0, len(state), 3):
            yield state[:i]
            yield state[:i] + bytes([state[i] ^ 0xFF]) + state[i + 1 :]
        yield state + state


def test_states_with_wrong_parts_are_refused_or_understood(api):
    """An own error, no other: they name what is wrong."""
    expected = (KnobError, TypeError, ValueError)
    refused = 0
    for thing in pickled(api):
        if not type(thing).__module__.startswith("rheostat") or isinstance(thing, Exception):
            continue
        make, arguments, *rest = thing.__reduce_ex__(4)
        if make is not type(thing):
            continue  # copyreg's own way, for plain Python classes
        for other in spoiled(arguments):
            if isinstance(other, tuple):
                try:
                    make(*other)
                except expected:
                    refused += 1
        for state in spoiled(rest[0]) if rest and hasattr(type(thing), "__setstate__") else ():
            target = make(*arguments)
            try:
                target.__setstate__(state)
            except expected:
                refused += 1
                assert repr(target) == repr(make(*arguments)) or "seed=" in repr(target)
            else:
                repr(target)
                target.__reduce_ex__(4)
    assert refused > 100


class Recursive:
    def __array__(self, dtype=None, copy=None):
        return np.asarray(self)


class Gives:
    """`__array__` gives anything."""

    def __init__(self, what):
        self.what = what

    def __array__(self, dtype=None, copy=None):
        if isinstance(self.what, type):
            raise self.what("on purpose")
        return self.what


class Claims:
    """`__array_interface__` claims anything."""

    def __init__(self, **claims):
        self.memory = np.arange(4, dtype=np.float32)
        self.__array_interface__ = {**self.memory.__array_interface__, **claims}


class Endless:
    """A sequence that is longer than it says, each item one more of itself."""

    def __len__(self):
        return 2**62

    def __getitem__(self, i):
        return self


HOSTILE = {
    "recursion": Recursive(),
    "None": Gives(None),
    "text": Gives("text"),
    "a list": Gives([1.0, 2.0]),
    "objects": Gives(np.array([object(), None])),
    "raises": Gives(LookupError),
    "raises KeyboardInterrupt-like": Gives(MemoryError),
    "negative shape": Claims(shape=(-1,)),
    "huge shape": Claims(shape=(2**40, 2**40)),
    "shape of floats": Claims(shape=(0.5,)),
    "no type": Claims(typestr="?"),
    "a type of no size": Claims(typestr="V0"),
    "strides for another shape": Claims(strides=(4, 4)),
    "an address that is none": Claims(data=("address", False)),
    "no data": Claims(data=None, shape=(2**50,)),
    "endless": Endless(),
    "a type": np.ndarray,
    "a module": np,
    "a generator": (x for x in [1.0]),
    "a ctypes array of pointers": (ctypes.c_void_p * 3)(),
}


@pytest.mark.parametrize("what", HOSTILE.values(), ids=HOSTILE)
def test_hostile_holders_of_numbers_are_errors(api, what):
    for call in (
        lambda: api.softmax(what),
        lambda: api.sample(what, seed=1),
        lambda: api.Sampler(SamplingParams(), 4).sample(what),
        lambda: api.BatchSampler(4).step(what, []),
        lambda: api.sample(ROW, seed=1, bitmask=what),
        lambda: api.sample(ROW, seed=1, banned_token_ids=what),
        lambda: api.sample(ROW, seed=1, top_p=what),
    ):
        with pytest.raises((TypeError, ValueError, LookupError, MemoryError, RecursionError)):
            call()


def test_an_array_that_another_thread_lets_go_of_lives_to_the_end_of_the_call():
    wanted = rheostat.softmax(np.linspace(0, 1, 400_000, dtype=np.float32))
    for _ in range(20):
        holder = [np.linspace(0, 1, 400_000, dtype=np.float32)]

        def let_go(holder=holder):
            holder.clear()
            for _ in range(50):  # what was freed would be used again
                np.full(400_000, np.nan, np.float32)

        other = threading.Thread(target=let_go)
        given = holder[0]
        other.start()
        result = rheostat.softmax(given)
        del given
        other.join()
        np.testing.assert_array_equal(result, wanted)


def test_an_array_in_use_cannot_be_resized_by_a_callable(api):
    """`resize(refcheck=False)`, and writing from another thread, are undefined, as in NumPy."""
    for given in (np.arange(40, dtype=np.float32), np.ones((2, 40), np.float32)):
        refused = []

        def shrink(ids, logits, probabilities, given=given, refused=refused):
            with pytest.raises(ValueError, match="resize"):
                given.resize(2)
            refused.append(True)
            return ids

        assert np.size(api.kept(given, chain=(shrink,))) == given.size
        assert refused == [True] * given.ndim


def test_the_classes_are_still_whole():
    """After all of the above in one process."""
    assert rheostat.sample(ROW, seed=1) == rheostat.reference.sample(ROW, seed=1)
    assert Sampler(SamplingParams(temperature=0), 4).sample(ROW).id == 0
    assert BatchSampler(4).handles == ()
    sequence = Sequence(SamplingParams(stop="ab"), TokenTable.from_bytes([b"a", b"b"]))
    assert sequence.push([0, 1]).finish.reason == "stop"
    assert StopSet(["x"]).find("yx").start == 1
