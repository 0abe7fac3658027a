"""One sequence on its way: both samplers alike, and each like `sample` with the whole history."""

import copy
import pickle
import threading

import numpy as np
import pytest
import rheostat
from hypothesis import given
from hypothesis import strategies as st
from rheostat import KnobError, SamplingParams, reference
from sampler_strategy import VOCAB, few, histories, ids, masks, row, rows, seeds, settled
from support import outcome

EVERYTHING = ("raw_logprob", "rank", "kept_count", "kept_mass", "entropy")
STATE = ("params", "vocab_size", "position", "seed", "stream", "history", "prompt_ids", "output_ids")

events = st.one_of(
    st.tuples(st.just("sample"), rows, masks),
    st.tuples(st.just("sample"), rows, st.none()),
    st.tuples(st.just("accept"), ids | histories),
    st.tuples(st.just("set_params"), settled()),
    st.tuples(st.just("restore")),
    st.tuples(st.just("pickle")),
)


def state_of(sampler):
    return {name: getattr(sampler, name) for name in STATE}, repr(sampler.mu), sampler.snapshot()


def happen(sampler, event, saved):
    """What an event gives, and the sampler after it."""
    match event:
        case "sample", x, words:
            return outcome(lambda: sampler.sample(x, bitmask=words)), sampler
        case "accept", given:
            return outcome(lambda: sampler.accept(given)), sampler
        case "set_params", params:
            return outcome(lambda: sampler.set_params(params)), sampler
        case ("restore",):
            return outcome(lambda: sampler.restore(saved)), sampler
        case ("pickle",):
            return ("value", None), pickle.loads(pickle.dumps(sampler))


@few
@given(settled(), histories, seeds, st.lists(events, max_size=12))
def test_both_samplers_go_the_same_way_whatever_happens(params, prompt, stream, happens):
    samplers = [api.Sampler(params, VOCAB, prompt_ids=prompt, stream=stream) for api in (rheostat, reference)]
    saved = samplers[0].snapshot()
    for event in happens:
        before = samplers[0].snapshot()
        (fast, samplers[0]), (slow, samplers[1]) = (happen(s, event, saved) for s in samplers)
        assert repr(fast) == repr(slow)
        assert state_of(samplers[0]) == state_of(samplers[1])
        if fast[0] != "value":
            assert samplers[0].snapshot() == before
    saved = samplers[0].snapshot()


@few
@given(settled(mirostat=False), histories, seeds, st.lists(st.tuples(rows, masks, histories), max_size=8))
def test_what_is_kept_between_tokens_gives_the_token_of_the_whole_history(params, prompt, stream, steps):
    params = params.replace(logprobs=None, report=())
    sampler = rheostat.Sampler(params, VOCAB, prompt_ids=prompt, stream=stream)
    for x, words, forced in steps:
        alone = outcome(
            lambda x=x, words=words: rheostat.sample(
                x,
                bitmask=words,
                vocab_size=VOCAB,
                seed=params.seed,
                stream=stream,
                position=sampler.position,
                prompt_ids=sampler.prompt_ids,
                output_ids=sampler.output_ids,
                **params.knobs(),
            )
        )
        kept = outcome(lambda x=x, words=words: sampler.sample(x, bitmask=words).id)
        assert kept == alone
        sampler.accept(forced)


@pytest.mark.parametrize("last_n", [None, 0, 1, 7])
@pytest.mark.parametrize("ngram", [0, 1, 2, 4])
def test_long_sequences_with_counts_and_ngrams_stay_those_of_the_whole_history(last_n, ngram):
    params = SamplingParams(
        seed=5,
        repetition_penalty=1.2,
        frequency_penalty=0.3,
        presence_penalty=0.1,
        penalty_last_n=last_n,
        no_repeat_ngram_size=ngram,
        dry_multiplier=0.5,
    )
    sampler = rheostat.Sampler(params, 300, prompt_ids=[1, 2, 3, 1, 2])
    for step in range(150):
        x = row(step, "good", 300)
        wanted = rheostat.sample(
            x, seed=5, position=step, prompt_ids=sampler.prompt_ids, output_ids=sampler.output_ids,
            **params.knobs(),
        )  # fmt: skip
        assert sampler.sample(x).id == wanted


