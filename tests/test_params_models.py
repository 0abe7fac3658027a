"""SamplingParams from what a model recommends: transformers' generation config, GGUF metadata."""

import json
import os
import pathlib

import numpy as np
import pytest
from rheostat import KnobError, SamplingParams

# As published with instruction-tuned models: all that is there.
LLAMA = {
    "bos_token_id": 128000,
    "do_sample": True,
    "eos_token_id": [128001, 128008, 128009],
    "temperature": 0.6,
    "top_p": 0.9,
    "transformers_version": "4.42.3",
}
QWEN = {
    "bos_token_id": 151643,
    "pad_token_id": 151643,
    "do_sample": True,
    "eos_token_id": [151645, 151643],
    "repetition_penalty": 1.05,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 20,
    "transformers_version": "4.37.0",
}


def test_a_generation_config_is_read_as_generate_reads_it():
    found = SamplingParams.from_generation_config(LLAMA)
    eos = (128001, 128008, 128009)
    assert found.params == SamplingParams(chain="hf", temperature=0.6, top_k=50, top_p=0.9, eos_token_id=eos)
    assert found.sources == {
        "chain": "the order of transformers",
        "top_k": "the default of transformers",
        "eos_token_id": "eos_token_id",
        "temperature": "temperature",
        "top_p": "top_p",
    }
    assert found.ignored == {"bos_token_id": 128000, "transformers_version": "4.42.3"}
    found = SamplingParams.from_generation_config(QWEN)
    assert (found.params.top_k, found.params.repetition_penalty) == (20, 1.05)
    assert set(found.ignored) == {"bos_token_id", "pad_token_id", "transformers_version"}


@pytest.mark.parametrize("do_sample", [{}, {"do_sample": False}, {"do_sample": None}], ids=repr)
def test_without_do_sample_a_generation_config_is_greedy(do_sample):
    sampling = {"temperature": 0.6, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.5}
    found = SamplingParams.from_generation_config(do_sample | sampling | {"repetition_penalty": 1.1})
    assert found.params == SamplingParams(chain="hf", temperature=0, repetition_penalty=1.1)
    assert found.ignored == sampling
    default = "do_sample" if do_sample.get("do_sample") is False else "the default of transformers"
    assert found.sources["temperature"] == default


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"top_k": 0}, {"top_k": 0}),
        ({"top_k": None}, {"top_k": 50}),
        ({"eos_token_id": 7}, {"eos_token_id": 7, "top_k": 50}),
        ({"max_length": 20}, {"context_length": 20, "top_k": 50}),
        ({"max_length": 20, "max_new_tokens": 5}, {"max_tokens": 5, "top_k": 50}),
        ({"min_new_tokens": 5}, {"min_tokens": 5, "top_k": 50}),
        ({"stop_strings": "x"}, {"stop": "x", "top_k": 50}),
        ({"bad_words_ids": [[1], [2, 3]]}, {"bad_words": [[1], [2, 3]], "top_k": 50}),
        ({"suppress_tokens": [4]}, {"banned_token_ids": [4], "top_k": 50}),
        ({"sequence_bias": [[[1, 2], 3.5]]}, {"sequence_bias": {(1, 2): 3.5}, "top_k": 50}),
        ({"sequence_bias": {(1, 2): 3.5}}, {"sequence_bias": {(1, 2): 3.5}, "top_k": 50}),
        ({"no_repeat_ngram_size": 3}, {"no_repeat_ngram_size": 3, "top_k": 50}),
        (
            {"min_p": 0.1, "top_h": 0.4, "typical_p": 0.9, "epsilon_cutoff": 0.1, "eta_cutoff": 0.2},
            {
                "min_p": 0.1,
                "top_h": 0.4,
                "typical_p": 0.9,
                "epsilon_cutoff": 0.1,
                "eta_cutoff": 0.2,
                "top_k": 50,
            },
        ),
    ],
    ids=repr,
)
def test_a_generation_config_that_samples(config, expected):
    found = SamplingParams.from_generation_config({"do_sample": True} | config)
    assert found.params == SamplingParams(chain="hf", **expected)
    assert set(found.sources) >= set(expected)


