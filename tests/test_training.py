"""A run: what is held out, what it tells, how it is stored, stopped and taken up again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import platforms
import pytest
import rheostat
from lab_support import PLAIN, QUICK, TEXT, bits_of
from rheostat import lab
from rheostat.lab import Progress, checkpoint, corpus, files, train_text, trainer

HERE = Path(__file__).parent


def assert_equal_models(one, other):
    assert one.vocabulary.merges == other.vocabulary.merges
    assert one.parameters.keys() == other.parameters.keys()
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])


# The text


def test_of_few_texts_the_last_tenth_is_held_out_and_of_many_every_tenth():
    assert corpus.split(["0123456789" * 2, "xy"]) == (["012345678901234567", "x"], ["89", "y"], ["67", "x"])
    many = [str(number) for number in range(25)]
    trained_on, held_out, compared = corpus.split(many)
    assert (held_out, compared) == (["9", "19"], ["8", "18"])
    assert sorted([*trained_on, *held_out], key=int) == many


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("", "there is nothing to learn from: the text is empty"),
        ([], "there is nothing to learn from: the text is empty"),
        (["\n", " "], "there is nothing to learn from: the text is empty"),
        ("a", "the text is too short: its last tenth is held out, and of 'a' nothing is left"),
        (["é", "b"], "the text is too short: its last tenth is held out, and of 'é' nothing is left"),
        ("ab", "the text is too short: without what is held out it is 2 tokens, and one update reads 128, "
               "batch_size 8 times window 16"),
        ("a\ud800" * 900, "the text must be Unicode, got the lone surrogate '\\ud800' at 1"),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_trained_on_is_an_error_of_one_sentence(texts, said):
    with pytest.raises(lab.CorpusError) as caught:
        train_text(texts, QUICK)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "knobs", "said"),
    [
        (b"bytes", QUICK, "text must be a string or a sequence of strings, got bytes"),
        (None, QUICK, "text must be a string or a sequence of strings, got NoneType"),
        ([TEXT, b"x"], QUICK, "text must hold strings, got bytes at place 1"),
        (TEXT, {"epochs": 1}, "knobs must be TrainingKnobs, got dict"),
    ],
)
def test_an_argument_of_another_type_is_named(text, knobs, said):
    with pytest.raises(TypeError) as caught:
        train_text(text, knobs)
    assert str(caught.value) == said


def test_two_characters_are_enough_where_an_update_reads_one():
    knobs = QUICK.replace(batch_size=1, window=1, epochs=1)
    assert train_text("ab", knobs).stopped == "epochs"
    with pytest.raises(lab.CorpusError, match=r"^the text is too short: its last tenth"):
        train_text("a", knobs)


def test_short_texts_are_measured_from_their_beginning_in_one_piece():
    training = train_text(TEXT, QUICK)
    model = training.model
    held_out = corpus.split([TEXT])[1]
    ids = [*model.encode(held_out[0]), model.eos_token_id]
    rows = np.stack([model(ids[:count]) for count in range(len(ids))])
    bits = -rheostat.logprobs(rows, ids).logprobs.sum() / np.log(2) / len(held_out[0])
    assert model.info["bits_per_byte"] == pytest.approx(bits, abs=1e-3)


# What it tells


def test_every_update_and_every_epoch_is_told():
    steps, epochs = [], []
    training = train_text(TEXT, QUICK, on_step=steps.append, on_epoch=epochs.append)
    assert epochs == training.epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert [at.step for at in steps] == list(range(1, steps[0].steps + 1))
    assert training.knobs == QUICK
    assert training.best == min(epochs, key=lambda epoch: epoch.held_out_bits_per_byte)
    assert all(epoch.seconds > 0 for epoch in epochs)
    info = training.model.info
    assert info["knobs"] == QUICK.to_dict()
    assert info["parameters"] == sum(value.size for value in training.model.parameters.values())
    assert info["bytes_trained_on"] + info["bytes_held_out"] == len(TEXT)
    assert (info["epochs"], info["best_epoch"], info["stopped"]) == (4, training.best.epoch, "epochs")
    assert json.loads(json.dumps(info)) == info


def test_what_a_callback_raises_ends_the_run():
    def stop(epoch):
        if epoch.epoch == 2:
            raise StopIteration("enough")

    with pytest.raises(StopIteration, match="enough"):
        train_text(TEXT, QUICK, on_epoch=stop)


def test_a_loss_that_is_no_number_is_told_with_what_to_do():
    with pytest.raises(lab.DivergedError) as caught:
        train_text(TEXT, QUICK.replace(learning_rate=1e30, weight_decay=0.0))
    assert str(caught.value) == "the loss is nan in epoch 1: lower learning_rate, which is 1e+30"


def test_the_curves_are_drawn(tmp_path):
    training = train_text(TEXT, QUICK)
    figure = training.plot()
    bits, rate, spread = figure.axes
    shown = [line.get_ydata().tolist() for line in bits.lines]
    assert shown == [
        [epoch.train_bits_per_byte for epoch in training.epochs],
        [epoch.held_out_bits_per_byte for epoch in training.epochs],
    ]
    assert rate.lines[0].get_ydata().tolist() == [epoch.learning_rate for epoch in training.epochs]
    assert spread.lines[0].get_ydata().tolist() == [epoch.weight_spread for epoch in training.epochs]
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match=r"^there are no curves before the first epoch is done$"):
        training._replace(epochs=[], best=None).plot()


# Stored, stopped, taken up


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("at", [1, 7, 8, 20])
def test_a_run_taken_up_gives_the_same_bits(tmp_path, monkeypatch, at):
    knobs = QUICK.replace(schedule="plateau", patience=3, input_dropout=0.1)
    whole = train_text([TEXT, TEXT[:500]], knobs)
    monkeypatch.setattr("rheostat.lab.training.CHECKPOINT_SECONDS", 0.0)  # after each update

    def kill(progress: Progress) -> None:
        if progress.step == at + 1:
            raise KilledError

    path, steps = tmp_path / "run.npz", []
    with pytest.raises(KilledError):
        train_text([TEXT, TEXT[:500]], knobs, on_step=kill, checkpoint=path)
    resumed = train_text(
        [TEXT, TEXT[:500]], knobs, checkpoint=path, resume=True, on_step=lambda now: steps.append(now.step)
    )
    assert steps[0] == at + 1
    assert bits_of(resumed) == bits_of(whole)
    assert_equal_models(resumed.model, whole.model)
    assert resumed.model.info == whole.model.info


def test_a_finished_run_gives_its_result_again(tmp_path):
    done = train_text(TEXT, QUICK, checkpoint=tmp_path / "run.npz")
    again = train_text(TEXT, QUICK, checkpoint=tmp_path / "run.npz", resume=True)
    assert again.epochs == done.epochs
    assert_equal_models(again.model, done.model)


def test_where_there_is_no_checkpoint_a_run_begins_anew(tmp_path):
    training = train_text(TEXT, QUICK, checkpoint=tmp_path / "run.npz", resume=True)
    assert bits_of(training) == bits_of(train_text(TEXT, QUICK))


KILL = """
import os, signal, sys
from lab_support import QUICK, TEXT
from rheostat.lab import train_text