def test_the_token_s_numbers_are_those_of_logprobs_and_kept(api):
    x = np.random.default_rng(1).normal(size=500).astype(np.float32)
    knobs = {"temperature": 0.8, "top_p": 0.9, "presence_penalty": 1.5}
    params = SamplingParams(seed=3, logprobs=4, report=EVERYTHING, **knobs)
    sampler = api.Sampler(params, 500, prompt_ids=[7], stream=2)
    sampler.accept([int(np.argmax(x))])
    past = {"prompt_ids": [7], "output_ids": sampler.output_ids}
    token = sampler.sample(x)
    assert token.id == api.sample(x, seed=3, stream=2, position=1, **past, **knobs)
    found = api.logprobs(x, token.id, top=4, **past, **knobs)
    assert token.logprob == found.logprobs
    assert token.top_logprobs == tuple(zip(found.top_ids.tolist(), found.top_logprobs.tolist(), strict=True))
    raw = api.logprobs(x, token.id)
    assert (token.raw_logprob, token.rank) == (raw.logprobs, raw.ranks)
    kept = api.kept(x, **past, **knobs)
    assert token.kept_count == len(kept)
    # the masses and the entropy against float64
    shaped = api.process(x, **past, presence_penalty=1.5).astype(np.float64) / 0.8
    p = np.exp(shaped - shaped.max())
    p /= p.sum()
    assert token.kept_mass == pytest.approx(p[kept].sum(), rel=1e-5)
    q = p[kept] / p[kept].sum()
    assert token.entropy == pytest.approx(-(q * np.log(q)).sum(), rel=1e-5)


def test_nothing_is_told_that_was_not_asked_for(api):
    x = row(2, "good")
    assert api.Sampler(SamplingParams(), VOCAB).sample(x)[1:] == (None,) * 7
    assert api.Sampler(SamplingParams(logprobs=0), VOCAB).sample(x)[2:] == (None,) * 6
    for name in EVERYTHING:
        token = api.Sampler(SamplingParams(report=(name,)), VOCAB).sample(x)
        told = {field for field, value in token._asdict().items() if value is not None}
        assert told == {"id", name}


def test_a_greedy_token_is_certain(api):
    params = SamplingParams(temperature=0, logprobs=3, report=EVERYTHING, presence_penalty=1.0)
    token = api.Sampler(params, 3).sample([1.0, 3.0, 2.0])
    assert token[:2] == (1, 0.0)
    assert token[3:] == (1, ((1, 0.0),), 1, 1.0, 0.0)
    assert token.raw_logprob == pytest.approx(3 - np.log(np.exp([1, 3, 2]).sum()))


def test_kept_mass_counts_what_a_cut_above_the_kept_set_dropped(api):
    params = SamplingParams(seed=1, xtc_probability=1, xtc_threshold=0.2, report=("kept_mass",))
    token = api.Sampler(params, 3).sample(np.log([0.6, 0.3, 0.1]))
    assert token.id in (1, 2)
    assert token.kept_mass == pytest.approx(0.4)


def test_a_wide_row_s_tail_is_forbidden_and_no_part_of_the_row(api):
    x = np.append(row(3, "good"), [np.nan, np.inf, 50.0]).astype(np.float32)
    params = SamplingParams(seed=1, logprobs=0, report=EVERYTHING)
    assert api.Sampler(params, VOCAB).sample(x) == api.Sampler(params, VOCAB).sample(x[:VOCAB])
    with pytest.raises(KnobError, match="vocab_size must be at most the width of the logits, 40, got 41"):
        api.Sampler(params, VOCAB).sample(x[:40])


def test_what_is_told_of_the_row_as_it_came_needs_it_whole(api):
    x = np.array([1.0, np.nan, 2.0])
    params = SamplingParams(seed=1, banned_token_ids=[1], report=("kept_count",))
    assert api.Sampler(params, 3).sample(x).kept_count == 2
    for name in ("raw_logprob", "rank"):
        sampler = api.Sampler(params.replace(report=(name,)), 3)
        with pytest.raises(rheostat.LogitsError, match="got nan at row 0, token 1"):
            sampler.sample(x)
        assert sampler.position == 0


def test_one_row_in_any_form_and_no_other(api):
    x = row(4, "good")
    params = SamplingParams(seed=2, report=("rank",))
    wanted = api.Sampler(params, VOCAB).sample(x)
    for same in (x[None], x.tolist(), x.astype(np.float64), np.repeat(x, 2)[::2]):
        assert api.Sampler(params, VOCAB).sample(same) == wanted
    sampler = api.Sampler(params, VOCAB)
    for wrong, shape in ((np.stack([x, x]), r"\(2, 41\)"), (np.empty((0, 41), np.float32), r"\(0, 41\)")):
        with pytest.raises(KnobError, match=f"logits must be one row, got shape {shape}"):
            sampler.sample(wrong)


