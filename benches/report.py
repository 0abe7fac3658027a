"""Measures, and writes docs/benchmarks.md with its pictures: `make bench-report`.

With --draw it measures nothing and writes both again from the numbers of the last run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import report_plots
import report_tables
from report_collect import collect

DOCS = Path(__file__).parent.parent / "docs"
NUMBERS = Path(__file__).parent / "results" / "report.json"


def main(arguments: list[str]) -> None:
    if "--draw" not in arguments:
        NUMBERS.parent.mkdir(exist_ok=True)
        NUMBERS.write_text(json.dumps(collect(), indent=1))
    report = json.loads(NUMBERS.read_text())
    (DOCS / "benchmarks.md").write_text(report_tables.markdown(report))
    report_plots.save(report, DOCS)
    print(f"{DOCS / 'benchmarks.md'}: {len(report['works'])} workloads, {len(report['versions'])} peers")


if __name__ == "__main__":
    main(sys.argv[1:])
