"""Kept sets of transformers and llama.cpp, recorded on real rows."""

from collections import Counter
from fractions import Fraction

import numpy as np
from rheostat.reference import law
from support import peers

KNOBS = {"temperature", "top_k", "top_p", "min_p"}
LLAMA_NAMES = {"temp": "temperature"}


def test_the_cases_of_transformers_that_do_not_combine_top_p_with_min_p_are_equal(api):
    rows, cases = peers()
    checked = 0
    for case in cases:
        knobs = case.get("knobs", {"typical_p": 0})
        if case["peer"] == "transformers" and set(knobs) <= KNOBS and not {"top_p", "min_p"} <= set(knobs):
            np.testing.assert_array_equal(api.kept(rows[case["row"]], **knobs), case["kept"])
            checked += 1
    assert checked == 346


def test_the_others_run_in_its_own_order_and_are_equal_under_its_preset(api):
    rows, cases = peers()
    checked = 0
    for case in cases:
        if {"top_p", "min_p"} <= set(case.get("knobs", {})):
            np.testing.assert_array_equal(
                api.kept(rows[case["row"]], chain="hf", **case["knobs"]), case["kept"]
            )
            checked += 1
    assert checked == 23


def test_the_chains_of_llama_cpp_are_equal_but_for_its_float32_sums(api):
    rows, cases = peers()
    different, checked = Counter(), 0
    for case in cases:
        steps = [(LLAMA_NAMES.get(name, name), value) for name, value in case.get("chain", [("other", 0)])]
        if not {name for name, _ in steps} <= KNOBS:
            continue
        kept = api.kept(rows[case["row"]], chain=tuple(name for name, _ in steps), **dict(steps))
        checked += 1
        if not np.array_equal(kept, case["kept"]):
            different[case["row"], steps[0], len(kept), len(case["kept"])] += 1
    assert checked == 60
    assert different == {(0, ("top_p", 0.9), 897, 895): 1, (7, ("top_p", 0.9), 185, 184): 1}


def test_where_llama_cpp_differs_its_nucleus_falls_short_of_p_in_exact_arithmetic():
    """Its 895 and 184 tokens hold less than 0.9 of the weight, and so do ours without the last one."""
    rows, _ = peers()
    for row, ours, theirs in ((0, 897, 895), (7, 185, 184)):
        w = law.integer_weights(rows[row], 1)[law.order(rows[row])]
        prefix = np.cumsum(w, dtype=np.uint64)
        share = [Fraction(int(prefix[size - 1]), int(prefix[-1])) for size in (theirs, ours - 1, ours)]
        assert share[0] <= share[1] < Fraction(0.9) <= share[2]
