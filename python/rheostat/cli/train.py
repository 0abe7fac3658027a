"""`rheostat train`: a small model of your own text, its curves, and where it is while it learns."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from rheostat import lab
from rheostat.cli import corpus, terminal, train_options, train_views
from rheostat.cli.errors import INTERRUPTED, UsageError

PICTURES = (".png", ".svg", ".pdf")

USAGE = "CORPUS... [OPTIONS]"
DESCRIPTION = """\
Trains a small language model on your text. A tenth of it is held out, and every epoch is measured on that.

  rheostat train novel.txt                           writes model.npz, and its curves as model.png
  rheostat train notes/*.md --out notes.npz          every file is a text of its own; - is standard input
  rheostat train novel.txt --resume                  goes on after Ctrl-C, a kill or a power cut
  rheostat generate --model model.npz "The"          writes with it

The unit is bits per byte of text: 8 where nothing is known, 2 to 3 from some kilobytes of English, less from
more. What to turn: if neither text gets better, --learning-rate up, or --epochs; if the loss jumps,
--learning-rate down; if the text trained on gets better and the one held out worse, the model learns by
heart: --dropout or --weight-decay up, --hidden-size down, or --patience 3 to stop in time.

On a machine with other work to do it is many times as fast with OPENBLAS_NUM_THREADS=1 in front.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "corpus", nargs="+", metavar="CORPUS", help="files of UTF-8 text; - is standard input"
    )
    output = parser.add_argument_group("what is written")
    output.add_argument(
        "--out", type=Path, default=Path("model.npz"), metavar="FILE", help="the model [model.npz]"
    )
    output.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="the curves, as PNG, SVG or PDF; beside the model unless given",
    )
    output.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint beside the model; the model and the curves that the run has left are "
        "written over, and so is a picture that --plot names",
    )
    output.add_argument(
        "--force", action="store_true", help="write over a model or a checkpoint that is there"
    )
    output.add_argument("--json", action="store_true", help="one JSON object about the run")
    output.add_argument("--quiet", action="store_true", help="nothing on standard error but errors")
    train_options.add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Trains, and its exit status."""
    out = arguments.out
    checkpoint = out.with_suffix(".checkpoint.npz")
    _check_places(arguments, checkpoint)
    texts = [corpus.read(name) for name in arguments.corpus]
    knobs = _knobs(arguments, checkpoint)
    try:
        with train_views.view(knobs, arguments.quiet) as view:
            training = lab.train_text(
                texts,
                knobs,
                on_step=view.step,
                on_epoch=view.epoch,
                checkpoint=checkpoint,
                resume=arguments.resume,
            )
    except (lab.CorpusError, lab.CheckpointError) as error:
        raise UsageError(str(error)) from error
    except lab.DivergedError as error:  # a run that is gone on with would only diverge again
        anew = " (--force begins anew)" if checkpoint.exists() else ""
        raise UsageError(f"{error}{anew}") from error
    lab.save(out, training.model)
    plot = _plot(arguments, training)
    if training.stopped != "interrupted":
        checkpoint.unlink(missing_ok=True)
    if arguments.json:
        print(json.dumps(_as_json(training, out, plot)))
    else:
        print(_summary(training, out, plot))
    return INTERRUPTED if training.stopped == "interrupted" else 0


def _check_places(arguments: argparse.Namespace, checkpoint: Path) -> None:
    """Before hours are spent: whether what is to be written can be, and takes nothing away."""
    out = arguments.out
    if out.suffix != ".npz":
        raise UsageError(f"--out must end in .npz, got {out}")
    for option, path in (("--out", out), ("--plot", arguments.plot)):
        if path is None:
            continue
        if not path.parent.is_dir():
            raise UsageError(f"{option}: there is no folder {path.parent}")
        try:
            TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise UsageError(
                f"{option}: nothing can be written to {path.parent}: {error.strerror}"
            ) from error
    if arguments.plot is not None and arguments.plot.suffix.lower() not in PICTURES:
        raise UsageError(
            f"--plot must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}, got {arguments.plot}"
        )
    if arguments.force:
        return
    if checkpoint.exists() and not arguments.resume:
        raise UsageError(
            f"{checkpoint} is a run that was not finished: --resume goes on with it, --force begins anew"
        )
    for option, path in (("--out", out), ("--plot", _curves(arguments))):
        if path.exists() and not checkpoint.exists():
            raise UsageError(f"{path} is there already: --force writes over it, {option} names another file")


def _knobs(arguments: argparse.Namespace, checkpoint: Path) -> lab.TrainingKnobs:
    """Those of the checkpoint, or the defaults, with what the command line says."""
    given = train_options.given(arguments)
    if not (arguments.resume and checkpoint.exists()):
        if arguments.resume and not arguments.quiet:
            terminal.note(f"There is no {checkpoint}: beginning anew.")
        return lab.TrainingKnobs.from_dict(given)
    try:
        return lab.read_knobs(checkpoint).replace(**given)
    except lab.CheckpointError as error:
        raise UsageError(str(error)) from error


def _curves(arguments: argparse.Namespace) -> Path:
    """The file of the picture."""
    path: Path = arguments.plot or arguments.out.with_suffix(".png")
    return path


def _plot(arguments: argparse.Namespace, training: lab.Training) -> Path | None:
    """Draws the curves; the file, or None and a sentence where that cannot be."""
    path = _curves(arguments)
    try:
        training.plot().savefig(path)
    except (ImportError, ValueError, OSError) as error:
        if not arguments.quiet:
            terminal.note(f"No curves were drawn: {error}.")
        return None
    return path


def _summary(training: lab.Training, out: Path, plot: Path | None) -> str:
    """What came of it, and what to do next."""
    best, done = training.best, len(training.epochs)
    lines = []
    if training.stopped == "interrupted":
        lines.append(f"Interrupted after {done} of {training.knobs.epochs} epochs; --resume goes on.")
    elif training.stopped == "early":
        lines.append(f"Stopped early, after {done} epochs: {training.knobs.patience} brought no improvement.")
    if best is not None:
        lines.append(
            f"The best epoch was {best.epoch} of {done}: {best.held_out_bits_per_byte:.3f} bits per byte "
            f"held out, {best.train_bits_per_byte:.3f} trained on; weight spread {best.weight_spread:.3f}."
        )
    info = training.model.info
    lines.append(
        f"{out}: {out.stat().st_size / 1e3:,.0f} kB, {info['parameters']:,} weights; vocabulary "
        f"{info['vocabulary_size']}, hidden units {info['hidden_size']}, batch {info['batch_size']}."
    )
    if plot is not None:
        lines.append(f"{plot}: the curves.")
    lines.append(f'Try: rheostat generate --model {out} "The"')
    return "\n".join(lines)


def _as_json(training: lab.Training, out: Path, plot: Path | None) -> dict[str, Any]:
    best = training.best
    return {
        "model": str(out),
        "plot": str(plot) if plot is not None else None,
        "stopped": training.stopped,
        "best": best._asdict() if best is not None else None,
        "epochs": [epoch._asdict() for epoch in training.epochs],
        "info": training.model.info,
    }
