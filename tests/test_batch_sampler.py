"""Many sequences: each as if it were alone, whatever its neighbours, its row or its thread."""

import copy
import pickle
import threading
from functools import partial

import numpy as np
import pytest
import rheostat
from hypothesis import given
from hypothesis import strategies as st
from rheostat import LAW, KnobError, LogitsError, SamplingParams, Token, reference
from sampler_strategy import VOCAB, few, histories, ids, kinds, masks, row, seeds, settled, two
from support import outcome

arrivals = st.lists(st.tuples(settled(), histories, seeds), max_size=3)
steps = st.fixed_dictionaries(
    {
        "arrive": arrivals,
        "leave": st.lists(st.integers(0, 9), max_size=2),
        "order": st.randoms(use_true_random=False),
        "rows": st.lists(st.tuples(st.integers(0, 2**32), kinds, masks), min_size=9, max_size=9),
        "force": st.lists(st.tuples(st.integers(0, 9), ids | histories), max_size=2),
        "change": st.none() | st.tuples(st.integers(0, 9), settled()),
        "pickle": st.booleans(),
        "all at once": st.booleans(),
    }
)


def at(handles, place):
    """The handle at a place, counted around; None where there is none."""
    return handles[place % len(handles)] if handles else None


def step_of(batch, step):
    """The arguments of `batch.step`: all sequences, or some in any order."""
    handles = list(batch.handles)
    if not step["all at once"]:
        handles = step["order"].sample(handles, step["order"].randint(0, len(handles)))
    rows = [step["rows"][i % 9] for i in range(len(handles))]
    logits = np.array([row(seed + i, kind) for i, (seed, kind, _) in enumerate(rows)], np.float32)
    keywords = {"bitmask": [words for *_, words in rows]}
    if not step["all at once"]:
        keywords["handles"] = handles
    return handles, logits.reshape(len(handles), VOCAB), keywords


@few
@given(st.lists(steps, max_size=6))
def test_each_sequence_gives_the_tokens_of_a_sampler_alone(happens):
    batch, alone = rheostat.BatchSampler(VOCAB), {}
    for step in happens:
        for params, prompt, stream in step["arrive"]:
            handle = batch.add(params, prompt_ids=prompt, stream=stream)
            assert handle not in alone
            alone[handle] = rheostat.Sampler(params, VOCAB, prompt_ids=prompt, stream=stream)
        for place in step["leave"]:
            if (handle := at(batch.handles, place)) is not None:
                batch.remove(handle)
        for place, forced in step["force"]:
            if (handle := at(batch.handles, place)) is not None:
                batch.accept(handle, forced)
                alone[handle].accept(forced)
        if step["change"] and (handle := at(batch.handles, step["change"][0])) is not None:
            batch.set_params(handle, step["change"][1])
            alone[handle].set_params(step["change"][1])
        if step["pickle"]:
            batch = pickle.loads(pickle.dumps(batch))
        handles, logits, keywords = step_of(batch, step)
        tokens = batch.step(logits, **keywords, on_bad_row="mark")
        for i, handle in enumerate(handles):
            sampler = alone[handle]
            x, words = logits[i], keywords["bitmask"][i]
            kind, *wanted = outcome(lambda s=sampler, x=x, words=words: s.sample(x, bitmask=words))
            if kind == "value":
                assert (tokens[i], tokens.reasons[i]) == (wanted[0], None)
            else:
                assert tokens[i] == Token(-1)
                # a batch names its row
                assert tokens.reasons[i] == wanted[0].replace("row 0", f"row {i}")
            assert batch.snapshot(handle) == sampler.snapshot()
        assert tokens.ids.tolist() == [token.id for token in tokens]


