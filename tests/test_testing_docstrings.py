"""What is public in `rheostat.testing` has a docstring, and the examples in it run."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest
import rheostat.testing

# The programs that are checked are imported where they are installed.
MODULES = ["rheostat.testing"] + [
    module.name
    for module in pkgutil.walk_packages(rheostat.testing.__path__, "rheostat.testing.")
    if ".with_" not in module.name
]


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring_and_its_examples_run(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for member_name, member in vars(module).items():
        is_own = getattr(member, "__module__", None) == name and not member_name.startswith("_")
        if is_own and (inspect.isclass(member) or (inspect.isfunction(member) and member_name != "main")):
            assert member.__doc__, f"{name}.{member_name}"
    assert doctest.testmod(module).failed == 0


def test_the_examples_are_there():
    modules = [importlib.import_module(name) for name in MODULES]
    examples = sum(doctest.testmod(module).attempted for module in modules)
    assert examples >= 10
    for name in ("check_sampler", "check_stops"):
        assert ">>> " in getattr(rheostat.testing, name).__doc__


def test_the_package_is_not_imported_with_rheostat():
    code = "import rheostat, sys; print(any(name.startswith('rheostat.testing') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
