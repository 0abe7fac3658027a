"""The models that a command can run, by name."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
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


def _box() -> Any:
    return importlib.import_module("rheostat.lab").load()


# Each name and what loads it.
MODELS: dict[str, Callable[[], Any]] = {"box": _box}
DEFAULT = "box"
NEEDED = ("table", "context_length", "eos_token_id", "encode")


def add_option(parser: argparse.ArgumentParser) -> None:
    """`--model`."""
    known = ", ".join(MODELS)
    says = f"one of {known}, or MODULE:FUNCTION, a function of yours that gives a model; {DEFAULT}"
    parser.add_argument("--model", default=DEFAULT, metavar="NAME", help=says)


def load(name: str) -> Any:
    """A model by its name, or by MODULE:FUNCTION, a function that gives one.

    Raises:
        UsageError: there is none of that name, or what the function gives is none.
    """
    make = MODELS.get(name) or _function(name)
    model = make()
    absent = [attribute for attribute in NEEDED if not hasattr(model, attribute)]
    if absent:
        raise UsageError(f"the model {name} must have {', '.join(NEEDED)}; it has no {', '.join(absent)}")
    return model


def _function(name: str) -> Callable[[], Any]:
    module_name, colon, function_name = name.partition(":")
    if not colon:
        known = ", ".join(MODELS)
        raise UsageError(f"--model must be one of {known}, or MODULE:FUNCTION, got {name}")
    sys.path.insert(0, os.getcwd())  # as python -m has it
    try:
        function: Callable[[], Any] = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--model {name}: {error}") from error
    return function
