"""The specification's own code, run against both implementations: whoever follows it gets the same bits."""

import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from rheostat import SamplingParams
from specification_cases import FILTERS, OFF, VOCAB, case, random_row, shaping_case
from stop_cases import cases as stop_cases
from stop_cases import checked
from support import bits

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("specification.md", "specification_chain.md", "specification_stops.md")
CASES = range(90)


def blocks(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def program():
    """All that the pages define."""
    names = {}
    for page in PAGES:
        for block in blocks(page):
            exec(compile(block, page, "exec"), names)  # the documentation's own code
    names["exp2"] = cache(names["exp2"])  # a function of one number, asked for again by every filter
    return SimpleNamespace(**names)


spec = program()
STEPS = ["temperature", *spec.FILTERS]


@pytest.fixture(autouse=True)
def _overflow_is_meant():
    with np.errstate(all="ignore"):
        yield


def shaped(c):
    """The row after masks, biases and penalties, as a dict: {} where nothing is left."""
    left = spec.allowed(c.k, c.prompt, c.output, VOCAB)
    return spec.adjusted({i: c.x[i] for i in sorted(left) if c.x[i] > -np.inf}, c.k, c.prompt, c.output)


@pytest.mark.parametrize("number", CASES)
def test_kept_sets_tokens_and_logits_are_those_of_the_page(api, number):
    c = case(number, STEPS, list(spec.PRESETS))
    if not shaped(c):
        with pytest.raises(ValueError, match=r"at least one|finite value in every row"):
            api.kept(c.x, **c.asked)
        return
    gate = spec.words(**c.place)[1]
    kept, T = spec.kept(c.x, c.k, gate=gate, **c.rest)
    assert api.kept(c.x, **c.asked).tolist() == list(kept)
    assert api.sample(c.x, **c.asked) == spec.sample(c.x, c.k, **c.place, **c.rest)
    processed = np.array(spec.processed(c.x, c.k, gate=gate, **c.rest))
    np.testing.assert_array_equal(bits(api.process(c.x, **c.asked)), bits(processed))
    logprobs = spec.log_probabilities(kept, T, sum(spec.integer_weights(kept, T).values()))
    ids = range(c.k.vocab_size or VOCAB)
    found = api.logprobs(c.x, list(ids), **c.asked)
    wanted = np.array([logprobs.get(i, -np.inf) for i in ids])
    np.testing.assert_array_equal(found.logprobs.view(np.int64), wanted.view(np.int64))
    row = shaped(c)
    assert [spec.order({i: row.get(i, -np.inf) for i in range(VOCAB)}).index(i) + 1 for i in ids] == list(
        found.ranks
    )


@pytest.mark.parametrize("number", CASES)
def test_masks_biases_and_penalties_are_those_of_the_page(api, number):
    c = shaping_case(number)
    x = shaped(c)
    if not x:
        with pytest.raises(ValueError, match=r"at least one|finite value in every row"):
            api.process(c.x, **c.asked)
        return
    wanted = np.array([x.get(i, -np.inf) for i in range(VOCAB)], np.float32)
    np.testing.assert_array_equal(bits(api.process(c.x, **c.asked)), bits(wanted))


def test_a_grammar_that_leaves_only_an_end_goes_before_min_tokens(api):
    knobs = {"bitmask": np.array([1 << 5], np.int32), "min_tokens": 9, "eos_token_id": (5,)}
    assert spec.allowed(SimpleNamespace(**OFF | knobs), [], [], VOCAB) == {5}
    assert api.kept(np.zeros(VOCAB), **knobs).tolist() == [5]


def test_dry_counts_no_repetition_for_what_only_begins_the_text(api):
    knobs = {"dry_multiplier": 1.0, "dry_allowed_length": 0}
    assert spec.continued([7, 8, 9], set()) == {8: 0, 9: 0}
    row = api.process(np.zeros(VOCAB), prompt_ids=[7, 8, 9], chain=(), **knobs)
    assert np.flatnonzero(row).tolist() == [8, 9]


def test_biases_of_one_token_are_added_up_the_shortest_sequence_first(api):
    knobs = {"sequence_bias": {(2, 0, 1): 0.25, (0, 1): -1e8, (1,): 1e8}}
    assert spec.adjusted({1: np.float32(0)}, SimpleNamespace(**OFF | knobs), [2, 0], []) == {1: 0.25}
    assert api.process(np.zeros(VOCAB), prompt_ids=[2, 0], **knobs)[1] == 0.25


def test_a_share_that_is_reached_exactly_is_reached(api):
    kept, _ = spec.kept(np.zeros(4), SimpleNamespace(**OFF | {"top_p": 0.5}))
    assert list(kept) == api.kept(np.zeros(4), top_p=0.5).tolist() == [0, 1]


def test_the_cases_reach_every_knob_and_are_seldom_errors():
    for cases in ([case(n, STEPS, list(spec.PRESETS)) for n in CASES], [shaping_case(n) for n in CASES]):
        good = [c for c in cases if shaped(c)]
        assert len(good) > 0.8 * len(cases)
        assert {name for c in good for name in c.knobs} >= set(OFF) - set(FILTERS)
    assert set().union(*(case(n, STEPS, list(spec.PRESETS)).knobs for n in CASES)) == set(OFF)


@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("temperature", [0, 1e-3, 0.7, 1, 1.5, 1e30])
def test_softmax_and_its_logarithm_are_those_of_the_page(api, number, temperature):
    x = random_row(np.random.default_rng([2, number]))
    for name in ("softmax", "log_softmax"):
        wanted = np.array(getattr(spec, name)(x, temperature))
        np.testing.assert_array_equal(bits(getattr(api, name)(x, temperature=temperature)), bits(wanted))


def test_the_polynomial_is_that_of_the_implementations_far_down(api):
    rng = np.random.default_rng(3)
    x = np.concatenate([[0], -rng.uniform(0, 75, 600)]).astype(np.float32)
    np.testing.assert_array_equal(bits(api.softmax(x)), bits(np.array(spec.softmax(x, 1.0))))


def test_sums_beyond_the_integers_of_a_float64_are_rounded_as_the_page_says(api):
    x = np.round(np.random.default_rng(8).uniform(-2, 0, 9001), 2).astype(np.float32)
    assert sum(spec.integer_weights(dict(enumerate(x)), 1.0).values()) > 2**54
    for name in ("softmax", "log_softmax"):
        np.testing.assert_array_equal(
            bits(getattr(api, name)(x)), bits(np.array(getattr(spec, name)(x, 1.0)))
        )


def test_chance_is_numpy_s_philox():
    ends = (0, 1, 2**63, 2**64 - 1)
    for seed in ends:
        for stream in ends:
            for position in ends:
                block = np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)
                assert spec.words(seed, stream, position) == block.tolist()


