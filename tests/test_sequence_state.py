"""A sequence's state: copies, snapshots, what a failing call leaves, and the tokens that a step releases."""

import copy
import pickle

import numpy as np
import pytest
import rheostat
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import KnobError, SamplingParams, Token
from support import outcome
from test_sequence import BYTES, PARAMS, VOCAB, forced, table_of


def state_of(sequence):
    return sequence.text, sequence.output_ids, sequence.tokens, sequence.finish, sequence.position


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_goes_its_own_way_over_the_same_table(api, copied):
    table = table_of(api)
    sequence = api.Sequence(SamplingParams(stop="END"), table)
    sequence.push([0, 4])
    twin = copied(sequence)
    assert (twin.table is table, twin.params is sequence.params) == (True, True)
    assert twin.push([5, 6]).finish == ("stop", "END")
    assert (sequence.text, sequence.output_ids, sequence.finish) == ("a", (0, 4), None)
    assert sequence.push(1).text == "Eb"


def test_a_snapshot_of_another_sequence_is_refused(api):
    params = SamplingParams(stop="END", seed=1)

    def sequence(params=params, prompt=(1, 2), stream=0):
        return api.Sequence(params, table_of(api), prompt_ids=prompt, stream=stream)

    own = sequence()
    own.push([0, 4])
    before = state_of(own)
    others = {
        "prompt": sequence(prompt=(1, 3)),
        "seed": sequence(params.replace(seed=2)),
        "stream": sequence(stream=1),
        "stop": sequence(params.replace(stop="ENDE")),
    }
    for name, other in others.items():
        with pytest.raises(KnobError) as caught:
            own.restore(other.snapshot())
        rule = "snapshot must be one of this sequence's"
        assert str(caught.value) == f"{rule}, got one with another {name}"
        assert state_of(own) == before
    twin = sequence()
    twin.restore(own.snapshot())
    assert state_of(twin) == before


def test_a_snapshot_needs_no_table_and_becomes_a_sequence(api):
    big = api.TokenTable.from_bytes([b"x" * 50] * 2000)
    sequence = api.Sequence(SamplingParams(frequency_penalty=1), big, prompt_ids=[7, 8], stream=3)
    sequence.push([1, 2])
    saved = pickle.dumps((sequence.snapshot(), sequence.params))
    assert len(saved) < 3000
    twin = api.Sequence.from_snapshot(*pickle.loads(saved), big)
    assert state_of(twin) == state_of(sequence)
    assert (twin.seed, twin.stream, twin.prompt_ids) == (sequence.seed, 3, (7, 8))
    row = np.zeros(2000, np.float32)
    assert twin.step(row) == sequence.step(row)
    with pytest.raises(TypeError, match=r"^snapshot must be one of a sequence, got bytes$"):
        api.Sequence.from_snapshot(b"", SamplingParams(), big)
    with pytest.raises(KnobError, match=r"with another stop$"):
        api.Sequence.from_snapshot(sequence.snapshot(), SamplingParams(stop="x"), big)


class Interrupting(list):
    """A table that is read only once, and whose reading would fail later."""

    reads = 0

    def __getitem__(self, index):
        self.reads += 1
        if self.reads > len(self):
            raise OSError("the file is gone")
        return super().__getitem__(index)


def test_a_table_that_is_a_sequence_is_read_once(api):
    sequence = api.Sequence(SamplingParams(), Interrupting(BYTES))
    assert sequence.push([0, 1, 2, 0, 1, 2] * 5).text == "abab" * 10
    assert isinstance(sequence.table, api.TokenTable)
    for table, got in ((3, "int"), ({0: b"a"}, "dict")):
        rule = "table must be a TokenTable or a sequence of bytes and None"
        with pytest.raises(TypeError, match=f"^{rule}, got {got}$"):
            api.Sequence(SamplingParams(), table)


