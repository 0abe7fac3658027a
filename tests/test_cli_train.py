"""`rheostat train`: what it writes and says, in pipes and terminals, under Ctrl-C and kills; its errors."""

import errno
import io
import json
import math
import os
import re
import signal
import subprocess
import sys

import numpy as np
import platforms
import pytest
from cli_support import environment, in_terminal, plain, start
from lab_support import FABLES, QUICK, TEXT, bits_of
from rheostat import lab
from rheostat.cli import train, train_options, train_views
from rheostat.lab import TrainingKnobs, train_text
from rheostat.lab.trainer import Trainer


def options_of(knobs):
    """The knobs as options."""
    given = []
    for name, value in knobs.to_dict().items():
        if value != TrainingKnobs.__dataclass_fields__[name].default:
            given += ["--" + name.replace("_", "-"), str(value)]
    return given


OPTIONS = options_of(QUICK)
LONG = options_of(QUICK.replace(epochs=4000))


@pytest.fixture
def corpus(tmp_path):
    """A file with the text of the tests."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def out(tmp_path):
    """Where the model is to be."""
    return tmp_path / "model.npz"


def test_it_writes_the_model_that_the_library_trains_and_its_curves(cli, corpus, out, tmp_path):
    status, told, err = cli("train", corpus, "--out", out, *OPTIONS)
    training = train_text(TEXT, QUICK)
    assert status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.npz", "model.png", "text.txt"]
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")
    model = lab.load(out)
    assert model.info == training.model.info
    for name, value in training.model.parameters.items():
        np.testing.assert_array_equal(model.parameters[name], value)
    best, rows = training.best, err.splitlines()
    assert rows[0] == train_views.HEADER
    assert [row.split()[:5] for row in rows[1:]] == [
        train_views.row(epoch).split()[:5] for epoch in training.epochs
    ]
    assert told.splitlines() == [
        f"The best epoch was {best.epoch} of 4: {best.held_out_bits_per_byte:.3f} bits per byte held out, "
        f"{best.train_bits_per_byte:.3f} trained on; weight spread {best.weight_spread:.3f}.",
        f"{out}: {out.stat().st_size / 1e3:.0f} kB, {model.info['parameters']:,} weights; "
        "vocabulary 320, hidden units 12, batch 8.",
        f"{tmp_path / 'model.png'}: the curves.",
        f'Try: rheostat generate --model {out} "The"',
    ]
    status, written, _ = cli("generate", "The fox", "--model", out, "--seed", 1, "--max-tokens", 20)
    assert (status, bool(written.strip())) == (0, True)


def test_every_knob_is_an_option(cli, corpus, out):
    fields = TrainingKnobs.__dataclass_fields__
    assert train_options.KNOBS.keys() == fields.keys()
    knobs = QUICK.replace(
        schedule="step", warmup_steps=3, decay_factor=0.5, decay_epochs=1, clip_norm=2.0, input_dropout=0.2,
        seed=2, patience=3, min_delta=0.01, metric="train", epochs=2,
    )  # fmt: skip
    given = [*options_of(knobs), "--no-restore-best", "--json", "--quiet"]
    status, told, err = cli("train", corpus, "--out", out, *given)
    assert (status, err) == (0, "")
    assert json.loads(told)["info"]["knobs"] == knobs.replace(restore_best=False).to_dict()
    _, shown, _ = cli("train", "--help")
    for name, field in fields.items():
        assert "--" + name.replace("_", "-") in shown
        if not isinstance(field.default, bool | None):
            assert re.search(rf"--{name.replace('_', '-')} (?:.|\n)*?\[{field.default}\]", shown), name


def test_json_is_one_object_that_tells_everything(cli, corpus, out, tmp_path):
    curves = tmp_path / "curves.svg"
    status, told, err = cli("train", corpus, "--out", out, *OPTIONS, "--json", "--quiet", "--plot", curves)
    training, told = train_text(TEXT, QUICK), json.loads(told)
    assert (status, err) == (0, "")
    assert (told["model"], told["plot"], told["stopped"]) == (str(out), str(curves), "epochs")
    assert told["best"]["epoch"] == training.best.epoch
    assert [list(epoch.values())[:-1] for epoch in told["epochs"]] == list(map(list, bits_of(training)))
    assert told["info"] == training.model.info
    assert "<svg" in curves.read_text()


def test_several_files_and_standard_input_are_texts_of_their_own(cli, corpus, out, tmp_path, monkeypatch):
    second = tmp_path / "second.txt"
    second.write_bytes(b"\xef\xbb\xbfThe end.\r\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"A third text.")))
    status, told, _ = cli("train", corpus, second, "-", "--out", out, *OPTIONS, "--json")
    wanted = train_text([TEXT, "The end.\n", "A third text."], QUICK).model
    assert status == 0
    assert json.loads(told)["info"] == wanted.info


def test_early_stopping_says_so(cli, corpus, out):
    given = [*options_of(QUICK.replace(patience=2, min_delta=5.0, epochs=9)), "--quiet"]
    status, told, _ = cli("train", corpus, "--out", out, *given)
    assert status == 0
    assert told.startswith(
        "Stopped early, after 3 epochs: 2 brought no improvement.\nThe best epoch was 1 of 3: "
    )


def test_without_matplotlib_a_sentence_says_so_and_the_model_is_there(cli, corpus, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, told, err = cli("train", corpus, "--out", out, *OPTIONS)
    assert status == 0
    said = "No curves were drawn: plot() needs the extra plot: pip install 'matplotlib>=3.8'."
    assert err.splitlines()[-1] == said
    assert ".png" not in told
    assert lab.load(out).info["epochs"] == 4


# Ctrl-C and kills


@platforms.posix
def test_ctrl_c_leaves_a_model_and_resume_goes_on(cli, corpus, out, tmp_path):
    running = start("train", corpus, "--out", out, *LONG)
    lines = [running.stderr.readline() for _ in range(4)]
    assert lines[0].decode().rstrip() == train_views.HEADER
    running.send_signal(signal.SIGINT)
    told, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err.decode()
    done = int(
        re.match(r"Interrupted after (\d+) of 4000 epochs; --resume goes on\.\n", told.decode()).group(1)
    )
    assert done >= 3
    assert lab.load(out).info["epochs"] == done
    assert (tmp_path / "model.checkpoint.npz").exists()
    assert cli("generate", "The", "--model", out, "--max-tokens", 5)[0] == 0
    curves = out.with_suffix(".png")
    curves.write_bytes(b"the picture before")
    said = f"{tmp_path / 'model.checkpoint.npz'} is a run that was not finished: --resume goes on with it"
    assert cli("train", corpus, "--out", out, *LONG)[2].startswith(f"rheostat train: {said}")
    running = start("train", corpus, "--out", out, "--resume")  # with the knobs of the checkpoint
    assert running.stderr.readline().decode().rstrip() == train_views.HEADER
    assert int(running.stderr.readline().split()[0]) == done + 1
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert curves.read_bytes().startswith(b"\x89PNG")  # of the whole run, without --force


# The command line, killed when it is about to tell of its third epoch.
KILLED = """
import os, signal, sys
from rheostat.cli import main, train_views

