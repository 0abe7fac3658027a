"""Token ids to their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat import vocabularies
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

    @classmethod
    def from_tiktoken(cls, encoding: Any) -> TokenTable:
        """The tokens of a `tiktoken.Encoding`; see `rheostat.TokenTable`."""
        return cls.from_bytes(vocabularies.of_tiktoken(encoding))

    @classmethod
    def from_tokenizers(cls, tokenizer: Any) -> TokenTable:
        """The tokens of a `tokenizers.Tokenizer`; see `rheostat.TokenTable`."""
        return cls.from_bytes(vocabularies.of_tokenizers(tokenizer))

    @classmethod
    def from_llama(cls, llama: Any) -> TokenTable:
        """The tokens of a `llama_cpp.Llama`; see `rheostat.TokenTable`."""
        return cls.from_bytes(vocabularies.of_llama(llama))

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

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(self._tokens)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_bytes, (self._tokens,)

    def prefix_mask(self, prefix: bytes) -> NDArray[np.int32]:
        """The tokens that can come first in a text that begins with `prefix`: (ceil(len / 32),) int32.

        >>> from rheostat.reference import TokenTable
        >>> TokenTable.from_bytes([b"h", b"htt", b"https", b"x"]).prefix_mask(b"htt")
        array([7], dtype=int32)
        """
        if not isinstance(prefix, bytes):
            raise wrong_type("prefix", "must be bytes", prefix)
        bits = np.zeros(-(-len(self) // 32) * 32, np.bool_)
        bits[: len(self)] = [
            token is not None and (token.startswith(prefix) or (token != b"" and prefix.startswith(token)))
            for token in self._tokens
        ]
        return np.packbits(bits, bitorder="little").view("<i4").astype(np.int32)
