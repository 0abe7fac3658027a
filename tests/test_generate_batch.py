"""Many texts at once: each is the one that `generate` gives alone, whatever its neighbours."""

import numpy as np
import pytest
import rheostat
from chain_model import BYTES, EOS, VOCAB, Failing, model, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import KnobError, LogitsError, SamplingParams

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


def batched(ids):
    return np.stack([model(one) for one in ids])


def told(sequence):
    return sequence.text, sequence.output_ids, sequence.tokens, sequence.finish, sequence.seed


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(1, 7), st.sets(st.integers(1, 12)))
def test_each_text_is_the_one_that_it_is_alone(texts, max_rows, failures):
    prompts = [prompt for prompt, _ in texts]
    params = [SamplingParams(**knobs) for _, knobs in texts]
    for api in (rheostat, rheostat.reference):
        table = table_of(api)
        alone = [
            api.generate(model, prompt, own, table=table, stream=stream).run().sequence
            for stream, (prompt, own) in enumerate(zip(prompts, params, strict=True))
        ]
        generation = api.generate_batch(
            Failing(batched, failures), prompts, params, table=table, max_rows=max_rows
        )
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
        assert [told(sequence) for sequence in generation.sequences] == [told(one) for one in alone]
        assert generation.texts == tuple(shown)
        assert list(generation) == []


def test_one_seed_for_all_gives_each_its_own_chance_by_its_stream():
    params = SamplingParams(seed=1, temperature=3.0, max_tokens=9)
    done = rheostat.generate_batch(batched, [[0]] * 3, params, table=table_of()).run()
    assert len(set(done.texts)) == 3
    assert [one.stream for one in done.sequences] == [0, 1, 2]
    same = rheostat.generate_batch(batched, [[0]] * 3, params, table=table_of(), streams=[4, 4, 5]).run()
    assert same.texts[0] == same.texts[1] != same.texts[2]


def test_a_refused_row_changes_nothing():
    rows = [np.full((2, VOCAB), np.nan), np.zeros((1, VOCAB)), np.zeros((2, VOCAB))]
    generation = rheostat.generate_batch(
        lambda ids: rows.pop(0), [[0], [1]], SamplingParams(max_tokens=1), vocab_size=VOCAB
    )
    with pytest.raises(LogitsError, match="got nan at row 0, token 0"):
        next(generation)
    with pytest.raises(KnobError, match="handles must have one entry for each of 1 rows, got 2"):
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
        ({"params": [1, 2]}, TypeError, "params must be a SamplingParams, got int"),
        ({"prompts": [[0], [len(BYTES)]]}, KnobError, "prompt_ids must hold token ids in [0, 12), got 12"),
    ],
)
def test_what_is_wrong_is_said_at_once(api, arguments, error, message):
    given = {"model": batched, "prompts": [[0], [1]], "params": SamplingParams()} | arguments
    first = [given.pop(name) for name in ("model", "prompts", "params")]
    with pytest.raises(error) as caught:
        api.generate_batch(*first, table=table_of(api), **given)
    assert str(caught.value).startswith(message)


def test_run_wants_an_end():
    generation = rheostat.generate_batch(batched, [[0]], SamplingParams(), table=table_of())
    with pytest.raises(KnobError, match="max_tokens must be given"):
        generation.run()
    assert len(next(generation)) == 1
