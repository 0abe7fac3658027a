"""`import rheostat` loads little, and what is loaded on use is found as if it had always been there."""

import pickle
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest
import rheostat
import rheostat.lab
import rheostat.reference
from rheostat.cli.commands import COMMANDS
from rheostat.lazy_names import lazily

# What made the import slow, or would: none of it is needed to sample. What NumPy itself loads is free.
SLOW = {
    "argparse", "asyncio", "decimal", "fractions", "hashlib", "hmac", "importlib.metadata", "json", "logging",
    "pathlib", "random", "secrets", "socket", "subprocess", "tempfile", "unicodedata", "urllib.parse",
    "rheostat.cli", "rheostat.explain_report", "rheostat.explanation", "rheostat.generation_model",
    "rheostat.lab", "rheostat.params_models", "rheostat.recording", "rheostat.reference.chance",
    "rheostat.reference.sampling", "rheostat.reference.slot", "rheostat.testing", "rheostat.vocabularies",
}  # fmt: skip
# What a command has no need of.
NEEDLESS = {
    "asyncio", "email", "hashlib", "importlib.metadata", "numpy.random", "rheostat.explanation",
    "rheostat.lab.trainer", "rheostat.recording", "rich", "secrets", "socket", "subprocess", "webbrowser",
}  # fmt: skip
PACKAGES = (rheostat, rheostat.lab, rheostat.reference)


def fresh(program, *arguments):
    """What a program prints in an interpreter of its own."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()


def test_the_import_loads_none_of_the_modules_that_make_it_slow():
    loaded = fresh(
        "import sys, numpy; own = set(sys.modules); import rheostat; print(*set(sys.modules) - own)"
    )
    assert "rheostat.params" in loaded
    assert set(loaded) & SLOW == set()


@pytest.mark.parametrize(("command", "arguments"), [("count", ["x"]), ("generate", ["--help"])])
def test_a_command_loads_none_of_what_the_others_need(command, arguments):
    program = """
import contextlib, io, sys, numpy
own = set(sys.modules)
from rheostat.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    assert main(sys.argv[1:]) == 0
print(*set(sys.modules) - own)
"""
    loaded = set(fresh(program, command, *arguments))
    assert {name.removeprefix("rheostat.cli.") for name in loaded} & set(COMMANDS) == {command}
    assert loaded & NEEDLESS == set()


@pytest.mark.parametrize(
    "program",
    [
        "import rheostat; print(rheostat.reference.sample([1.0, 9.0], temperature=0))",
        "import rheostat.reference; print(rheostat.reference.sample([1.0, 9.0], temperature=0))",
        "from rheostat import reference; print(reference.kept([1.0, 9.0], top_k=1)[0])",
        "from rheostat.reference import softmax, process, logprobs, verify; print(softmax([0, 9]).argmax())",
        "import rheostat.reference.softmaxes, rheostat; print(rheostat.reference.softmax([0, 9]).argmax())",
        "import rheostat.reference.generating, rheostat; print(rheostat.explain([0, 9], top_k=1).token_id)",
        "from rheostat import *; print(explain([0.0, 9.0], temperature=0).token_id, end=' '); recording.diff",
        "import rheostat; print(rheostat.reference.chance.words(0, 0, 0)[0] > 0, end=''); print('', 1)",
    ],
)
def test_a_name_is_found_whichever_way_it_is_asked_for_first(program):
    assert fresh(program)[-1] == "1"


@pytest.mark.parametrize("package", ["rheostat", "rheostat.lab", "rheostat.reference"])
def test_dir_lists_what_is_not_loaded_yet(package):
    program = f"import sys, {package} as package; print(*dir(package)); print(*package.__all__)"
    listed = fresh(program)
    names = listed[-len(sys.modules[package].__all__) :]
    assert set(names) == set(sys.modules[package].__all__) <= set(listed[: -len(names)])


def test_threads_that_ask_for_the_names_at_once_get_the_same_objects():
    program = """
import sys, threading, rheostat, rheostat.lab, rheostat.reference
packages = (rheostat, rheostat.lab, rheostat.reference)
wanted = [(package, name) for package in packages for name in package.__all__]
barrier, found = threading.Barrier(8), [None] * 8
def ask(i):
    start = i * len(wanted) // 8  # each begins with another name
    barrier.wait()
    found[i] = {(p.__name__, name): getattr(p, name) for p, name in wanted[start:] + wanted[:start]}
threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
sys.setswitchinterval(1e-5)
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*(one is not None and all(one[key] is found[0][key] for key in found[0]) for one in found))
"""
    assert fresh(program) == ["True"] * 8


def test_what_is_pickled_is_read_where_its_module_is_not_loaded_yet():
    things = [
        rheostat.Timings(1.0, 2.0, 3.0, 4),
        rheostat.explain,
        rheostat.reference.verify,
        rheostat.generate,
    ]
    program = "import pickle, sys; print(repr(pickle.loads(bytes.fromhex(sys.argv[1]))).split()[0])"
    for thing in things:
        assert fresh(program, pickle.dumps(thing).hex()) == repr(thing).split()[:1]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_no_module_has_the_name_of_a_function_which_would_hide_it(package):
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert {name for name in modules & set(package.__all__) if callable(getattr(package, name))} == set()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error_that_says_so(package):
    for name in ("smaple", "sampling.kept", "", "__wrapped__"):
        with pytest.raises(AttributeError) as caught:
            getattr(package, name)
        assert str(caught.value) == f"module {package.__name__!r} has no attribute {name!r}"
        assert not hasattr(package, name)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import absent_for_certain", "No module named 'absent_for_certain'"),
        (
            "import sys; sys.absent",
            "lazy_package.home cannot be loaded: module 'sys' has no attribute 'absent'",
        ),
    ],
)
def test_a_module_that_cannot_be_loaded_is_an_import_error_and_no_missing_name(
    tmp_path, monkeypatch, body, said
):
    (tmp_path / "home.py").write_text(body)
    package = ModuleType("lazy_package")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, "lazy_package", package)
    package.__getattr__, _ = lazily("lazy_package", {"name": "home"})
    for name in ("name", "home"):
        with pytest.raises(ImportError) as caught:
            hasattr(package, name)
        assert str(caught.value) == said
