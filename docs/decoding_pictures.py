"""Measures what each decoding knob does to the text of the model in the box, and draws it.

`python docs/decoding_pictures.py` writes the pictures `decoding_*.png` and the tables in `decoding.md`, both
from the same sweeps; with names of sweeps it does those alone. It takes about a minute.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # on more a small product waits longer than it takes

import datetime
import platform
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rheostat import lab
from rheostat.cli.bench import processor
from rheostat.lab import sweep
from rheostat.lab.sweep.kinds import shown
from rheostat.lab.sweep.pictures import effect

DOCS = Path(__file__).parent
PAGE = DOCS / "decoding.md"
BASE = {"max_tokens": 100, "ignore_eos": True}


class Measured(NamedTuple):
    """A sweep of one knob: where the others stand, how many texts, what the picture and the table show."""

    vary: str
    base: dict[str, Any]
    texts: int
    drawn: tuple[str, ...]
    told: tuple[str, ...]


QUALITY = ("perplexity", "bits_per_byte", "distinct_1", "distinct_2", "repetition", "nucleus_size")
FIRST = ("perplexity", "bits_per_byte", "distinct_2", "repetition")
SWEEPS = {
    "temperature": Measured("temperature=0:2:step=0.2", BASE, 16, FIRST, QUALITY[:-1]),
    "top_p": Measured(
        "top_p=0.1,0.3,0.5,0.7,0.8,0.9,0.95,1", BASE, 16,
        ("perplexity", "nucleus_size", "distinct_2", "repetition"), QUALITY,
    ),
    "context_length": Measured(
        "context_length=2,4,8,16,32,64", BASE | {"temperature": 0.8}, 8,
        ("perplexity", "bits_per_byte"),
        ("perplexity", "bits_per_byte", "distinct_2", "tokens_per_second"),
    ),
    "max_tokens": Measured(
        "max_tokens=25,50,100,200,400,800", BASE | {"temperature": 0.8, "context_length": None}, 4,
        ("peak_memory", "tokens_per_second", "distinct_1", "distinct_2"),
        ("peak_memory", "tokens_per_second", "distinct_1", "distinct_2", "repetition"),
    ),
    "stop": Measured(
        r"stop=none,\n,.", {"max_tokens": 100, "temperature": 0.8}, 16,
        ("length", "stopped"), ("length", "stopped", "perplexity", "peak_memory"),
    ),
}  # fmt: skip


def measured(what: Measured) -> tuple[sweep.Plan, list[sweep.Row]]:
    """The sweep, its rows in the order of the knob's values."""
    subject = sweep.Decoding(lab.load().reader(), "box", what.base, texts=what.texts)
    spaces = sweep.read_spaces([what.vary], subject.kinds, subject.kind)
    plan = sweep.Plan(subject, spaces, sweep.read_goal("perplexity", subject.metrics))
    with tempfile.TemporaryDirectory() as folder:
        rows = sweep.rows_of(sweep.work(plan, sweep.open_storage(f"{folder}/study.db")), plan)
    return plan, sorted(rows, key=lambda row: row.number)


def table(plan: sweep.Plan, rows: list[sweep.Row], told: tuple[str, ...]) -> str:
    """Markdown."""
    (space,) = plan.spaces
    metrics = [metric for metric in plan.subject.metrics if metric.name in told]
    lines = [[space.name, *(metric.title for metric in metrics)], ["---:"] * (len(metrics) + 1)]
    for row in rows:
        value = row.settings[space.name]
        name = f"`{value}`" if space.name == "stop" and value != "none" else shown(value)
        lines.append([name, *(metric.shown(row.metrics[metric.name]) for metric in metrics)])
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def machine() -> str:
    """Where it was measured."""
    return (
        f"`python docs/decoding_pictures.py` on {processor()}, one thread; Python "
        f"{platform.python_version()}, NumPy {version('numpy')}; {datetime.date.today()}."
    )


def put(page: str, name: str, text: str) -> str:
    """The page with the text between the marks of that name."""
    marks = rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)"
    found, count = re.subn(marks, lambda match: f"{match[1]}{text}\n{match[2]}", page, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{PAGE} must have one place for {name}, has {count}")
    return found


def main(names: list[str]) -> None:
    for name in names or SWEEPS:
        what = SWEEPS[name]
        plan, rows = measured(what)
        by_name = {metric.name: metric for metric in plan.subject.metrics}
        figure = effect(rows, plan, plan.spaces[0], [by_name[metric] for metric in what.drawn])
        figure.savefig(DOCS / f"decoding_{name}.png", dpi=100)
        page = put(PAGE.read_text(encoding="utf-8"), name, table(plan, rows, what.told))
        PAGE.write_text(put(page, "machine", machine()), encoding="utf-8")
        print(f"{name}: {len(rows)} settings", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
