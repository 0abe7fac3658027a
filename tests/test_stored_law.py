"""The version of the law stands in whatever is stored, and another one is refused in one sentence."""

import json
import pickle

import numpy as np
import pytest
from rheostat import LAW, KnobError, SamplingParams, recording
from rheostat.law_version import check_law

OTHER = LAW + 1
SENTENCE = f"law must be {LAW}, the version of the numeric law that this library follows, got {OTHER}"
PARAMS = SamplingParams(top_p=0.9, seed=3, stop=["END"])
BYTES = [b"a", b"b", b"END"]


def sampler(api):
    made = api.Sampler(PARAMS, 3, prompt_ids=[1])
    made.sample([1.0, 2.0, 3.0])
    return made


def batch(api):
    made = api.BatchSampler(3)
    made.add(PARAMS)
    return made


def sequence(api):
    made = api.Sequence(PARAMS, api.TokenTable.from_bytes(BYTES))
    made.push([0, 1])
    return made


STORED = {
    "SamplingParams": lambda api: PARAMS,
    "StopSet": lambda api: api.StopSet(["END", "\n"], tie="longest", include=True),
    "StopMatcher": lambda api: api.StopSet([b"END"]).matcher(),
    "Sampler": sampler,
    "BatchSampler": batch,
    "a BatchSampler without sequences": lambda api: api.BatchSampler(3),
    "Sequence": sequence,
    "a snapshot of a Sequence": lambda api: sequence(api).snapshot(),
}


@pytest.fixture
def next_law(monkeypatch):
    """What is unpickled in here was written under an older law."""

    def become():
        monkeypatch.setattr("rheostat.law_version.LAW", OTHER)

    return become


@pytest.mark.parametrize("name", STORED)
def test_a_pickle_of_another_law_is_refused_in_one_sentence(api, name, next_law):
    data = pickle.dumps(STORED[name](api))
    assert pickle.loads(data) is not None
    next_law()
    with pytest.raises(KnobError) as caught:
        pickle.loads(data)
    assert str(caught.value) == (
        f"law must be {OTHER}, the version of the numeric law that this library follows, got {LAW}"
    )
    assert (caught.value.argument, caught.value.value) == ("law", LAW)


def test_a_snapshot_of_another_law_is_refused(api):
    one = sampler(api)
    state = bytearray(one.snapshot())
    state[8:12] = OTHER.to_bytes(4, "little")
    before = one.snapshot()
    with pytest.raises(KnobError, match=f"state must be of law {LAW}, got {OTHER}"):
        one.restore(bytes(state))
    assert one.snapshot() == before


def test_the_state_of_a_batch_of_another_law_changes_nothing(api):
    made = batch(api)
    law, following, sequences = before = made.__getstate__()
    assert law == LAW
    with pytest.raises(KnobError) as caught:
        made.__setstate__((OTHER, following, sequences))
    assert str(caught.value) == SENTENCE
    assert made.__getstate__() == before


@pytest.mark.parametrize("law", [OTHER, 0, True, 1.0, "1", None])
def test_json_of_another_law_or_of_none_is_refused(law):
    text = json.dumps(json.loads(PARAMS.to_json()) | {"law": law})
    with pytest.raises(KnobError) as caught:
        SamplingParams.from_json(text)
    assert str(caught.value) == SENTENCE.replace(str(OTHER), repr(law))


def test_what_stands_for_the_law_is_an_int_and_nothing_that_equals_one():
    check_law(LAW)
    for law in (True, 1.0, np.int64(1)):
        with pytest.raises(KnobError, match="law must be 1, the version of the numeric law"):
            check_law(law)


def test_a_record_has_the_law_and_a_comparison_says_where_it_differs(api, tmp_path):
    def model(ids):
        return [3.0, 2.0, 1.0]

    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path in paths:
        api.generate(model, [0], PARAMS.replace(max_tokens=3), table=BYTES, record=path).run()
    lines = paths[1].read_text().splitlines()
    header = json.loads(lines[0])
    assert header["law"] == LAW
    paths[1].write_text("\n".join([json.dumps(header | {"law": OTHER}), *lines[1:]]) + "\n")
    assert str(recording.diff(*paths)).startswith(f"law differs: {LAW} and {OTHER}.")