def test_a_generation_config_is_read_from_its_file_or_the_models_directory(tmp_path):
    file = tmp_path / "generation_config.json"
    file.write_text(json.dumps(LLAMA))
    wanted = SamplingParams.from_generation_config(LLAMA)
    for source in (file, str(file), tmp_path, os.fspath(tmp_path)):
        found = SamplingParams.from_generation_config(source)
        assert found.params == wanted.params
        assert found.sources["top_p"] == f"{file}: top_p"
        assert found.ignored == wanted.ignored


@pytest.mark.parametrize(
    ("config", "key"),
    [({"eos_token_id": [1, 2]}, "eos_token_id"), ({"text_config": {"eos_token_id": [1, 2]}}, None)],
)
def test_an_eos_id_that_the_generation_config_lacks_is_the_models(tmp_path, config, key):
    (tmp_path / "config.json").write_text(json.dumps(config))
    source = f"{tmp_path / 'config.json'}: {key or 'text_config.eos_token_id'}"
    for content in (None, {"do_sample": True}, {"eos_token_id": 9}):
        if content is not None:
            (tmp_path / "generation_config.json").write_text(json.dumps(content))
        found = SamplingParams.from_generation_config(tmp_path)
        if content == {"eos_token_id": 9}:
            assert found.params.eos_token_id == (9,)
        else:
            assert (found.params.eos_token_id, found.sources["eos_token_id"]) == ((1, 2), source)


def test_a_generation_config_that_is_none_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        SamplingParams.from_generation_config(tmp_path)
    with pytest.raises(TypeError, match="source must be a mapping or a path, got int"):
        SamplingParams.from_generation_config(3)
    file = pathlib.Path(tmp_path, "generation_config.json")
    for text, rule in (("{", "JSON"), ("[]", "a JSON object")):
        file.write_text(text)
        with pytest.raises(KnobError, match=f"^source must be {rule}, got .* in "):
            SamplingParams.from_generation_config(file)
    with pytest.raises(KnobError, match=r"^sequence_bias must hold pairs of ids and bias, got \[3\]$"):
        SamplingParams.from_generation_config({"sequence_bias": [3]})


# The text that llama_cpp.Llama.metadata gives.
GGUF = {
    "general.architecture": "qwen3",
    "general.sampling.temp": "0.600000",
    "general.sampling.top_k": "20",
    "general.sampling.top_p": "0.950000",
    "general.sampling.min_p": "0.000000",
    "tokenizer.ggml.bos_token_id": "151643",
    "tokenizer.ggml.eos_token_id": "151645",
    "tokenizer.ggml.eot_token_id": "151643",
    "tokenizer.ggml.eom_token_id": "151645",
}


def gguf(**sampling):
    return SamplingParams.from_gguf({f"general.sampling.{key}": value for key, value in sampling.items()})


def test_gguf_metadata_gives_the_recommended_sampling_and_every_eos_id():
    found = SamplingParams.from_gguf(GGUF)
    assert found.params == SamplingParams(
        chain="llama.cpp", temperature=0.6, top_k=20, top_p=0.95, eos_token_id=[151645, 151643]
    )
    assert found.sources == {
        "chain": "the order of llama.cpp",
        "temperature": "general.sampling.temp",
        "top_k": "general.sampling.top_k",
        "top_p": "general.sampling.top_p",
        "min_p": "general.sampling.min_p",
        "eos_token_id": "tokenizer.ggml.eos_token_id, tokenizer.ggml.eot_token_id, "
        "tokenizer.ggml.eom_token_id",
    }
    assert found.ignored == {}
    assert SamplingParams.from_gguf({}).params == SamplingParams(chain="llama.cpp")


