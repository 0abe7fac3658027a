"""Every filter equals its naive twin, keeps what its formula says in float64, and composes in a chain."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rheostat.errors import KnobError
from rheostat.reference import law
from rows_strategy import few, rows, shares, temperatures

FILTERS = {
    "top_k": st.integers(1, 20),
    "top_p": shares,
    "min_p": shares,
    "typical_p": shares,
    "epsilon_cutoff": shares,
    "eta_cutoff": shares,
    "top_h": shares,
    "top_n_sigma": st.floats(0.01, 4),
}


class Twin:
    """The filters once more, token by token, over {id: logit}; only the law's W and ln are shared."""

    def __init__(self, x, temperature):
        self.ids = [i for i in range(x.size) if x[i] > -np.inf]
        self.x = {i: float(x[i]) for i in self.ids}
        self.w = dict(zip(self.ids, law.integer_weights(x[self.ids], temperature).tolist(), strict=True))
        self.s = sum(self.w.values())
        self.order = sorted(self.ids, key=lambda i: (-self.x[i], i))
        m = self.x[self.order[0]]
        self.log_p = {i: (self.x[i] - m) / temperature - law.ln(self.s / 2**43) for i in self.ids}
        self.h = -self.lanes({i: self.w[i] / self.s * self.log_p[i] for i in self.ids if self.w[i] > 0})

    @staticmethod
    def lanes(values):
        lanes = [0.0] * 16
        for i in sorted(values):
            lanes[i % 16] += values[i]
        total = 0.0
        for lane in lanes:
            total += lane
        return total

    def prefix(self, order, p):
        running, size = 0, 0
        while Fraction(running) < Fraction(p) * self.s:
            running += self.w[order[size]]
            size += 1
        return order[:size]

    def top_k(self, k):
        return self.order[:k]

    def top_p(self, p):
        return self.prefix(self.order, p)

    def min_p(self, p):
        return [i for i in self.ids if Fraction(self.w[i]) >= Fraction(p) * 2**43]

    def typical_p(self, p):
        deviation = {i: abs(self.log_p[i] + self.h) for i in self.ids}
        last = self.prefix(sorted(self.ids, key=lambda i: (deviation[i], i)), p)[-1]
        return [i for i in self.ids if deviation[i] <= deviation[last]]

    def epsilon_cutoff(self, epsilon):
        return [
            i for i in self.ids if i == self.order[0] or Fraction(self.w[i]) >= Fraction(epsilon) * self.s
        ]

    def eta_cutoff(self, epsilon):
        bound = min(law.ln(epsilon), 0.5 * law.ln(epsilon) - self.h)
        return [i for i in self.ids if i == self.order[0] or self.log_p[i] >= bound]

    def top_h(self, share):
        first = self.order[:100]
        s = sum(self.w[i] for i in first)
        m = self.x[first[0]]
        running, terms = 0.0, []
        for i in first:
            log_p = (self.x[i] - m) / self.temperature - law.ln(s / 2**43)
            running += -(self.w[i] / s) * log_p if self.w[i] else 0.0
            terms.append(running)
        kept = [first[0]]
        for i, term in zip(first[1:], terms[1:], strict=True):
            if term > share * terms[-1] or terms[0] > share * terms[-1]:
                break
            kept.append(i)
        return kept

    def top_n_sigma(self, n):
        mean = self.lanes(self.x) / len(self.ids)
        variance = self.lanes({i: (v - mean) * (v - mean) for i, v in self.x.items()}) / len(self.ids)
        bound = max(self.x.values()) - n * math.sqrt(variance)
        return [i for i in self.ids if self.x[i] >= bound]

    def xtc(self, threshold):
        likely = [i for i in self.order if Fraction(self.w[i]) >= Fraction(threshold) * self.s]
        return sorted(set(self.ids) - set(likely[:-1]))


@pytest.mark.parametrize("knob", FILTERS)
def test_a_filter_equals_its_naive_twin(api, knob):
    @few
    @given(rows(), FILTERS[knob], temperatures)
    def check(x, value, temperature):
        twin = Twin(x, temperature)
        twin.temperature = temperature
        kept = api.kept(x, temperature=temperature, **{knob: value}, chain=("temperature", knob))
        assert kept.tolist() == sorted(getattr(twin, knob)(value))

    check()


def test_xtc_equals_its_naive_twin(api):
    @few
    @given(rows(), st.one_of(st.just(0.0), shares), temperatures)
    def check(x, threshold, temperature):
        kept = api.kept(
            x,
            temperature=temperature,
            xtc_threshold=threshold,
            xtc_probability=1.0,
            chain=("temperature", "xtc"),
        )
        assert kept.tolist() == Twin(x, temperature).xtc(threshold)

    check()


