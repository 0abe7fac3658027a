"""The two errors a server tells apart without reading text: the caller's fault and the model's."""

from __future__ import annotations

from typing import Any


class KnobError(ValueError):
    """A knob, a seed or another argument breaks its rule: the caller's fault (HTTP 400).

    ``argument`` is the argument's name, ``value`` the offending value.
    """

    def __init__(self, message: str, argument: str, value: Any) -> None:
        super().__init__(message)
        self.argument = argument
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.argument, self.value)


class LogitsError(ValueError):
    """A row of logits breaks its rule: the model's fault (HTTP 500).

    ``row`` is the lowest row that does, ``token_id`` the lowest token in it, or None where the row
    as a whole is at fault (no finite logit).
    """

    def __init__(self, message: str, row: int, token_id: int | None) -> None:
        super().__init__(message)
        self.row = row
        self.token_id = token_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.row, self.token_id)