def row(epoch, row=train_views.row):
    if epoch.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return row(epoch)

train_views.row = row
main(sys.argv[1:])
"""


@platforms.posix
def test_a_killed_run_is_taken_up_and_ends_as_if_nothing_had_happened(cli, corpus, out, tmp_path):
    knobs = QUICK.replace(epochs=6)
    command = [sys.executable, "-c", KILLED, "train", corpus, "--out", out, *options_of(knobs)]
    killed = subprocess.run(command, capture_output=True, env=environment(), timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert len(killed.stderr.splitlines()) == 3  # the header and two rows
    assert (tmp_path / "model.checkpoint.npz").exists()
    assert not out.exists()
    status, told, _ = cli("train", corpus, "--out", out, "--resume", "--json")
    whole, told = train_text(TEXT, knobs), json.loads(told)
    assert status == 0
    assert [list(epoch.values())[:-1] for epoch in told["epochs"]] == list(map(list, bits_of(whole)))
    for name, value in whole.model.parameters.items():
        np.testing.assert_array_equal(lab.load(out).parameters[name], value)
    assert not (tmp_path / "model.checkpoint.npz").exists()


def test_resume_without_a_checkpoint_begins_anew_and_says_so(cli, corpus, out, tmp_path):
    status, _, err = cli("train", corpus, "--out", out, *OPTIONS, "--resume")
    assert status == 0
    assert err.startswith(f"There is no {tmp_path / 'model.checkpoint.npz'}: beginning anew.\n")


def test_a_terminal_shows_a_bar_with_loss_bits_rate_and_time_left(corpus, out):
    shown, status = in_terminal("train", str(corpus), "--out", str(out), *LONG, until=b"    3   ")
    assert status == 130
    bar = r"epoch 1/4000 \S+ loss \d+\.\d{3}  \d\.\d{3} bits per byte  rate [\d.e-]+ +[\d:-]+ left"
    assert re.search(bar, plain(shown))
    assert plain(shown).count(train_views.HEADER) == 1
    assert re.search(
        r"Interrupted after \d+ of 4000 epochs; --resume goes on\.\nThe best epoch was ", plain(shown)
    )
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("columns", "bar"),
    [
        (60, r"1/4000 loss \d+\.\d{3} \d\.\d{3} bits/B rate [\d.e-]+ [\d:-]+ +left"),
        (40, r"1/4000 \d\.\d{3} bits/B [\d:-]+"),
    ],
)
def test_a_narrow_terminal_keeps_the_time_left(corpus, out, columns, bar):
    narrow = environment(COLUMNS=str(columns))
    shown, status = in_terminal("train", str(corpus), "--out", str(out), *LONG, until=b"bits/B", env=narrow)
    assert status == 130
    assert re.search(bar, plain(shown))
    assert "\u2026" not in plain(shown)


def test_a_long_epoch_says_where_it_is_also_without_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(train_views, "SILENCE", 0.0)
    lines = train_views.Lines()
    train_text(TEXT, QUICK.replace(epochs=1), on_step=lines.step, on_epoch=lines.epoch)
    err = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"epoch 1, update 2 of \d+: loss \d\.\d{3}, \d\.\d{3} bits per byte, rate 0\.01, 0:\d\d left", err[0]
    )


# Errors


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "{} is empty"),
        (b" \n\n", "{} is empty"),
        (b"not enough", "the text is too short: without what is held out it is 10 tokens, and one update "
                        "reads 32, batch_size 1 times window 32\n"),
        (b"caf\xe9 " * 500, "{} is not UTF-8: byte 0xe9 at 3 fits no character"),
        (None, "{}: No such file or directory"),
    ],
)  # fmt: skip
def test_a_corpus_that_cannot_be_used_is_one_sentence(cli, tmp_path, out, content, said):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    status, told, err = cli("train", path, "--out", out)
    assert (status, told) == (2, "")
    assert err.startswith(f"rheostat train: {said.format(path)}")
    assert err.count("\n") == 1
    assert not out.exists()


def test_what_is_there_is_not_written_over_unasked(cli, corpus, out, tmp_path):
    assert cli("train", corpus, "--out", out, *OPTIONS, "--quiet")[0] == 0
    before = out.read_bytes()
    for more in ([], ["--resume"]):
        status, _, err = cli("train", corpus, "--out", out, *OPTIONS, *more)
        assert (status, out.read_bytes()) == (2, before)
        assert err == (
            f"rheostat train: {out} is there already: --force writes over it, --out names another file\n"
        )
    out.rename(tmp_path / "kept.npz")
    (tmp_path / "model.png").write_bytes(b"somebody's picture")
    status, _, err = cli("train", corpus, "--out", out, *OPTIONS)
    assert status == 2
    assert err.endswith("model.png is there already: --force writes over it, --plot names another file\n")
    assert (tmp_path / "model.png").read_bytes() == b"somebody's picture"
    assert cli("train", corpus, "--out", out, *OPTIONS, "--quiet", "--force", "--seed", "2")[0] == 0
    assert out.read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "model"), "--out must end in .npz, got model"),
        (("--out", "/no/such/model.npz"), "--out: there is no folder /no/such"),
        (("--out", "model.npz", "--plot", "/no/such.png"), "--plot: there is no folder /no"),
        (("--out", "model.npz", "--plot", "c.xyz"), "--plot must end in .png, .svg or .pdf, got c.xyz"),
        (("--out", "model.npz", "--plot", "c"), "--plot must end in .png, .svg or .pdf, got c"),
        (
            ("--out", "model.npz", "--learning-rate", "1e30", "--weight-decay", "0"),
            "the loss is nan in epoch 1: lower learning_rate",
        ),
        (("--out", "model.npz", "--dropout", "1"), "dropout must be in [0, 1), got 1.0"),
        (
            ("--out", "model.npz", "--schedule", "linear"),
            "schedule must be constant, step, cosine or plateau, got",
        ),
    ],
)
def test_an_option_that_is_wrong_is_told_and_nothing_is_written(cli, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, _, err = cli("train", FABLES, *arguments)
    assert status == 2
    assert err.startswith(f"rheostat train: {said}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_told_before_the_training(cli, corpus, out, monkeypatch):
    def refused(dir):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir / "tmp"))

    monkeypatch.setattr(train, "TemporaryFile", refused)
    status, told, err = cli("train", corpus, "--out", out, *OPTIONS)
    said = f"--out: nothing can be written to {out.parent}: Permission denied"
    assert (status, told, err) == (2, "", f"rheostat train: {said}\n")


def test_a_run_that_diverges_after_its_first_epoch_says_how_to_begin_anew(cli, corpus, out, monkeypatch):
    def update(self, whole=Trainer.update):
        if self.epochs:
            self._check_finite(math.nan)
        return whole(self)

    monkeypatch.setattr(Trainer, "update", update)
    status, _, err = cli("train", corpus, "--out", out, *OPTIONS)
    assert status == 2
    said = "the loss is nan in epoch 2: lower learning_rate, which is 0.01 (--force begins anew)"
    assert err.splitlines()[-1] == f"rheostat train: {said}"
    monkeypatch.undo()
    assert cli("train", corpus, "--out", out, *OPTIONS, "--learning-rate", "0.001", "--force")[0] == 0


def test_a_checkpoint_of_another_run_is_refused(cli, corpus, out, tmp_path):
    path = tmp_path / "model.checkpoint.npz"
    train_text(TEXT, QUICK, checkpoint=path)
    for more, said in (
        ([corpus, "--epochs", "9"], f"{path} was written with epochs 4, got 9"),
        ([corpus, FABLES], f"{path} was written while training on another text"),
    ):
        status, _, err = cli("train", *more, "--out", out, "--resume")
        assert (status, err) == (2, f"rheostat train: {said}\n")
    path.write_bytes(b"nothing of the kind")
    said = f"rheostat train: {path} is no checkpoint of a training run\n"
    assert cli("train", corpus, "--out", out, "--resume")[2] == said
