"""Everything public has a docstring, and every example in one runs."""

import doctest
import inspect

import pytest
import rheostat
import rheostat.reference

MODULES = [rheostat, rheostat.reference]
PUBLIC = [
    pytest.param(getattr(module, name), id=f"{module.__name__}.{name}")
    for module in MODULES
    for name in module.__all__
    if callable(getattr(module, name))
]


def documented(thing):
    """(name, docstring) of a function, or of a class and its public members."""
    yield thing.__name__, thing.__doc__
    if inspect.isclass(thing):
        fields = getattr(thing, "__dataclass_fields__", {})  # told of in the class's own docstring
        members = {
            name: member
            for name, member in vars(thing).items()
            if not name.startswith("_") and name not in fields
        }
        yield from ((f"{thing.__name__}.{name}", member.__doc__) for name, member in members.items())


@pytest.mark.parametrize("thing", PUBLIC)
def test_every_docstring_is_there_and_its_examples_run(thing):
    runner, parser = doctest.DocTestRunner(verbose=False), doctest.DocTestParser()
    for name, text in documented(thing):
        assert text, f"{name} has no docstring"
        runner.run(parser.get_doctest(text, {}, name, None, 0))
    assert runner.failures == 0


def test_every_function_of_the_compiled_half_has_an_example():
    for name in rheostat.__all__:
        if inspect.isbuiltin(getattr(rheostat, name)):
            assert ">>> " in getattr(rheostat, name).__doc__, name


def test_both_implementations_take_the_same_arguments():
    for name in rheostat.reference.__all__:
        fast, slow = getattr(rheostat, name), getattr(rheostat.reference, name)
        if inspect.isbuiltin(fast):
            parameters = [
                [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]
                for function in (fast, slow)
            ]
            assert parameters[0] == parameters[1], name
