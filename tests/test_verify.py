"""Speculative decoding: what stays of a draft is what plain decoding draws, or is distributed as it."""

import math
from fractions import Fraction

import numpy as np
import pytest
import rheostat
import rheostat.reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from rheostat import KnobError, LogitsError, SamplingParams
from support import assert_same_outcome

VOCAB = 40
PLACE = {"seed": 11, "position": 5}
PARAMS = SamplingParams(temperature=0.9, top_k=20, top_p=0.95, repetition_penalty=1.2, presence_penalty=0.3)


def rows(count, seed=0, spread=2.0):
    return (np.random.default_rng(seed).normal(size=(count, VOCAB)) * spread).astype(np.float32)


def plain(api, target, params, history, *, seed, position, stream=0):
    """The tokens that decoding without a draft draws from the same logits."""
    ids = []
    for i, row in enumerate(target):
        ids.append(
            api.sample(
                row,
                seed=seed,
                stream=stream,
                position=position + i,
                output_ids=[*history, *ids],
                **params.knobs(),
            )
        )
    return ids


def test_match_gives_the_tokens_of_plain_decoding(api):
    target = rows(5)
    tokens = plain(api, target, PARAMS, [3, 3, 8], **PLACE)
    right = api.verify(tokens[:4], None, target, PARAMS, output_ids=[3, 3, 8], **PLACE)
    assert right == (4, tuple(tokens))
    wrong = [tokens[0], tokens[1], (tokens[2] + 1) % VOCAB, 0]
    assert api.verify(wrong, None, target, PARAMS, output_ids=[3, 3, 8], **PLACE) == (2, tuple(tokens[:3]))


def test_speculation_by_match_leaves_the_text_as_it_is(api):
    """A loop with any draft gives the text of the loop without one."""
    model = np.random.default_rng(4).normal(size=(VOCAB, VOCAB)).astype(np.float32) * 2
    steps, output = 30, [1]
    while len(output) <= steps:
        output.append(
            api.sample(model[output[-1]], seed=2, position=len(output), output_ids=output, **PARAMS.knobs())
        )
    rng, guessed = np.random.default_rng(5), [1]
    while len(guessed) <= steps:
        draft = [t if rng.random() < 0.7 else int(rng.integers(VOCAB)) for t in output[len(guessed) :][:3]]
        target = model[[guessed[-1], *draft]]
        found = api.verify(draft, None, target, PARAMS, seed=2, position=len(guessed), output_ids=guessed)
        assert found.accepted == len(found.ids) - 1
        guessed += found.ids
    assert guessed[: len(output)] == output


def test_lossless_accepts_all_where_draft_and_target_agree(api):
    target = rows(4)
    draft = [int(api.kept(row, **PARAMS.knobs())[0]) for row in target[:3]]
    found = api.verify(
        draft, target[:3], target, PARAMS.replace(repetition_penalty=1), method="lossless", **PLACE
    )
    assert found.accepted == 3
    assert found.ids[:3] == tuple(draft)


def exact(p_row, q_row, drafted, params, seed, stream, position):
    """The rule in fractions of probabilities: u2 / 2**64 < p / q, then (p - q)+ by u3 / 2**64."""
    words = reference.chance.words(seed, stream, position)
    knobs = params.knobs()

    def probabilities(row):
        ids = reference.kept(row, seed=seed, stream=stream, position=position, **knobs)
        w = reference.law.integer_weights(row[ids], params.temperature)
        return {int(i): Fraction(int(x), int(w.sum())) for i, x in zip(ids, w, strict=True)}

    p, q = probabilities(p_row), probabilities(q_row)
    if Fraction(words[2], 2**64) * q[drafted] < p.get(drafted, 0):
        return drafted
    residual = {i: max(Fraction(0), p[i] - q.get(i, 0)) for i in sorted(p)}
    # the draw in whole units: the common denominator of p - q is Sp * Sq
    unit = math.lcm(*(f.denominator for f in residual.values()))
    scale = Fraction(sum(residual.values()))
    r = Fraction(words[3], 2**64) * scale
    total = Fraction(0)
    for i, weight in residual.items():
        total += weight
        if total > r:
            return i
    raise AssertionError(unit)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63), st.sampled_from([0.5, 1.0, 1.7]), st.integers(0, 9))