@few
@given(st.lists(steps, max_size=4), st.sampled_from(["raise", "mark"]))
def test_both_batches_go_the_same_way(happens, on_bad_row):
    batches = [api.BatchSampler(VOCAB) for api in (rheostat, reference)]
    for step in happens:
        for params, prompt, stream in step["arrive"]:
            handles = [batch.add(params, prompt_ids=prompt, stream=stream) for batch in batches]
            assert handles[0] == handles[1]
        for place in step["leave"]:
            handle = at(batches[0].handles, place)
            assert repr(outcome(lambda h=handle: batches[0].remove(h))) == repr(
                outcome(lambda h=handle: batches[1].remove(h))
            )
        before = batches[0].__getstate__()
        _, logits, keywords = step_of(batches[0], step)
        keywords |= {"on_bad_row": on_bad_row, "kept": True}
        fast, slow = (outcome(partial(batch.step, logits, **keywords)) for batch in batches)
        if fast[0] == slow[0] == "value":
            a, b = fast[1], slow[1]
            assert (list(a), a.reasons) == (list(b), b.reasons)
            np.testing.assert_equal((a.ids, a.kept), (b.ids, b.kept))
            assert [x.dtype for x in (a.ids, *a.kept)] == [np.int64] * 3
        else:
            assert fast == slow
            assert batches[0].__getstate__() == before
        assert batches[0].__getstate__() == batches[1].__getstate__()


@pytest.mark.parametrize("threads", [1, 2])
def test_long_rows_over_threads(threads):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 20_001)).astype(np.float32) * 4
    params = [
        SamplingParams(
            seed=5,
            top_p=float(rng.uniform(0.5, 1)),
            temperature=float(rng.uniform(0, 2)),
            repetition_penalty=1.2,
            logprobs=2,
            report=("entropy", "rank", "kept_mass", "raw_logprob", "kept_count"),
        )
        for _ in range(9)
    ]
    batch = rheostat.BatchSampler(20_001)
    handles = [batch.add(each, stream=i) for i, each in enumerate(params)]
    alone = [reference.Sampler(each, 20_001, stream=i) for i, each in enumerate(params)]
    rheostat.set_num_threads(threads)
    try:
        for turn in range(3):
            order = rng.permutation(9)
            tokens = batch.step(logits[order] + turn, [handles[i] for i in order])
            assert list(tokens) == [alone[i].sample(logits[i] + turn) for i in order]
    finally:
        rheostat.set_num_threads(0)


def test_a_handle_is_never_used_again(api):
    batch, (a, b) = two(api)
    batch.remove(a)
    c = batch.add(SamplingParams())
    assert (a, b, c) == (0, 1, 2)
    assert (batch.handles, len(batch)) == ((b, c), 2)
    batch.remove(c)
    assert pickle.loads(pickle.dumps(batch)).add(SamplingParams()) == 3


def test_what_is_beyond_all_handles_is_no_sequence_s(api):
    batch, _ = two(api)
    batch.__setstate__((LAW, 2**63 - 1, ()))
    assert [batch.add(SamplingParams()) for _ in range(3)] == [2**63 - 1, 2**63, 2**63 + 1]
    for handle in (-1, 2**64 - 1, 2**64, 2**70):
        with pytest.raises(KnobError, match="handle must be of a sequence in this batch, got"):
            batch.position(handle)


def test_rows_that_are_not_named_stay(api):
    batch, (a, b) = two(api)
    batch.step([[0.0, 1.0, 2.0]], [b])
    assert (batch.position(a), batch.position(b)) == (0, 1)
    batch.step([0.0, 1.0, 2.0], (a,))  # a single row
    batch.step(np.zeros((2, 3), np.float32), np.array([b, a]))
    assert (batch.position(a), batch.position(b)) == (2, 2)
    assert batch.step(np.zeros((0, 3), np.float32), []).ids.shape == (0,)


def test_a_sequence_s_state_can_be_read_and_moved(api):
    batch, (a, _) = two(api, mirostat=2)
    batch.accept(a, [1, 2])
    assert (batch.history(a), batch.prompt_ids(a), batch.output_ids(a)) == ((0, 1, 2), (0,), (1, 2))
    assert (batch.seed(a), batch.stream(a), batch.mu(a), batch.vocab_size) == (0, 0, 10.0, 3)
    sampler = api.Sampler(batch.params(a), 3)
    sampler.restore(batch.snapshot(a))
    x = np.zeros((1, 3), np.float32)
    wanted = [sampler.sample(x).id for _ in range(4)]
    saved = batch.snapshot(a)
    assert [batch.step(x, [a])[0].id for _ in range(4)] == wanted
    batch.restore(a, saved)
    assert [batch.step(x, [a])[0].id for _ in range(4)] == wanted


