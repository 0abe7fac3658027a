"""Token ids to their bytes."""

from __future__ import annotations

from typing import Any

from rheostat.reference.stop_input import index, items, wrong_type


class TokenTable:
    """The bytes of every token: ``table[id]`` is bytes, or None for a token without text.

    >>> from rheostat.reference import TokenTable
    >>> table = TokenTable.from_bytes([b"Hel", b"lo", None])
    >>> len(table), table[1], table[2]
    (3, b'lo', None)
    """

    def __init__(self) -> None:
        raise TypeError("cannot create 'rheostat.TokenTable' instances")

    @classmethod
    def from_bytes(cls, tokens: Any) -> TokenTable:
        """A table from a sequence whose item ``id`` is the token's bytes, or None.

        >>> from rheostat.reference import TokenTable
        >>> list(TokenTable.from_bytes([b"a", None]))
        [b'a', None]
        """
        table = cls.__new__(cls)
        table._tokens = items(tokens, "tokens", "must be a sequence of bytes or None")
        for id, token in enumerate(table._tokens):
            if token is not None and not isinstance(token, bytes):
                raise wrong_type(f"tokens[{id}]", "must be bytes or None", token)
        return table

    _tokens: list[bytes | None]

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, id: int) -> bytes | None:
        found = index(id)
        if found is None:
            raise wrong_type("id", "must be an int", id)
        if not 0 <= found < len(self):
            raise IndexError(f"id must be in [0, {len(self)}), got {id}")
        return self._tokens[found]
