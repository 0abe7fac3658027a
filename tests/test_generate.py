"""The loop: what it gives is what a sequence, or a sampler with a stop matcher, gives by hand."""

import asyncio
import copy
import gc
import pickle
import threading

import numpy as np
import pytest
import rheostat
from chain_model import BYTES, EOS, VOCAB, Cached, Failing, Interrupts, model, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import Generation, KnobError, LogitsError, SamplingParams

KNOBS = st.fixed_dictionaries(
    {"seed": st.integers(0, 2**64 - 1), "max_tokens": st.integers(8, 20)},
    optional={
        "temperature": st.sampled_from([0, 0.5, 1.0, 3.0]),
        "top_p": st.sampled_from([0.3, 0.9]),
        "top_k": st.integers(1, 6),
        "mirostat": st.sampled_from([0, 2]),
        "frequency_penalty": st.sampled_from([0.5, -1.0]),
        "no_repeat_ngram_size": st.integers(2, 3),
        "stop": st.lists(st.text("abEND é.", min_size=1, max_size=3), max_size=3),
        "eos_token_id": st.just(EOS),
        "stop_token_ids": st.just([11]),
        "ignore_eos": st.booleans(),
        "include_stop_str_in_output": st.booleans(),
        "min_tokens": st.integers(0, 6),
        "context_length": st.integers(9, 25),
        "logprobs": st.integers(0, 2),
    },
)
PROMPTS = st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=8)
few = settings(max_examples=60, deadline=None)


def everything(generation):
    """All that a generation tells but the times."""
    names = ("text", "ids", "prompt_ids", "tokens", "logprobs", "finish_reason", "stop", "seed", "dropped")
    return {name: getattr(generation, name) for name in names}


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
@given(KNOBS, PROMPTS, st.sampled_from(["error", "slide"]), st.sets(st.integers(1, 20)))
def test_after_a_failure_the_text_goes_on_as_if_nothing_had_happened(knobs, prompt, context, failures):
    params = SamplingParams(**{"context_length": 12} | knobs)
    options = {"table": table_of(), "context": context}
    wanted = rheostat.generate(model, prompt, params, **options).run()
    generation = rheostat.generate(Failing(model, failures), prompt, params, **options)
    steps, failed = [], 0
    while generation.finish_reason is None:
        try:
            steps += [next(generation)]
        except ConnectionError:
            failed += 1
    assert failed <= len(failures)
    assert everything(generation) == everything(wanted)
    assert "".join(step.text for step in steps) == wanted.text


@few
@given(KNOBS, PROMPTS)
def test_an_incremental_model_gives_the_same_and_reads_each_token_once(knobs, prompt):
    params = SamplingParams(**knobs)
    cached = Cached()
    done = rheostat.generate(cached, prompt, params, table=table_of()).run()
    assert everything(done) == everything(rheostat.generate(model, prompt, params, table=table_of()).run())
    assert cached.calls == [("start", len(prompt)), *(("next", id) for id in done.ids[:-1])]


def test_an_incremental_model_starts_anew_after_a_failure():
    class Once(Cached):
        broken = False

        def next(self, id):
            row = super().next(id)
            if len(self.read) == 4 and not self.broken:
                self.broken = True
                raise TimeoutError
            return row

    params = SamplingParams(seed=1, max_tokens=6)
    cached = Once()
    generation = rheostat.generate(cached, [0], params)
    with pytest.raises(TimeoutError):
        generation.run()
    assert len(generation.ids) == 3
    assert generation.run().ids == rheostat.generate(model, [0], params).run().ids
    assert [call[0] for call in cached.calls] == ["start", "next", "next", "next", "start", "next", "next"]
    assert cached.calls[4] == ("start", 4)


@pytest.mark.parametrize("make", [lambda: model, Cached])
def test_ctrl_c_right_behind_a_token_loses_none(make):
    params = SamplingParams(seed=1, max_tokens=6, context_length=5)
    options = {"table": table_of(), "context": "slide"}

    def sequence(*arguments, **options):
        return Interrupts(rheostat.Sequence(*arguments, **options), "step", 3)

    generation = Generation(sequence, make(), [0], params, **options)
    with pytest.raises(KeyboardInterrupt):
        generation.run()
    assert len(generation.ids) == 3
    generation.sequence.push(1)  # as whoever forces a token does
    by_hand = rheostat.generate(make(), [0], params, **options)
    for _ in range(3):
        next(by_hand)
    by_hand.sequence.push(1)
    assert everything(generation.run()) == everything(by_hand.run())
    assert generation.ids[3] == 1


@pytest.mark.parametrize("make", [lambda: model, Cached])
def test_ctrl_c_right_behind_a_token_changes_no_text(make):
    params = SamplingParams(seed=1, max_tokens=6, context_length=5)
    options = {"table": table_of(), "context": "slide"}

    def sequence(*arguments, **options):
        return Interrupts(rheostat.Sequence(*arguments, **options), "step", 3)

    generation = Generation(sequence, make(), [0], params, **options)
    with pytest.raises(KeyboardInterrupt):
        generation.run()
    assert everything(generation.run()) == everything(rheostat.generate(make(), [0], params, **options).run())


