"""ONNX models of one attention layer, with and without a key-value cache: the same weights, the same text."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VOCAB, WIDTH, CONTEXT = 64, 16, 128
FLOAT = TensorProto.FLOAT


def model(cache, logits=FLOAT, past=FLOAT, integers=TensorProto.INT64, seed=0, merged=False):
    """The bytes of a model. `logits` and `past` are the types of the output and of the cache. A `merged` one
    is told whether there is a cache, and if so always says token 7.
    """
    rng = np.random.default_rng(seed)
    graph = _Graph()
    weight = {name: graph.constant(rng.normal(size=shape) * 0.7) for name, shape in SHAPES.items()}
    ids = graph("Cast", "input_ids", to=TensorProto.INT64)
    if cache:
        positions = graph("Cast", "position_ids", to=TensorProto.INT64)
        total = graph("Gather", graph("Shape", "attention_mask"), graph.integers(1))
    else:
        total = graph("Gather", graph("Shape", ids), graph.integers(1))
        positions = graph("Unsqueeze", graph.range(total), graph.integers([0]))
    x = graph("Add", graph("Gather", weight["tokens"], ids), graph("Gather", weight["places"], positions))
    query, key, value = (graph("MatMul", x, weight[name]) for name in ("query", "key", "value"))
    if cache:
        key, value = (graph.cached(name, new, past) for name, new in (("key", key), ("value", value)))
    # A token looks at those up to its own place.
    seen = graph("LessOrEqual", graph.range(total), graph("Unsqueeze", positions, graph.integers([2])))
    scores = graph("MatMul", query, graph("Transpose", key, perm=[0, 2, 1]))
    scores = graph("Where", seen, scores, graph.constant(np.float32(-1e9)))
    mixed = graph("Add", x, graph("MatMul", graph("Softmax", scores, axis=-1), value))
    made = graph("MatMul", mixed, weight["head"])
    if merged:
        says = graph.constant(np.float32(1000) * (np.arange(VOCAB) == 7))
        made = graph("Add", made, graph("Mul", says, graph("Cast", "use_cache_branch", to=FLOAT)))
    graph("Cast", made, to=logits, output="logits")
    names = ["input_ids", "attention_mask", "position_ids"] if cache else ["input_ids"]
    inputs = [helper.make_tensor_value_info(name, integers, ["batch", f"{name}_length"]) for name in names]
    if merged:
        inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
    outputs = [helper.make_tensor_value_info("logits", logits, ["batch", "length", VOCAB])]
    for name in ("key", "value") if cache else ():
        shape = ["batch", 1, f"{name}_past", WIDTH]
        inputs.append(helper.make_tensor_value_info(f"past_key_values.0.{name}", past, shape))
        outputs.append(helper.make_tensor_value_info(f"present.0.{name}", past, ["batch", 1, None, WIDTH]))
    made = helper.make_graph(graph.nodes, "tiny", inputs, outputs, graph.weights)
    found = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(found)
    return found.SerializeToString()


SHAPES = {
    "tokens": (VOCAB, WIDTH),
    "places": (CONTEXT, WIDTH),
    "query": (WIDTH, WIDTH),
    "key": (WIDTH, WIDTH),
    "value": (WIDTH, WIDTH),
    "head": (WIDTH, VOCAB),
}


class _Graph:
    """Nodes, each called by its operator and inputs and giving its output's name."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def __call__(self, operator, *inputs, output=None, **attributes):
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values):
        return self._weight(np.asarray(values, np.float32))

    def integers(self, values):
        return self._weight(np.asarray(values, np.int64))

    def _weight(self, values):
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def range(self, end):
        return self("Range", self.integers(0), end, self.integers(1))

    def cached(self, name, new, kind):
        """The cache and what is new, (1, 1, length, WIDTH) of the type, as (1, length, WIDTH) float32."""
        new = self("Cast", self("Unsqueeze", new, self.integers([1])), to=kind)
        both = self("Concat", f"past_key_values.0.{name}", new, axis=2, output=f"present.0.{name}")
        return self("Squeeze", self("Cast", both, to=FLOAT), self.integers([1]))
