"""The loop: what it gives is what a sequence, or a sampler with a stop matcher, gives by hand."""

import threading

import numpy as np
import pytest
import rheostat
from chain_model import BYTES, EOS, KNOBS, PROMPTS, VOCAB, Cached, everything, few, model, table_of
from hypothesis import given
from hypothesis import strategies as st
from rheostat import KnobError, SamplingParams


@few
@given(KNOBS, PROMPTS, st.integers(0, 9))
def test_it_is_a_sequence_stepped_by_hand(knobs, prompt, stream):
    params = SamplingParams(**knobs)
    for api in (rheostat, rheostat.reference):
        sequence = api.Sequence(params, table_of(api), prompt_ids=prompt, stream=stream)
        by_hand, ids = [], list(prompt)
        while sequence.finish is None:
            by_hand.append(sequence.step(model(ids)))
            ids.append(by_hand[-1].token.id)
        generation = api.generate(model, prompt, params, table=table_of(api), stream=stream)
        assert list(generation) == by_hand
        assert generation.text == sequence.text == "".join(step.text for step in by_hand)
        assert (generation.ids, generation.tokens) == (sequence.output_ids, sequence.tokens)
        assert (generation.finish_reason, generation.stop) == sequence.finish
        assert list(generation) == []


@few
@given(KNOBS, PROMPTS)
def test_it_is_a_sampler_and_a_stop_matcher_by_hand(knobs, prompt):
    params = SamplingParams(**knobs | {"min_tokens": 0})
    sampler = rheostat.Sampler(params, VOCAB, prompt_ids=prompt)
    matcher = rheostat.StopSet(params.stop, include=params.include_stop_str_in_output).matcher()
    text, reason = "", None
    enders = {11} if params.stop_token_ids else set()
    enders |= {EOS} if params.eos_token_id and not params.ignore_eos else set()
    while reason is None:
        id = sampler.sample(model([*prompt, *sampler.output_ids])).id
        if id in enders:
            reason = "eos" if id == EOS else "stop"
            if not params.include_stop_str_in_output:
                break
        text += matcher.feed(BYTES[id] or b"")
        if reason is None and matcher.hit:
            reason = "stop"
        if reason is None and sampler.position == params.max_tokens:
            reason = "length"
        if reason is None and len(prompt) + sampler.position == params.context_length:
            reason = "context"
    text += matcher.flush()
    done = rheostat.generate(model, prompt, params, table=table_of()).run()
    assert (done.text, done.ids, done.finish_reason) == (text, tuple(sampler.output_ids), reason)


@few
@given(KNOBS, PROMPTS)
def test_an_incremental_model_gives_the_same_and_reads_each_token_once(knobs, prompt):
    params = SamplingParams(**knobs)
    cached = Cached()
    done = rheostat.generate(cached, prompt, params, table=table_of()).run()
    assert everything(done) == everything(rheostat.generate(model, prompt, params, table=table_of()).run())
    assert cached.calls == [("start", len(prompt)), *(("next", id) for id in done.ids[:-1])]


@pytest.mark.parametrize("prompt", [[0], [0, 1, 2], list(range(10)) * 2])
def test_the_oldest_tokens_slide_out_of_what_the_model_sees(prompt):
    seen = []

    def watched(ids):
        seen.append(tuple(ids))
        return model(ids)

    params = SamplingParams(seed=2, max_tokens=9, context_length=5)
    done = rheostat.generate(watched, prompt, params, table=table_of(), context="slide").run()
    assert done.finish_reason == "length"
    every = (*prompt, *done.ids)
    for place, ids in enumerate(seen):
        assert ids == every[: len(prompt) + place][-5:]
    assert done.dropped == max(0, len(prompt) + 8 - 5)
    assert done.prompt_ids == tuple(prompt)


def test_a_cache_is_filled_anew_with_half_when_it_slides():
    cached = Cached()
    params = SamplingParams(seed=2, max_tokens=9, context_length=6)
    done = rheostat.generate(cached, [0, 1, 2, 3], params, context="slide").run()
    starts = [call for call in cached.calls if call[0] == "start"]
    assert starts == [("start", 4), ("start", 3), ("start", 3)]
    assert done.dropped == 8  # 12 were there for the last row, at most 6 seen
    assert len(cached.read) == 4
    first = rheostat.generate(Cached(), list(range(10)), params, context="slide")
    next(first)
    assert first.dropped == 7


def test_the_context_ends_a_text_and_a_longer_prompt_is_an_error(api):
    params = SamplingParams(temperature=0, context_length=5)
    done = api.generate(model, [0, 1], params, table=table_of(api)).run()
    assert (done.finish_reason, len(done.ids), done.dropped) == ("context", 3, 0)
    with pytest.raises(KnobError, match="context_length must be greater than the number of prompt_ids, 5"):
        api.generate(model, [0] * 5, params, table=table_of(api))


def test_without_a_table_the_first_row_tells_the_vocabulary(api):
    params = SamplingParams(max_tokens=5)
    generation = api.generate(model, [0, 1], params)
    seed = generation.seed
    assert generation.run().seed == seed
    assert (generation.text, len(generation.ids), generation.sequence.vocab_size) == ("", 5, VOCAB)
    again = api.generate(model, [0, 1], params.replace(seed=seed), vocab_size=VOCAB).run()
    assert again.ids == generation.ids
    with pytest.raises(KnobError, match=r"prompt_ids must hold token ids in \[0, 12\), got 12"):
        next(api.generate(lambda ids: np.zeros(VOCAB), [12], params))
    padded = api.generate(lambda ids: np.arange(12.0), [0], params, vocab_size=3)
    assert set(padded.run().ids) <= {0, 1, 2}


def test_a_mask_is_asked_for_before_every_token(api):
    asked = []

    def even(ids):
        asked.append(ids)
        return None if len(ids) == 1 else np.array([1 << 2 * len(ids)], np.int32)

    done = api.generate(model, [0], SamplingParams(temperature=0, max_tokens=4), bitmask=even).run()
    assert asked == [done.ids[:n] for n in range(4)]
    assert done.ids[0] == 0
    assert done.ids[2:] == (4, 6)


def test_logprobs_are_those_of_the_tokens_of_the_text(api):
    params = SamplingParams(seed=4, max_tokens=6, eos_token_id=EOS)
    assert set(api.generate(model, [0], params).run().logprobs) == {None}
    done = api.generate(model, [0], params.replace(logprobs=0)).run()
    assert done.logprobs == tuple(token.logprob for token in done.tokens)
    assert all(logprob <= 0 for logprob in done.logprobs)


def test_the_time_is_told_apart():
    def slow(ids):
        threading.Event().wait(0.002)
        return model(ids)

    generation = rheostat.generate(slow, [0], SamplingParams(max_tokens=4))
    assert generation.timings == (0, 0, 0, 0)
    assert generation.timings.tokens_per_second == 0
    timings = generation.run().timings
    assert timings.tokens == 4
    assert timings.model > timings.prompt >= 0.002
    assert timings.model >= 0.008
    assert 0 < timings.sampling < timings.model
    assert timings.tokens_per_second == pytest.approx(4 / (timings.model + timings.sampling))
