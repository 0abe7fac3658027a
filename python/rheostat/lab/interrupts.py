"""Ctrl-C, put off until nothing is half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self


class CtrlC:
    """While this context is open, the first Ctrl-C is only noted; a second one raises at once, as usual.

    Only Python's own handler is replaced, and only in the main thread, where signals arrive.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def tell(self, callback: Callable[[Any], None] | None, value: Any) -> None:
        """Calls back; a KeyboardInterrupt in there is a Ctrl-C too."""
        if callback is None:
            return
        try:
            callback(value)
        except KeyboardInterrupt:
            self.pressed = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            signal.default_int_handler(number, frame)
        self.pressed = True
