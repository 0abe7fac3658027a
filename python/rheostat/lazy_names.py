"""Names of a package that are loaded when they are first asked for (PEP 562): importing it stays quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The package's `__getattr__` and `__dir__`. `homes` tells in which of its modules each such name is; the
    modules themselves have their own names.

    Many threads may ask at once: the import system lets one of them load a module while the others wait, so
    that all get the same object, which the package then holds as if it had always been there.
    """
    module = sys.modules[package]

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(_loaded(f"{package}.{homes[name]}"), name)
            setattr(module, name, value)
            return value
        path = f"{package}.{name}"
        if name.startswith("_") or PathFinder.find_spec(path, module.__path__) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        return _loaded(path)

    def names() -> list[str]:
        return sorted({*vars(module), *module.__all__})

    return get, names


def _loaded(name: str) -> ModuleType:
    """The module; what keeps it from being loaded is no AttributeError, which `hasattr` would swallow."""
    try:
        return import_module(name)
    except AttributeError as error:
        raise ImportError(f"{name} cannot be loaded: {error}", name=name) from error
