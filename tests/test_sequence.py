"""A sequence from its prompt to its end: text, stops, EOS and limits as if the whole text were looked at."""

import pickle
import threading

import numpy as np
import pytest
import rheostat
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import KnobError, LogitsError, SamplingParams

# Bytes of characters cut apart, tokens that hold parts of stops, one without text.
BYTES = [
    b"a",
    b"b",
    b"ab",
    b"END",
    b"E",
    b"N",
    b"D",
    b" ",
    "\u00e9".encode()[:1],
    "\u00e9".encode()[1:],
    None,
    b"",
]
EOS, STOP_ID = 10, 7
VOCAB = len(BYTES)


def table_of(api):
    return api.TokenTable.from_bytes(BYTES)


def forced(id):
    """Logits that leave one token."""
    row = np.full(VOCAB, -np.inf, np.float32)
    row[id] = 0
    return row


def brute(params, ids, prompt_length=0):
    """The text, the reason and the number of tokens: after each token everything is looked at again."""
    for count in range(1, len(ids) + 1):
        *before, last = ids[:count]
        place = count - 1
        fed = [BYTES[i] or b"" for i in before]
        armed = place >= params.min_tokens
        ender = None
        if armed and not params.ignore_eos and last in (params.eos_token_id or ()):
            ender = "eos"
        elif armed and last in (params.stop_token_ids or ()):
            ender = "stop"
        if ender:
            if params.include_stop_str_in_output:
                fed.append(BYTES[last] or b"")
            return b"".join(fed).decode("utf-8", "replace"), ender, count
        fed.append(BYTES[last] or b"")
        unarmed = len(b"".join(fed[: params.min_tokens]))
        text = b"".join(fed)
        ends = [
            (end, index, stop)
            for index, stop in enumerate(s.encode() if isinstance(s, str) else s for s in params.stop)
            for end in range(max(len(stop), unarmed + 1), len(text) + 1)
            if text[:end].endswith(stop)
        ]
        if ends:
            end, _, stop = min(ends)
            shown = end if params.include_stop_str_in_output else end - len(stop)
            return text[:shown].decode("utf-8", "replace"), "stop", count
        if count == params.max_tokens:
            return text.decode("utf-8", "replace"), "length", count
        if prompt_length + count == params.context_length:
            return text.decode("utf-8", "replace"), "context", count
    return None


PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "stop": st.one_of(
            st.lists(st.text("abEND é", min_size=1, max_size=4), max_size=3),
            st.lists(st.binary(min_size=1, max_size=2), max_size=2),
            st.just("END"),
        ),
        "stop_token_ids": st.just([STOP_ID]),
        "eos_token_id": st.just(EOS),
        "ignore_eos": st.booleans(),
        "include_stop_str_in_output": st.booleans(),
        "min_tokens": st.integers(0, 6),
        "max_tokens": st.integers(6, 20),
        "context_length": st.integers(9, 25),
    },
)


@settings(max_examples=400, deadline=None)
@given(PARAMS, st.lists(st.integers(0, VOCAB - 1), max_size=30), st.integers(0, 8), st.data())
def test_however_tokens_arrive_the_end_is_that_of_the_whole_text(knobs, ids, prompt, data):
    params = SamplingParams(**knobs)
    wanted = brute(params, ids, prompt)
    for api in (rheostat, rheostat.reference):
        sequence = api.Sequence(params, table_of(api), prompt_ids=[0] * prompt)
        text, left = "", list(ids)
        while left and sequence.finish is None:
            if data.draw(st.booleans(), label="pickle"):
                sequence = pickle.loads(pickle.dumps(sequence))
            size = data.draw(st.integers(0, 3), label="pushed together")
            if size:
                step = sequence.push(left[:size])
            else:
                snapshot = sequence.snapshot()
                sequence.push(left[0])
                sequence.restore(snapshot)
                step = sequence.push(left[0])
            text += step.text
            left = left[max(size, 1) :]
        if wanted is None:
            assert sequence.finish is None
            assert sequence.output_ids == tuple(ids)
        else:
            whole, reason, count = wanted
            assert (text, sequence.finish.reason, sequence.position) == (whole, reason, count)
            assert sequence.output_ids == tuple(ids[:count])
        assert sequence.text == text


def test_step_draws_what_the_sampler_draws(api):
    params = SamplingParams(
        temperature=1.5, top_k=6, frequency_penalty=0.5, seed=3, logprobs=2, max_tokens=12
    )
    rows = np.random.default_rng(1).normal(size=(12, VOCAB)).astype(np.float32)
    sequence = api.Sequence(params, table_of(api), prompt_ids=[1, 2], stream=4)
    sampler = api.Sampler(params, VOCAB, prompt_ids=[1, 2], stream=4)
    for row in rows:
        step = sequence.step(row)
        assert step.token == sampler.sample(row)
    assert sequence.output_ids == tuple(sampler.output_ids)
    assert (sequence.seed, sequence.stream, sequence.position, sequence.prompt_ids) == (3, 4, 12, (1, 2))
    assert step.finish == ("length", None)
    assert sequence.tokens[-1] == step.token


