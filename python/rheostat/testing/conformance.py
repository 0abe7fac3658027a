"""Whether this build gives the bits that every build gives: `python -m rheostat.testing.conformance`.

It runs the cases of `conformance.json`, which is part of the package, and compares digests of their results.
The first that differs is told in words, beside what the reference says. `--write` makes the file anew, from
the reference, and only if the fast code agrees. `docs/conformance.md` describes the file for another
implementation.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import rheostat
from rheostat import reference
from rheostat.errors import KnobError
from rheostat.law_version import check_law
from rheostat.reference.law import LAW
from rheostat.testing.conformance_cases import ROWS, Case, cases
from rheostat.testing.conformance_run import Part, digest, run

FORM = 1
FILE = Path(__file__).with_name("conformance.json")
SHOWN = 5


class Check(NamedTuple):
    """What a comparison with a file found."""

    cases: int
    """How many there are."""
    different: tuple[int, ...]
    """The numbers, from 0, of those whose digest differs."""
    first: str
    """The first of them in words; empty where there is none."""


def check(path: str | os.PathLike[str] = FILE, *, api: Any = rheostat) -> Check:
    """Runs the cases of a file and compares their digests.

    Args:
        path: a file of this form; the package's own where it is not given.
        api: `rheostat`, `rheostat.reference`, or what has their functions and classes.

    Raises:
        KnobError: the file is of another law, or no such file.
        OSError: it cannot be read.

    >>> from rheostat.testing import conformance
    >>> conformance.check().different
    ()
    """
    entries = read(path)
    different = []
    first = ""
    for number, entry in enumerate(entries):
        case = {name: value for name, value in entry.items() if name != "digest"}
        try:
            parts: list[Part] | Exception = run(api, case)
        except Exception as error:
            parts = error
        if isinstance(parts, Exception) or digest(parts) != entry["digest"]:
            different.append(number)
            first = first or in_words(number, len(entries), case, entry["digest"], parts)
    return Check(len(entries), tuple(different), first)


def read(path: str | os.PathLike[str]) -> list[Case]:
    """The cases of a file, with their digests, whose rows must be those that are made here."""
    wrong = KnobError(f"path must be that of a file of conformance, got {os.fspath(path)}", "path", path)
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        raise wrong from None
    if not isinstance(found, dict) or found.get("conformance") != FORM:
        raise wrong
    check_law(found.get("law"))
    if found.get("rows") != ROWS:
        raise wrong
    entries: list[Case] = found["cases"]
    return entries


def text() -> str:
    """The file, from the reference; a line for each row and each case.

    Raises:
        AssertionError: the fast code gives something else somewhere.
    """
    lines = []
    for number, case in enumerate(every := cases()):
        parts = run(reference, case)
        found = digest(parts)
        if digest(run(rheostat, case)) != found:
            raise AssertionError(in_words(number, len(every), case, found, run(rheostat, case)))
        lines.append(json.dumps(case | {"digest": found}))
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(recipe)}" for name, recipe in ROWS.items())
    body = ",\n".join(f"  {line}" for line in lines)
    return f'{{\n"conformance": {FORM},\n"law": {LAW},\n"rows": {{\n{rows}\n}},\n"cases": [\n{body}\n]\n}}\n'


def in_words(number: int, count: int, case: Case, wanted: str, parts: list[Part] | Exception) -> str:
    """A case that differs, for a person."""
    arguments = ", ".join(f"{name}={_short(value)}" for name, value in case.items() if name != "call")
    lines = [f"Case {number} of {count}: {case['call']} with {arguments}."]
    if isinstance(parts, Exception):
        return "\n".join([*lines, f"It raised {type(parts).__name__}: {parts}"])
    lines.append(f"The digest is {digest(parts)} here and {wanted} in the file.")
    right = run(reference, case)
    if digest(right) != wanted:
        lines.append("The reference differs from the file too, so the file is of other cases or another law.")
    else:
        lines += list(_parts_that_differ(parts, right))[:1]
    return "\n".join(lines)


def _parts_that_differ(here: list[Part], right: list[Part]) -> Iterator[str]:
    for place, pair in enumerate(zip_longest(here, right)):
        ours, wanted = pair
        if ours is None or wanted is None:
            yield f"It has {len(here)} parts, the reference {len(right)}."
        elif digest([ours]) != digest([wanted]):
            yield f"Part {place}, {ours[0]}: {_first_difference(ours[1], wanted[1])}"


def _first_difference(ours: Any, wanted: Any) -> str:
    if isinstance(ours, bytes) or isinstance(wanted, bytes):
        return f"{ours!r} here, {wanted!r} in the reference."
    if ours.size != wanted.size:
        return f"{ours.size} items here, {wanted.size} in the reference; {_ends(ours)} and {_ends(wanted)}."
    if ours.dtype != wanted.dtype:
        return f"{ours.dtype} here, {wanted.dtype} in the reference."
    bits = f"u{ours.dtype.itemsize}"
    at = int(np.argmax(ours.view(bits) != wanted.view(bits)))
    return f"item {at} is {ours[at]!r} here, {wanted[at]!r} in the reference."


def _ends(items: Any) -> str:
    return f"[{', '.join(map(str, items[:SHOWN].tolist()))}{', ...' if items.size > SHOWN else ''}]"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 200 else f"{shown[:200]}..."


def _write(path: Path) -> str:
    """Writes the file, where that changes it; what was done."""
    new = text().encode()
    if path.exists() and path.read_bytes() == new:
        return f"{path} holds these {len(cases())} cases already"
    path.write_bytes(new)
    return f"Wrote {len(cases())} cases to {path}"


def main(arguments: list[str] | None = None) -> int:
    """The command line. 0: all agree; 1: a case differs; 2: there is no such file."""
    parser = argparse.ArgumentParser(
        prog="python -m rheostat.testing.conformance",
        description="Compares this build with the results that every build gives, bit by bit.",
    )
    parser.add_argument(
        "--file", type=Path, default=FILE, metavar="PATH", help="another file than the package's own"
    )
    parser.add_argument("--reference", action="store_true", help="the reference in NumPy, not the fast code")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="compare, and tell the first case that differs (the default)"
    )
    what.add_argument("--write", action="store_true", help="write the file, from the reference")
    given = parser.parse_args(arguments)
    api = reference if given.reference else rheostat
    info = api.build_info()
    build = f"rheostat {info['version']}, law {info['law']}, {info['simd']}"
    try:
        if given.write:
            print(f"{_write(given.file)} ({build}).")
            return 0
        found = check(given.file, api=api)
    except (KnobError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if found.different:
        print(found.first, file=sys.stderr)
        print(f"{len(found.different)} of {found.cases} cases differ ({build}).", file=sys.stderr)
        return 1
    print(f"All {found.cases} cases agree ({build}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
