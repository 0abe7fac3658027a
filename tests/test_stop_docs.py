"""The examples in the documentation run, and everything public has a docstring."""

import doctest

import pytest

CLASSES = ["StopSet", "StopMatcher", "StopBatch", "StopHit", "TokenTable"]


@pytest.mark.parametrize("name", CLASSES)
def test_examples_run_and_nothing_is_undocumented(api, name):
    cls = getattr(api, name)
    documented = {name: cls} | {key: value for key, value in vars(cls).items() if not key.startswith("_")}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for key, value in documented.items():
        assert value.__doc__, key
        runner.run(parser.get_doctest(value.__doc__, {}, f"{name}.{key}", None, None))
    assert runner.failures == 0