def test_a_pushed_token_keeps_what_its_sampler_reported(api):
    token = rheostat.Token(0, -0.5)
    sequence = api.Sequence(SamplingParams(), table_of(api))
    assert sequence.push([token, 1]).token.id == 1
    assert sequence.tokens == (token, rheostat.Token(1))


def test_tokens_of_a_stop_string_are_not_of_the_text(api):
    sequence = api.Sequence(SamplingParams(stop="END"), table_of(api))
    texts = [sequence.push(id).text for id in (0, 4, 1, 4, 5)]
    assert texts == ["a", "", "Eb", "", ""]
    assert [t.id for t in sequence.tokens] == [0, 4, 1]  # the last two are held back
    assert sequence.push(6).finish == ("stop", "END")
    assert (sequence.text, [t.id for t in sequence.tokens]) == ("aEb", [0, 4, 1])
    assert sequence.output_ids == (0, 4, 1, 4, 5, 6)


def test_eos_is_no_text_and_what_was_held_comes_out(api):
    sequence = api.Sequence(SamplingParams(stop="END", eos_token_id=EOS), table_of(api))
    assert sequence.push([0, 4]).text == "a"
    assert sequence.push(EOS)[:3] == (rheostat.Token(EOS), "E", ("eos", EOS))
    assert [t.id for t in sequence.tokens] == [0, 4]


def test_min_tokens_forbids_eos_and_lets_a_forced_one_pass(api):
    params = SamplingParams(min_tokens=2, eos_token_id=EOS, temperature=0)
    sequence = api.Sequence(params, table_of(api))
    row = np.zeros(VOCAB, np.float32)
    row[EOS] = 5
    assert sequence.step(row).token.id == 0
    assert sequence.push(EOS).finish is None
    assert sequence.step(row).finish == ("eos", EOS)


def test_a_character_waits_for_its_rest(api):
    sequence = api.Sequence(SamplingParams(), table_of(api))
    assert sequence.push(8).text == ""
    assert sequence.push(9).text == "\u00e9"
    last = api.Sequence(SamplingParams(max_tokens=1), table_of(api))
    assert last.push(8)[:3] == (rheostat.Token(8), "\ufffd", ("length", None))


def test_a_limit_of_the_caller_s_ends_it_and_shows_what_was_held(api):
    table = api.TokenTable.from_bytes([b"a", b" EN", "\u00e9".encode()[:1]])
    sequence = api.Sequence(SamplingParams(stop=" END"), table)
    sequence.push([0, 1])
    before = sequence.snapshot()
    step = sequence.end()
    assert (step.token, step.text, step.finish) == (None, " EN", ("length", None))
    assert [token.id for token in step.tokens] == [1]
    assert (sequence.text, sequence.finish, len(sequence.tokens)) == ("a EN", ("length", None), 2)
    for call in (sequence.end, lambda: sequence.push(0)):
        with pytest.raises(RuntimeError, match=r"the sequence has ended \(length\): make a new one"):
            call()
    sequence.restore(before)
    assert sequence.push([2, 0]).text == " EN\ufffda"
    cut = api.Sequence(SamplingParams(), table)
    assert (cut.push(2).text, cut.end().text, cut.text) == ("", "\ufffd", "\ufffd")
    empty = api.Sequence(SamplingParams(), table)
    assert (empty.end().text, empty.text, empty.finish) == ("", "", ("length", None))


def test_without_a_table_there_are_ids_alone(api):
    sequence = api.Sequence(SamplingParams(max_tokens=3, stop_token_ids=[1]), None, vocab_size=5)
    assert sequence.push([4, 0])[:3] == (rheostat.Token(0), "", None)
    assert sequence.push(1).finish == ("stop", 1)
    assert [t.id for t in sequence.tokens] == [4, 0]


def test_breakers_that_are_strings_become_ids(api):
    params = SamplingParams(dry_multiplier=1, dry_sequence_breakers=["D"])
    assert api.Sequence(params, table_of(api)).params.dry_sequence_breakers == (3, 6)


