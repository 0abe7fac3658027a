"""rheostat in onnxruntime, on small models with and without a key-value cache."""

import gc

import numpy as np
import pytest
import rheostat
from rheostat import KnobError, SamplingParams, TokenTable

onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from integrations import tiny_onnx  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402
from rheostat.integrations.onnxruntime import OnnxModel, last_row  # noqa: E402

TABLE = TokenTable.from_bytes([bytes([32 + i]) for i in range(tiny_onnx.VOCAB)])
PROMPT = [3, 1, 4, 1, 5]
WARM = SamplingParams(temperature=1.5, top_p=0.95, seed=7, max_tokens=40)
TYPES = {
    "float": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "double": TensorProto.DOUBLE,
    "bfloat16": TensorProto.BFLOAT16,
}


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def text_of(session, params=WARM):
    return rheostat.generate(OnnxModel(session), PROMPT, params, table=TABLE).run()


def bits(type, row):
    """float64 of a row in the type, computed here."""
    if type == "bfloat16":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        return row.astype(ml_dtypes.bfloat16).astype(np.float64)
    return row.astype({"float": np.float32, "float16": np.float16, "double": np.float64}[type], copy=False)


@pytest.mark.parametrize("type", TYPES)
def test_with_a_cache_and_without_the_text_is_the_same(type):
    found = [text_of(session_of(tiny_onnx.model(cache, TYPES[type]))) for cache in (True, False)]
    assert found[0].text == found[1].text
    assert len(found[0].text) == 40
    assert len(set(found[0].ids)) > 5


@pytest.mark.parametrize("type", TYPES)
def test_a_row_is_what_run_gives_rounded_to_the_type(type):
    plain = session_of(tiny_onnx.model(False)).run(["logits"], {"input_ids": np.array([PROMPT])})[0]
    model = OnnxModel(session_of(tiny_onnx.model(False, TYPES[type])))
    row = model.start(PROMPT)
    assert row.shape == (tiny_onnx.VOCAB,) == (model.vocab_size,)
    np.testing.assert_array_equal(row, bits(type, plain[0, -1]))


def test_greedy_is_the_argmax_of_every_row():
    session, ids = session_of(tiny_onnx.model(False)), list(PROMPT)
    for _ in range(20):
        ids.append(int(session.run(["logits"], {"input_ids": np.array([ids])})[0][0, -1].argmax()))
    params = SamplingParams(temperature=0, max_tokens=20)
    for cache in (False, True):
        assert list(text_of(session_of(tiny_onnx.model(cache)), params).ids) == ids[len(PROMPT) :]


@pytest.mark.parametrize("past", ["float", "float16"])
@pytest.mark.parametrize("integers", [TensorProto.INT64, TensorProto.INT32])
def test_types_of_the_cache_and_of_the_ids(past, integers):
    session = session_of(tiny_onnx.model(True, past=TYPES[past], integers=integers))
    assert text_of(session).ids == text_of(session).ids
    if past == "float":
        assert text_of(session).text == text_of(session_of(tiny_onnx.model(False))).text


def test_a_cache_is_told_only_what_is_new():
    class Counting:
        def __init__(self, session):
            self.session, self.lengths = session, []

        def __getattr__(self, name):
            return getattr(self.session, name)

        def run_with_iobinding(self, binding):
            self.session.run_with_iobinding(binding)
            self.lengths.append(binding.get_outputs()[0].shape()[1])

    for cache, expected in ((True, [5, 1, 1]), (False, [5, 6, 7])):
        session = Counting(session_of(tiny_onnx.model(cache)))
        text_of(session, WARM.replace(max_tokens=3))
        assert session.lengths == expected


def test_a_merged_export_is_told_whether_there_is_a_cache():
    params = SamplingParams(temperature=0, max_tokens=6)
    first = text_of(session_of(tiny_onnx.model(True)), params).ids[0]
    model = OnnxModel(session_of(tiny_onnx.model(True, merged=True)))
    for _ in range(2):  # a second text begins without a cache too
        done = rheostat.generate(model, PROMPT, params, table=TABLE).run()
        assert done.ids == (first, 7, 7, 7, 7, 7)
    assert first != 7


def test_two_texts_may_take_turns():
    model = OnnxModel(session_of(tiny_onnx.model(True)))
    wanted = [rheostat.generate(model, [seed], WARM, table=TABLE).run().ids for seed in (1, 2)]
    first, second = (rheostat.generate(model, [seed], WARM, table=TABLE) for seed in (1, 2))
    for _ in range(3):
        next(first), next(second)
    assert [first.run().ids, second.run().ids] == wanted


def test_stops_seeds_and_a_window_that_slides():
    session = session_of(tiny_onnx.model(True))
    whole = text_of(session)
    stop = whole.text[9:12]
    done = text_of(session, WARM.replace(stop=[stop]))
    assert (done.text, done.stop) == (whole.text[: whole.text.index(stop)], stop)
    assert text_of(session, WARM.replace(seed=8)).text != whole.text
    params = WARM.replace(context_length=16)
    slid = rheostat.generate(OnnxModel(session), PROMPT, params, table=TABLE, context="slide").run()
    assert (len(slid.ids), slid.dropped > 0) == (40, True)


def test_a_row_keeps_its_memory():
    model = OnnxModel(session_of(tiny_onnx.model(True)))
    row = model.start(PROMPT)
    assert not row.flags.writeable
    before = row.copy()
    model.next(1)
    del model
    gc.collect()
    np.testing.assert_array_equal(row, before)


def test_what_is_no_decoder_is_told():
    def session(inputs, outputs):
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1]) for name in inputs]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 1, 1]) for name in outputs]
        nodes = [helper.make_node("Identity", [inputs[0]], [name]) for name in outputs]
        graph = helper.make_graph(nodes, "other", infos, made)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return session_of(model.SerializeToString())

    with pytest.raises(KnobError, match="must have the input input_ids and the output logits, got x and y"):
        OnnxModel(session(["x"], ["y"]))
    with pytest.raises(KnobError, match=r"must have no inputs but .* got pixel_values"):
        OnnxModel(session(["input_ids", "pixel_values"], ["logits"]))
    with pytest.raises(KnobError, match=r"must have no inputs but .* got past_key_values\.0\.key"):
        OnnxModel(session(["input_ids", "past_key_values.0.key"], ["logits", "present.1.key"]))
    with pytest.raises(KnobError, match=r"must have input_ids of integers, got tensor\(float\)"):
        OnnxModel(session(["input_ids"], ["logits"]))
    with pytest.raises(KnobError, match="prompt_ids must hold at least one token"):
        OnnxModel(session_of(tiny_onnx.model(True))).start([])
    with pytest.raises(TypeError, match=r"logits must be .* got tensor\(int64\)"):
        last_row(onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((1, 2), np.int64)))
