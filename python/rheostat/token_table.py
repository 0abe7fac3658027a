"""What is asked of a table of the tokens' bytes: both implementations of `TokenTable` have it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Table(Protocol):
    """A `TokenTable`, and no plain sequence of bytes, which has no `prefix_mask`."""

    def __len__(self) -> int: ...

    def __getitem__(self, id: Any, /) -> bytes | None: ...

    def prefix_mask(self, prefix: bytes, /) -> Any: ...
