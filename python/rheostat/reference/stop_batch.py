"""Many streams, a matcher each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.reference.stop import StopSet
from rheostat.reference.stop_input import (
    flag,
    integer,
    integers,
    is_flag,
    items,
    symbols,
    wrong_length,
    wrong_type,
)
from rheostat.reference.tokens import TokenTable

MAX_ROWS = 1 << 20


class StopBatch:
    """Many streams of one kind, a row each, fed together. A row never sees its batch mates.

    >>> from rheostat.reference import StopBatch, StopSet
    >>> batch = StopBatch(StopSet(["END"]), 2)
    >>> batch.feed(["one E", "two"]), batch.feed(["ND", "E"])
    (['one ', 'two'], ['', ''])
    >>> batch.hits, batch.ends
    (array([ 0, -1], dtype=int32), array([ 7, -1]))
    """

    def __init__(self, stop_set: Any, n: Any) -> None:
        rows = integer(n, "n", MAX_ROWS + 1, "must be in [0, 1048576]")
        if isinstance(stop_set, StopSet):
            sets, self._kind = [stop_set] * rows, stop_set.kind
        else:
            sets = items(stop_set, "stop_set", "must be a StopSet or a sequence of StopSets")
            if len(sets) != rows:
                raise wrong_length("stop_set", rows, len(sets))
            for i, one in enumerate(sets):
                if not isinstance(one, StopSet):
                    raise wrong_type(f"stop_set[{i}]", "must be a StopSet", one)
            self._kind = sets[0].kind if sets else "text"
        for i, one in enumerate(sets):
            if one.kind != self._kind:
                rule = f"must be of kind {self._kind!r} like stop_set[0]"
                raise TypeError(f"stop_set[{i}] {rule}, got kind {one.kind!r}")
        self._matchers = [one.matcher() for one in sets]

    def __len__(self) -> int:
        return len(self._matchers)

    def _rows(self, rows: Any) -> list[int]:
        return list(range(len(self))) if rows is None else integers(rows, "rows", len(self))

    def _run(self, rows: list[int], pieces: list[Any], armed: Any) -> list[Any]:
        if armed is None or is_flag(armed):
            flags = [armed is None or bool(armed)] * len(rows)
        else:
            given = items(armed, "armed", "must be a bool or a sequence of bools")
            if len(given) != len(rows):
                raise wrong_length("armed", len(rows), len(given))
            flags = [flag(value, f"armed[{i}]") for i, value in enumerate(given)]
        after = [matcher.clone() for matcher in self._matchers]  # a failing call changes nothing
        outputs = [
            after[row]._feed(piece, armed, f" for row {row}")
            for row, piece, armed in zip(rows, pieces, flags, strict=True)
        ]
        self._matchers = after
        return outputs

    def feed(self, pieces: Any, rows: Any = None, armed: Any = None) -> list[Any]:
        """Feeds one piece to each of ``rows``, returns the list of what is newly safe in each.

        >>> from rheostat.reference import StopSet
        >>> batch = StopSet(["x"]).batch(3)
        >>> batch.feed(["ax", "b"], rows=[2, 0], armed=[False, True])
        ['ax', 'b']
        """
        given = items(pieces, "pieces", "must be a sequence of pieces")
        rows = self._rows(rows)
        if len(given) != len(rows):
            raise wrong_length("pieces", len(rows), len(given))
        given = [symbols(piece, self._kind, f"pieces[{i}]") for i, piece in enumerate(given)]
        return self._run(rows, given, armed)

    def feed_ids(self, ids: Any, table: Any, rows: Any = None, armed: Any = None) -> list[Any]:
        """Feeds each of ``rows`` the bytes of one token id; a token without text feeds nothing.

        >>> from rheostat.reference import StopSet, TokenTable
        >>> table = TokenTable.from_bytes([b"a", b"END", None])
        >>> batch = StopSet(["END"]).batch(3)
        >>> batch.feed_ids([0, 1, 2], table), batch.hits.tolist()
        (['a', '', ''], [-1, 0, -1])
        """
        if self._kind == "tokens":
            raise TypeError("feed_ids must have stops of kind 'text' or 'bytes', got kind 'tokens'")
        if not isinstance(table, TokenTable):
            raise wrong_type("table", "must be a TokenTable", table)
        ids = integers(ids, "ids", len(table))
        rows = self._rows(rows)
        if len(ids) != len(rows):
            raise wrong_length("ids", len(rows), len(ids))
        return self._run(rows, [table[id] or b"" for id in ids], armed)

    @property
    def hits(self) -> NDArray[np.int32]:
        """The index of the stop that ended each row, -1 where none did."""
        hits = [matcher.hit for matcher in self._matchers]
        return np.array([hit.index if hit else -1 for hit in hits], dtype=np.int32)

    @property
    def ends(self) -> NDArray[np.int64]:
        """Where that stop ends in the row's stream, in bytes or ids, -1 where none did."""
        hits = [matcher.hit for matcher in self._matchers]
        return np.array([hit.end if hit else -1 for hit in hits], dtype=np.int64)

    def flush(self, rows: Any = None) -> list[Any]:
        """Ends each of ``rows``, returns the list of what each still held."""
        return [self._matchers[row].flush() for row in self._rows(rows)]

    def reset(self, rows: Any = None) -> None:
        """Starts a new stream in each of ``rows``."""
        for row in self._rows(rows):
            self._matchers[row].reset()

    def reorder(self, index: Any) -> None:
        """Row i goes on as row ``index[i]`` was, its StopSet included: beam search.

        >>> from rheostat.reference import StopSet
        >>> batch = StopSet(["ab"]).batch(2)
        >>> batch.feed(["a", "x"])
        ['', 'x']
        >>> batch.reorder([0, 0])
        >>> batch.feed(["b", "c"])
        ['', 'ac']
        """
        index = integers(index, "index", len(self))
        if len(index) != len(self):
            raise wrong_length("index", len(self), len(index))
        self._matchers = [self._matchers[row].clone() for row in index]
