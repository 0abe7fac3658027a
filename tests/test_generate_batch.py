"""Many texts at once: each is the one that `generate` gives alone, whatever its neighbours."""

import asyncio
import io
import threading

import numpy as np
import pytest
import rheostat
from chain_model import BYTES, EOS, VOCAB, Failing, Interrupts, model, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import BatchGeneration, KnobError, LogitsError, SamplingParams

TEXTS = st.lists(
    st.tuples(
        st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=4),
        st.fixed_dictionaries(
            {"seed": st.integers(0, 9), "max_tokens": st.integers(1, 12)},
            optional={
                "temperature": st.sampled_from([0, 2.0]),
                "top_k": st.integers(1, 6),
                "frequency_penalty": st.just(1.0),
                "mirostat": st.just(2),
                "stop": st.lists(st.text("abEND", min_size=1, max_size=3), max_size=2),
                "eos_token_id": st.just(EOS),
                "context_length": st.integers(5, 9),
                "logprobs": st.integers(0, 2),
                "report": st.just(("kept_count",)),
            },
        ),
    ),
    max_size=6,
)


FILE = io.StringIO()


def batched(ids):
    return np.stack([model(one) for one in ids])


def told(sequence):
    return sequence.text, sequence.output_ids, sequence.tokens, sequence.finish, sequence.seed


def even(ids):
    """A grammar of its own kind: for every other token the ids with even numbers alone."""
    return np.array([0x555], np.int32) if len(ids) % 2 else None


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.integers(1, 7), st.sets(st.integers(1, 12)), st.sampled_from(["error", "slide"]))
def test_each_text_is_the_one_that_it_is_alone(texts, max_rows, failures, context):
    prompts = [prompt for prompt, _ in texts]
    params = [SamplingParams(**{"context_length": 6} | knobs) for _, knobs in texts]
    masks = [even if index % 2 else None for index in range(len(texts))]
    for api in (rheostat, rheostat.reference):
        table, files = table_of(api), [io.StringIO() for _ in texts]
        alone = []
        for index, (prompt, own) in enumerate(zip(prompts, params, strict=True)):
            options = {"stream": index, "context": context, "bitmask": masks[index], "record": files[index]}
            alone.append(api.generate(model, prompt, own, table=table, **options).run())
        records = [io.StringIO() if index != 1 else None for index in range(len(texts))]
        generation = api.generate_batch(
            Failing(batched, failures), prompts, params, table=table, max_rows=max_rows, context=context,
            bitmask=masks, record=records,
        )  # fmt: skip
        shown = [""] * len(prompts)
        while generation.rows:
            try:
                rows = generation.rows
                steps = next(generation)
            except ConnectionError:
                continue
            assert tuple(steps) == rows
            assert len(rows) <= max_rows
            for index, step in steps.items():
                shown[index] += step.text
        assert [told(sequence) for sequence in generation.sequences] == [told(one.sequence) for one in alone]
        assert generation.texts == tuple(shown)
        assert generation.dropped == tuple(one.dropped for one in alone)
        assert list(generation) == []
        for record, file in zip(records, files, strict=True):
            assert record is None or record.getvalue() == file.getvalue()


def test_the_oldest_tokens_slide_out_of_what_the_model_sees(api):
    seen = []

    def watched(texts):
        seen.append([tuple(ids) for ids in texts])
        return batched(texts)

    params = [SamplingParams(seed=2, max_tokens=6, context_length=length) for length in (3, 99)]
    prompts = [[0, 1, 2, 3, 4], [5]]
    done = api.generate_batch(watched, prompts, params, table=table_of(api), context="slide").run()
    every = [[*prompt, *one.output_ids] for prompt, one in zip(prompts, done.sequences, strict=True)]
    for step, (first, second) in enumerate(seen):
        assert first == tuple(every[0][: 5 + step][-3:])
        assert second == tuple(every[1][: 1 + step])
    assert done.dropped == (7, 0)
    assert [one.finish.reason for one in done.sequences] == ["length", "length"]


def test_one_mask_may_be_for_all():
    params = SamplingParams(temperature=0, max_tokens=4)
    done = rheostat.generate_batch(batched, [[0], [1]], params, table=table_of(), bitmask=even).run()
    for one in done.sequences:
        assert {id % 2 for id in one.output_ids[1::2]} == {0}


class Full(io.StringIO):
    """A file whose disk is full at one line."""

    def __init__(self, at):
        super().__init__()
        self.left = at

    def write(self, text):
        self.left -= 1
        if self.left == 0:
            raise OSError("no space left")
        return super().write(text)


def test_two_steps_at_once_are_an_error(api):
    async def both():
        params = SamplingParams(seed=1, max_tokens=2)
        generation = api.agenerate_batch(asked_for, [[0], [1]], params, vocab_size=VOCAB)
        results = await asyncio.gather(anext(generation), anext(generation), return_exceptions=True)
        assert [type(result) for result in results] == [dict, RuntimeError]
        done = await generation.run()
        wanted = api.generate_batch(batched, [[0], [1]], params, vocab_size=VOCAB).run()
        assert [told(one) for one in done.sequences] == [told(one) for one in wanted.sequences]
        with pytest.raises(TypeError, match="model must give logits, got a coroutine"):
            api.generate_batch(asked_for, [[0]], params, vocab_size=VOCAB).run()

    asyncio.run(both())


