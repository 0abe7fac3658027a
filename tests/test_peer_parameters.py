"""Every sampling parameter of three programs is a knob or a field of SamplingParams here, or the data file
says why it is not.
"""

import inspect
import json
from pathlib import Path

import pytest
from rheostat.reference.table import TABLE

PEERS = json.loads((Path(__file__).parent / "data" / "peer_parameters.json").read_text())

# Knobs that describe one call and its logits, which params do not hold.
OF_A_CALL = {"vocab_size", "bitmask"}
CASES = [(peer, name, entry) for peer, doc in PEERS.items() for name, entry in doc["parameters"].items()]


def test_the_lists_are_those_of_the_three_programs():
    counts = {peer: (doc["class"], len(doc["parameters"])) for peer, doc in PEERS.items()}
    assert counts == {
        "transformers": ("GenerationConfig", 73),
        "vllm": ("SamplingParams", 43),
        "llama.cpp": ("common_params_sampling", 47),
    }
    assert all(doc["version"] for doc in PEERS.values())


@pytest.mark.parametrize(("peer", "name", "entry"), CASES)
def test_a_parameter_is_supported_or_says_why_not(api, peer, name, entry):
    ((kind, value),) = entry.items()
    if kind == "knobs":
        assert value
        assert set(value) <= set(inspect.signature(api.sample).parameters)
        assert set(value) - OF_A_CALL <= set(inspect.signature(api.SamplingParams).parameters)
    elif kind == "function":
        assert callable(getattr(api, value))
    elif kind == "params":
        assert value
        assert set(value) <= set(inspect.signature(api.SamplingParams).parameters)
    else:
        assert kind == "why_not"
        assert len(value.split()) >= 4


@pytest.mark.parametrize("name", ["kept", "sample", "choose", "process", "logprobs"])
def test_every_function_takes_every_knob_with_its_off_value(api, name):
    parameters = inspect.signature(getattr(api, name)).parameters
    for knob in TABLE:
        assert parameters[knob.name].kind == inspect.Parameter.KEYWORD_ONLY
        assert parameters[knob.name].default == knob.off
