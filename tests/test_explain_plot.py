"""The picture of an explanation: a mark for each step, at the place where it cuts."""

import sys

import numpy as np
import pytest
import rheostat
from rheostat import KnobError
from support import peers

X = np.random.default_rng(4).normal(size=300).astype(np.float32) * 3
KNOBS = {"temperature": 0.8, "top_k": 50, "top_p": 0.9, "min_p": 0.02, "banned_token_ids": [5, 7]}
KNOBS |= {"repetition_penalty": 1.3, "presence_penalty": 0.3, "logit_bias": {3: 2.0, 4: -np.inf}}
HISTORY = {"prompt_ids": [1, 2, 3], "output_ids": [4]}


def marks(figure):
    """The marks of a picture in the order of its steps: name and place among the tokens, likeliest first."""
    curves, strips = figure.axes
    rank = {
        label.get_text().split(": ")[0].split()[0]: at for at, label in enumerate(strips.get_yticklabels())
    }
    low, high = np.log(curves.get_xlim())
    lines = [line for line in curves.get_lines() if list(line.get_ydata()) == [0, 1]]
    places = [np.exp(low + line.get_xdata()[0] * (high - low)) for line in lines]
    found = [(text.get_text(), place) for text, place in zip(curves.texts, places, strict=True)]
    return sorted(found, key=lambda mark: rank[mark[0].split()[0]])


def likely(ids, logits, probabilities):
    return probabilities > probabilities.min()


@pytest.mark.parametrize(
    ("knobs", "places"),
    [
        # the cuts of filters lie within the picture, however far they are
        ({"temperature": 1.3, "min_p": 0.002, "top_k": 500, "top_p": 0.9}, {"min_p": 814.5, "top_k": 500.5}),
        (
            {"epsilon_cutoff": 1e-9, "top_k": 5, "chain": ("epsilon_cutoff", "top_k")},
            {"epsilon_cutoff": None},
        ),
        # xtc cuts at the left
        ({"xtc_probability": 1.0, "xtc_threshold": 0.01, "top_k": 50}, {"xtc": 8.5, "top_k": 50.5}),
        ({"top_k": 3, "chain": ("top_k", likely)}, {"top_k": 3.5, "likely": 2.5}),
        # a mask stands at the likeliest token that it forbids, or at the edge with its number
        ({"banned_token_ids": ["first"], "top_k": 9}, {"banned_token_ids": 1, "top_k": 10.5}),
        ({"banned_token_ids": ["last"], "top_k": 9}, {"banned_token_ids \N{RIGHTWARDS ARROW} 49,152": 200.5}),
        ({"allowed_token_ids": range(0, 49152, 2)}, {"allowed_token_ids": None}),
        ({"logit_bias": {5: -np.inf}, "top_p": 1e-9}, {"top_p": 1.5}),
    ],
)
def test_every_step_that_removed_something_has_its_mark(knobs, places):
    x = peers()[0][0]
    order = np.argsort(-x, kind="stable")
    ends = {"first": order[0], "last": order[-1]}
    if "banned_token_ids" in knobs:
        knobs = knobs | {"banned_token_ids": [ends[name] for name in knobs["banned_token_ids"]]}
    explained = rheostat.explain(x, seed=4, **knobs)
    found = marks(explained.plot())
    assert [name.split()[0] for name, _ in found] == [step.name for step in explained.steps if step.removed]
    for name, place in places.items():
        assert name in dict(found)
        assert place is None or dict(found)[name] == pytest.approx(place)


def test_names_with_dollars_and_many_steps_are_drawn(tmp_path):
    def keep(ids, logits, probabilities):
        return ids

    keep.__name__ = "$^$"
    table = ["$$_$", "a $x$ b", "\\frac{$}", "$_$"]
    explained = rheostat.explain([0.0] * 4, seed=4, table=table, chain=(keep,) * 30)
    figure = explained.plot()
    figure.savefig(tmp_path / "picture.png")
    assert len(figure.axes[1].get_yticklabels()) == 30


@pytest.mark.parametrize(
    ("tokens", "error", "text"),
    [
        (None, TypeError, "tokens must be an integer, got NoneType"),
        ("x", TypeError, "tokens must be an integer, got str"),
        (1.5, TypeError, "tokens must be an integer, got float"),
        (True, TypeError, "tokens must be an integer, got bool"),
        (0, KnobError, "tokens must be at least 1, got 0"),
    ],
)
def test_tokens_of_a_picture_is_a_number(tokens, error, text):
    with pytest.raises(error) as raised:
        rheostat.explain(X, seed=1).plot(tokens)
    assert str(raised.value) == text


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
    assert [mark.split()[0] for mark, _ in marks(figure)] == [
        step.name for step in explained.steps if step.removed
    ]
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_picture_of_a_row_without_knobs_is_drawn_too(api, tmp_path):
    api.explain([1.0, 2.0, -np.inf], u=0).plot().savefig(tmp_path / "picture.png")


def test_without_matplotlib_the_error_names_the_extra(api, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"the extra plot: pip install 'matplotlib>=3.8'"):
        api.explain(X, u=0).plot()