def test_lossless_is_the_rule_in_fractions(seed, position, temperature, case):
    params = SamplingParams(temperature=temperature, top_p=0.9)
    draft, target = rows(1, case, 1.0), rows(2, case + 100, 1.0)
    kept = reference.kept(draft[0], **params.knobs())
    drafted = int(kept[case % kept.size])
    wanted = exact(target[0], draft[0], drafted, params, seed, 0, position)
    for api in (rheostat, reference):
        found = api.verify([drafted], draft, target, params, seed=seed, position=position, method="lossless")
        assert found.ids[0] == wanted
        assert found.accepted == (wanted == drafted)


def test_lossless_text_is_distributed_as_the_target():
    """The first token over many positions, drafted from the draft's own chain with word 0: chi-squared
    against the target's probabilities, at a false-alarm rate of 1e-4.
    """
    params = SamplingParams(temperature=1.0, top_k=8)
    draws = 20_000
    draft, target = rows(1, 1, 1.0), rows(2, 2, 1.0)
    drafted = rheostat.sample(draft[0], seed=9, position=np.arange(draws), **params.knobs())
    counts = np.zeros(VOCAB)
    for position, token in enumerate(drafted.tolist()):
        found = rheostat.verify([token], draft, target, params, seed=9, position=position, method="lossless")
        counts[found.ids[0]] += 1
    ids = rheostat.kept(target[0], **params.knobs())
    w = reference.law.integer_weights(target[0][ids], 1.0).astype(float)
    expected = draws * w / w.sum()
    assert counts.sum() == counts[ids].sum()
    assert ((counts[ids] - expected) ** 2 / expected).sum() < 29.9  # 7 degrees of freedom, 1e-4


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_fast_and_reference_give_the_same(data):
    n = data.draw(st.integers(0, 4))
    seed = data.draw(st.integers(0, 50))
    target, draft = rows(n + 1, seed), rows(n, seed + 1)
    if data.draw(st.booleans()):
        target[data.draw(st.integers(0, n)), data.draw(st.integers(0, VOCAB - 1))] = data.draw(
            st.sampled_from([-np.inf, np.nan, np.inf])
        )
    knobs = data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.sampled_from([0, 0.3, 1.0, 3.0]),
                "top_k": st.integers(0, 10),
                "top_p": st.sampled_from([0.3, 0.9, 1.0]),
                "min_p": st.sampled_from([0, 0.1]),
                "xtc_probability": st.sampled_from([0, 0.5]),
                "xtc_threshold": st.just(0.05),
                "frequency_penalty": st.sampled_from([0, 0.7]),
                "dry_multiplier": st.sampled_from([0, 1.0]),
                "no_repeat_ngram_size": st.integers(0, 3),
                "chain": st.sampled_from(["vllm", "hf", "llama.cpp"]),
            },
        )
    )
    ids = data.draw(st.lists(st.integers(-1, VOCAB), min_size=n, max_size=n))
    rest = {
        "seed": data.draw(st.integers(0, 2**64 - 1)),
        "stream": data.draw(st.integers(0, 3)),
        "position": data.draw(st.sampled_from([0, 7, 2**64 - 3])),
        "method": data.draw(st.sampled_from(["match", "lossless"])),
        "prompt_ids": data.draw(st.lists(st.integers(0, VOCAB - 1), max_size=4)),
        "output_ids": data.draw(st.lists(st.integers(0, VOCAB - 1), max_size=4)),
    }
    params = SamplingParams(**knobs)
    assert_same_outcome(lambda m: m.verify(ids, draft if n else None, target, params, **rest))


