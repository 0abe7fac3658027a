"""The peers by name, loaded when asked for, and what each has to do for a workload."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from work import Work

from peers.base import Absent, Peer, Task

# name: (module, the package to install)
MODULES = {
    "NumPy, textbook": ("with_numpy", "numpy"),
    "NumPy, argpartition": ("with_numpy", "numpy"),
    "NumPy, sorted values": ("with_numpy", "numpy"),
    "scipy": ("with_scipy", "scipy"),
    "numba": ("with_numba", "numba"),
    "llama.cpp": ("with_llama_cpp", "llama-cpp-python"),
    "onnxruntime": ("with_onnxruntime", "onnxruntime and onnx"),
    "onnxruntime, bound": ("with_onnxruntime", "onnxruntime and onnx"),
    "torch": ("with_torch", "torch"),
    "transformers": ("with_transformers", "transformers and torch"),
    "mlx": ("with_mlx", "mlx"),
    "str.find": ("with_find", "nothing"),
    "pyahocorasick": ("with_pyahocorasick", "pyahocorasick"),
}
NAMES = tuple(MODULES)
SAMPLERS = (*NAMES[:3], "numba", "llama.cpp", "torch", "transformers", "mlx")
SOFTMAXES = ("NumPy, textbook", "scipy", "onnxruntime", "onnxruntime, bound", "torch", "mlx")
STOPS = ("str.find", "pyahocorasick")


@cache
def load(name: str) -> Peer:
    """The peer of that name; Absent, with what to install, where it cannot be imported."""
    module, package = MODULES[name]
    try:
        return import_module(f"peers.{module}").PEERS[name]
    except (ImportError, OSError) as error:  # OSError: its shared library is not there
        raise Absent(f"{name} is not installed (it needs {package})") from error


def installed(names: tuple[str, ...]) -> list[Peer]:
    """Those of the names that can be imported."""
    found = []
    for name in names:
        try:
            found.append(load(name))
        except Absent:
            continue
    return found


def tasks(peer: Peer, work: Work) -> list[Task]:
    """The peer's tasks for each row of a workload."""
    kind, *arguments = work.peer
    prepare = getattr(peer, kind)
    if prepare is None:
        raise Absent(f"{peer.name} has no {kind}")
    if kind == "stop":
        return [prepare(*arguments)]
    return [prepare(names["row"], *arguments) for names in work.names(None)]