def test_two_steps_at_once_are_an_error_and_one_by_one_they_go_on(api):
    params = SamplingParams(seed=1, max_tokens=4)
    wanted = api.generate(model, [0], params, vocab_size=VOCAB).run().ids

    async def both():
        generation = api.agenerate(asked_for, [0], params, vocab_size=VOCAB)
        results = await asyncio.gather(anext(generation), anext(generation), return_exceptions=True)
        assert [type(result) for result in results] == [rheostat.Step, RuntimeError]
        assert str(results[1]).startswith("the generation is in use by another call: ask for one step after")
        return (await generation.run()).ids

    assert asyncio.run(both()) == wanted

    def greedy(ids):
        with pytest.raises(RuntimeError, match="the generation is in use by another call"):
            next(generation)
        return model(ids)

    generation = api.generate(greedy, [0], params, vocab_size=VOCAB)
    assert generation.run().ids == wanted
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="a generation cannot be copied or pickled"):
            copied(generation)


def test_two_texts_may_take_turns_at_one_model(api):
    params = [SamplingParams(seed=seed, max_tokens=5) for seed in (1, 2)]
    wanted = [api.generate(model, [seed], own).run().ids for seed, own in enumerate(params)]
    cached = Cached()
    first, second = (api.generate(cached, [seed], own) for seed, own in enumerate(params))
    for generation in (first, first, second, second, first, second):
        next(generation)
    assert [first.run().ids, second.run().ids] == wanted
    names = [name for name, _ in cached.calls]
    assert names == ["start", "next"] * 2 + ["start", "start"] + ["start", "next"] + ["start", "next"]


def ends(exception):
    def stops(ids):
        if len(ids) == 3:
            raise exception
        return model(ids)

    return stops


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
def test_a_stop_iteration_of_the_caller_s_is_no_end(api, error):
    params, said = SamplingParams(max_tokens=5), f"raised {error.__name__}"

    async def asked(ids):
        return ends(error)(ids)

    def masks(ids):
        if len(ids) == 2:
            raise error

    given = [(ends(error), params, {}), (model, params, {"bitmask": masks})]
    for asking, own, options in given:
        generation = api.generate(asking, [0], own, **options)
        with pytest.raises(RuntimeError, match=said):
            generation.run()
        assert len(generation.ids) == 2
        with pytest.raises(RuntimeError, match=said):
            asyncio.run(api.agenerate(asking, [0], own, **options).run())
    with pytest.raises(RuntimeError, match=error.__name__):
        asyncio.run(api.agenerate(asked, [0], params).run())

    def breaks(ids, logits, probabilities):
        raise error

    with pytest.raises(RuntimeError, match=said):
        next(api.generate(model, [0], params.replace(chain=(breaks,))))
    with pytest.raises(RuntimeError, match=said):
        next(api.generate_batch(lambda texts: breaks(0, 0, 0), [[0]], params, vocab_size=VOCAB))


def test_a_cancelled_call_that_fails_later_is_not_logged(caplog):
    go_on = threading.Event()

    def fails(ids):
        assert go_on.wait(10)
        raise ConnectionError("the model is away")

    async def main():
        generation = rheostat.agenerate(fails, [0], SamplingParams(max_tokens=2))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(generation), 0.02)
        go_on.set()
        await generation._asking.settled()

    asyncio.run(main())
    gc.collect()
    assert caplog.records == []


def test_a_row_that_is_refused_does_not_tell_the_vocabulary(api):
    rows = [np.array([np.nan, 1]), np.zeros(8), np.zeros(8)]
    params = SamplingParams(seed=1, max_tokens=2)
    generation = api.generate(lambda ids: rows.pop(0), [0], params)
    with pytest.raises(LogitsError, match="got nan at row 0, token 0"):
        next(generation)
    assert generation.run().ids == api.generate(lambda ids: np.zeros(8), [0], params).run().ids
    assert generation.sequence.vocab_size == 8


def test_a_coroutine_is_awaited_or_told(api):
    def starts_one(ids):
        return asked_for(ids)

    params = SamplingParams(seed=1, max_tokens=4)
    wanted = api.generate(model, [0], params).run().ids
    assert asyncio.run(api.agenerate(starts_one, [0], params).run()).ids == wanted
    for unawaited in (asked_for, starts_one):
        with pytest.raises(TypeError, match="model must give logits, got a coroutine, which agenerate and"):
            api.generate(unawaited, [0], params).run()


def test_refused_logits_change_nothing():
    rows = [np.zeros(VOCAB), np.full(VOCAB, np.nan), np.zeros((2, VOCAB)), np.zeros(VOCAB)]
    generation = rheostat.generate(lambda ids: rows.pop(0), [0], SamplingParams(seed=3, max_tokens=2))
    next(generation)
    with pytest.raises(LogitsError, match="got nan at row 0, token 0"):
        next(generation)
    with pytest.raises(KnobError, match=r"logits must be one row, got shape \(2, 12\)"):
        next(generation)
    assert len(generation.ids) == 1
    zeros = rheostat.generate(lambda ids: np.zeros(VOCAB), [0], SamplingParams(seed=3, max_tokens=2))
    assert generation.run().ids == zeros.run().ids


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


