"""`rheostat sweep`: knobs of decoding or of training at many settings, measured."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheostat.cli import corpus, models, terminal
from rheostat.cli.errors import INTERRUPTED, FailedError, UsageError
from rheostat.cli.presets import PRESETS, described

if TYPE_CHECKING:
    from rheostat.lab.sweep import Plan, Subject

PRESET = "plain"
WRITTEN = ("results.csv", "history.png", "importance.png", "heat_map.png", "effect_*.png")
OF_DECODING = ("model", "preset", "prompt", "texts")

USAGE = "[CORPUS ...] --vary NAME=VALUES [--vary ...] [OPTIONS]"
DESCRIPTION = """\
Tries many settings and measures each. Without a corpus the knobs are those of decoding, and a model writes
texts with each setting; with a corpus they are those of training, and a small model is trained with each.

  rheostat sweep --vary temperature=0.2:1.5
  rheostat sweep --vary temperature=0.2:1.5 --vary top_p=0.5,0.9,1
  rheostat sweep book.txt --vary dropout=0,0.25,0.5 --set epochs=5
  rheostat sweep book.txt --vary learning_rate=1e-4:1e-1:log --vary hidden_size=16:256:log --search tpe

The values of --vary: 0.5,0.9,1 are these three; 0.2:1.5 is all between, five of them in a grid (more with
0.2:1.5:points=9, or 0.2:1.5:step=0.1); 1e-4:1e-1:log counts by factors. Knobs that take whole numbers get
whole numbers.

What each knob does: rheostat generate --help, rheostat train --help. What each metric is: --metrics.

Ctrl-C, or a crash, loses no result: the same command goes on. So does the same command in another terminal,
at the same time, or on another machine with --storage postgresql://...: each takes other settings.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "corpus", nargs="*", metavar="CORPUS",
        help="files of UTF-8 text to train on, - is standard input; none for decoding",
    )  # fmt: skip
    what = parser.add_argument_group("what is tried")
    what.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="a knob, its values; may be repeated",
    )
    what.add_argument(
        "--set", action="append", default=[], dest="fixed", metavar="NAME=VALUE",
        help="a knob that stays at a value; may be repeated",
    )  # fmt: skip
    what.add_argument(
        "--search", choices=("grid", "random", "tpe"), default="grid",
        help="grid: every combination, the default; random: drawn; tpe: drawn where the good ones were",
    )  # fmt: skip
    what.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="how many settings random and tpe try, all workers together; 20",
    )
    what.add_argument(
        "--goal", metavar="METRIC[=VALUE]",
        help="what the best setting has: the best of a metric, or the closest to a value. In training the "
        "lowest held_out_bits_per_byte, in decoding the bits_per_byte of unseen text if the model tells it",
    )  # fmt: skip
    what.add_argument(
        "--prune", action=argparse.BooleanOptionalAction, default=None,
        help="end a training run that is worse than the median of the others at its epoch; on but for a grid",
    )  # fmt: skip
    what.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="SEED",
        help="of the search (--set seed=N: of what is measured); 1",
    )
    texts = parser.add_argument_group("decoding: what is written")
    models.add_option(texts)
    texts.add_argument(
        "--preset", choices=PRESETS, metavar="NAME",
        help=f"where the knobs stand that are not varied; {PRESET}, which is one of those below",
    )  # fmt: skip
    texts.add_argument(
        "--prompt", action="append", metavar="TEXT", help="the beginning of a text; may be repeated"
    )
    texts.add_argument("--texts", type=int, metavar="N", help="how many texts at each setting; 8")
    where = parser.add_argument_group("where it is kept")
    where.add_argument(
        "--out", type=Path, metavar="FOLDER", help="for the table, the pictures and the study; sweep-KNOBS"
    )
    where.add_argument(
        "--storage",
        metavar="URL",
        help="the study itself: a file, or a database that Optuna reaches; FOLDER/study.db",
    )
    where.add_argument(
        "--study", metavar="NAME", help="which study of the storage; with --storage the folder's name"
    )
    where.add_argument(
        "--workers", type=int, default=1, metavar="N", help="how many processes share the work here; 1"
    )
    where.add_argument(
        "--grace", type=int, default=60, metavar="SECONDS",
        help="a worker that is silent for so long is taken for dead, and its setting is tried again; 60",
    )  # fmt: skip
    shown = parser.add_argument_group("what is shown")
    shown.add_argument(
        "--top", type=int, default=20, metavar="N", help="how many settings the table shows; 20"
    )
    shown.add_argument("--metrics", action="store_true", help="say what each metric is, and do nothing else")
    shown.add_argument("--json", action="store_true", help="one JSON object, with every setting")
    shown.add_argument("--quiet", action="store_true", help="nothing on standard error but errors")
    parser.epilog = f"presets; a sweep takes {PRESET} unless it is told otherwise:\n{described()}"