@pytest.mark.parametrize("number", range(8))
def test_tokens_without_replacement_are_drawn_as_the_page_says(api, number):
    x = random_row(np.random.default_rng([4, number]))
    W = spec.integer_weights({i: v for i, v in enumerate(x) if v > -np.inf}, 1.3)
    wanted = []
    for i in range(min(5, sum(w > 0 for w in W.values()))):
        wanted.append(spec.draw(W, spec.words(number, 7 + i, 3)[0]))
        W[wanted[-1]] = 0
    place = {"seed": number, "stream": 7, "position": 3}
    assert api.choose(x, len(wanted), temperature=1.3, **place).tolist() == wanted


@pytest.mark.parametrize("number", range(8))
def test_a_draft_is_verified_as_the_page_says(api, number):
    rng = np.random.default_rng([5, number])
    target = np.stack([random_row(rng) for _ in range(4)])
    draft = (target[:3] + rng.normal(size=(3, VOCAB))).astype(np.float32)
    draft[~np.isfinite(draft)] = -np.inf
    params = SamplingParams(temperature=1.2, top_k=8)
    place = {"seed": number, "stream": 2}
    ids = [api.sample(row, position=9 + i, **place, **params.knobs()) for i, row in enumerate(draft)]

    def weights(row):
        return spec.integer_weights(*spec.kept(row, SimpleNamespace(**OFF | params.knobs())))

    for method in ("match", "lossless"):
        wanted = []
        for i, token in enumerate(ids):
            block, Wp = spec.words(**place, position=9 + i), weights(target[i])
            lossless = method == "lossless"
            wanted.append(
                spec.verified(token, Wp, weights(draft[i]), block) if lossless else spec.draw(Wp, block[0])
            )
            if wanted[-1] != token:
                break
        else:
            wanted.append(spec.draw(weights(target[3]), spec.words(**place, position=12)[0]))
        found = api.verify(ids, draft, target, params, method=method, position=9, **place)
        assert found == (len(wanted) - 1, tuple(wanted))


