"""An explanation tells what the implementation did: the same token, the same sets, masses that add up."""

import inspect
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rheostat import KnobError, SamplingParams
from rows_strategy import few, rows, temperatures

X = np.random.default_rng(4).normal(size=300).astype(np.float32) * 3
KNOBS = {"temperature": 0.8, "top_k": 50, "top_p": 0.9, "min_p": 0.02, "banned_token_ids": [5, 7]}
KNOBS |= {"repetition_penalty": 1.3, "presence_penalty": 0.3, "logit_bias": {3: 2.0, 4: -np.inf}}
HISTORY = {"prompt_ids": [1, 2, 3], "output_ids": [4]}


def test_it_explains_the_token_that_sample_draws(api):
    for seed in range(20):
        explained = api.explain(X, seed=seed, **HISTORY, **KNOBS)
        assert explained.token_id == api.sample(X, seed=seed, **HISTORY, **KNOBS)
        assert explained.draw.low <= explained.draw.u < explained.draw.high
        assert explained.after[explained.token_id] == pytest.approx(explained.draw.high - explained.draw.low)


def test_a_step_stands_for_every_knob_that_is_set_in_the_order_they_act(api):
    steps = [step.name for step in api.explain(X, seed=0, **HISTORY, **KNOBS).steps]
    before = ["input", "banned_token_ids", "logit_bias", "repetition", "frequency, presence"]
    assert steps == [*before, "temperature", "min_p", "top_k", "top_p"]


def test_it_explains_params_as_it_explains_their_knobs(api):
    params = SamplingParams(seed=3, chain="llama.cpp", **KNOBS)
    explained = api.explain(X, params, **HISTORY)
    assert str(explained) == str(api.explain(X, seed=3, **HISTORY, **params.knobs()))
    assert api.explain(X, params, seed=4).draw == api.explain(X, seed=4, **params.knobs()).draw
    assert api.explain(X, params=params, u=9).draw == api.explain(X, u=9, **params.knobs()).draw
    assert api.explain(X[:100], params, position=5, vocab_size=90, top=2).steps[-1].tokens_after > 0


def test_text_breakers_of_params_are_resolved_by_the_table(api):
    table = api.TokenTable.from_bytes([b"a", b"\n", b"b"])
    params = SamplingParams(dry_multiplier=50, dry_allowed_length=0, dry_sequence_breakers="\n")
    history = {"output_ids": [0, 1, 0, 1, 0, 1]}
    explained = api.explain([0.0, 0.0, 0.0], params, u=0, table=table, **history)
    assert [survivor.text for survivor in explained.survivors if survivor.after > 0.1] == ["\n", "b"]
    with pytest.raises(KnobError, match="must be token ids"):
        api.explain([0.0, 0.0, 0.0], params, u=0)


@pytest.mark.parametrize(
    ("params", "knobs", "error", "message"),
    [
        (SamplingParams(), {"top_p": 0.5, "chain": "hf"}, KnobError, "params must come without knobs beside"),
        (SamplingParams(mirostat=2), {}, KnobError, "params must be without mirostat, whose state only a"),
        ({"top_p": 0.5}, {}, TypeError, "params must be a SamplingParams, got dict"),
    ],
)
def test_params_that_cannot_be_explained_are_refused(api, params, knobs, error, message):
    with pytest.raises(error, match=message):
        api.explain(X, params, **knobs)


def test_the_last_step_leaves_what_kept_keeps(api):
    @few
    @given(
        rows(),
        temperatures,
        st.floats(0.1, 1),
        st.integers(0, 9),
        st.sampled_from(["vllm", "hf", "llama.cpp"]),
    )
    def check(x, temperature, p, k, chain):
        knobs = {"temperature": temperature, "top_p": p, "top_k": k, "typical_p": p, "chain": chain}
        explained = api.explain(x, u=1, **knobs)
        np.testing.assert_array_equal(explained.steps[-1].ids, api.kept(x, **knobs))
        for earlier, later in zip(explained.steps, explained.steps[1:], strict=False):
            assert later.tokens_before == earlier.tokens_after
            assert set(later.ids) <= set(earlier.ids)
        assert explained.before.sum() == pytest.approx(1)
        assert explained.after.sum() == pytest.approx(1)

    check()


def test_the_mass_removed_is_what_a_filter_cut_off(api):
    step = api.explain(X, u=0, temperature=0.7, top_p=0.8).steps[-1]
    p = api.softmax(X, temperature=0.7).astype(np.float64)
    assert step.mass_removed == pytest.approx(1 - p[step.ids].sum(), abs=1e-6)
    assert step.mass_removed <= 0.2