def test_a_failing_step_changes_nothing(api):
    sequence = api.Sequence(SamplingParams(stop="END"), table_of(api))
    sequence.push([0, 4])
    before = pickle.dumps(sequence)
    for call in (
        lambda: sequence.step(np.full(VOCAB, np.nan, np.float32)),
        lambda: sequence.push([1, VOCAB]),
        lambda: sequence.push([1, 2.5]),
        lambda: sequence.step(np.zeros(VOCAB - 1, np.float32)),
    ):
        with pytest.raises((LogitsError, KnobError, TypeError)):
            call()
    assert pickle.dumps(sequence) == before
    assert sequence.push(1).text == "Eb"


def test_an_ended_sequence_says_so(api):
    sequence = api.Sequence(SamplingParams(max_tokens=1), table_of(api))
    sequence.push([0, 1, 2])
    assert sequence.output_ids == (0,)
    for call in (lambda: sequence.step(forced(0)), lambda: sequence.push(0)):
        with pytest.raises(RuntimeError, match=r"^the sequence has ended \(length\): make a new one$"):
            call()
    assert repr(sequence) == "<Sequence of 1 tokens, ended: length>"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"params": {}}, "params must be a SamplingParams, got dict"),
        (
            {"params": SamplingParams(stop="x"), "table": None, "vocab_size": 3},
            "stop must come with a table of the tokens' bytes, got ('x',) alone",
        ),
        ({"table": None}, "vocab_size must be given where table is None, got None"),
        (
            {"params": SamplingParams(context_length=3), "prompt_ids": [1, 2, 3]},
            "context_length must be greater than the number of prompt_ids, 3, got 3",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(api, given, message):
    arguments = {"params": SamplingParams(), "table": table_of(api)} | given
    with pytest.raises((KnobError, TypeError)) as error:
        api.Sequence(arguments.pop("params"), arguments.pop("table"), **arguments)
    assert str(error.value) == message


def test_two_threads_at_once_are_refused(api):
    inside, go_on = threading.Event(), threading.Event()

    def wait(ids, logits, probabilities):
        inside.set()
        go_on.wait(10)
        return ids

    sequence = api.Sequence(SamplingParams(chain=(wait,)), table_of(api))
    thread = threading.Thread(target=sequence.step, args=(forced(0),))
    thread.start()
    inside.wait(10)
    with pytest.raises(RuntimeError, match="in use by another call"):
        sequence.push(1)
    go_on.set()
    thread.join()
    assert sequence.output_ids == (0,)


def test_a_sequence_alone_in_a_batch_and_by_verified_drafts_is_the_same(api):
    """Three loops over one model: step by step, a row of a batch, and two drafted tokens at a time."""
    rng = np.random.default_rng(7)
    model = (rng.normal(size=(VOCAB, VOCAB)) * 1.5).astype(np.float32)
    common = {"temperature": 1.3, "top_p": 0.95, "frequency_penalty": 0.4, "eos_token_id": EOS, "logprobs": 1}
    requests = [
        SamplingParams(**common, seed=1, stop=["END", "ba"], max_tokens=60),
        SamplingParams(**common, seed=2, max_tokens=40, min_tokens=3),
        SamplingParams(**common, seed=3, stop_token_ids=[STOP_ID], context_length=50),
    ]
    prompt = [0, 1]

    alone = [api.Sequence(params, table_of(api), prompt_ids=prompt) for params in requests]
    for sequence in alone:
        while sequence.finish is None:
            sequence.step(model[(*prompt, *sequence.output_ids)[-1]])

    batch = api.BatchSampler(VOCAB)
    rows = {}
    for params in requests:
        rows[batch.add(params, prompt_ids=prompt)] = api.Sequence(params, table_of(api), prompt_ids=prompt)
    handles = list(rows)
    while handles:
        logits = np.stack([model[(*prompt, *rows[handle].output_ids)[-1]] for handle in handles])
        tokens = batch.step(logits, handles)
        for handle, token in zip(list(handles), tokens, strict=True):
            if rows[handle].push(token).finish is not None:
                batch.remove(handle)
                handles.remove(handle)

    drafted = [api.Sequence(params, table_of(api), prompt_ids=prompt) for params in requests]
    for sequence in drafted:
        while sequence.finish is None:
            draft = rng.integers(VOCAB, size=2).tolist()
            last = (*prompt, *sequence.output_ids)[-1]
            found = api.verify(
                draft,
                None,
                model[[last, *draft]],
                sequence.params,
                seed=sequence.seed,
                position=sequence.position,
                prompt_ids=prompt,
                output_ids=sequence.output_ids,
            )
            sequence.push(found.ids)

    for one, other, third in zip(alone, rows.values(), drafted, strict=True):
        assert one.output_ids == other.output_ids == third.output_ids
        assert one.text == other.text == third.text
        assert one.finish == other.finish == third.finish
        assert one.tokens == other.tokens
    assert {sequence.finish.reason for sequence in alone} >= {"stop"}
