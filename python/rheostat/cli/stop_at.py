"""`--stop-at`: the end of a line, a paragraph or a sentence, as stop strings."""

from __future__ import annotations

SENTENCE_ENDS = tuple(
    mark + quote + space
    for mark in (".", "!", "?", "\u2026")
    for quote in ("", '"', "'", ")", "\u201d", "\u2019")
    for space in (" ", "\n")
)
STOPS = {"line": ("\n",), "paragraph": ("\n\n",), "sentence": SENTENCE_ENDS}


def closing(stop: object, place: str | None, is_written: bool) -> str:
    """What a sentence still lacks when it ended at `stop`: the mark, without the space behind it."""
    ended = place == "sentence" and isinstance(stop, str) and stop in SENTENCE_ENDS
    return str(stop).rstrip() if ended and not is_written else ""
