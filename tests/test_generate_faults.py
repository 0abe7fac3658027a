"""The loop where something goes wrong: it says what, and goes on as if nothing had happened."""

import asyncio
import copy
import gc
import pickle
import threading

import numpy as np
import pytest
import rheostat
from chain_model import (
    EOS,
    KNOBS,
    PROMPTS,
    VOCAB,
    Cached,
    Failing,
    Interrupts,
    asked_for,
    everything,
    few,
    model,
    table_of,
)
from hypothesis import given
from hypothesis import strategies as st
from rheostat import Generation, KnobError, LogitsError, SamplingParams


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


def undisturbed_and_interrupted(make):
    """A generation, and the same one after Ctrl-C right behind its third token."""
    params = SamplingParams(seed=1, max_tokens=6, context_length=5)
    options = {"table": table_of(), "context": "slide"}

    def sequence(*arguments, **options):
        return Interrupts(rheostat.Sequence(*arguments, **options), "step", 3)

    generation = Generation(sequence, make(), [0], params, **options)
    with pytest.raises(KeyboardInterrupt):
        generation.run()
    assert len(generation.ids) == 3
    return rheostat.generate(make(), [0], params, **options), generation


@pytest.mark.parametrize("make", [lambda: model, Cached])
def test_ctrl_c_right_behind_a_token_loses_none(make):
    by_hand, generation = undisturbed_and_interrupted(make)
    generation.sequence.push(1)  # as whoever forces a token does
    for _ in range(3):
        next(by_hand)
    by_hand.sequence.push(1)
    assert everything(generation.run()) == everything(by_hand.run())
    assert generation.ids[3] == 1


@pytest.mark.parametrize("make", [lambda: model, Cached])
def test_ctrl_c_right_behind_a_token_changes_no_text(make):
    undisturbed, generation = undisturbed_and_interrupted(make)
    assert everything(generation.run()) == everything(undisturbed.run())


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