def test_a_forbidden_tokens_nan_is_no_obstacle(api):
    x = X.copy()
    x[5] = np.nan
    explained = api.explain(x, u=0, **HISTORY, **KNOBS)
    assert explained.token_id == api.sample(x, u=0, **HISTORY, **KNOBS)
    assert explained.before[5] == 0


def test_min_tokens_and_bitmasks_are_steps(api):
    bitmask = np.full(10, -1, np.int32)
    bitmask[0] = ~1
    knobs = {
        "min_tokens": 3,
        "eos_token_id": 299,
        "stop_token_ids": [298],
        "bitmask": bitmask,
        "vocab_size": 299,
    }
    explained = api.explain(X, u=0, **(knobs | {"eos_token_id": 297}))
    assert [(step.name, step.removed) for step in explained.steps] == [
        ("input", 0), ("vocab_size", 1), ("bitmask", 1), ("min_tokens", 2),
    ]  # fmt: skip


def test_callables_and_xtc_are_steps_like_others(api):
    def likely(ids, logits, probabilities):
        return probabilities > 0.01

    explained = api.explain(X, seed=3, xtc_probability=1.0, top_k=20, chain=("top_k", likely, "xtc"))
    assert [step.name for step in explained.steps] == ["input", "top_k", "likely", "xtc"]
    np.testing.assert_array_equal(
        explained.steps[-1].ids, api.kept(X, xtc_probability=1.0, top_k=20, chain=("top_k", likely, "xtc"))
    )


def test_a_greedy_choice_says_that_one_token_was_left(api):
    assert str(api.explain(X, temperature=0)).endswith(f"token {X.argmax()} was drawn: it alone was left.")


def test_the_table_fits_a_terminal_and_shows_words(api):
    knobs = KNOBS | {"sequence_bias": {(4, i): 0.1 for i in range(50)}, "dry_multiplier": 0.8}
    words = {i: f"word{i} \n".encode() * 9 for i in range(300)}
    explained = api.explain(X, seed=1, **HISTORY, **knobs, table=words, top=5)
    text = str(explained)
    assert max(map(len, text.splitlines())) <= 100
    assert text.replace("\n", "").isprintable()
    assert len(explained.survivors) <= 5
    assert explained.token_id in [survivor.token_id for survivor in explained.survivors]
    assert "<- drawn" in text
    assert "'word" in text
    assert "50 given" in text


def test_without_a_seed_one_is_drawn_and_told_by_the_draw(api):
    explained = api.explain(X)
    assert explained.draw.low <= explained.draw.u < explained.draw.high


def test_it_takes_one_row_and_one_chance(api):
    with pytest.raises(KnobError, match="logits must be one row with one chance, got 2 tokens"):
        api.explain(np.stack([X, X]), seed=[1, 2])


def test_errors_are_those_of_sample(api):
    with pytest.raises(KnobError, match=r"top_p must be in \(0, 1\], got 2"):
        api.explain(X, top_p=2)
    with pytest.raises(TypeError, match=r"^explain\(\) got an unexpected keyword argument 'top_q'$"):
        api.explain(X, top_q=2)
    with pytest.raises(TypeError, match=r"^explain\(\) got an unexpected keyword argument 'top_q'$"):
        api.explain(X, SamplingParams(), top_q=2)


def test_its_signature_names_every_knob(api):
    own = inspect.signature(api.explain).parameters
    sample = inspect.signature(api.sample).parameters
    assert set(own) == {*sample, "params", "table", "top"}
    assert all(own[name].default == parameter.default for name, parameter in sample.items())
    assert own["top"].default == 10


def test_a_callable_is_called_once_and_what_it_said_is_told(api):
    chance = np.random.default_rng(5)
    calls = []

    def some(ids, logits, probabilities):
        calls.append(ids[chance.random(ids.size) < 0.3])
        return calls[-1]

    class Reused:
        """Answers from the same memory every time."""

        def __init__(self):
            self.mask = np.zeros(300, bool)

        def __call__(self, ids, logits, probabilities):
            mask = self.mask[: ids.size]
            mask[:] = np.arange(ids.size) < ids.size - 1
            return mask

    for seed in range(40):
        calls.clear()
        reused = Reused()
        explained = api.explain(X, seed=seed, top_k=60, chain=("top_k", some, reused, reused))
        assert len(calls) == 1
        first, second, third = (step.ids for step in explained.steps[-3:])
        assert first.tolist() == calls[0].tolist()
        assert (second.tolist(), third.tolist()) == (first[:-1].tolist(), first[:-2].tolist())
        again = api.explain(X, seed=seed, top_k=60, chain=("top_k", lambda *_: third))  # noqa: B023
        assert explained.token_id == again.token_id
        assert explained.token_id in third