def test_the_seed_of_the_system_is_told_and_repeats_the_run(api):
    x = row(5, "good")
    first = api.Sampler(SamplingParams(), VOCAB)
    assert first.seed != api.Sampler(SamplingParams(), VOCAB).seed
    tokens = [first.sample(x).id for _ in range(20)]
    again = api.Sampler(SamplingParams(seed=first.seed), VOCAB)
    assert [again.sample(x).id for _ in range(20)] == tokens


def test_set_params_keeps_all_but_what_it_sets(api):
    sampler = api.Sampler(SamplingParams(seed=4), 10, prompt_ids=[1], stream=9)
    sampler.accept([2, 3])
    params = SamplingParams(temperature=0, presence_penalty=5.0)
    sampler.set_params(params)
    assert sampler.params is params
    assert (sampler.seed, sampler.stream, sampler.position, sampler.history) == (4, 9, 2, (1, 2, 3))
    assert sampler.sample(np.arange(10)[::-1] + np.eye(10)[3] * 7.0).id == 0  # 3 has come
    sampler.set_params(SamplingParams(seed=5))
    assert sampler.seed == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("top_p=1", 5), "params must be a SamplingParams, got str"),
        ((SamplingParams(), 0), r"vocab_size must be in \[1, 1048576\], got 0"),
        ((SamplingParams(), 1.5), "vocab_size must be an integer or one integer per row, got float"),
        ((SamplingParams(), [5]), "vocab_size must be an integer, got several"),
        (
            (SamplingParams(banned_token_ids=[5]), 5),
            r"banned_token_ids must hold token ids in \[0, 5\), got 5",
        ),
        ((SamplingParams(), 5, [1, 5]), r"prompt_ids must hold token ids in \[0, 5\), got 5"),
        ((SamplingParams(), 5, 3), "prompt_ids must be a sequence of token ids, got int"),
        ((SamplingParams(), 5, (), -1), r"stream must be in \[0, 2\*\*64\), got -1"),
        ((SamplingParams(), 5, (), "x"), "stream must be an integer or one integer per row, got str"),
        ((SamplingParams(dry_sequence_breakers="x"), 5), "dry_sequence_breakers must be token ids, which"),
    ],
    ids=repr,
)
def test_what_a_sampler_cannot_be_made_of(api, arguments, message):
    params, vocab_size, *more = arguments
    keywords = dict(zip(("prompt_ids", "stream"), more, strict=False))
    with pytest.raises((KnobError, TypeError), match=message):
        api.Sampler(params, vocab_size, **keywords)


def test_faults_of_a_step_change_nothing(api):
    sampler = api.Sampler(SamplingParams(seed=1, chain=(lambda ids, x, p: 1 / 0,)), 5, prompt_ids=[1])
    before = sampler.snapshot()
    for fault in (
        lambda: sampler.sample([0.0] * 5),  # the callable
        lambda: sampler.sample([[0.0] * 5] * 2),
        lambda: sampler.sample([0.0] * 4),
        lambda: sampler.sample([0.0] * 5, bitmask=np.zeros(1, np.int32)),
        lambda: sampler.sample([0.0] * 5, bitmask=np.zeros(2, np.int32)),
        lambda: sampler.sample([0.0] * 5, bitmask=np.zeros(1, np.int64)),
        lambda: sampler.accept(5),
        lambda: sampler.accept([1, 2, -1]),
        lambda: sampler.accept("x"),
        lambda: sampler.accept(True),
        lambda: sampler.set_params(None),
        lambda: sampler.set_params(SamplingParams(logit_bias={5: 1.0})),
        lambda: sampler.restore(b""),
        lambda: sampler.restore("x"),
    ):
        assert outcome(fault)[0] != "value"
        assert sampler.snapshot() == before


def mangled(saved):
    """Bytes that are no snapshot, or not one of this vocabulary, law or version."""
    yield from (saved[:n] for n in (0, 3, 4, 7, 8, 11, 12, 20, 47, len(saved) - 1))
    yield saved + b"\0"
    yield b"RHEX" + saved[4:]
    yield saved[:4] + b"\2" + saved[5:]
    yield saved[:8] + b"\7" + saved[9:]
    yield saved[:28] + b"\2" + saved[29:]  # whether there is a mu
    yield saved[:39] + b"\1" + saved[40:]  # a mu where there is none
    yield saved[:40] + b"\xff" * 8 + saved[48:]  # as many ids as there cannot be
    yield saved[:-4] + b"\xff\xff\0\0"