def test_gguf_metadata_may_hold_numbers():
    found = gguf(temp=np.float32(0.5), top_k=np.int32(7), xtc_probability=0.25, xtc_threshold=0.2)
    assert found.params == SamplingParams(
        chain="llama.cpp", temperature=0.5, top_k=7, xtc_probability=0.25, xtc_threshold=0.2
    )


def test_what_gguf_metadata_leaves_empty_is_no_source():
    found = gguf(temp=None, top_k="", sequence="", min_p=[])
    assert found == (SamplingParams(chain="llama.cpp"), {"chain": "the order of llama.cpp"}, {})
    assert gguf(top_k=np.array([7])).params.top_k == 7


def test_the_window_of_gguf_penalties_is_that_of_llama_cpp():
    assert gguf(penalty_repeat="1.1").params.penalty_last_n == 64
    assert gguf(penalty_repeat="1.1").sources["penalty_last_n"] == "the default of llama.cpp"
    assert gguf(penalty_repeat="1.1", penalty_last_n="32").params.penalty_last_n == 32
    assert gguf(penalty_repeat="1.1", penalty_last_n="-1").params.penalty_last_n == 2**31 - 1


def test_outside_a_gguf_sequence_no_sampler_runs():
    outside = {"top_p": "0.9", "penalty_repeat": "2", "xtc_probability": "1"}
    found = gguf(sequence="top-k;typical;temp", temp="0.5", top_k="9", **outside)
    assert found.params == SamplingParams(
        chain=("top_k", "typical_p", "temperature"), temperature=0.5, top_k=9
    )
    assert found.sources["chain"] == "general.sampling.sequence"
    assert found.ignored == {f"general.sampling.{key}": value for key, value in outside.items()}
    found = gguf(sequence="penalties;dry;xtc", penalty_repeat="2", xtc_probability="1", temp="3")
    wanted = {"repetition_penalty": 2, "penalty_last_n": 64, "xtc_probability": 1}
    assert found.params == SamplingParams(chain=("xtc",), **wanted)
    with pytest.raises(KnobError, match=r"got 'infill'$"):
        gguf(sequence="top_k;infill")


def test_gguf_mirostat_runs_after_the_temperature_alone():
    found = gguf(mirostat="2", mirostat_tau="4", mirostat_eta="0.2", temp="0.5", top_k="40", sequence="top_k")
    assert found.params == SamplingParams(
        chain=("temperature", "mirostat"), mirostat=2, mirostat_tau=4, mirostat_eta=0.2, temperature=0.5
    )
    assert set(found.ignored) == {"general.sampling.top_k", "general.sampling.sequence"}
    assert gguf(mirostat="0", top_k="40").params == SamplingParams(chain="llama.cpp", top_k=40)
    with pytest.raises(KnobError, match="mirostat must be 0 or 2"):
        gguf(mirostat="1")


def test_gguf_metadata_that_is_none_is_refused():
    with pytest.raises(TypeError, match="metadata must be a mapping of keys to values, got str"):
        SamplingParams.from_gguf("model.gguf")
    with pytest.raises(KnobError, match=r"metadata must hold a number as general.sampling.temp, got 'hot'$"):
        gguf(temp="hot")
    with pytest.raises(KnobError, match=r"must hold an integer as general.sampling.top_k, got '1.5'$"):
        gguf(top_k="1.5")
    for value in (np.array([2, 3]), [2, 3]):
        with pytest.raises(
            KnobError, match=r"^metadata must hold an integer as tokenizer.ggml.eos_token_id, got "
        ):
            SamplingParams.from_gguf({"tokenizer.ggml.eos_token_id": value})
    for name in ("infill", "adaptive_p"):
        rule = "metadata must hold known samplers as general.sampling.sequence"
        with pytest.raises(KnobError, match=f"^{rule}, got '{name}'$"):
            gguf(sequence=f"top_k;{name}")
    with pytest.raises(TypeError, match=r"must hold a str as general.sampling.sequence, got list$"):
        gguf(sequence=["top_k"])
