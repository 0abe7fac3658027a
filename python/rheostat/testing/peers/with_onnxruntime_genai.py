"""onnxruntime-genai: the search of its Generator, over logits that are set instead of computed.

It shows tokens and no kept sets, so it is known by its draws, over small rows. The model that it needs is one
node, which gives zeros; the rows are padded to its vocabulary with -inf.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime_genai
from onnx import TensorProto, helper, numpy_helper

from rheostat.testing.peers.base import Program, Row, Setting
from rheostat.testing.sampler_rows import MOST_FOR_DRAWS

VOCAB = MOST_FOR_DRAWS + 4
OFF = {"top_k": 0, "top_p": 1.0, "temperature": 1.0}
KNOBS: tuple[dict[str, Any], ...] = (
    {"temperature": 0.7},
    {"top_k": 5},
    {"top_p": 0.9},
    {"top_p": 0.5},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 0.7, "top_k": 5, "top_p": 0.8},
)


def model(folder: Path) -> Any:
    """A decoder without layers, whose logits are zeros: (batch, sequence, VOCAB)."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "total"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", VOCAB])
    nodes = [
        helper.make_node("Shape", ["input_ids"], ["rows"]),
        helper.make_node("Concat", ["rows", "vocab"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["logits"]),
    ]
    vocab = numpy_helper.from_array(np.array([VOCAB], np.int64), "vocab")
    graph = helper.make_graph(nodes, "zeros", [ids, mask], [logits], [vocab])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "model.onnx",
    )
    last = VOCAB - 1
    decoder = {
        "filename": "model.onnx", "head_size": 1, "hidden_size": 1, "num_attention_heads": 1,
        "num_key_value_heads": 1, "num_hidden_layers": 0,
        "inputs": {"input_ids": "input_ids", "attention_mask": "attention_mask"}, "outputs": {"logits":
        "logits"},
    }  # fmt: skip
    config = {
        "model": {
            "type": "llama", "vocab_size": VOCAB, "context_length": 64, "decoder": decoder,
            "bos_token_id": last, "eos_token_id": last, "pad_token_id": last,
        },
        "search": {"max_length": 64, "do_sample": True},
    }  # fmt: skip
    (folder / "genai_config.json").write_text(json.dumps(config))
    return onnxruntime_genai.Model(str(folder))


def setting(zeros: Any, knobs: dict[str, Any], off: dict[str, Any] | None = None) -> Setting:
    """A search with these knobs, and `off` for the others."""
    params = onnxruntime_genai.GeneratorParams(zeros)
    options = (OFF if off is None else off) | knobs
    params.set_search_options(max_length=64, do_sample=True, random_seed=1, **options)
    generator = onnxruntime_genai.Generator(zeros, params)
    prompt = np.zeros((1, 1), np.int32)
    arguments = ", ".join(f"{name}={value}" for name, value in options.items())

    def draw(x: Row) -> int:
        logits = np.full((1, 1, VOCAB), -np.inf, np.float32)
        logits[0, 0, : x.size] = x
        generator.rewind_to(0)
        generator.append_tokens(prompt)
        generator.set_logits(logits)
        generator.generate_next_token()
        return int(generator.get_next_tokens()[0])

    # Its order: the k largest, their softmax at the temperature, and of those the nucleus.
    chain = tuple(name for name in ("temperature", "top_k", "top_p") if name in knobs)
    code = f"set_search_options(do_sample=True, {arguments}); set_logits(x)"
    return Setting({**knobs, "chain": chain}, code, draw, "token")


def load() -> Program:
    """Its draws."""
    with tempfile.TemporaryDirectory() as folder:
        zeros = model(Path(folder))
    # Without a top_p of its own a search has another than 1: what then is kept is shown too.
    settings = (setting(zeros, {}, {"top_k": 0}), *(setting(zeros, knobs) for knobs in KNOBS))
    return Program("onnxruntime-genai", onnxruntime_genai.__version__, settings)