@pytest.mark.parametrize("knobs", [{}, {"mirostat": 2}], ids=repr)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_interrupt_between_two_lines_changes_nothing(api, knobs, late, nth, monkeypatch):
    """It comes as the n-th token of a call is taken, before or after that."""
    sequence = api.Sequence(SamplingParams(stop="END", seed=5, **knobs), table_of(api), prompt_ids=[3])
    sequence.step(np.zeros(VOCAB, np.float32))
    sequence.push([0, 4])
    twin, before, mu = copy.copy(sequence), state_of(sequence), sequence._sampler.mu
    transcript = type(sequence._transcript)
    take = transcript.take
    left = nth

    def interrupted(self, token):
        nonlocal left
        left -= 1
        if left == 0 and not late:
            raise KeyboardInterrupt
        text = take(self, token)
        if left == 0:
            raise KeyboardInterrupt
        return text

    monkeypatch.setattr(transcript, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sequence.push([1, 4, 5, 6])
    assert (state_of(sequence), sequence._sampler.mu) == (before, mu)
    left = 1
    with pytest.raises(KeyboardInterrupt):
        sequence.step(forced(2))
    assert (state_of(sequence), sequence._sampler.mu) == (before, mu)
    for row in np.random.default_rng(0).normal(size=(4, VOCAB)).astype(np.float32):
        assert sequence.step(row) == twin.step(row)


@settings(max_examples=300, deadline=None)
@given(PARAMS, st.lists(st.integers(0, VOCAB - 1), max_size=30), st.data())
def test_the_tokens_of_all_steps_are_those_of_the_text(knobs, ids, data):
    params = SamplingParams(**{"context_length": None} | knobs)
    for api in (rheostat, rheostat.reference):
        sequence = api.Sequence(params, table_of(api))
        released, left = (), list(ids)
        while left and sequence.finish is None:
            size = data.draw(st.integers(1, 3))
            step = sequence.push(left[:size])
            left = left[size:]
            released += step.tokens
            assert released == sequence.tokens
            whole = b"".join(BYTES[id] or b"" for id in sequence.output_ids[: len(released)])
            assert [token.id for token in released] == list(sequence.output_ids[: len(released)])
            if sequence.finish is None:
                assert sequence.text.startswith(whole.decode("utf-8", "replace"))
            else:
                assert len(sequence.text) <= len(whole.decode("utf-8", "replace"))


def test_a_token_comes_with_its_text(api):
    sequence = api.Sequence(SamplingParams(stop="END"), table_of(api))
    found = [[token.id for token in sequence.push(id).tokens] for id in (8, 9, 4, 1, 10, 4)]
    # half of a character, its rest; the E that a stop may begin with, what says that it does not; no text
    assert found == [[], [8, 9], [], [4, 1], [10], []]
    assert [token.id for token in sequence.push([3]).tokens] == [4]
    assert sequence.finish == ("stop", "END")
    token = Token(0, -0.5)
    assert api.Sequence(SamplingParams(), table_of(api)).push(token).tokens == (token,)


@pytest.mark.parametrize(
    "given", [b"\x01\x02", {1: 2}, {1, 2}, "12", None, 1.5, True, [True], [1.5], -1, [VOCAB]], ids=repr
)
def test_push_refuses_what_accept_refuses(api, given):
    sequence = api.Sequence(SamplingParams(), table_of(api))
    with pytest.raises((KnobError, TypeError)) as wanted:
        api.Sampler(SamplingParams(), VOCAB).accept(given)
    with pytest.raises((KnobError, TypeError)) as caught:
        sequence.push(given)
    assert (type(caught.value), str(caught.value)) == (type(wanted.value), str(wanted.value))
    with pytest.raises(TypeError):
        sequence.push(id for id in (1, 2))
    assert state_of(sequence) == ("", (), (), None, 0)


@pytest.mark.parametrize(
    "given", [3, np.array(3), np.int64(3), np.array([3, 0]), range(3), (1, 2), [np.int32(1)], []], ids=repr
)
def test_push_takes_what_accept_takes(api, given):
    sequence, sampler = api.Sequence(SamplingParams(), table_of(api)), api.Sampler(SamplingParams(), VOCAB)
    accepted, pushed = (outcome(lambda call=call: call(given)) for call in (sampler.accept, sequence.push))
    assert accepted == pushed or (accepted[0], pushed[0]) == ("value", "value")
    assert sequence.output_ids == sampler.output_ids


def test_a_step_of_the_chain_that_uses_the_sequence_is_told_so(api):
    shown = []

    def inside(ids, logits, probabilities):
        shown.append(repr(sequence))
        sequence.push(0)

    sequence = api.Sequence(SamplingParams(chain=(inside,)), table_of(api))
    with pytest.raises(RuntimeError, match=r"^the sequence is in use by another call: "):
        sequence.step(forced(0))
    assert shown == ["<Sequence of 0 tokens, open>"]
