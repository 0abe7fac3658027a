"""The samplers of docs/own_sampler.md run as they stand there and keep what they say."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "own_sampler.md"
LOGITS = np.random.default_rng(8).normal(size=500).astype(np.float32) * 3


BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def page(api, monkeypatch):
    """The names of the page, run over either implementation: what it imports is that one."""
    monkeypatch.setitem(sys.modules, "rheostat", api)
    names = {}
    for block in BLOCKS:
        exec(block, names)
        assert names.get("token", 0) in range(names["logits"].size)
    assert names["rheostat"] is api
    assert names["ids"].size
    return names


def test_every_sampler_is_ten_lines_at_most():
    assert len(BLOCKS) == 5
    assert all(len([line for line in block.splitlines() if line]) <= 10 for block in BLOCKS)


def test_every_sampler_leaves_something_of_a_flat_row(api, page):
    chain = [page[name] for name in ("p_less", "min_k", "diff_cut")] + [page["top_a"](0.2)]
    for n in (*range(1, 300), *range(1000, 1100), 2999, 49152):
        x = np.zeros(n, np.float32)
        for step in chain:
            assert api.kept(x, chain=(step,)).size == n


def test_p_less_keeps_what_is_above_the_collision_probability(api, page):
    p = np.exp(LOGITS.astype(np.float64) - LOGITS.max())
    p /= p.sum()
    assert api.kept(LOGITS, chain=(page["p_less"],)).tolist() == np.flatnonzero(p >= (p * p).sum()).tolist()


def test_min_k_cuts_at_the_cliff_whatever_the_temperature(api, page):
    x = np.array([5, 4.9, 4.8, 0, -0.1, -0.2], np.float32)
    for temperature in (0.5, 1, 4):
        kept = api.kept(x, temperature=temperature, chain=("temperature", page["min_k"]))
        assert kept.tolist() == [0, 1, 2]
    assert api.kept(np.zeros(4, np.float32), chain=(page["min_k"],)).size == 4


def test_diff_cut_cuts_after_the_largest_drop(api, page):
    x = np.log(np.array([0.05, 0.4, 0.35, 0.15, 0.05])).astype(np.float32)
    assert api.kept(x, chain=(page["diff_cut"],)).tolist() == [1, 2]


def test_explain_lists_them_by_name(api, page):
    explained = api.explain(LOGITS, u=0, top_k=50, chain=("top_k", page["min_k"], page["diff_cut"]))
    assert [step.name for step in explained.steps] == ["input", "top_k", "min_k", "diff_cut"]