def test_a_row_without_a_mask_is_legal(api):
    only = np.array([0b010], np.int32)
    logits = np.tile(np.array([5.0, 0.0, 0.0], np.float32), (2, 1))
    for bitmask, wanted in (
        ([None, only], [0, 1]),
        ((only, None), [1, 0]),
        (only, [1, 1]),
        (np.stack([only, only]), [1, 1]),
        (None, [0, 0]),
        ([None, None], [0, 0]),
    ):
        batch, _ = two(api, temperature=0)
        assert batch.step(logits, bitmask=bitmask).ids.tolist() == wanted


def test_a_bad_row_harms_no_other_and_its_position_stays(api):
    batch, (a, b) = two(api, temperature=0)
    logits = np.array([[1.0, np.nan, 0.0], [0.0, 2.0, 1.0]], np.float32)
    tokens = batch.step(logits, on_bad_row="mark", kept=True)
    assert tokens.ids.tolist() == [-1, 1]
    assert tokens[0] == Token(-1)
    assert tokens.reasons == ("logits must be finite or -inf, got nan at row 0, token 1", None)
    assert [part.tolist() for part in tokens.kept] == [[0, 0, 1], [1]]
    assert (batch.position(a), batch.position(b)) == (0, 1)
    none = [np.zeros(1, np.int32), None]
    tokens = batch.step(np.zeros((2, 3)), [b, a], bitmask=none, on_bad_row="mark")
    assert tokens.reasons[0] == "bitmask must leave at least one token, got none in row 0"


def test_without_marks_a_bad_row_changes_nothing(api):
    batch, _ = two(api)
    before = batch.__getstate__()
    logits = np.array([[0.0, 1.0, 2.0], [1.0, np.nan, 0.0]])
    with pytest.raises(LogitsError, match="got nan at row 1, token 1"):
        batch.step(logits)
    assert batch.__getstate__() == before


def test_what_a_step_gives_equals_its_like_and_can_be_pickled(api):
    def step(seed, kept=False):
        batch, _ = two(api, top_k=2, logprobs=1)
        logits = np.random.default_rng(seed).normal(size=(2, 3))
        logits[1, 0] = np.nan
        return batch.step(logits, on_bad_row="mark", kept=kept)

    for kept in (False, True):
        tokens = step(0, kept)
        assert tokens == step(0, kept)
        assert tokens not in (step(1, kept), step(0, not kept), tuple(tokens))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(tokens, protocol)) == tokens
        assert copy.deepcopy(tokens) == tokens
    with pytest.raises(TypeError, match="unhashable"):
        hash(tokens)


def test_copies_go_their_own_way(api):
    batch, _ = two(api, frequency_penalty=1.0)
    x = np.random.default_rng(0).normal(size=(2, 3))
    batch.step(x)
    others = [copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))]
    wanted = [batch.step(x).ids.tolist() for _ in range(4)]
    for other in others:
        assert [other.step(x).ids.tolist() for _ in range(4)] == wanted


def test_two_threads_at_once_are_told(api):
    inside, go_on = threading.Event(), threading.Event()

    def waits(ids, logits, probabilities):
        inside.set()
        go_on.wait(10)
        return ids

    batch, (a, _) = two(api, chain=(waits,))
    x = np.zeros((1, 3), np.float32)
    thread = threading.Thread(target=batch.step, args=(x, [a]))
    thread.start()
    assert inside.wait(10)
    for call in (lambda: batch.step(x, [a]), lambda: batch.add(SamplingParams()), lambda: batch.handles):
        with pytest.raises(RuntimeError, match="BatchSampler must not be used again during a call"):
            call()
    assert (len(batch), repr(batch)) == (2, "BatchSampler(vocab_size=3, sequences=2, in use)")
    go_on.set()
    thread.join()
    assert batch.position(a) == 1
