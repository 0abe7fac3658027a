"""The models that a command can run, by name."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from rheostat.cli.errors import UsageError


class Runnable(Protocol):
    """What a command needs of a model, beside its logits: it is callable, or has `start` and `next`, as in
    `generate`.
    """

    table: Any
    """A `TokenTable`."""
    context_length: int | None
    """How many tokens it can read; None for any number."""
    eos_token_id: Any
    """The id or ids that end a text; None where none does."""

    def encode(self, text: str, /) -> list[int]:
        """The ids of a text."""


def _box(path: Path | None = None) -> Any:
    from rheostat import lab  # here, since few commands need it

    try:
        return lab.load(path)
    except ValueError as error:
        raise UsageError(str(error)) from error


# Each name, and each ending of a file's name, with what loads it.
MODELS: dict[str, Callable[[], Any]] = {"box": _box}
FILES: dict[str, Callable[[Path], Any]] = {".npz": _box}
DEFAULT = "box"
NEEDED = ("table", "context_length", "eos_token_id", "encode")


def add_option(parser: argparse._ActionsContainer) -> None:
    """`--model`."""
    says = f"{_known()}; {DEFAULT} unless given"
    parser.add_argument("--model", default=DEFAULT, metavar="NAME", help=says)


def load(name: str) -> Any:
    """A model by its name, its file, or MODULE:FUNCTION, a function that gives one.

    Raises:
        UsageError: there is none of that name, or what the function gives is none.
        OSError: the file cannot be read.
    """
    path = Path(name)
    if name in MODELS:
        model = MODELS[name]()
    elif path.suffix in FILES:
        model = FILES[path.suffix](path)
    else:
        model = _function(name)()
    absent = [attribute for attribute in NEEDED if not hasattr(model, attribute)]
    if absent:
        raise UsageError(f"the model {name} must have {', '.join(NEEDED)}; it has no {', '.join(absent)}")
    return model


def _known() -> str:
    """What can be named."""
    return f"{', '.join(MODELS)}, a file ({', '.join(FILES)}), or MODULE:FUNCTION, which gives your own"


def _function(name: str) -> Callable[[], Any]:
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise UsageError(f"--model must be {_known()}, got {name}")
    sys.path.insert(0, os.getcwd())  # as python -m has it
    try:
        function: Callable[[], Any] = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--model {name}: {error}") from error
    return function
