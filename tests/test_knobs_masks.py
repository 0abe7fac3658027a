"""Masks forbid before anything is read; what they forbid together is a set, and the empty rest has a name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rheostat import SamplingParams
from rheostat.errors import KnobError, LogitsError
from rows_strategy import few
from support import assert_same_outcome

F = np.float32
VOCAB = 70
ids_of_vocab = st.integers(0, VOCAB - 1)
id_sets = st.lists(ids_of_vocab, max_size=20)


def packed(allowed, words):
    """int32 words with the bits of the allowed ids set, as xgrammar packs them."""
    bits = np.zeros(words, np.uint32)
    for i in allowed:
        bits[i // 32] |= np.uint32(1) << np.uint32(i % 32)
    return bits.view(np.int32)


def test_masks_leave_the_difference_of_the_sets(api):
    x = np.zeros(VOCAB, F)

    @few
    @given(st.one_of(st.none(), id_sets), id_sets, st.one_of(st.none(), id_sets))
    def check(allowed, banned, bits):
        left = set(range(VOCAB)) - set(banned)
        for mask in (allowed, bits):
            left &= set(range(VOCAB)) if mask is None else set(mask)
        knobs = {
            "allowed_token_ids": allowed,
            "banned_token_ids": banned,
            "bitmask": None if bits is None else packed(bits, 3),
        }
        if left:
            assert api.kept(x, **knobs).tolist() == sorted(left)
        else:
            with pytest.raises(KnobError, match="must leave at least one token"):
                api.kept(x, **knobs)

    check()


def test_a_forbidden_tokens_logit_is_not_read(api):
    x = np.array([1, np.nan, np.inf, 2, -np.inf], F)
    assert api.kept(x, banned_token_ids=[1, 2]).tolist() == [0, 3]
    assert api.kept(x, allowed_token_ids=[0, 3]).tolist() == [0, 3]
    assert api.kept(x, bitmask=packed([0, 3], 1)).tolist() == [0, 3]
    with pytest.raises(LogitsError, match="got inf at row 0, token 2"):
        api.kept(x, banned_token_ids=[1])


def test_a_short_bitmask_forbids_what_lies_past_its_end_and_bits_past_the_row_say_nothing(api):
    x = np.zeros(40, F)
    assert api.kept(x, bitmask=packed(range(32), 1)).tolist() == list(range(32))
    assert api.kept(x, bitmask=np.array([-1, -1], np.int32)).tolist() == list(range(40))
    with pytest.raises(KnobError, match="bitmask must have at most 2 words for 40 tokens, got 3"):
        api.kept(x, bitmask=np.zeros(3, np.int32))


def test_a_bitmask_is_for_all_rows_or_one_per_row(api):
    x = np.zeros((2, 32), F)
    one = packed([3, 31], 1)
    assert [ids.tolist() for ids in api.kept(x, bitmask=one)] == [[3, 31], [3, 31]]
    both = np.stack([one, packed([0], 1)])
    assert [ids.tolist() for ids in api.kept(x, bitmask=both)] == [[3, 31], [0]]
    with pytest.raises(
        KnobError, match=r"bitmask must have shape \(words,\) or \(2, words\), got shape \(3, 1\)"
    ):
        api.kept(x, bitmask=np.ones((3, 1), np.int32))
    with pytest.raises(KnobError, match=r"bitmask must have shape \(words,\), got shape \(2, 1\)"):
        api.kept(x[0], bitmask=both)
    with pytest.raises(TypeError, match="bitmask must be an int32 array, got an array of int64"):
        api.kept(x, bitmask=np.ones(1, np.int64))


# Two rows of two words each, where a transposed reading would give other rows.
ALLOWED = [[0, 40], [1, 2, 63]]
BITMASK = np.stack([packed(ids, 2) for ids in ALLOWED])
LAYOUTS = {
    "rows": BITMASK,
    "columns": np.asfortranarray(BITMASK),
    "transposed": np.ascontiguousarray(BITMASK.T).T,
    "a part": np.asfortranarray(np.pad(BITMASK, 1))[1:-1, 1:-1],
    "backwards": BITMASK[::-1, ::-1].copy()[::-1, ::-1],
    "unaligned": np.frombuffer(b"." + BITMASK.tobytes(), np.uint8)[1:].view(np.int32).reshape(2, 2),
}


@pytest.mark.parametrize("bitmask", LAYOUTS.values(), ids=LAYOUTS)
def test_a_bitmask_is_read_row_by_row_however_it_lies_in_memory(api, bitmask):
    x = np.zeros((2, 64), F)
    assert [ids.tolist() for ids in api.kept(x, bitmask=bitmask)] == ALLOWED
    assert api.sample(x, u=[2**64 - 1] * 2, bitmask=bitmask).tolist() == [40, 63]
    for row, ids in enumerate(ALLOWED):
        params = SamplingParams(seed=1, report=("kept_count",))
        assert api.Sampler(params, 64).sample(x[row], bitmask=bitmask[row]).kept_count == len(ids)
        sampler = api.Sampler(params, 64)
        assert sampler.sample(x[row : row + 1], bitmask=bitmask[row : row + 1]).kept_count == len(ids)
    greedy = SamplingParams(temperature=0)
    verified = api.verify([0], None, x, greedy, seed=1, position=0, bitmask=bitmask)
    assert (verified.accepted, list(verified.ids)) == (1, [0, 1])


def test_bad_words_forbid_the_last_id_where_the_history_ends_with_the_others(api):
    x = np.zeros(6, F)
    words = [[5], [1, 2, 3], [2, 4], [0, 0]]
    assert api.kept(x, bad_words=words).tolist() == [0, 1, 2, 3, 4]
    assert api.kept(x, bad_words=words, prompt_ids=[1], output_ids=[2]).tolist() == [0, 1, 2]
    assert api.kept(x, bad_words=words, prompt_ids=[0]).tolist() == [1, 2, 3, 4]


def test_bad_words_are_for_all_rows_or_one_list_per_row(api):
    x = np.zeros((2, 4), F)
    assert [ids.tolist() for ids in api.kept(x, bad_words=[[1], [2]])] == [[0, 3], [0, 3]]
    assert [ids.tolist() for ids in api.kept(x, bad_words=[[[1]], []])] == [[0, 2, 3], [0, 1, 2, 3]]
    assert [ids.size for ids in api.kept(x, bad_words=[[], []])] == [4, 4]


def test_no_ngram_is_completed_twice(api):
    x = np.zeros(4, F)

    @few
    @given(st.lists(st.integers(0, 3), max_size=20), st.integers(1, 4))
    def check(history, n):
        ngrams = {tuple(history[i : i + n]) for i in range(len(history) - n + 1)}
        left = [t for t in range(4) if tuple([*history, t][len(history) + 1 - n :]) not in ngrams]
        if len(history) < n - 1:
            left = [0, 1, 2, 3]
        half = len(history) // 2
        knobs = {"prompt_ids": history[:half], "output_ids": history[half:], "no_repeat_ngram_size": n}
        if left:
            assert api.kept(x, **knobs).tolist() == left
        else:
            with pytest.raises(KnobError, match="no_repeat_ngram_size must leave at least one token"):
                api.kept(x, **knobs)

    check()


def test_min_tokens_forbids_what_ends_until_the_output_is_long_enough(api):
    x = np.zeros(5, F)
    knobs = {"min_tokens": 2, "eos_token_id": 4, "stop_token_ids": [1, 2]}
    assert api.kept(x, prompt_ids=[0, 0, 0], output_ids=[3], **knobs).tolist() == [0, 3]
    assert api.kept(x, prompt_ids=[0], output_ids=[3, 3], **knobs).tolist() == [0, 1, 2, 3, 4]
    assert api.kept(x, min_tokens=1, eos_token_id=[0, 4]).tolist() == [1, 2, 3]


def test_min_tokens_yields_where_a_bitmask_leaves_nothing_else(api):
    x = np.zeros(5, F)
    knobs = {"min_tokens": 2, "eos_token_id": 4}
    assert api.kept(x, bitmask=packed([4], 1), **knobs).tolist() == [4]
    assert api.kept(x, bitmask=packed([3, 4], 1), **knobs).tolist() == [3]
    assert api.kept(x, bitmask=packed([3, 4], 1), banned_token_ids=[3], **knobs).tolist() == [4]
    with pytest.raises(
        KnobError, match="allowed_token_ids and min_tokens must leave at least one token together"
    ):
        api.kept(x, allowed_token_ids=[4], **knobs)


def test_a_row_wider_than_the_vocabulary_loses_its_tail(api):
    x = np.array([1, 2, 3, np.nan], F)
    assert api.kept(x, vocab_size=3).tolist() == [0, 1, 2]
    assert api.process(x, vocab_size=2).tolist() == [1, 2, -np.inf, -np.inf]
    with pytest.raises(KnobError, match="vocab_size must be at most the width of the logits, 4, got 5"):
        api.kept(x, vocab_size=5)
    with pytest.raises(KnobError, match=r"banned_token_ids must hold token ids in \[0, 3\), got 3"):
        api.kept(x, vocab_size=3, banned_token_ids=[3])
    with pytest.raises(KnobError, match="vocab_size must be at least 1, got 0"):
        api.kept(x, vocab_size=0)


@pytest.mark.parametrize(
    ("knobs", "names"),
    [
        ({"allowed_token_ids": []}, "allowed_token_ids must leave at least one token,"),
        ({"banned_token_ids": [0, 1, 2]}, "banned_token_ids must leave at least one token,"),
        ({"bitmask": packed([], 1)}, "bitmask must leave at least one token,"),
        (
            {"allowed_token_ids": [0, 1], "banned_token_ids": [1], "bad_words": [[0]]},
            "allowed_token_ids and banned_token_ids and bad_words must leave at least one token together,",
        ),
        (
            {"bitmask": packed([0, 2], 1), "vocab_size": 2, "logit_bias": {0: -np.inf}},
            "vocab_size and bitmask and logit_bias must leave at least one token together,",
        ),
        ({"logit_bias": dict.fromkeys(range(3), -np.inf)}, "logit_bias must leave at least one token,"),
    ],
)
def test_an_error_names_the_masks_that_forbid_everything_together(api, knobs, names):
    with pytest.raises(KnobError, match=f"^{names} got none in row 0$"):
        api.sample(np.zeros(3, F), u=0, **knobs)


def test_the_lowest_row_is_named_and_nothing_is_written(api):
    x = np.zeros((3, 4), F)
    x[2, 0] = np.nan
    out = np.full_like(x, 7)
    with pytest.raises(KnobError, match="in row 1"):
        api.process(x, allowed_token_ids=[[1], [], [0]], out=out)
    assert (out == 7).all()
    with pytest.raises(LogitsError, match="at row 2, token 0"):
        api.process(x, allowed_token_ids=[[1], [1], [0]], out=out)
    assert (out == 7).all()


def test_lists_of_ids_are_for_all_rows_or_one_per_row(api):
    x = np.zeros((2, 4), F)
    for both in ([1, 2], (1, 2), np.array([1, 2]), range(1, 3)):
        assert [ids.tolist() for ids in api.kept(x, banned_token_ids=both)] == [[0, 3], [0, 3]]
    assert [ids.tolist() for ids in api.kept(x, allowed_token_ids=[None, [2]])] == [[0, 1, 2, 3], [2]]
    assert [ids.tolist() for ids in api.kept(x, allowed_token_ids=np.array([[1], [2]]))] == [[1], [2]]


class Ids(np.ndarray):
    """A subclass of NumPy's array."""


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("shape", [(5,), (2, 5), (1, 5)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: np.ma.array([1, 2], dtype, mask=[0, 1]),
        lambda dtype: np.ma.array([1, 2], dtype, mask=False),
        lambda dtype: np.ma.array([[1, 2], [3, 4]], dtype, mask=[[0, 1], [0, 0]]),
        lambda dtype: np.ma.array([[1], [2]], dtype),
        lambda dtype: np.matrix([[1, 2]], dtype),
        lambda dtype: np.matrix([[1], [2]], dtype),
        lambda dtype: np.array([1, 2], dtype).view(Ids),
        lambda dtype: np.array([[1, 2], [2, 3]], dtype).view(Ids),
        lambda dtype: np.rec.array(np.array([1, 2], dtype)),
    ],
)
def test_subclasses_of_arrays_are_read_alike_or_refused_alike(make, dtype, shape):
    x = np.arange(np.prod(shape), dtype=F).reshape(shape) % 5
    ids = make(dtype)
    more = {"bad_words": {}, "eos_token_id": {"min_tokens": 9}, "stop_token_ids": {"min_tokens": 9}}
    penalties = {"repetition_penalty": 9.0, "no_repeat_ngram_size": 1}
    more |= {"prompt_ids": penalties, "output_ids": penalties}
    for name in ("allowed_token_ids", "banned_token_ids", "dry_sequence_breakers", *more):
        assert_same_outcome(lambda api: api.kept(x, top_k=3, **{name: ids}, **more.get(name, {})))  # noqa: B023
    assert_same_outcome(lambda api: api.logprobs(x, ids))
    params = SamplingParams(seed=1, repetition_penalty=9.0)
    assert_same_outcome(lambda api: api.Sampler(params, 5, prompt_ids=ids).history)

    def accepted(api):
        sampler = api.Sampler(params, 5)
        sampler.accept(ids)
        return sampler.history

    assert_same_outcome(accepted)


