"""The models that a command can run, by name."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from rheostat.cli.errors import FailedError, UsageError
from rheostat.token_table import Table


def _box(path: Path | None = None) -> Any:
    from rheostat import lab  # here, since few commands need it

    try:
        return lab.load(path)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _smollm2() -> Any:
    from rheostat.integrations.llama_cpp import smollm2  # of the extra, and it takes a second to load

    return smollm2()


def _gguf(path: Path) -> Any:
    from rheostat.integrations.llama_cpp import load

    return load(path)


# Each name, and each ending of a file's name, with what loads it.
MODELS: dict[str, Callable[[], Any]] = {"box": _box, "smollm2": _smollm2}
FILES: dict[str, Callable[[Path], Any]] = {".npz": _box, ".gguf": _gguf}
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
    if not isinstance(model.table, Table):
        kind = type(model.table).__name__
        raise UsageError(f"the model {name} must have a TokenTable as its table, got {kind}")
    return model.reader() if hasattr(model, "reader") else model  # which keeps what it has read


def encoded(model: Any, text: str) -> list[int]:
    """The ids of a text by the model's own `encode`.

    Raises:
        FailedError: it raises, which a text that it has no tokens for may be the reason of.
    """
    try:
        ids: list[int] = model.encode(text)
    except Exception as error:
        raise FailedError(f"the model's encode failed: {type(error).__name__}: {error}") from error
    return ids


def digest(name: str) -> str:
    """The beginning of the SHA-256 of a model's file; "" where `load` reads none."""
    path = Path(name)
    if name in MODELS or path.suffix not in FILES:
        return ""
    import hashlib  # here, since few commands need it

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _known() -> str:
    """What can be named."""
    return f"{', '.join(MODELS)}, a file ({', '.join(FILES)}), or MODULE:FUNCTION, which gives your own"


def _function(name: str) -> Callable[[], Any]:
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise UsageError(f"--model must be {_known()}, got {name}")
    if module_name.endswith(".py") or not all(map(str.isidentifier, module_name.split("."))):
        module = Path(module_name).stem
        raise UsageError(f"--model must name a module, not its file: {module}:{function_name}, got {name}")
    sys.path.insert(0, os.getcwd())  # as python -m has it
    try:
        function: Callable[[], Any] = getattr(import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--model {name}: {error}") from error
    with suppress(ValueError):  # of what tells no signature
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            rule = f"--model {name} must be a function that is called without arguments"
            raise UsageError(f"{rule}: {error}") from None
    return function
