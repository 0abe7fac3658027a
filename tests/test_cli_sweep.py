"""`rheostat sweep`: what it shows, writes and says, and that it can be interrupted."""

import csv
import json
import re
import subprocess
import sys
import time

import platforms
import pytest
from cli_support import STAND_IN, environment, in_terminal, plain, start
from rheostat import lab

CORPUS = "the cat sat on the mat. the dog sat on the log. a rat ran. " * 40
TINY = tuple(
    part
    for knob in ("vocabulary_size=270", "embedding_size=8", "hidden_size=8", "batch_size=8", "epochs=2")
    for part in ("--set", knob)
)
DECODING = ("sweep", *STAND_IN, "--texts", 2, "--set", "max_tokens=20", "--goal", "perplexity=8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.txt").write_text(CORPUS)
    return tmp_path


def test_a_decoding_sweep_ends_with_a_table_pictures_and_the_best(cli, folder):
    asked = (*DECODING, "--vary", "temperature=0.5,1", "--vary", "top_p=0.5,0.9,1")
    status, out, err = cli(*asked)
    assert status == 0
    lines = out.splitlines()
    rows = [line.split() for line in lines if line.strip()[:1].isdigit()]
    assert {tuple(row[1:3]) for row in rows} == {(t, p) for t in ("0.5", "1") for p in ("0.5", "0.9", "1")}
    distances = [abs(float(row[3].replace(",", "")) - 8) for row in rows]
    assert distances == sorted(distances)
    assert f"at temperature {rows[0][1]}, top_p {rows[0][2]}" in lines[-2]
    assert lines[-2].startswith("Perplexity closest to 8: ")
    assert lines[-1].startswith(
        "Try it: rheostat generate 'The default is' --preset plain --model stand_in:load"
    )
    assert err.splitlines()[0].startswith("1/6  temperature 0.5, top_p 0.5: perplexity ")
    made = folder / "sweep-temperature-top_p"
    names = "results.csv, history.png, effect_temperature.png, effect_top_p.png, importance.png, heat_map.png"
    assert err.splitlines()[-1] == f"in {made.name}: {names}"
    for name in names.split(", ")[1:]:
        assert (made / name).read_bytes().startswith(b"\x89PNG")
    with (made / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["temperature"] for row in table] == [f"{float(row[1])}" for row in rows]
    assert all(row["state"] == "done" and float(row["distinct_1"]) <= 1 for row in table)
    again = cli(*asked)
    assert again[1] == out
    assert again[2].splitlines() == ["6 of 6 are done already", err.splitlines()[-1]]


def test_a_training_sweep_reports_training(cli):
    asked = ("sweep", "book.txt", *TINY, "--vary", "dropout=0,0.5", "--json")
    status, out, err = cli(*asked)
    told = json.loads(out)
    assert status == 0
    assert told["goal"] == "lowest held out bits per byte"
    assert [row["state"] for row in told["trials"]] == ["done", "done"]
    assert told["best"] == told["trials"][0]["settings"]
    assert told["best_value"] == told["trials"][0]["metrics"]["held_out_bits_per_byte"]
    assert told["trials"][0]["metrics"]["epochs_run"] == 2
    base = {"vocabulary_size": 270, "embedding_size": 8, "hidden_size": 8, "batch_size": 8, "epochs": 2}
    knobs = lab.TrainingKnobs(**base | told["best"])
    done = lab.train_text([CORPUS], knobs)
    assert told["best_value"] == pytest.approx(done.best.held_out_bits_per_byte, abs=1e-6)
    assert told["command"][:3] == ["rheostat", "train", "book.txt"]
    assert (told["folder"], told["interrupted"]) == ("sweep-dropout", False)
    assert err.startswith("1/2  dropout 0: held out bits per byte ")


def test_a_failed_setting_is_in_the_table_with_its_reason(cli):
    status, out, _ = cli("sweep", "book.txt", *TINY, "--vary", "window=8,9999", "--quiet")
    assert status == 0
    assert "\nwindow 9999 failed: the text is too short: " in out
    assert re.search(r"\n +1 +9999 +failed *\n", out)


def test_nothing_but_failures_is_a_failure(cli):
    status, _, err = cli("sweep", "book.txt", *TINY, "--vary", "window=9998,9999", "--quiet")
    assert status == 1
    assert err.startswith("rheostat sweep: no setting could be measured: the text is too short")


