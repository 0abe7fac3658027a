"""An explanation tells what the implementation did: the same token, the same sets, masses that add up."""

import sys

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
    with pytest.raises(TypeError, match="unexpected keyword argument 'top_q'"):
        api.explain(X, top_q=2)


def test_the_picture_shows_before_after_and_the_cuts(api, tmp_path):
    explained = api.explain(X, seed=1, **HISTORY, **KNOBS)
    figure = explained.plot()
    curves, strips = figure.axes
    assert [text.get_text() for text in curves.get_legend().get_texts()] == [
        "before, temperature 1",
        "after",
        "drawn",
    ]
    labels = [label.get_text() for label in strips.get_yticklabels()]
    assert [label.split()[0] for label in labels[-3:]] == ["min_p", "top_k", "top_p"]
    assert labels[-1] == f"top_p 0.9: {explained.steps[-1].tokens_after}"
    cuts = {text.get_text() for text in curves.texts}
    assert cuts <= {step.name for step in explained.steps}
    assert "min_p" in cuts
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_picture_of_a_row_without_knobs_is_drawn_too(api, tmp_path):
    api.explain([1.0, 2.0, -np.inf], u=0).plot().savefig(tmp_path / "picture.png")


def test_without_matplotlib_the_error_names_the_extra(api, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'rheostat\[plot\]'"):
        api.explain(X, u=0).plot()
