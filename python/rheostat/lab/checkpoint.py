"""A run on disk: what the next update depends on, to the last bit, so that a kill costs little."""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

import numpy as np

from rheostat.lab import text
from rheostat.lab.corpus import Corpus
from rheostat.lab.files import whole
from rheostat.lab.knobs import TrainingKnobs
from rheostat.lab.trainer import Epoch, Trainer

FORMAT = 1


class CheckpointError(ValueError):
    """The file is no checkpoint, or one of another run."""


def write(path: str | os.PathLike[str], trainer: Trainer) -> None:
    """Whole or not at all."""
    state = {
        "format": FORMAT,
        "knobs": trainer.knobs.to_dict(),
        "text_sha256": text.digest(trainer.corpus.texts),
        "rng": trainer.rng.bit_generator.state,
        "step": trainer.step,
        "mean_loss": trainer.mean_loss,
        "elapsed": trainer.elapsed,
        "epochs": trainer.epochs,
    }
    arrays: dict[str, Any] = {"state": np.array(json.dumps(state)), "order": trainer.order, "h": trainer.h}
    for prefix, values in _groups(trainer).items():
        arrays |= {f"{prefix}.{name}": value for name, value in values.items()}
    with whole(path) as file:
        np.savez(file, **arrays)


def read_knobs(path: str | os.PathLike[str]) -> TrainingKnobs:
    """The knobs of the run.

    Raises:
        OSError: the file cannot be read.
        CheckpointError: it is no checkpoint.
    """
    return TrainingKnobs.from_dict(_read(path)[0]["knobs"])


def restore(path: str | os.PathLike[str], knobs: TrainingKnobs, corpus: Corpus) -> Trainer:
    """The run as it was when the checkpoint was written.

    Raises:
        OSError: the file cannot be read.
        CheckpointError: it is no checkpoint, or one of other knobs or another text.
    """
    state, arrays = _read(path)
    then = TrainingKnobs.from_dict(state["knobs"]).to_dict()
    for name, now in knobs.to_dict().items():
        if then[name] != now:
            raise CheckpointError(f"{os.fspath(path)} was written with {name} {then[name]}, got {now}")
    if state["text_sha256"] != text.digest(corpus.texts):
        raise CheckpointError(f"{os.fspath(path)} was written while training on another text")
    trainer = Trainer(knobs, corpus)
    trainer.rng.bit_generator.state = state["rng"]
    trainer.step, trainer.optimiser.steps = state["step"], state["step"]
    trainer.mean_loss, trainer.elapsed = state["mean_loss"], state["elapsed"]
    trainer.epochs = [Epoch(*epoch) for epoch in state["epochs"]]
    trainer.order, trainer.h = arrays["order"], arrays["h"]
    best = {name: arrays[f"best.{name}"] for name in trainer.parameters if f"best.{name}" in arrays}
    trainer.best_parameters = best or None
    for prefix, values in _groups(trainer).items():
        for name, value in values.items():
            value[...] = arrays[f"{prefix}.{name}"]
    return trainer


def _groups(trainer: Trainer) -> dict[str, dict[str, Any]]:
    """The arrays that are one for each parameter."""
    groups = {
        "parameters": trainer.parameters,
        "mean": trainer.optimiser.mean,
        "square": trainer.optimiser.square,
    }
    return groups | ({"best": trainer.best_parameters} if trainer.best_parameters is not None else {})


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        state: dict[str, Any] = json.loads(arrays.pop("state").item())
        if state["format"] != FORMAT:
            raise CheckpointError(
                f"{os.fspath(path)} is a checkpoint of format {state['format']}, not {FORMAT}"
            )
    except CheckpointError:
        raise
    except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile):
        raise CheckpointError(f"{os.fspath(path)} is no checkpoint of a training run") from None
    return state, arrays
