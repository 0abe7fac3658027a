"""The file of digests: what stands in it is what both implementations give, at every level, and who differs
is told.
"""

import hashlib
import json
import types
from pathlib import Path

import numpy as np
import pytest
import rheostat
from rheostat import KnobError, _rheostat, reference
from rheostat.testing import conformance
from rheostat.testing.conformance_cases import ROWS, cases
from rheostat.testing.conformance_run import CALLS, digest
from rheostat.testing.rows import recorded, row_of, words
from support import LEVELS, peers

FILE = json.loads(conformance.FILE.read_text())


def test_the_file_agrees_with_both_implementations(api):
    found = conformance.check(api=api)
    assert found.first == ""
    assert found == (len(FILE["cases"]), (), "")


@pytest.mark.parametrize("level", LEVELS)
def test_the_file_agrees_at_every_level_of_instructions(level):
    before = rheostat.build_info()["simd"]
    assert _rheostat._set_simd_level(level)
    try:
        assert conformance.check().first == ""
    finally:
        _rheostat._set_simd_level(before)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_file_agrees_with_any_number_of_threads(threads):
    rheostat.set_num_threads(threads)
    try:
        assert conformance.check().first == ""
    finally:
        rheostat.set_num_threads(0)


def test_the_file_holds_the_cases_that_are_made():
    assert [{k: v for k, v in case.items() if k != "digest"} for case in FILE["cases"]] == json.loads(
        json.dumps(cases())
    )
    assert FILE["rows"] == ROWS
    assert (FILE["conformance"], FILE["law"]) == (1, rheostat.LAW)
    assert {case["call"] for case in FILE["cases"]} == set(CALLS)
    assert {case["row"] for case in FILE["cases"] if "row" in case} == set(ROWS)


def test_most_results_differ_from_each_other():
    """So that a digest says something: a call that ignored its arguments would give few."""
    for call in CALLS:
        found = [case["digest"] for case in FILE["cases"] if case["call"] == call]
        assert len(set(found)) >= 0.4 * len(found), call


def test_a_digest_is_sha_256_of_little_endian_bytes():
    parts = [("a", np.array([1.0, -0.0], ">f4")), ("b", np.array([-1], np.int64)), ("c", b"xy")]
    by_hand = bytes.fromhex("0000803f00000080" + "ff" * 8) + b"xy"
    assert digest(parts) == hashlib.sha256(by_hand).hexdigest()[:16]


def test_a_row_is_integers_times_a_power_of_two():
    w = words(6, 257)
    assert w[:4].tolist() == np.random.Philox(key=6, counter=0).random_raw(4).tolist()
    x = row_of(ROWS["bell 257"])
    quarters = [sum(int(word) >> shift & 0xFFFF for shift in (0, 16, 32, 48)) for word in w]
    assert [float(value) * 2**14 for value in x] == [quarter - 131_070 for quarter in quarters]
    masked = row_of(ROWS["masked 600"])
    assert np.flatnonzero(np.isneginf(masked)).tolist() == [
        i for i, word in enumerate(words(13, 600)) if int(word) % 16 < 12 and i
    ]
    assert np.flatnonzero(row_of(ROWS["all but one masked"]) > -np.inf).tolist() == [0]
    subnormal = np.abs(row_of(ROWS["subnormal"]))
    assert 0 < subnormal.max() < np.finfo(np.float32).tiny
    assert np.abs(row_of(ROWS["huge"])).max() > 1e37


def test_the_recorded_rows_are_the_largest_logits_of_six_rows_in_the_order_of_their_ids():
    logits, _ = peers()
    for mine, row in zip(recorded(), (0, 7, 9, 3, 5, 10), strict=True):
        ids = np.sort(np.argsort(-logits[row], kind="stable")[:4096])
        np.testing.assert_array_equal(mine.view(np.uint32), logits[row][ids].view(np.uint32))


def with_fault(**functions):
    """The fast code with something else in place of some functions."""
    return types.SimpleNamespace(**{name: getattr(rheostat, name) for name in rheostat.__all__} | functions)


