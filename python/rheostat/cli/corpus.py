"""A text to train on, from a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from rheostat.cli.errors import UsageError


def read(name: str) -> str:
    """What a file holds, or for "-" standard input, with ends of lines as \\n.

    Raises:
        UsageError: it cannot be read, is empty or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error
    shown = "standard input" if name == "-" else name
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{shown} is not UTF-8: byte 0x{data[error.start]:02x} at {error.start:,} fits no character"
        ) from error
    if not text.strip():
        raise UsageError(f"{shown} is empty")
    return text.replace("\r\n", "\n")