def test_a_callable_that_writes_to_the_callers_logits_changes_nothing_that_is_told(api):
    x = X.copy()

    def sly(ids, logits, probabilities):
        x[:] = np.nan
        return probabilities > 0.01

    explained = api.explain(x, seed=1, chain=(sly,))
    assert explained.token_id == api.sample(X, seed=1, chain=(lambda ids, x, p: p > 0.01,))


class Tensor:
    """What torch's tensors are to `explain`: a name of their own, and `tolist`."""

    def __init__(self, values, dtype=None):
        self.values = np.asarray(values, dtype)
        self.ndim = self.values.ndim

    def __array__(self, dtype=None, copy=None):
        return self.values

    def tolist(self):
        return self.values.tolist()


@pytest.mark.parametrize("make", [np.array, Tensor])
def test_settings_are_shown_as_plain_numbers(api, make):
    knobs = {"top_k": make(2), "temperature": make(0.7, np.float32), "banned_token_ids": make([1, 2])}
    explained = api.explain(X, seed=make(3), **knobs, bitmask=np.full(10, -1, np.int32))
    settings = {step.name: step.setting for step in explained.steps}
    assert settings == {
        "input": "",
        "bitmask": "10 words",
        "banned_token_ids": "[1, 2]",
        "temperature": "0.7",
        "top_k": "2",
    }
    explained = api.explain(
        X, seed=1, bad_words=[[np.int64(3), 11]], logit_bias={np.int64(4): np.float32(0.1)}
    )
    assert [step.setting for step in explained.steps[1:]] == ["[[3, 11]]", "{4: 0.1}"]


@pytest.mark.parametrize(
    ("top", "error", "text"),
    [
        (0, KnobError, "top must be at least 1, got 0"),
        (-1, KnobError, "top must be at least 1, got -1"),
        (2**20 + 1, KnobError, "top must be at most 1048576, got 1048577"),
        (1.5, TypeError, "top must be an integer or one integer per row, got float"),
        (True, TypeError, "top must be an integer or one integer per row, got bool"),
        (None, TypeError, "top must be an integer or one integer per row, got NoneType"),
        ([3], TypeError, "top must be an integer, got one per row"),
    ],
)
def test_top_is_a_number_of_survivors(api, top, error, text):
    with pytest.raises(error) as raised:
        api.explain(X, seed=1, top=top)
    assert str(raised.value) == text


def test_one_survivor_listed_is_the_drawn_one(api):
    explained = api.explain(X, seed=1, top=np.int64(1))
    assert [survivor.token_id for survivor in explained.survivors] == [explained.token_id]


@pytest.mark.parametrize(
    ("table", "error", "text"),
    [
        (3, TypeError, "table must give bytes or text for each token id, got int"),
        ({}, KnobError, "table must give bytes or text for each token id, got nothing for 2"),
        (["a"], KnobError, "table must give bytes or text for each token id, got nothing for 2"),
        ([1, 2, 3], TypeError, "table must give bytes or text for each token id, got int for 2"),
    ],
)
def test_a_table_without_the_tokens_is_refused_in_one_sentence(api, table, error, text):
    with pytest.raises(error) as raised:
        api.explain([0.0, 1.0, 2.0], temperature=0, table=table)
    assert str(raised.value) == text


def test_wide_letters_stand_in_line(api):
    table = [
        "abc",
        "\N{CJK UNIFIED IDEOGRAPH-65E5}\N{CJK UNIFIED IDEOGRAPH-672C}" * 20,
        "e\N{COMBINING ACUTE ACCENT}",
    ]
    lines = str(api.explain([0.0, 0.0, 0.0], seed=1, table=table)).splitlines()

    def width(text):
        wide = sum(unicodedata.east_asian_width(letter) == "W" for letter in text)
        return len(text) + wide - text.count("\N{COMBINING ACUTE ACCENT}")

    start = lines.index(next(line for line in lines if line.startswith("token ")))
    assert {width(line.removesuffix("  <- drawn")) for line in lines[start : start + 4]} == {70}