def test_the_first_case_that_differs_is_told_in_words():
    def kept(logits, **knobs):
        ids = rheostat.kept(logits, **knobs)
        return ids[:-1] if knobs.get("top_k") == 7 else ids

    found = conformance.check(api=with_fault(kept=kept))
    number = next(
        n for n, case in enumerate(FILE["cases"])
        if case["call"] == "kept" and case["knobs"].get("top_k") == 7
    )  # fmt: skip
    assert found.different[0] == number
    assert all(FILE["cases"][n]["knobs"].get("top_k") == 7 for n in found.different)
    first = found.first.splitlines()
    assert first[0] == (
        f"Case {number} of {len(FILE['cases'])}: kept with row='one', knobs={{'top_k': 7, 'min_p': 0.05}}."
    )
    assert first[1].endswith(f" here and {FILE['cases'][number]['digest']} in the file.")
    assert first[2] == "Part 0, ids: 0 items here, 1 in the reference; [] and [0]."


def test_one_bit_is_told_with_its_place():
    def softmax(logits, **knobs):
        result = rheostat.softmax(logits, **knobs)
        if result.size == 257:
            result[9] = np.nextafter(result[9], np.float32(1))
        return result

    found = conformance.check(api=with_fault(softmax=softmax))
    assert "Part 0, result: item 9 is np.float32(" in found.first
    assert "row='bell 257'" in found.first


def test_another_type_and_another_number_of_items_are_told():
    def log_softmax(logits, **knobs):
        return rheostat.log_softmax(logits, **knobs).astype(np.float64)

    found = conformance.check(api=with_fault(log_softmax=log_softmax))
    assert found.first.endswith("Part 0, result: float64 here, float32 in the reference.")


def test_what_a_call_raises_is_told():
    def choose(logits, n, **knobs):
        raise ZeroDivisionError("mine")

    found = conformance.check(api=with_fault(choose=choose))
    assert len(found.different) == 4
    assert found.first.endswith("It raised ZeroDivisionError: mine")


def written(tmp_path, **changes):
    path = tmp_path / "other.json"
    path.write_text(json.dumps(FILE | changes))
    return path


def test_a_digest_that_is_wrong_in_the_file_is_told(tmp_path):
    broken = [*FILE["cases"][:1], FILE["cases"][1] | {"digest": "0" * 16}]
    found = conformance.check(written(tmp_path, cases=broken))
    assert found.different == (1,)
    assert found.first.endswith(
        "The reference differs from the file too, so the file is of other cases or another law."
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"law": 2}, "law must be 1, the version of the numeric law that this library follows, got 2"),
        ({"law": None}, "law must be 1, the version of the numeric law that this library follows, got None"),
        ({"conformance": 2}, "path must be that of a file of conformance, got {path}"),
        ({"rows": {}}, "path must be that of a file of conformance, got {path}"),
    ],
)
def test_another_file_is_refused_in_one_sentence(tmp_path, capsys, changes, message):
    path = written(tmp_path, **changes)
    with pytest.raises(KnobError) as caught:
        conformance.check(path)
    assert str(caught.value) == message.format(path=path)
    assert conformance.main(["--file", str(path)]) == 2
    assert capsys.readouterr().err == f"{message.format(path=path)}\n"


def test_what_is_no_json_and_what_is_not_there_are_refused(tmp_path, capsys):
    path = tmp_path / "text"
    path.write_text("not JSON")
    with pytest.raises(KnobError, match="path must be that of a file of conformance"):
        conformance.read(path)
    assert conformance.main(["--file", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_the_command_line_says_what_it_did(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(conformance, "cases", lambda: cases()[:40])
    path = tmp_path / "new.json"
    assert conformance.main(["--write", "--file", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"Wrote 40 cases to {path} (rheostat ")
    assert json.loads(path.read_text())["cases"] == FILE["cases"][:40]
    assert conformance.main(["--write", "--file", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path} holds these 40 cases already (rheostat ")
    assert conformance.main(["--check", "--file", str(path), "--reference"]) == 0
    assert capsys.readouterr().out.startswith("All 40 cases agree (rheostat ")
    broken = json.loads(path.read_text())
    broken["cases"][5]["digest"] = "f" * 16
    path.write_text(json.dumps(broken))
    assert conformance.main(["--file", str(path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("Case 5 of 40: softmax with row='one', temperature=1e-30.")
    assert "\n1 of 40 cases differ (rheostat " in err


def test_a_file_is_not_written_from_two_implementations_that_differ(monkeypatch):
    monkeypatch.setattr(conformance, "cases", lambda: cases()[:40])
    monkeypatch.setattr(conformance.rheostat, "softmax", lambda x, temperature: reference.softmax(x) * 2)
    with pytest.raises(AssertionError, match="Case 0 of 40: softmax"):
        conformance.text()


def test_the_page_names_every_call():
    page = (Path(__file__).parents[1] / "docs" / "conformance.md").read_text()
    for call in CALLS:
        assert f"`{call}`" in page, call