def in_float64(knob, x, value):
    """The textbook's set by libm, and the distance of each token from the border: what is near may go either
    way.
    """
    z = x.astype(np.float64)
    p = np.exp(z - z.max())
    p /= p.sum()
    log_p = np.log(p)
    h = -(p * log_p).sum()
    order = np.argsort(-z, kind="stable")
    if knob in ("top_p", "typical_p"):
        order = order if knob == "top_p" else np.argsort(np.abs(log_p + h), kind="stable")
        before = np.cumsum(p[order]) - p[order]
        margin = np.empty_like(p)
        margin[order] = value - before
        return margin > 0, np.abs(margin)
    if knob == "top_h":
        terms = np.cumsum(-(p * log_p)[order])
        margin = np.empty_like(p)
        margin[order] = value * terms[-1] - terms
        margin[order[0]] = 1.0
        return margin >= 0, np.abs(margin)
    bound = {
        "min_p": np.log(value) + log_p.max(),
        "epsilon_cutoff": np.log(value),
        "eta_cutoff": np.log(min(value, math.sqrt(value) * math.exp(-h))),
        "top_n_sigma": z.max() - value * z.std() + log_p[0] - z[0],
    }[knob]
    keep = log_p >= bound
    keep[order[0]] = True
    margin = np.abs(log_p - bound)
    margin[order[0]] = 1.0
    return keep, margin


@pytest.mark.parametrize("knob", [knob for knob in FILTERS if knob != "top_k"])
def test_a_filter_keeps_what_its_formula_says_in_float64(api, knob):
    rng = np.random.default_rng(7)
    decided = 0
    for scale in (0.5, 1, 2, 4):
        for value in (0.05, 0.3, 0.8):
            x = (rng.normal(size=90) * scale).astype(np.float32)
            keep, margin = in_float64(knob, x, value)
            kept = np.isin(np.arange(x.size), api.kept(x, **{knob: value}, chain=(knob,)))
            clear = margin > 1e-5
            np.testing.assert_array_equal(kept[clear], keep[clear])
            decided += np.count_nonzero(clear)
    assert decided > 0.95 * 12 * 90


@pytest.mark.parametrize("knob", FILTERS)
def test_no_filter_keeps_a_forbidden_token_or_nothing(api, knob):
    @few
    @given(rows(), FILTERS[knob])
    def check(x, value):
        kept = api.kept(x, **{knob: value})
        assert kept.size > 0
        assert (x[kept] > -np.inf).all()

    check()


def test_a_chain_equals_its_steps_one_after_another(api):
    @few
    @given(rows(), st.permutations(list(FILTERS)), st.data())
    def check(x, order, data):
        knobs = {name: data.draw(FILTERS[name]) for name in order[:4]}
        stepwise = x
        for name, value in knobs.items():
            stepwise = api.process(stepwise, **{name: value}, chain=(name,))
        np.testing.assert_array_equal(api.process(x, **knobs, chain=tuple(knobs)), stepwise)

    check()


@pytest.mark.parametrize("knob", FILTERS)
def test_a_filter_then_a_draw_equals_the_fused_draw(api, knob):
    @few
    @given(rows(), FILTERS[knob], temperatures, st.integers(0, 2**64 - 1))
    def check(x, value, temperature, u):
        fused = api.sample(x, temperature=temperature, **{knob: value}, u=u)
        kept = api.kept(x, temperature=temperature, **{knob: value})
        filtered = np.full_like(x, -np.inf)
        filtered[kept] = x[kept]
        assert api.sample(filtered, temperature=temperature, u=u) == fused

    check()


def test_an_off_value_changes_nothing(api):
    x = np.random.default_rng(1).normal(size=50).astype(np.float32)
    off = {
        "typical_p": 1.0,
        "epsilon_cutoff": 0,
        "eta_cutoff": 0,
        "top_h": 0,
        "top_n_sigma": 0,
        "xtc_probability": 0,
    }
    assert api.kept(x, **off).size == 50


def test_filters_take_one_value_per_row(api):
    x = np.random.default_rng(2).normal(size=(3, 40)).astype(np.float32)
    values = {"typical_p": [0.2, 1.0, 0.8], "top_n_sigma": [0, 1.5, 2.5], "top_h": [0.4, 0, 0]}
    together = api.kept(x, **values)
    for row in range(3):
        alone = api.kept(x[row], **{name: column[row] for name, column in values.items()})
        np.testing.assert_array_equal(together[row], alone)


def test_xtc_acts_as_word_1_of_the_block_says(api):
    x = np.array([2.0, 1.9, 1.8, -3], np.float32)
    for probability in (0.25, 0.75):
        for seed in range(40):
            word = int(np.random.Philox(key=seed + (3 << 64), counter=5).random_raw(4)[1])
            kept = api.kept(x, xtc_probability=probability, seed=seed, stream=3, position=5)
            assert kept.size == (2 if word < math.floor(Fraction(probability) * 2**64) else 4)


def test_xtc_gates_each_seed_of_one_row_for_itself(api):
    x = np.array([2.0, 1.9, 1.8, -3], np.float32)
    seeds = list(range(50))
    together = api.sample(x, xtc_probability=0.5, seed=seeds)
    alone = [api.sample(x, xtc_probability=0.5, seed=seed) for seed in seeds]
    assert together.tolist() == alone


def test_xtc_and_u_exclude_each_other(api):
    with pytest.raises(KnobError, match="u must come without xtc_probability, got both"):
        api.sample([1.0, 2.0], u=3, xtc_probability=0.5)


