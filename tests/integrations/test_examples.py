"""The examples that need a host program run in it, with a tiny model, and write what the loop writes."""

import sys
from pathlib import Path

import pytest
import rheostat
from rheostat import SamplingParams

SETTINGS = {"temperature": 0.8, "top_p": 0.9, "seed": 42, "max_tokens": 48, "stop": ["\n\n"]}


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))


def test_in_llama_cpp(llm, capsys, monkeypatch):
    import in_llama_cpp
    from rheostat.integrations.llama_cpp import generate

    monkeypatch.setattr(in_llama_cpp.llama_cpp, "Llama", lambda path, **options: llm)  # waiting threads spin
    assert in_llama_cpp.main("tiny.gguf", "abc") == 0
    params = SamplingParams.from_gguf(llm.metadata).params.replace(**SETTINGS)
    assert capsys.readouterr().out == generate(llm, "abc", params).run().text


def test_in_onnxruntime(capsys, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    tokenizers = pytest.importorskip("tokenizers")
    from integrations import tiny_onnx
    from rheostat.integrations.onnxruntime import OnnxModel

    words = {chr(40 + i): i for i in range(tiny_onnx.VOCAB)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(words, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "model.onnx").write_bytes(tiny_onnx.model(True))

    import in_onnxruntime

    assert in_onnxruntime.main(str(tmp_path / "model.onnx"), str(tmp_path / "tokenizer.json"), "ABC") == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    table = rheostat.TokenTable.from_tokenizers(tokenizer)
    done = rheostat.generate(
        OnnxModel(session), tokenizer.encode("ABC").ids, SamplingParams(**SETTINGS), table=table
    ).run()
    assert capsys.readouterr().out == done.text
    assert len(done.ids) == 48


@pytest.mark.parametrize("name", ["in_llama_cpp", "in_onnxruntime"])
def test_without_arguments_it_says_how(name, monkeypatch):
    pytest.importorskip(name.removeprefix("in_"))
    pytest.importorskip("tokenizers")
    import runpy

    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit, match="usage: python in_"):
        runpy.run_module(name, run_name="__main__")
