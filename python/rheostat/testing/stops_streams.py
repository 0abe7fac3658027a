"""Streams that tell stop matchers apart, for `check_stops`: what people write, and letters that overlap all
the time.
"""

from __future__ import annotations

from typing import NamedTuple

from rheostat.testing.rows import words


class Stream(NamedTuple):
    """Stops, and the text in the pieces in which it comes."""

    stops: tuple[str, ...]
    pieces: tuple[str, ...]

    def size(self) -> int:
        """How much there is to read."""
        return sum(map(len, self.stops + self.pieces)) + len(self.pieces)


WRITTEN = (
    Stream((), ("a", "b")),
    Stream(("STOP",), ("Hello S", "un, S", "TOP!")),
    Stream(("STOP",), ("no stop at all S", "TO")),
    Stream(("\n\n",), ("one\n", "two\n", "\nthree")),
    Stream(("User:", "\nUser:"), ("ok\n", "User", ":")),
    Stream(("\nUser:", "User:"), ("ok\n", "User", ":")),
    Stream(("ab", "abcd"), ("xabcd",)),
    Stream(("abcd", "bc"), ("xabcd",)),
    Stream(("abcd", "bc"), ("a", "x", "a", "bx")),
    Stream(("END", "N"), ("the E", "ND")),
    Stream(("</s>", "<|im_end|>"), ("a <", "|im_", "end|> b")),
    Stream(("\u00e9t\u00e9",), ("un \u00e9t", "\u00e9 chaud")),
    Stream(("\U0001f600",), ("\U0001f601", "\U0001f600 x")),
    Stream(("x",), ("", "", "x")),
    Stream(("aab",), ("aaab",)),
    Stream(("aab",), ("a", "a", "a", "b")),
)


def streams() -> list[Stream]:
    """Some 400 of them, small ones first."""
    drawn = [_of_seed(seed) for seed in range(384)]
    return sorted([*WRITTEN, *drawn], key=Stream.size)


def _of_seed(seed: int) -> Stream:
    """One to three stops of one to four letters, and up to six pieces of none to three: two letters, or
    three.
    """
    numbers = iter(int(byte) for byte in words(1000 + seed, 8).astype("<u8").view("u1"))
    letters = "ab" if seed % 2 else "abc"

    def text(length: int) -> str:
        return "".join(letters[next(numbers) % len(letters)] for _ in range(length))

    stops = tuple(text(1 + next(numbers) % 4) for _ in range(1 + next(numbers) % 3))
    return Stream(stops, tuple(text(next(numbers) % 4) for _ in range(1 + next(numbers) % 6)))
