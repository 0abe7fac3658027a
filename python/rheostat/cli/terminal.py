"""Standard output and standard error: text on the one, everything else on the other."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rheostat.cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def write(text: str) -> None:
    """To standard output, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def console(stderr: bool = False) -> Console:
    """A console that colours on terminals that want it, and nowhere cuts or folds a line."""
    from rich.console import Console  # here, since it takes longer to import than a short text to write

    terminal = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not terminal.is_terminal:
        terminal.width = 200  # a table in a file need not fold
    return terminal


def fits(table: Table) -> bool:
    """Whether a terminal is wide enough for a table without a fold in it."""
    from rich.measure import Measurement

    shown = console()
    return Measurement.get(shown, shown.options.update(max_width=1000), table).maximum <= shown.width


def note(text: str) -> None:
    """A line on standard error, dim on a terminal."""
    if sys.stderr.isatty():
        console(stderr=True).print(text, style="dim")
    else:
        print(text, file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """A line on standard error that the next one overwrites; nothing where that is no terminal. It is cut to
    the terminal's width, for nothing overwrites a second line.
    """
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()


def replace_what_cannot_be_encoded() -> None:
    """Characters that the terminal's encoding lacks become question marks instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def close_quietly() -> None:
    """After the reader of a pipe has gone: nothing more is written, also not at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_argument(words: list[str], what: str) -> str | None:
    """The one argument that a text is, or None where there is none; more are a text without its quotes."""
    if len(words) > 1:
        raise UsageError(f"{what} must be one argument, in quotes, got {len(words)}: {' '.join(words)}")
    return words[0] if words else None


def text_of_file(path: Path) -> str:
    """A file's text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} must be text in UTF-8; its byte {error.start} is none") from None


def text_given(text: str | None, what: str) -> str:
    """An argument, or where it is absent or "-" what standard input holds."""
    if text is None and sys.stdin.isatty():
        raise UsageError(f"{what} is missing: give it as an argument, or on standard input")
    found = sys.stdin.read() if text is None or text == "-" else text
    try:
        found.encode()
    except UnicodeEncodeError:  # of the bytes that were read as surrogates
        raise UsageError(f"{what} must be text in UTF-8") from None
    return found