DEEP = f"draft_logits must be (vocab,) or (batch, vocab), got shape (1, 2, {VOCAB}); pass logits[:, -1]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": {}}, "params must be a SamplingParams, got dict"),
        ({"method": "loose"}, "method must be 'match' or 'lossless', got 'loose'"),
        ({"params": SamplingParams(mirostat=2)}, "mirostat must be 0 to verify, got 2"),
        ({"seed": None}, "seed must be an integer or one integer per row, got NoneType"),
        ({"seed": -1}, "seed must be in [0, 2**64), got -1"),
        ({"position": [1, 2]}, "position must be an integer, got several"),
        (
            {"position": 2**64 - 1},
            "position must leave room for the drafted tokens below 2**64, got 18446744073709551615",
        ),
        ({"draft_ids": [1, VOCAB]}, f"draft_ids must hold token ids in [0, {VOCAB}), got {VOCAB}"),
        ({"draft_ids": 3}, "draft_ids must be a sequence of token ids, got int"),
        (
            {"target": rows(2)},
            "target_logits must have one row for each drafted token and one more, 3, got 2",
        ),
        ({"target": rows(1)[0]}, f"target_logits must have shape (rows, vocab), got shape ({VOCAB},)"),
        ({"draft": rows(1)}, "draft_logits must have one row for each drafted token, 2, got 1"),
        ({"target": "x"}, "target_logits must be an array or a list of numbers, got str"),
        (
            {"draft": rows(2).astype(int)},
            "draft_logits must be float32, float64, float16 or bfloat16, got int64",
        ),
        ({"draft": rows(2)[None]}, DEEP),
        ({"draft": None}, "draft_logits must be given where method is 'lossless', got None"),
        ({"draft": rows(2)[:, :9]}, f"draft_logits must be as wide as target_logits, {VOCAB}, got 9"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(api, change, message):
    given = {"draft_ids": [1, 2], "draft": rows(2), "target": rows(3), "params": SamplingParams()}
    given |= {"method": "lossless", **PLACE} | change
    arrays = [given.pop(name) for name in ("draft_ids", "draft", "target", "params")]
    with pytest.raises((KnobError, TypeError)) as error:
        api.verify(*arrays, **given)
    assert str(error.value) == message


def test_a_drafted_token_outside_its_own_kept_set_is_an_error(api):
    draft, target = rows(2), rows(3)
    params = SamplingParams(top_k=3)
    inside = int(api.kept(draft[0], top_k=3)[0])
    outside = int(np.argmin(draft[1]))
    # whichever of the two is refused first, it is the second row's that is wrong
    target[0] = draft[0]
    with pytest.raises(KnobError, match=rf"the draft's own chain keeps, got {outside} in row 1"):
        api.verify([inside, outside], draft, target, params, method="lossless", **PLACE)


@pytest.mark.parametrize("token", [1, 2])
def test_a_drafted_token_of_weight_0_was_not_drawn_and_is_an_error(api, token):
    rows = np.array([[0.0, -200.0, -300.0]] * 2, np.float32)  # all are kept, one can be drawn
    with pytest.raises(KnobError, match=rf"the draft's own chain keeps, got {token} in row 0"):
        api.verify([token], rows[:1], rows, SamplingParams(), method="lossless", **PLACE)


def test_a_bad_row_is_told_with_the_name_of_its_matrix(api):
    draft, target = rows(1).astype(float), rows(2).astype(float)
    for name, matrix in (("target_logits", target), ("draft_logits", draft)):
        for bad, message in (
            (np.nan, f"{name} must be finite or -inf, got nan at row 0, token 3"),
            (1e300, f"{name} must be finite or -inf, got 1e+300 at row 0, token 3"),
        ):
            good, matrix[0, 3] = matrix[0, 3], bad
            with pytest.raises(LogitsError) as error:
                api.verify([1], draft, target, SamplingParams(), method="lossless", **PLACE)
            assert (str(error.value), error.value.row, error.value.token_id) == (message, 0, 3)
            matrix[0, 3] = good
    none = np.full((1, VOCAB), -np.inf)
    with pytest.raises(
        LogitsError, match="draft_logits must have a finite value in every row, got none in row 0"
    ):
        api.verify([1], none, target, SamplingParams(), method="lossless", **PLACE)


def test_rows_behind_the_first_refused_token_are_not_looked_at(api):
    target = rows(3)
    token = plain(api, target[:1], PARAMS, [], **PLACE)[0]
    target[1:] = np.nan
    found = api.verify([(token + 1) % VOCAB, 0], None, target, PARAMS, **PLACE)
    assert found == (0, (token,))
    with pytest.raises(LogitsError, match="row 1"):
        api.verify([token, 0], None, target, PARAMS, **PLACE)