def test_where_a_record_cannot_be_written_each_token_is_taken_once(api):
    params = SamplingParams(seed=1, max_tokens=5)
    wanted = [io.StringIO(), io.StringIO(), io.StringIO()]
    done = api.generate_batch(batched, [[0], [1], [2]], params, vocab_size=VOCAB, record=wanted).run()
    files, calls = [io.StringIO(), Full(4), io.StringIO()], []

    def counted(texts):
        calls.append(len(texts))
        return batched(texts)

    generation = api.generate_batch(counted, [[0], [1], [2]], params, vocab_size=VOCAB, record=files)
    with pytest.raises(OSError, match="no space left"):
        generation.run()
    assert [one.position for one in generation.sequences] == [3, 2, 2]
    assert generation.rows == (0, 1, 2)
    steps = next(generation)
    assert [steps[index].token for index in range(3)] == [one.tokens[-1] for one in generation.sequences]
    generation.run()
    assert [one.output_ids for one in generation.sequences] == [one.output_ids for one in done.sequences]
    assert [file.getvalue() for file in files] == [file.getvalue() for file in wanted]
    assert calls == [3] * 5


@pytest.mark.parametrize("knobs", [{}, {"mirostat": 2}, {"max_tokens": 3}, {"stop": ["b"]}], ids=repr)
@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("name", ["step", "push"])
def test_ctrl_c_behind_a_draw_or_a_push_loses_no_token_and_takes_none_twice(name, at, knobs):
    params = SamplingParams(**{"seed": 3, "max_tokens": 6, "frequency_penalty": 0.5} | knobs)
    options = {"table": table_of(), "record": [io.StringIO(), io.StringIO()]}
    wanted = rheostat.generate_batch(batched, [[0], [1]], params, **options).run()
    files = [io.StringIO(), io.StringIO()]

    samplers = []

    def batch(vocab_size):
        samplers.append(rheostat.BatchSampler(vocab_size))
        return Interrupts(samplers[0], "step", at) if name == "step" else samplers[0]

    def sequence(*arguments, **options):
        made = rheostat.Sequence(*arguments, **options)
        return Interrupts(made, "push", at) if name == "push" else made

    generation = BatchGeneration(sequence, batch, batched, [[0], [1]], params, **options | {"record": files})
    interrupts, steps = 0, []
    while generation.rows:
        try:
            steps.append(next(generation))
        except KeyboardInterrupt:
            interrupts += 1
    assert interrupts == (2 if name == "push" and wanted.sequences[1].position >= at else 1)
    assert [told(one) for one in generation.sequences] == [told(one) for one in wanted.sequences]
    for index in range(2):
        assert "".join(step[index].text for step in steps if index in step) == generation.texts[index]
        shown = [token for step in steps if index in step for token in step[index].tokens]
        assert tuple(shown) == generation.sequences[index].tokens
    assert [file.getvalue() for file in files] == [file.getvalue() for file in options["record"]]
    assert len(samplers[0]) == 0


async def asked_for(texts):
    await asyncio.sleep(0)
    return batched(texts)


@pytest.mark.parametrize("ask", [asked_for, batched])
def test_async_texts_are_the_same(api, ask):
    params = SamplingParams(seed=4, max_tokens=7, context_length=4, logprobs=1)
    options = {"table": table_of(api), "max_rows": 2, "context": "slide"}
    prompts = [[0], [1, 2], [3]]
    wanted = api.generate_batch(batched, prompts, params, **options)
    steps = list(wanted)

    async def main():
        generation = api.agenerate_batch(ask, prompts, params, **options)
        assert [step async for step in generation] == steps
        return await api.agenerate_batch(ask, prompts, params, **options).run()

    done = asyncio.run(main())
    assert [told(one) for one in done.sequences] == [told(one) for one in wanted.sequences]
    assert repr(done) == "<AsyncBatchGeneration of 3 texts, 0 open>"


def test_an_async_call_that_was_cancelled_is_asked_for_again():
    go_on, inside = threading.Event(), []

    def waits(texts):
        inside.append("in")
        assert go_on.wait(10)
        inside.append("out")
        return batched(texts)

    async def main():
        generation = rheostat.agenerate_batch(
            waits, [[0], [1]], SamplingParams(max_tokens=2), vocab_size=VOCAB
        )
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(generation), 0.05)
        assert [one.position for one in generation.sequences] == [0, 0]
        go_on.set()
        return await generation.run()

    assert [one.position for one in asyncio.run(main()).sequences] == [2, 2]
    assert inside == ["in", "out"] * 3