def test_run_wants_an_end():
    generation = rheostat.generate(model, [0], SamplingParams(seed=1, eos_token_id=EOS, ignore_eos=True))
    with pytest.raises(KnobError, match="max_tokens must be given where nothing else can end the text"):
        generation.run()
    assert len([next(generation) for _ in range(30)]) == 30
    assert repr(generation) == "<Generation of 30 tokens, open>"
    slides = rheostat.generate(model, [0], SamplingParams(context_length=4), context="slide")
    with pytest.raises(KnobError, match="max_tokens must be given"):
        slides.run()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": 3}, TypeError, "model must be callable, or have start and next, got int"),
        ({"params": {}}, TypeError, "params must be a SamplingParams, got dict"),
        ({"context": "shift"}, KnobError, "context must be 'error' or 'slide', got 'shift'"),
        (
            {"context": "slide"},
            KnobError,
            "context must be 'error' where there is no context_length, got 'slide'",
        ),
        ({"prompt_ids": [99]}, KnobError, "prompt_ids must hold token ids in [0, 12), got 99"),
        ({"stream": -1}, KnobError, "stream must be in [0, 2**64), got -1"),
        ({"bitmask": 3}, TypeError, "bitmask must be a function of the ids so far, or None, got int"),
        ({"record": 3}, TypeError, "record must be a path or a text file, got int"),
    ],
)
def test_what_is_wrong_is_said_at_once(api, arguments, error, message):
    given = {"model": model, "prompt_ids": [0], "params": SamplingParams()} | arguments
    options = {"table": table_of(api)} | {
        k: v for k, v in given.items() if k not in ("model", "prompt_ids", "params")
    }
    for function in (api.generate, api.agenerate):
        with pytest.raises(error) as caught:
            function(given["model"], given["prompt_ids"], given["params"], **options)
        assert str(caught.value).startswith(message)


async def asked_for(ids):
    await asyncio.sleep(0)
    return model(ids)


class AskedFor:
    async def __call__(self, ids):
        return await asked_for(ids)


class AskedForCached:
    def __init__(self):
        self.cached = Cached()

    async def start(self, ids):
        return self.cached.start(ids)

    async def next(self, id):
        return self.cached.next(id)


@pytest.mark.parametrize("make", [lambda: asked_for, AskedFor, AskedForCached, lambda: model, Cached])
def test_an_async_text_is_the_same(api, make):
    params = SamplingParams(seed=9, max_tokens=12, stop="D", context_length=9, logprobs=0)
    options = {"table": table_of(api), "context": "slide"}
    like = Cached() if hasattr(make(), "start") else model
    wanted = api.generate(like, [0, 1], params, **options)
    steps = list(wanted)

    async def main():
        generation = api.agenerate(make(), [0, 1], params, **options)
        assert [step async for step in generation] == steps
        assert everything(generation) == everything(wanted)
        again = await api.agenerate(make(), [0, 1], params, **options).run()
        assert everything(again) == everything(wanted)

    asyncio.run(main())


def test_a_blocking_model_lets_the_event_loop_go_on():
    go_on = threading.Event()

    def waits(ids):
        assert go_on.wait(10)
        return model(ids)

    async def main():
        generation = rheostat.agenerate(waits, [0], SamplingParams(max_tokens=2))
        running = asyncio.create_task(generation.run())
        await asyncio.sleep(0.01)
        assert not running.done()
        go_on.set()
        return await running

    assert asyncio.run(main()).finish_reason == "length"


def test_a_cancelled_step_is_asked_for_again_when_its_thread_is_done():
    go_on, inside = threading.Event(), []

    def waits(ids):
        inside.append(len(ids))
        assert len(inside) - returned[0] == 1, "two calls at once"
        go_on.wait(10)
        returned[0] += 1
        return model(ids)

    returned = [0]
    params = SamplingParams(seed=1, max_tokens=3)

    async def main():
        generation = rheostat.agenerate(waits, [0], params)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(generation), 0.05)
        assert generation.ids == ()
        go_on.set()
        return await generation.run()

    assert asyncio.run(main()).ids == rheostat.generate(model, [0], params).run().ids
    assert inside == [1, 1, 2, 3]


def test_an_async_model_that_raises_can_be_asked_again():
    async def main(failing, wanted):
        generation = rheostat.agenerate(failing, [0], SamplingParams(seed=1, max_tokens=4))
        with pytest.raises(ConnectionError):
            await generation.run()
        assert repr(generation) == "<AsyncGeneration of 2 tokens, open>"
        assert (await generation.run()).ids == wanted

    wanted = rheostat.generate(model, [0], SamplingParams(seed=1, max_tokens=4)).run().ids
    asyncio.run(main(Failing(model, [3]), wanted))
