"""onnxruntime: a model of one Softmax node, run plainly and with input and output bound to arrays."""

from __future__ import annotations

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from peers.base import Peer, Task


def session(vocab: int) -> onnxruntime.InferenceSession:
    """One thread, one node."""
    shape = [1, vocab]
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["logits"], ["probs"], axis=-1)],
        "softmax",
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def softmax(row: np.ndarray) -> Task:
    run, inputs = session(row.size).run, {"logits": row[None]}
    return Task(lambda: run(["probs"], inputs), run(["probs"], inputs)[0][0])


def softmax_bound(row: np.ndarray) -> Task:
    model, probs = session(row.size), np.empty_like(row[None])
    binding = model.io_binding()
    binding.bind_input("logits", "cpu", 0, np.float32, (1, row.size), row.ctypes.data)
    binding.bind_output("probs", "cpu", 0, np.float32, probs.shape, probs.ctypes.data)
    model.run_with_iobinding(binding)
    return Task(lambda: model.run_with_iobinding(binding), probs[0])


PEERS = {
    "onnxruntime": Peer("onnxruntime", onnxruntime.__version__, softmax=softmax),
    "onnxruntime, bound": Peer("onnxruntime, bound", onnxruntime.__version__, softmax=softmax_bound),
}