def test_bytes_that_are_no_snapshot_are_refused_alike():
    saved = rheostat.Sampler(SamplingParams(seed=1), 10, prompt_ids=[3, 4]).snapshot()
    for bad in mangled(saved):
        samplers = [api.Sampler(SamplingParams(seed=2), 10) for api in (rheostat, reference)]
        fast, slow = (outcome(lambda s=s, bad=bad: s.restore(bad)) for s in samplers)
        assert fast == slow
        assert fast[0] is KnobError, bad
        assert samplers[0].position == 0


@pytest.mark.parametrize("mu", [np.nan, np.inf, -np.inf])
def test_a_snapshot_has_a_finite_mu(api, mu):
    sampler = api.Sampler(SamplingParams(seed=1, mirostat=2), 10)
    saved = sampler.snapshot()
    with pytest.raises(KnobError, match=f"state must have a finite mu, got {mu}"):
        sampler.restore(saved[:32] + np.float64(mu).tobytes() + saved[40:])
    assert sampler.snapshot() == saved


def test_mu_stays_finite_and_so_can_be_restored():
    params = SamplingParams(seed=1, mirostat=2, mirostat_tau=1.5e308, mirostat_eta=1.5e308)
    fast, slow = samplers = [api.Sampler(params, 10) for api in (rheostat, reference)]
    for _ in range(4):
        for sampler in samplers:
            sampler.sample(np.arange(10.0))
            sampler.restore(sampler.snapshot())
        assert fast.mu == slow.mu == np.finfo(float).max


def test_a_snapshot_is_read_by_the_other_implementation():
    fast = rheostat.Sampler(SamplingParams(seed=1, mirostat=2), 10, prompt_ids=[3, 4], stream=2**63)
    fast.sample(np.arange(10.0))
    slow = reference.Sampler(SamplingParams(seed=9, mirostat=2), 10)
    slow.restore(fast.snapshot())
    assert slow.snapshot() == fast.snapshot()
    assert (slow.seed, slow.stream, slow.mu, slow.history) == (fast.seed, fast.stream, fast.mu, fast.history)


def test_copies_and_pickles_go_their_own_way(api):
    x = row(6, "good")
    sampler = api.Sampler(SamplingParams(seed=3, frequency_penalty=1.0), VOCAB, prompt_ids=[1])
    sampler.sample(x)
    others = [pickle.loads(pickle.dumps(sampler)), copy.copy(sampler), copy.deepcopy(sampler)]
    wanted = [sampler.sample(x) for _ in range(5)]
    for other in others:
        assert [other.sample(x) for _ in range(5)] == wanted
        assert other.params == sampler.params


def test_two_threads_at_once_are_told(api):
    x = row(7, "good")
    inside, go_on = threading.Event(), threading.Event()

    def waits(ids, logits, probabilities):
        inside.set()
        go_on.wait(10)
        return ids

    sampler = api.Sampler(SamplingParams(seed=1, chain=(waits,)), VOCAB)
    thread = threading.Thread(target=sampler.sample, args=(x,))
    saved = sampler.snapshot()
    thread.start()
    assert inside.wait(10)
    message = "Sampler must not be used again during a call, got a second call"
    for call in (
        lambda: sampler.sample(x),
        lambda: sampler.accept(1),
        lambda: sampler.set_params(SamplingParams()),
        lambda: sampler.position,
        lambda: sampler.snapshot(),
        lambda: sampler.restore(saved),
        lambda: pickle.dumps(sampler),
    ):
        with pytest.raises(RuntimeError, match=message):
            call()
    assert repr(sampler) == f"Sampler(vocab_size={VOCAB}, in use)"
    go_on.set()
    thread.join()
    assert sampler.position == 1


def test_without_the_gil_two_threads_never_get_a_wrong_token():
    vocab = 200_000  # so long a row is drawn from with the GIL released
    x = np.random.default_rng(0).normal(size=vocab).astype(np.float32)
    sampler = rheostat.Sampler(SamplingParams(seed=1, top_k=50), vocab)
    tokens = []

    def draw():
        for _ in range(100):
            try:
                tokens.append(sampler.sample(x).id)
            except RuntimeError as error:
                assert "must not be used again during a call" in str(error)  # noqa: PT017

    threads = [threading.Thread(target=draw) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = rheostat.sample(x, seed=1, top_k=50, position=np.arange(len(tokens))).tolist()
    assert sampler.history == tuple(wanted)
    assert sorted(tokens) == sorted(wanted)


def test_a_callable_that_uses_its_own_sampler_is_told(api):
    def asks(ids, logits, probabilities):
        return ids[: sampler.position + 1]

    sampler = api.Sampler(SamplingParams(chain=(asks,)), 3)
    with pytest.raises(RuntimeError, match="Sampler must not be used again during a call, got a second call"):
        sampler.sample([0.0, 1.0, 2.0])