def test_presets_run_what_they_do_not_name_afterwards(api):
    x = np.random.default_rng(3).normal(size=80).astype(np.float32) * 3
    knobs = {
        "temperature": 1.5,
        "top_p": 0.9,
        "min_p": 0.01,
        "top_k": 30,
        "top_n_sigma": 2.0,
        "typical_p": 0.9,
    }
    knobs |= {"epsilon_cutoff": 0.01, "eta_cutoff": 0.02, "top_h": 0.8, "xtc_probability": 1.0}
    cutoffs = ("epsilon_cutoff", "eta_cutoff")
    for preset, steps in {
        "vllm": (
            "temperature", "min_p", "top_k", "top_p", "top_n_sigma", "typical_p", *cutoffs, "top_h", "xtc",
        ),
        "hf": (
            "temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", *cutoffs, "top_n_sigma", "xtc",
        ),
        "llama.cpp": (
            "top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature", *cutoffs, "top_h",
        ),
    }.items():  # fmt: skip
        np.testing.assert_array_equal(api.kept(x, **knobs, chain=preset), api.kept(x, **knobs, chain=steps))


def test_steps_before_greedy_see_temperature_1_and_steps_after_it_one_token(api):
    x = np.array([1.0, 3.0, 3.0, 2.0], np.float32)
    assert api.kept(x, temperature=0, typical_p=0.1, chain=("temperature", "typical_p")).tolist() == [1]
    assert api.kept(x, temperature=0, xtc_probability=1.0, chain=("xtc", "temperature")).tolist() == [3]


def test_a_callable_gets_the_survivors_at_the_current_temperature(api):
    x = np.array([0.0, 3.0, -np.inf, 2.0, 1.0], np.float32)
    seen = []

    def look(ids, logits, probabilities):
        seen.append((ids, logits, probabilities))
        return ids[:1]

    assert api.kept(x, temperature=2.0, top_k=3, chain=("top_k", "temperature", look)).tolist() == [1]
    ids, logits, probabilities = seen[0]
    assert ids.tolist() == [1, 3, 4]
    assert (ids.dtype, logits.dtype, probabilities.dtype) == (np.int64, np.float32, np.float32)
    np.testing.assert_array_equal(logits, x[ids])
    np.testing.assert_array_equal(probabilities, api.softmax(x[ids], temperature=2.0))


def test_a_callable_may_answer_with_a_mask_or_with_ids(api):
    x = np.arange(6, dtype=np.float32)
    assert api.kept(x, chain=(lambda ids, x, p: x >= 2, lambda ids, x, p: [5, 3])).tolist() == [3, 5]


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ([], KnobError, "chain must have callables that keep at least one token, got none from mine"),
        (
            [False, False],
            KnobError,
            "chain must have callables that keep at least one token, got none from mine",
        ),
        (
            [True],
            KnobError,
            r"chain must have callables whose mask has shape \(2,\), got shape \(1,\) from mine",
        ),
        ([7], KnobError, "chain must have callables that return ids they were given, got 7 from mine"),
        (
            [0.5],
            TypeError,
            "chain must have callables that return a boolean mask or ids, got an array of float64",
        ),
    ],
)
def test_a_callables_bad_answer_is_refused(api, answer, error, text):
    def mine(ids, logits, probabilities):
        return answer

    with pytest.raises(error, match=text):
        api.kept([1.0, 2.0], chain=(mine,))


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        ({"typical_p": 0}, r"typical_p must be in \(0, 1\], got 0"),
        ({"epsilon_cutoff": 1}, r"epsilon_cutoff must be in \[0, 1\), where 0 is off, got 1"),
        ({"eta_cutoff": -0.1}, r"eta_cutoff must be in \[0, 1\), where 0 is off, got -0.1"),
        ({"top_h": 1.5}, r"top_h must be in \[0, 1\], where 0 is off, got 1.5"),
        ({"top_n_sigma": math.nan}, "top_n_sigma must be at least 0 and finite, where 0 is off, got nan"),
        ({"xtc_threshold": 2}, r"xtc_threshold must be in \[0, 1\], got 2"),
        ({"xtc_probability": -1}, r"xtc_probability must be in \[0, 1\], got -1"),
        ({"chain": ("top_p", "top_p")}, "chain must name each knob once, got 'top_p' twice"),
        (
            {"chain": ("top_p",), "xtc_probability": 0.5},
            "chain must name every knob that is set, got none for 'xtc'",
        ),
        ({"chain": ("mirostat",)}, "chain must name knobs among temperature, .*, xtc, got 'mirostat'"),
        ({"chain": "openai"}, "chain must be one of 'vllm', 'hf', 'llama.cpp' or a tuple"),
    ],
)
def test_a_refusal_names_argument_rule_and_value(api, knobs, text):
    with pytest.raises(KnobError, match=text):
        api.kept([1.0, 2.0], **knobs)


def test_an_unknown_knob_is_a_type_error(api):
    for function in (api.kept, api.sample, api.process):
        with pytest.raises(TypeError, match=r"got an unexpected keyword argument 'top_q'"):
            function([1.0, 2.0], top_q=1)