def test_one_seed_for_all_gives_each_its_own_chance_by_its_stream():
    params = SamplingParams(seed=1, temperature=3.0, max_tokens=9)
    done = rheostat.generate_batch(batched, [[0]] * 3, params, table=table_of()).run()
    assert len(set(done.texts)) == 3
    assert [one.stream for one in done.sequences] == [0, 1, 2]
    same = rheostat.generate_batch(batched, [[0]] * 3, params, table=table_of(), streams=[4, 4, 5]).run()
    assert same.texts[0] == same.texts[1] != same.texts[2]


def test_a_token_that_was_pushed_is_seen_by_all(api):
    params = SamplingParams(seed=1, max_tokens=5, frequency_penalty=2.0)
    alone = api.generate(model, [0], params, table=table_of(api))
    many = api.generate_batch(batched, [[0], [1]], params, table=table_of(api))
    next(alone), next(many)
    alone.sequence.push(3), many.sequences[0].push(3)
    assert told(many.run().sequences[0]) == told(alone.run().sequence)
    ended = api.generate_batch(batched, [[0], [1]], params, table=table_of(api))
    ended.sequences[0].push([1] * 5)
    assert ended.rows == (1,)
    assert [one.position for one in ended.run().sequences] == [5, 5]


def test_a_refused_row_changes_nothing():
    rows = [np.full((2, VOCAB), np.nan), np.zeros((1, VOCAB)), np.zeros((2, VOCAB))]
    generation = rheostat.generate_batch(
        lambda ids: rows.pop(0), [[0], [1]], SamplingParams(max_tokens=1), vocab_size=VOCAB
    )
    with pytest.raises(LogitsError, match="got nan at row 0, token 0"):
        next(generation)
    with pytest.raises(KnobError, match="model must give one row for each of 2 texts, got 1"):
        next(generation)
    assert repr(generation) == "<BatchGeneration of 2 texts, 2 open>"
    assert len(next(generation)) == 2
    assert repr(generation) == "<BatchGeneration of 2 texts, 0 open>"


def test_the_time_is_told_apart():
    generation = rheostat.generate_batch(batched, [[0], [1]], SamplingParams(max_tokens=3), table=table_of())
    assert generation.timings.tokens == 0
    timings = generation.run().timings
    assert timings.tokens == 6
    assert timings.model > timings.prompt > 0
    assert timings.sampling > 0


def test_nothing_to_write_is_done_at_once(api):
    assert api.generate_batch(batched, [], SamplingParams(), table=table_of(api)).run().texts == ()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": 3}, TypeError, "model must be callable, got int"),
        (
            {"params": [SamplingParams()]},
            KnobError,
            "params must have one entry for each of 2 prompts",
        ),
        ({"streams": [1]}, KnobError, "streams must have one entry for each of 2 prompts, got 1"),
        ({"max_rows": 0}, KnobError, "max_rows must be at least 1, got 0"),
        ({"max_rows": "2"}, TypeError, "max_rows must be an integer"),
        ({"params": {}}, TypeError, "params must be a sequence with an entry for each prompt, got dict"),
        ({"prompts": None}, TypeError, "prompts must be a sequence of prompts, got NoneType"),
        ({"streams": 3}, TypeError, "streams must be a sequence with an entry for each prompt, got int"),
        ({"params": 3}, TypeError, "params must be a sequence with an entry for each prompt, got int"),
        ({"context": "shift"}, KnobError, "context must be 'error' or 'slide', got 'shift'"),
        ({"context": "slide"}, KnobError, "context must be 'error' where there is no context_length"),
        ({"bitmask": [even]}, KnobError, "bitmask must have one entry for each of 2 prompts, got 1"),
        ({"bitmask": 3}, TypeError, "bitmask must be a sequence with an entry for each prompt, got int"),
        ({"bitmask": [3, None]}, TypeError, "bitmask must be a function of the ids so far, or None, got int"),
        ({"record": [3, None]}, TypeError, "record must be a path or a text file, got int"),
        ({"record": "a"}, TypeError, "record must be a sequence with an entry for each prompt, got str"),
        ({"record": ["a", "./a"]}, KnobError, "record must name a file of its own for each prompt, got a"),
        (
            {"record": [FILE, FILE]},
            KnobError,
            "record must name a file of its own for each prompt, got <_io",
        ),
        ({"record": [io.BytesIO(), None]}, TypeError, "record must be a path or a text file, got BytesIO"),
        ({"params": [1, 2]}, TypeError, "params must be a SamplingParams, got int"),
        ({"prompts": [[0], [len(BYTES)]]}, KnobError, "prompt_ids must hold token ids in [0, 12), got 12"),
    ],
)
def test_what_is_wrong_is_said_at_once(api, arguments, error, message):
    given = {"model": batched, "prompts": [[0], [1]], "params": SamplingParams()} | arguments
    first = [given.pop(name) for name in ("model", "prompts", "params")]
    for function in (api.generate_batch, api.agenerate_batch):
        with pytest.raises(error) as caught:
            function(*first, table=table_of(api), **given)
        assert str(caught.value).startswith(message)


def test_run_wants_an_end():
    generation = rheostat.generate_batch(batched, [[0]], SamplingParams(), table=table_of())
    with pytest.raises(KnobError, match="max_tokens must be given"):
        generation.run()
    assert len(next(generation)) == 1