def run(arguments: argparse.Namespace) -> int:
    """Sweeps, and shows what came of it."""
    from rheostat.cli import sweep_view, sweep_workers
    from rheostat.lab import sweep  # here, since few commands need it, and an extra is needed for it
    from rheostat.lab.sweep import pictures

    if arguments.metrics:
        sweep_view.explain_metrics()
        return 0
    for option in ("workers", "top"):
        if getattr(arguments, option) < 1:
            raise UsageError(f"--{option} must be at least 1, got {getattr(arguments, option)}")
    plan = plan_of(arguments)
    folder, storage, name = places(arguments, plan)
    if arguments.storage is None and not (folder / "study.db").exists():
        _check_own(folder)
    opened = sweep.open_storage(storage, arguments.grace)
    folder.mkdir(parents=True, exist_ok=True)
    view = sweep_view.Progress(plan, is_quiet=arguments.quiet)
    interrupted = False
    try:
        if arguments.workers == 1:
            sweep.work(plan, opened, name, view)
        else:
            sweep_workers.work_together(arguments, plan, opened, name, view)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        view.close()
    study = sweep.open_study(plan, opened, name)
    rows = sweep.rows_of(study, plan)
    (folder / "results.csv").write_text(sweep.as_csv(rows, plan), encoding="utf-8")
    files = [folder / "results.csv", *pictures.save_all(folder, study, rows, plan)]
    if arguments.json:
        told = {**sweep.as_json(rows, plan), "folder": str(folder), "files": [path.name for path in files]}
        print(json.dumps(told | {"interrupted": interrupted}, ensure_ascii=False))
    else:
        sweep_view.show(rows, plan, arguments.top)
    if not arguments.quiet:
        terminal.note(f"in {folder}: {', '.join(path.name for path in files)}")
    if interrupted:
        done = sum(row.state != "open" for row in rows)
        terminal.note(f"interrupted: {done} of {plan.budget} done; the same command goes on")
        return INTERRUPTED
    if sweep.best_of(rows) is None:
        reason = next((row.error for row in rows if row.error), "every run was ended early")
        raise FailedError(f"no setting could be measured: {reason}")
    return 0