def kill(epoch):
    if epoch.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

train_text(TEXT, QUICK, checkpoint=sys.argv[1], on_epoch=kill)
"""


@platforms.posix
def test_a_killed_process_is_taken_up_as_if_nothing_had_happened(tmp_path):
    path = tmp_path / "run.npz"
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    done = subprocess.run([sys.executable, "-c", KILL, path], env=environment, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
    told = []
    resumed = train_text(TEXT, QUICK, checkpoint=path, resume=True, on_epoch=told.append)
    whole = train_text(TEXT, QUICK)
    assert [epoch.epoch for epoch in told] == [3, 4]
    assert bits_of(resumed) == bits_of(whole)
    assert_equal_models(resumed.model, whole.model)


def test_ctrl_c_ends_after_the_update_with_the_best_so_far(tmp_path):
    path = tmp_path / "run.npz"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:

        def press(at: Progress) -> None:
            if at.step == 30:
                signal.raise_signal(signal.SIGINT)

        stopped = train_text(TEXT, PLAIN, on_step=press, checkpoint=path)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert stopped.stopped == "interrupted"
    assert len(stopped.epochs) == stopped.best.epoch == 2
    assert stopped.model.info["bits_per_byte"] == pytest.approx(stopped.best.held_out_bits_per_byte, abs=0.02)
    assert lab.read_knobs(path) == PLAIN
    steps = []
    resumed = train_text(TEXT, PLAIN, checkpoint=path, resume=True, on_step=lambda at: steps.append(at.step))
    assert steps[0] == 31
    assert bits_of(resumed) == bits_of(train_text(TEXT, PLAIN))


def test_ctrl_c_in_a_callback_counts_and_in_the_first_epoch_leaves_a_model_too():
    def press(at: Progress) -> None:
        if at.step == 3:
            raise KeyboardInterrupt

    stopped = train_text(TEXT, QUICK, on_step=press)
    assert (stopped.stopped, stopped.epochs, stopped.best) == ("interrupted", [], None)
    untrained = trainer.Trainer(QUICK, corpus.Corpus(TEXT, QUICK)).parameters
    assert not np.allclose(stopped.model.parameters["U"], untrained["U"], atol=1e-3)
    assert stopped.model(stopped.model.encode("The")).shape == (320,)


def test_a_second_ctrl_c_does_not_wait():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:

        def press(at: Progress) -> None:
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

        assert train_text(TEXT, QUICK, on_step=press).stopped == "interrupted"
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    train_text(TEXT, QUICK.replace(epochs=1), checkpoint=path)
    kept = path.read_bytes()
    for texts, knobs, said in [
        (TEXT, QUICK, f"{path} was written with epochs 1, got 4"),
        (TEXT + "more", QUICK.replace(epochs=1), f"{path} was written while training on another text"),
    ]:
        with pytest.raises(lab.CheckpointError) as caught:
            train_text(texts, knobs, checkpoint=path, resume=True)
        assert str(caught.value) == said
        assert path.read_bytes() == kept


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"hello, world"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    with pytest.raises(lab.CheckpointError, match=r"run\.npz is no checkpoint of a training run$"):
        train_text(TEXT, QUICK, checkpoint=path, resume=True)


def test_a_model_is_no_checkpoint_and_neither_is_one_of_another_format(tmp_path, monkeypatch):
    lab.save(tmp_path / "model.npz", lab.load())
    with pytest.raises(lab.CheckpointError, match=r"model\.npz is no checkpoint of a training run$"):
        lab.read_knobs(tmp_path / "model.npz")
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    train_text(TEXT, QUICK.replace(epochs=1), checkpoint=tmp_path / "run.npz")
    monkeypatch.undo()
    with pytest.raises(lab.CheckpointError, match=r"run\.npz is a checkpoint of format 2, not 1$"):
        lab.read_knobs(tmp_path / "run.npz")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def fail():
        with files.whole(path) as file:
            file.write(b"half")
            raise KilledError

    with pytest.raises(KilledError):
        fail()
    assert path.read_bytes() == b"before"
    with files.whole(path) as file:
        file.write(b"after")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