def test_a_masked_id_is_refused(api):
    masked = np.ma.array([1, 2], mask=[0, 1])
    with pytest.raises(KnobError, match="allowed_token_ids must be for one row of logits"):
        api.kept([1.0, 2.0, 3.0], allowed_token_ids=masked)  # a None among ids is for rows without
    with pytest.raises(TypeError, match="prompt_ids must be a sequence of token ids, got NoneType in it"):
        api.kept([1.0, 2.0, 3.0], prompt_ids=masked)


@pytest.mark.parametrize(
    ("knobs", "error", "text"),
    [
        ({"banned_token_ids": [-1]}, KnobError, r"banned_token_ids must hold token ids in \[0, 3\), got -1"),
        ({"banned_token_ids": 1}, TypeError, "banned_token_ids must be a sequence of token ids .*, got int"),
        ({"banned_token_ids": [1.0]}, TypeError, "banned_token_ids must be .*, got float in it"),
        ({"banned_token_ids": [[1]]}, KnobError, "banned_token_ids must be for one row of logits"),
        ({"bad_words": [[]]}, KnobError, r"bad_words must hold sequences of at least one token id, got \(\)"),
        ({"bad_words": [1]}, TypeError, "bad_words must be a list of token id sequences .*, got int in it"),
        (
            {"bad_words": ["no"]},
            TypeError,
            "bad_words must be a list of token id sequences .*, got str in it",
        ),
        ({"bitmask": [1]}, TypeError, "bitmask must be an int32 array, got list"),
        ({"min_tokens": -1}, KnobError, "min_tokens must be at least 0, where 0 is off, got -1"),
        ({"no_repeat_ngram_size": True}, TypeError, "no_repeat_ngram_size must be an integer .*, got bool"),
        ({"eos_token_id": 3}, KnobError, r"eos_token_id must hold token ids in \[0, 3\), got 3"),
    ],
)
def test_a_refusal_names_argument_rule_and_value(api, knobs, error, text):
    with pytest.raises(error, match=text):
        api.kept([1.0, 2.0, 3.0], **knobs)


def test_masks_act_in_every_function(api):
    x = np.array([9, 1, 2], F)
    assert api.sample(x, u=0, banned_token_ids=[0, 1]) == 2
    assert sorted(api.choose(x, 2, seed=1, banned_token_ids=[0]).tolist()) == [1, 2]
    assert api.process(x, banned_token_ids=[0]).tolist() == [-np.inf, 1, 2]
    assert api.logprobs(x, [0, 2], banned_token_ids=[0, 1]).logprobs.tolist() == [-np.inf, 0.0]


def test_min_words_of_a_mask_may_be_as_wide_as_the_row_when_the_vocabulary_is_narrower(api):
    x = np.zeros(70, F)
    assert api.kept(x, vocab_size=5, bitmask=np.full(3, -1, np.int32)).tolist() == [0, 1, 2, 3, 4]