def test_a_random_search_prunes_and_shows_it(cli):
    status, out, err = cli(
        "sweep", "book.txt", *TINY, "--set", "epochs=4", "--vary", "learning_rate=1e-6:1e-1:log", "--search",
        "random", "--trials", 12,
    )  # fmt: skip
    assert status == 0
    assert err.count("ended early, worse than the median") == out.count("ended early") >= 1
    assert out.count("\n") > 15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a knob to vary, as in rheostat sweep --vary temperature=0.2:1.5"),
        (
            ("--vary", "dropout=0,0.5"),
            "dropout is a knob of training: name the text to train on, as in rheostat sweep book.txt",
        ),
        (("book.txt", "--vary", "top_p=0.5,1"), "top_p is a decoding knob: leave the corpus out"),
        (("book.txt", "--vary", "dropout=0,1"), "dropout must be in [0, 1), got 1.0"),
        (
            ("book.txt", "--vary", "dropout=0,0.5", "--texts", "3"),
            "--texts is about decoding: leave it out, or leave the corpus out",
        ),
        (
            ("--vary", "top_p=0.5,1", "--set", "top_p=0.9"),
            "top_p is varied, so --set top_p cannot hold; leave one of them out",
        ),
        (("--vary", "top_p=0.5,1", "--set", "top_k=x"), "top_k takes a whole number, got x"),
        (("--vary", "top_p=0.5,1", "--set", "top_q=1"), "top_q is no decoding knob that a sweep can turn; "),
        (("--vary", "top_p=0.5,1", "--set", "logprobs=1"), "logprobs is no decoding knob that a sweep can "),
        (("book.txt", "--vary", "restore_best=yes,no"), "restore_best is no training knob that a sweep can "),
        (("--vary", "top_p=0.5,1", "--top", "0"), "--top must be at least 1, got 0"),
        (("--vary", "top_p=0.5,1", "--set", "top_k"), "--set must be NAME=VALUE, as in max_tokens=50, "),
        (("--vary", "top_p=0.5,1", "--workers", "0"), "--workers must be at least 1, got 0"),
        (("--vary", "top_p=0.5,1", "--texts", "0"), "texts must be at least 1, got 0"),
        (("--vary", "top_p=0.5,1", *STAND_IN), "say what is best: --goal METRIC or METRIC=VALUE, with one"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_begins(cli, folder, arguments, said):
    status, out, err = cli("sweep", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"rheostat sweep: {said}")
    assert err.count("\n") == 1
    assert [path.name for path in folder.iterdir()] == ["book.txt"]


def test_a_missing_or_useless_corpus_is_one_sentence(cli, folder):
    (folder / "empty.txt").write_text(" \n")
    (folder / "latin.txt").write_bytes(b"caf\xe9 " * 99)
    for name, said in (
        ("none.txt", "none.txt: No such file or directory"),
        ("empty.txt", "empty.txt is empty"),
        ("latin.txt", "latin.txt is not UTF-8"),
    ):
        found = cli("sweep", name, "--vary", "dropout=0,0.5")
        assert found[:2] == (2, "")
        assert said in found[2]
        assert found[2].count("\n") == 1


def test_another_sweep_in_the_same_folder_is_refused(cli):
    cli(*DECODING, "--vary", "top_p=0.5,1")
    status, _, err = cli(*DECODING, "--vary", "top_p=0.5,0.9")
    assert status == 2
    assert err == (
        "rheostat sweep: study sweep was begun with vary top_p=0.5,1, so it cannot go on with "
        "top_p=0.5,0.9: give another study or storage\n"
    )
    assert cli(*DECODING, "--vary", "top_p=0.5,0.9", "--out", "other")[0] == 0
    assert cli(*DECODING, "--vary", "top_p=0.5,1", "--set", "min_p=0.1")[2] == (
        "rheostat sweep: study sweep was begun with min_p None, so it cannot go on with 0.1: "
        "give another study or storage\n"
    )


def test_a_study_goes_on_in_a_folder_that_was_moved_and_leaves_what_is_not_its_own(cli, folder):
    asked = (*DECODING, "--vary", "top_p=0.5,1", "--out")
    assert cli(*asked, "one")[0] == 0
    (folder / "one").rename(folder / "two")
    assert cli(*asked, "two")[2].startswith("2 of 2 are done already\n")
    for name in ("results.csv", "effect_top_p.png"):
        mine = folder / name
        mine.write_text("mine")
        said = f"rheostat sweep: {name} is there already and of no study: --out names another folder\n"
        assert cli(*asked, ".") == (2, "", said)
        assert mine.read_text() == "mine"
        mine.unlink()
    assert not (folder / "study.db").exists()


def test_a_study_does_not_go_on_with_another_model_or_text_of_the_same_name(cli, folder):
    knobs = lab.TrainingKnobs(vocabulary_size=270, embedding_size=8, hidden_size=8, batch_size=8, epochs=1)
    asked = ("sweep", "--model", "my.npz", "--goal", "perplexity", "--vary", "top_p=0.5,1", "--texts", 1)
    for seed, wanted in ((1, 0), (2, 2)):
        lab.save(folder / "my.npz", lab.train_text(CORPUS, knobs.replace(seed=seed)).model)
        status, _, err = cli(*asked, "--set", "max_tokens=5")
        assert status == wanted
    said = r"study sweep was begun with model of SHA-256 \w{16}, so it cannot go on with \w{16}: give another"
    assert re.search(said, err)
    for text, wanted in ((CORPUS, 0), (CORPUS[1:], 2)):
        (folder / "book.txt").write_text(text)
        status, _, err = cli("sweep", "book.txt", *TINY, "--vary", "dropout=0,0.5")
        assert status == wanted
    assert "study sweep was begun with text of SHA-256 " in err


@pytest.mark.parametrize(
    ("absent", "said"),
    [("optuna", "a sweep"), ("matplotlib.figure", "a picture of a sweep")],
)
def test_without_what_it_stands_on_the_extra_is_named(cli, monkeypatch, absent, said):
    monkeypatch.setitem(sys.modules, absent, None)
    for name in [name for name in sys.modules if name.startswith("rheostat.lab.sweep")]:
        monkeypatch.delitem(sys.modules, name)
    install = "pip install 'matplotlib>=3.8' 'optuna>=5' 'rich>=13'"
    assert cli(*DECODING, "--vary", "top_p=0.5,1") == (
        1, "", f"rheostat sweep: {said} needs the extra lab: {install}\n"
    )  # fmt: skip


def test_a_narrow_terminal_shows_the_metrics_that_fit(cli):
    asked = ("sweep", "--vary", "top_p=0.5,1", "--texts", "1", "--set", "max_tokens=5")
    shown, status = in_terminal(*asked, env=environment(COLUMNS="60"))
    assert status == 0
    lines = [line for line in plain(shown).splitlines() if line.startswith("    ")]
    rows = [line.split() for line in lines if line.split()[-1:] and line.split()[0] in "01"]
    assert sorted(row[:2] for row in rows) == [["0", "0.5"], ["1", "1"]]
    assert all(float(number.replace(",", "")) >= 0 for row in rows for number in row)
    assert "\u2026" not in plain(shown)
    assert re.search(r"^\d+ more metrics: in results.csv$", plain(shown), re.MULTILINE)


def test_ctrl_c_shows_what_is_done_and_the_same_command_goes_on(cli):
    slow = ("sweep", "--vary", "temperature=0.5:1", "--texts", "1", "--set", "ignore_eos=yes", "--set")
    shown, status = in_terminal(*slow, "max_tokens=300", until=b"1/5 done")
    assert status == 130
    assert "Try it: rheostat generate" in plain(shown)
    assert "of 5 done; the same command goes on" in plain(shown)
    status, out, err = cli(*slow, "max_tokens=300")
    assert status == 0
    assert "of 5 are done already" in err.splitlines()[0]
    assert out.count("\n  ") >= 5


@platforms.posix
def test_workers_share_the_sweep_and_a_killed_one_is_made_up_for(cli, folder):
    asked = ("sweep", "book.txt", *TINY, "--set", "epochs=6", "--vary", "dropout=0:0.5:points=6")
    running = start(*asked, "--workers", "2", "--grace", "2")
    end = time.monotonic() + 60
    while time.monotonic() < end and not (children := _children(running.pid)):
        time.sleep(0.05)
    time.sleep(1)
    for child in children[:1]:
        subprocess.run(["kill", "-9", child], check=False)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    plan_rows = json.loads(cli(*asked, "--json", "--quiet")[1])["trials"]
    assert sorted(row["settings"]["dropout"] for row in plan_rows) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert {row["state"] for row in plan_rows} == {"done"}
    assert b"6/6" in err
    assert b"Lowest held out bits per byte" in out


@pytest.mark.parametrize("moment", [b"0/6 done", b"2 running"])
def test_ctrl_c_ends_all_workers_without_a_traceback_also_while_they_start(moment):
    endless = ("--set", "epochs=100000", "--vary", "dropout=0:0.5:points=6", "--workers", "2")
    shown, status = in_terminal("sweep", "book.txt", *TINY[:-2], *endless, until=moment)
    assert status == 130
    assert "Traceback" not in shown
    said = "in sweep-dropout: results.csv\ninterrupted: 0 of 6 done; the same command goes on\n"
    assert plain(shown).endswith(said)
    assert "trial" not in plain(shown)  # no table without a line


def _children(pid):
    """The ids of the worker processes; of the others one tracks their resources."""
    command = ["ps", "-A", "-ww", "-o", "ppid=", "-o", "pid=", "-o", "args="]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.split() for line in found.stdout.splitlines() if "spawn_main" in line]
    return [child for parent, child, *_ in lines if parent == str(pid)]


@platforms.posix
def test_when_every_worker_is_killed_it_says_so(folder):
    running = start(
        "sweep", "book.txt", *TINY, "--set", "epochs=500", "--vary", "dropout=0,0.5", "--workers", "2"
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and len(children := _children(running.pid)) < 2:
        time.sleep(0.05)
    subprocess.run(["kill", "-9", *children], check=True)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert b"every worker was killed; the same command goes on" in err


def test_the_metrics_are_explained(cli):
    status, out, err = cli("sweep", "--metrics")
    assert (status, err) == (0, "")
    assert re.search(r"^ +perplexity +lower .* among how many tokens each seemed", out, re.MULTILINE)
    assert re.search(r"^ +distinct_1 +higher ", out, re.MULTILINE)
    assert re.search(r"^ +held_out_bits_per_byte +lower ", out, re.MULTILINE)


def test_help_shows_examples_that_are_read(cli):
    status, out, _ = cli("sweep", "--help")
    assert status == 0
    assert "rheostat sweep --vary temperature=0.2:1.5" in out