@pytest.mark.parametrize("number", range(30))
def test_the_report_of_a_token_is_that_of_the_page(api, number):
    rng = np.random.default_rng([7, number])
    x = (rng.normal(size=100) * 2).astype(np.float32)
    params = SamplingParams(
        temperature=0.9, top_k=70, seed=number, report=("entropy", "kept_mass", "raw_logprob")
    )
    token = api.Sampler(params, x.size).sample(x)
    kept, T = spec.kept(x, SimpleNamespace(**OFF | params.knobs()))
    W, whole, raw = (
        spec.integer_weights(kept, T),
        dict(enumerate(x)),
        spec.integer_weights(dict(enumerate(x)), 1.0),
    )
    S, Z = (sum(weights.values()) for weights in (W, spec.integer_weights(whole, T)))
    assert token.entropy == spec.entropy(W, spec.log_probabilities(kept, T, S))
    assert token.kept_mass == float(S) / float(Z)
    assert token.raw_logprob == spec.log_probabilities(whole, 1.0, sum(raw.values()))[token.id]


def test_mirostat_steers_as_the_page_says(api):
    rng = np.random.default_rng(6)
    tau, eta, T = 1.4, 0.3, 1.5
    sampler = api.Sampler(
        SamplingParams(temperature=T, mirostat=2, mirostat_tau=tau, mirostat_eta=eta, seed=5), VOCAB
    )
    mu = 2 * tau
    for position in range(12):
        row = rng.normal(size=VOCAB).astype(np.float32) * 3
        x = dict(enumerate(row))
        x = {i: x[i] for i in spec.mirostat(x, T, mu)}
        W = spec.integer_weights(x, T)
        token = spec.draw(W, spec.words(5, 0, position)[0])
        mu -= eta * (-spec.log_probabilities(x, T, sum(W.values()))[token] / spec.LN_2 - tau)
        assert sampler.sample(row).id == token
        assert sampler.mu == mu


@checked
@given(case=stop_cases())
def test_stops_finish_and_hold_as_the_page_says(api, case):
    matcher, fed, out = case.stop_set(api).matcher(), "", ""
    for number, piece in enumerate(case.pieces):
        out += case.feed(matcher, number)
        fed += piece
        armed = number >= case.unarmed
        found = spec.finish(fed, case.stops, case.tie, case.unarmed_length) if armed else None
        if found:
            index, start, end = found
            assert matcher.hit[:1] + matcher.hit[2:] == (index, start, end, len(fed) - end)
            assert out == fed[: end if case.include else start]
            return
        hold = spec.hold if armed else spec.hold_unarmed
        assert matcher.hit is None
        assert out == fed[: len(fed) - hold(fed, case.stops, case.tie, case.include)]
    assert out + case.letters(matcher.flush()) == fed


def test_the_table_of_values_names_every_filter_and_penalty():
    table = (DOCS / PAGES[0]).read_text(encoding="utf-8").split("## Errors")[1]
    named = set(re.findall(r"`(\w+)`", table))
    assert set(STEPS) - {"xtc"} <= named
    assert {name for name in OFF if name.endswith(("penalty", "_last_n")) or name.startswith("dry_")} - {
        "dry_sequence_breakers"
    } <= named
