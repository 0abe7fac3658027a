"""Faults of a batch: told alike by both implementations, with their place, and nothing changes."""

import numpy as np
import pytest
import rheostat
from rheostat import LAW, KnobError, LogitsError, SamplingParams, reference
from sampler_strategy import two
from support import outcome


class Stop(BaseException):
    """No error at all."""


@pytest.mark.parametrize("raised", [ZeroDivisionError("mine"), TypeError("mine"), Stop("mine")], ids=repr)
def test_a_callable_s_fault_is_raised_and_changes_nothing(api, raised):
    def fails(ids, logits, probabilities):
        raise type(raised)(*raised.args)

    batch = api.BatchSampler(3)
    batch.add(SamplingParams())
    batch.remove(batch.add(SamplingParams()))
    batch.add(SamplingParams(chain=(fails,)))
    before = batch.__getstate__()
    for on_bad_row in ("raise", "mark"):
        with pytest.raises(type(raised), match="mine") as error:
            batch.step(np.zeros((2, 3)), on_bad_row=on_bad_row)
        assert error.value.__notes__ == ["in row 1, of the sequence with handle 2"]
        assert batch.__getstate__() == before


def test_a_row_that_its_callable_calls_bad_is_marked_as_any_bad_row(api):
    def fails(ids, logits, probabilities):
        raise KnobError("mine", "chain", 1)

    def blames_the_model(ids, logits, probabilities):
        raise LogitsError("its own", 0, None)

    def keeps_none(ids, logits, probabilities):
        return []

    batch = api.BatchSampler(3)
    chains = ((fails,), "vllm", (blames_the_model,), (keeps_none,), "vllm", (lambda ids, x, p: ids,))
    for chain in chains:
        batch.add(SamplingParams(seed=1, chain=chain))
    logits = np.zeros((6, 3))
    logits[4, 1] = np.nan
    before = batch.__getstate__()
    with pytest.raises(KnobError, match="mine") as error:
        batch.step(logits)
    assert error.value.__notes__ == ["in row 0, of the sequence with handle 0"]
    assert batch.__getstate__() == before
    tokens = batch.step(logits, on_bad_row="mark", kept=True)
    assert tokens.reasons == (
        "mine",
        None,
        "its own",
        "chain must have callables that keep at least one token, got none from keeps_none",
        "logits must be finite or -inf, got nan at row 4, token 1",
        None,
    )
    assert [batch.position(handle) for handle in batch.handles] == [0, 1, 0, 0, 0, 1]
    assert [token.id >= 0 for token in tokens] == [False, True, False, False, False, True]


@pytest.mark.parametrize("on_bad_row", ["raise", "mark"])
def test_callables_are_asked_row_by_row_up_to_the_first_failure(api, on_bad_row):
    asked = []

    def asks(ids, logits, probabilities):
        asked.append(logits[0])
        if logits[0] == 4:
            raise ZeroDivisionError
        return ids

    batch = api.BatchSampler(2)
    for place in range(6):
        batch.add(SamplingParams(chain=(asks,)) if place != 2 else SamplingParams())
    logits = np.tile(np.arange(6.0)[:, None], 2)
    with pytest.raises(ZeroDivisionError):
        batch.step(logits, on_bad_row=on_bad_row)
    assert asked == [0, 1, 3, 4]
    asked.clear()
    logits[2] = np.nan
    with pytest.raises(LogitsError if on_bad_row == "raise" else ZeroDivisionError):
        batch.step(logits, on_bad_row=on_bad_row)
    assert asked == ([0, 1] if on_bad_row == "raise" else [0, 1, 3, 4])


FAULTS = {
    "a handle of no sequence": lambda b, x: b.step(x, [0, 7]),
    "a negative handle": lambda b, x: b.step(x, [0, -1]),
    "a huge handle": lambda b, x: b.step(x, [0, 2**70]),
    "a handle twice": lambda b, x: b.step(x, [1, 1]),
    "too few handles": lambda b, x: b.step(x, [1]),
    "a handle that is no int": lambda b, x: b.step(x, [0, 1.0]),
    "a handle that is a bool": lambda b, x: b.step(x, [0, True]),
    "handles that are none": lambda b, x: b.step(x, 3),
    "too few rows": lambda b, x: b.step(x[:1]),
    "narrow rows": lambda b, x: b.step(x[:, :2]),
    "a mask too long": lambda b, x: b.step(x, bitmask=np.zeros(2, np.int32)),
    "masks of another number": lambda b, x: b.step(x, bitmask=[None]),
    "masks of another shape": lambda b, x: b.step(x, bitmask=np.zeros((3, 1), np.int32)),
    "a mask of another shape": lambda b, x: b.step(x, bitmask=[None, np.zeros((1, 1), np.int32)]),
    "a mask of another type": lambda b, x: b.step(x, bitmask=[None, [1]]),
    "another word for bad rows": lambda b, x: b.step(x, on_bad_row="skip"),
    "no word for bad rows": lambda b, x: b.step(x, on_bad_row=None),
    "kept that is no bool": lambda b, x: b.step(x, kept=1),
    "kept that is None": lambda b, x: b.step(x, kept=None),
    "accept of a stranger": lambda b, x: b.accept(7, [1]),
    "accept beyond the vocabulary": lambda b, x: b.accept(0, [1, 3]),
    "remove of a stranger": lambda b, x: b.remove(7),
    "remove of no handle": lambda b, x: b.remove("0"),
    "position of a stranger": lambda b, x: b.position(-1),
    "params of no kind": lambda b, x: b.set_params(0, {}),
    "restore of no bytes": lambda b, x: b.restore(0, b"RHEO"),
    "a state of no batch": lambda b, x: b.__setstate__((1, 2)),
    "a state with a later handle": lambda b, x: b.__setstate__(
        (LAW, 0, ((0, SamplingParams(), b.snapshot(0)),))
    ),
    "a state whose handles are at their end": lambda b, x: b.__setstate__((LAW, 2**64 - 1, ())),
    "a state whose handles were never reached": lambda b, x: b.__setstate__((LAW, 2**63, ())),
    "a state beyond all handles": lambda b, x: b.__setstate__((LAW, 2**64, ())),
    "a state with a list": lambda b, x: b.__setstate__((LAW, 0, [])),
    "a state with bytes": lambda b, x: b.__setstate__((LAW, 0, b"")),
    "a state that is a list": lambda b, x: b.__setstate__([LAW, 0, ()]),
    "a state of a bool": lambda b, x: b.__setstate__((LAW, True, ())),
    "a state of a number of NumPy's": lambda b, x: b.__setstate__((LAW, np.int64(0), ())),
    "a state with a list in it": lambda b, x: b.__setstate__(
        (LAW, 1, ([0, SamplingParams(), b.snapshot(0)],))
    ),
    "a state with a handle of NumPy's": lambda b, x: b.__setstate__(
        (LAW, 1, ((np.int64(0), SamplingParams(), b.snapshot(0)),))
    ),
    "a state of another law": lambda b, x: b.__setstate__((LAW + 1, 0, ())),
    "a state of no law": lambda b, x: b.__setstate__((0, ())),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_alike_and_change_nothing(fault):
    outcomes = []
    for api in (rheostat, reference):
        batch, _ = two(api)
        before = batch.__getstate__()
        outcomes.append(outcome(lambda b=batch: FAULTS[fault](b, np.zeros((2, 3), np.float32))))
        assert batch.__getstate__() == before
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] in (KnobError, TypeError)