def _check_own(folder: Path) -> None:
    """Without a study the files in it that a sweep would write over are somebody's."""
    found = [path for name in WRITTEN for path in sorted(folder.glob(name))]
    if found:
        raise UsageError(f"{found[0]} is there already and of no study: --out names another folder")


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What the command line asks for.

    Raises:
        UsageError, KnobError: it asks for what cannot be.
        OSError: a file cannot be read.
    """
    from rheostat.lab import sweep
    from rheostat.lab.sweep.spaces import read_spaces

    if not arguments.vary:
        raise UsageError("name a knob to vary, as in rheostat sweep --vary temperature=0.2:1.5")
    for text in arguments.fixed:
        if not all(text.partition("=")):
            raise UsageError(f"--set must be NAME=VALUE, as in max_tokens=50, got {text}")
    subject = _training(arguments) if arguments.corpus else _decoding(arguments)
    spaces = read_spaces(arguments.vary, subject.kinds, subject.kind)
    twice = [space.name for space in spaces if space.name in _names(arguments.fixed)]
    if twice:
        raise UsageError(f"{twice[0]} is varied, so --set {twice[0]} cannot hold; leave one of them out")
    return sweep.Plan(
        subject,
        spaces,
        sweep.read_goal(arguments.goal or _usual_goal(subject), subject.metrics),
        arguments.search,
        arguments.trials,
        arguments.prune,
        arguments.seed,
    )


def _training(arguments: argparse.Namespace) -> Subject:
    from rheostat.lab.sweep import Training, decoding, training

    for name in OF_DECODING:
        if getattr(arguments, name) != (models.DEFAULT if name == "model" else None):
            raise UsageError(f"--{name} is about decoding: leave it out, or leave the corpus out")
    kinds = training.KINDS
    _check_side(arguments, kinds, decoding.KINDS, "a decoding knob: leave the corpus out")
    if "-" in arguments.corpus and arguments.workers > 1:
        raise UsageError("standard input can be read once: give several workers a file")
    texts = [corpus.read(name) for name in arguments.corpus]
    return Training(texts, _fixed(arguments, kinds, "training"), arguments.corpus)


def _decoding(arguments: argparse.Namespace) -> Subject:
    from rheostat.lab.sweep import Decoding, training
    from rheostat.lab.sweep.decoding import KINDS, PROMPTS, TEXTS

    says = "a knob of training: name the text to train on, as in rheostat sweep book.txt --vary ..."
    _check_side(arguments, KINDS, training.KINDS, says)
    return Decoding(
        models.load(arguments.model),
        arguments.model,
        PRESETS[arguments.preset or PRESET].fields | _fixed(arguments, KINDS, "decoding"),
        arguments.prompt or PROMPTS,
        TEXTS if arguments.texts is None else arguments.texts,
        models.digest(arguments.model),
    )


def _check_side(
    arguments: argparse.Namespace, kinds: dict[str, str], others: dict[str, str], says: str
) -> None:
    """A knob of the other side is told what is missing, or too much."""
    for name in [*_names(arguments.vary), *_names(arguments.fixed)]:
        if name in others and name not in kinds:
            raise UsageError(f"{name} is {says}")


def _names(texts: list[str]) -> list[str]:
    from rheostat.lab.sweep.spaces import name_of

    return [name_of(text) for text in texts]


def _fixed(arguments: argparse.Namespace, kinds: dict[str, str], what: str) -> dict[str, Any]:
    from rheostat.lab.sweep.kinds import knob_value, read_value
    from rheostat.lab.sweep.spaces import name_of, unknown

    found = {}
    for text in arguments.fixed:
        name, value = name_of(text), text.partition("=")[2]
        if name not in kinds:
            raise unknown(name, kinds, what)
        found[name] = knob_value(kinds[name], read_value(name, kinds[name], value))
    return found


def _usual_goal(subject: Subject) -> str:
    """In decoding as surprising as text that the model has not seen: neither dull nor confused (Holtzman et
    al. 2020, "The curious case of neural text degeneration", find human text there).
    """
    if subject.reported is not None:
        return subject.reported
    model = getattr(subject, "model", None)
    info = getattr(getattr(model, "model", model), "info", None)  # of the box's reader the model has it
    usual = info.get("bits_per_byte") if isinstance(info, dict) else None
    if usual is None:
        names = ", ".join(metric.name for metric in subject.metrics)
        raise UsageError(f"say what is best: --goal METRIC or METRIC=VALUE, with one of {names}")
    return f"bits_per_byte={usual:g}"


def places(arguments: argparse.Namespace, plan: Plan) -> tuple[Path, str, str]:
    """The folder, the storage and the study's name."""
    folder = arguments.out or Path("-".join(["sweep", *(space.name for space in plan.spaces)]))
    usual = "sweep" if arguments.storage is None else folder.resolve().name  # a folder may be moved
    return folder, arguments.storage or str(folder / "study.db"), arguments.study or usual
