"""The model in the box: its parts by themselves, and the weights that are shipped."""

import doctest
import itertools
import math
import re
import subprocess
import sys
import time
from importlib.resources import files

import numpy as np
import pytest
import rheostat
from rheostat import lab
from rheostat.lab import (
    corpus,
    knobs,
    network,
    ngram,
    optimiser,
    schedules,
    text,
    train,
    training,
    vocabulary,
)

MIXED = "Naïve café, 東京 🙂 Ελλάδα\r\n\tعربي \x00 end  \ufeff नमस्ते __init__ 3.14"
WHO, DOES, WHAT = (
    ("old cat", "small dog", "man"),
    ("sees", "hears", "finds"),
    ("house", "tree", "river", "road"),
)
ENGLISH = [f"The {a} {b} the {c}." for a, b, c in itertools.product(WHO, DOES, WHAT)]


@pytest.fixture(scope="module")
def model():
    return lab.load()


@pytest.fixture(scope="module")
def documents():
    try:
        return text.frozen()
    except text.OtherTextError as error:
        pytest.skip(str(error))


# The network


@pytest.mark.parametrize(("dropout", "input_dropout"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_gradients_equal_finite_differences(dropout, input_dropout):
    rng = np.random.default_rng(3)
    p = {name: value.astype(np.float64) for name, value in network.initial(11, 4, 5, rng).items()}
    for name in ("b", "c"):
        p[name] += rng.normal(size=p[name].shape)
    ids, targets = rng.integers(0, 11, (2, 6, 3))
    h = rng.normal(size=(3, 5)) * 0.5

    def run():  # the same masks each time
        return network.loss_and_gradients(
            p, ids, targets, h, dropout, input_dropout, np.random.default_rng(4)
        )

    gradients = run().gradients
    assert gradients.keys() == p.keys()
    for name, value in p.items():
        for place in np.ndindex(value.shape):
            kept = value[place]
            losses = []
            for step in (1e-6, -1e-6):
                value[place] = kept + step
                losses.append(run().loss)
            value[place] = kept
            found = (losses[0] - losses[1]) / 2e-6
            assert found == pytest.approx(gradients[name][place], rel=1e-5, abs=1e-8), (name, place)


def test_training_and_use_see_the_same_logits():
    rng = np.random.default_rng(5)
    p = network.initial(20, 4, 6, rng)
    ids, targets = rng.integers(0, 20, (2, 7, 3))
    h = np.zeros((3, 6), np.float32)
    logits, last = network.logits(p, ids, h)
    passed = network.loss_and_gradients(p, ids, targets, h)
    assert network.cross_entropy(logits, targets.reshape(-1))[0] == pytest.approx(passed.loss, rel=1e-6)
    np.testing.assert_allclose(last, passed.h, rtol=1e-6)


def test_dropout_keeps_the_mean():
    mask = network.dropout_mask((400, 500), 0.25, np.random.default_rng(1))
    assert set(np.unique(mask)) == {0, np.float32(4 / 3)}
    assert mask.mean() == pytest.approx(1, abs=0.01)


def test_rows_are_added_as_np_add_at_adds_them():
    rng = np.random.default_rng(2)
    ids, rows = rng.integers(0, 9, 50), rng.normal(size=(50, 3))
    wanted, found = np.zeros((9, 3)), np.zeros((9, 3))
    np.add.at(wanted, ids, rows)
    network.add_rows(found, ids, rows)
    np.testing.assert_allclose(found, wanted)


def test_adamw_follows_its_formula():
    p = {"W": np.full((1, 1), 2, np.float32), "b": np.full(1, 2, np.float32)}
    adamw = optimiser.AdamW(p, weight_decay=0.5)
    adamw.step({"W": np.full((1, 1), 3, np.float32), "b": np.full(1, -3, np.float32)}, rate=0.1)
    assert p["W"].item() == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)  # the first step is the rate, whatever g
    assert p["b"].item() == pytest.approx(2 + 0.1)  # and biases do not decay


def test_gradients_are_clipped_together():
    gradients = {"a": np.full(4, 3, np.float32), "b": np.full(4, 4, np.float32)}
    assert optimiser.clip(gradients, 100) == pytest.approx(10)
    assert optimiser.clip(gradients, 5) == pytest.approx(10)
    assert gradients["a"].tolist() == [1.5] * 4
    assert gradients["b"].tolist() == [2.0] * 4


# The text and its tokens


def test_merges_are_of_the_most_frequent_pair():
    merges = vocabulary.learn(["aaab aaab", "aab"], 3)
    assert merges == [(97, 97), (97, 98), (256, 257)]
    assert vocabulary.learn(["ab"], 10) == [(97, 98)]
    assert vocabulary.learn([], 10) == []


def test_pieces_are_the_whole_text():
    assert "".join(vocabulary.PIECE.findall(MIXED)) == MIXED


def test_prose_is_told_from_code():
    docstring = """Return the *sum* of ``values`` as a float.

    >>> add([1, 2])
    3

    This is the case for :func:`fsum`, too,
    which loses less.
    """
    assert list(text.paragraphs(docstring)) == [
        "Return the sum of values as a float.",
        "This is the case for fsum, too, which loses less.",
    ]


def test_a_paragraph_that_came_before_is_dropped():
    one, two = "This is one paragraph of text.", "This is another paragraph of text."
    assert text.documents([f"{one}\n\n{two}", two, f"{one.upper()}\n\n{two}"]) == [f"{one}\n\n{two}"]


def test_every_tenth_document_is_held_out():
    trained_on, held_out = text.split([str(number) for number in range(25)])
    assert held_out == ["9", "19"]
    assert len(trained_on) == 23


def test_another_text_is_refused_in_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(text, "sources", lambda: ["This is the text of some other Python."])
    assert train.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(
        "the model in the box is made from the text that Python 3.11.7 carries, and that of this"
    )
    assert err.count("\n") == 1


def test_the_box_is_trained_measured_and_described(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(text, "frozen", lambda: ENGLISH)
    small = {"vocabulary_size": 280, "embedding_size": 8, "hidden_size": 16, "batch_size": 4, "epochs": 2}
    monkeypatch.setattr(train, "KNOBS", train.KNOBS.replace(**small))
    assert train.main(["--out", str(tmp_path / "weights.npz")]) == 1  # far from what the true text gives
    made = lab.load(tmp_path / "weights.npz")
    again = training.train_text(ENGLISH, train.KNOBS).model
    for name, value in again.parameters.items():
        np.testing.assert_array_equal(made.parameters[name], value)
    trained_on, held_out = text.split(ENGLISH)
    assert made.info["bits_per_byte_of_n_grams"]["3"] == pytest.approx(
        ngram.KneserNey(trained_on, 3).bits_per_byte(held_out), abs=1e-4
    )
    assert made.info["bits_per_byte_trained_on"] == pytest.approx(
        corpus.bits_per_byte(made.parameters, made.vocabulary, trained_on), abs=1e-3
    )
    assert set(lab.load().info) <= set(made.info)
    out, err = capsys.readouterr()
    assert re.search(r"held-out bits per byte; the model in the box: 1\.6", out)
    assert [line[:7] for line in err.splitlines()] == ["epoch 1", "epoch 2", "the sam"]


def test_n_grams_are_a_distribution():
    grams = ngram.KneserNey(ENGLISH, 3)
    for history in (b"th", b"qq", b"he"):
        total = sum(grams.probability((*history, symbol)) for symbol in range(ngram.SYMBOLS))
        assert total == pytest.approx(1)
    uniform = ngram.KneserNey([], 3).bits_per_byte(["abc"])
    assert uniform == pytest.approx(math.log2(257) * 4 / 3)


def test_a_model_is_saved_and_loaded(tmp_path):
    words = vocabulary.Vocabulary(vocabulary.learn(ENGLISH, 43))
    p = network.initial(len(words), 16, 32, np.random.default_rng(1))
    before = lab.Model(words, p, {"knobs": {"seed": 1}})
    lab.save(tmp_path / "weights.npz", before)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]
    after = lab.load(tmp_path / "weights.npz")
    assert after.info == before.info
    assert after.vocabulary.merges == words.merges
    ids = before.encode("The old cat sees")
    np.testing.assert_allclose(after(ids), before(ids), atol=0.05)  # int8
    lab.save(tmp_path / "again.npz", after)
    np.testing.assert_allclose(lab.load(tmp_path / "again.npz")(ids), after(ids), atol=1e-4)


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_without_a_model_is_told_in_one_sentence(tmp_path, content):
    path = tmp_path / "file.npz"
    if content is None:
        np.savez(path, state=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(
        ValueError, match=rf"^{re.escape(str(path))} holds no model that rheostat has trained$"
    ):
        lab.load(path)


# The weights that are shipped


@pytest.mark.parametrize(
    "module",
    [lab, lab.model, vocabulary, network, optimiser, schedules, knobs, corpus, training, text, ngram, train],
)
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


def test_importing_rheostat_does_not_import_the_lab():
    code = "import sys, rheostat; print([name for name in sys.modules if name.startswith('rheostat.lab')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_model_describes_itself(model):
    assert model.info["knobs"].items() <= train.KNOBS.to_dict().items()
    assert lab.TrainingKnobs.from_dict(model.info["knobs"]).hidden_size == 512
    assert model.info["command"] == "python -m rheostat.lab.train"
    assert model.info["text_sha256"] == text.FROZEN_SHA256
    assert model.info["parameters"] == sum(value.size for value in model.parameters.values())
    assert (files("rheostat.lab") / "weights.npz").stat().st_size <= 1_500_000
    assert model.vocab_size == len(model.table) == len(model(())) == 1024
    assert model.table[model.eos_token_id] is None


@pytest.mark.parametrize(
    "sample", [MIXED, "", " ", "Return True if the object is a file.", "\n\n\n", "a" * 999]
)
def test_any_text_is_encoded_and_comes_back(model, sample):
    ids = model.encode(sample)
    assert model.decode(ids) == sample
    assert b"".join(model.table[id] for id in ids) == sample.encode()
    assert all(0 <= id < model.vocab_size for id in ids)


def test_bytes_that_are_no_text_are_decoded(model):
    assert model.decode([0xFF, *model.encode("ok"), model.eos_token_id]) == "\ufffdok"
    assert model.decode(model.encode("\ud800")) == "\ufffd" * 3


def test_ids_may_be_of_any_number_and_the_last_count(model):
    ids = np.random.default_rng(1).integers(0, model.vocab_size, 2 * model.context_length).tolist()
    logits = model(ids)
    assert logits.shape == (model.vocab_size,)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(model(ids[-model.context_length :]), logits)
    assert not np.array_equal(model(ids[-20:]), logits)
    np.testing.assert_array_equal(model(np.array(ids)), logits)
    half = model.context_length // 2
    np.testing.assert_array_equal(model(ids[: 2 * half]), model.start(ids[: 2 * half])[1])
    np.testing.assert_array_equal(model(ids[: 2 * half + 1]), model.start(ids[half : 2 * half + 1])[1])


def test_calls_do_not_depend_on_calls_before_and_steps_are_the_same(model):
    ids = model.encode("The object is returned if it is not in the list of names.")
    fresh = [lab.load()(ids[:count]) for count in range(3)]
    state, logits = model.start()
    for count, id in enumerate(ids):
        np.testing.assert_array_equal(model(ids[:count]), logits)
        if count < len(fresh):
            np.testing.assert_array_equal(fresh[count], logits)
        before = state.copy()
        kept, (state, logits) = state, model.step(state, id)
        np.testing.assert_array_equal(kept, before)
    np.testing.assert_array_equal(model.start(ids)[1], logits)
    np.testing.assert_array_equal(model(ids[:5]), model.start(ids[:5])[1])  # back to fewer


@pytest.mark.parametrize("id", [-1, 1024])
def test_an_id_out_of_range_is_an_error_that_changes_nothing(model, id):
    before = model([1, 2])
    with pytest.raises(ValueError, match=rf"token ids must be in \[0, 1024\), got {id}"):
        model([1, 2, id])
    np.testing.assert_array_equal(model([1, 2]), before)


def test_held_out_bits_per_byte_are_as_stated_and_below_those_of_n_grams(model, documents):
    trained_on, held_out = text.split(documents)
    assert vocabulary.learn(trained_on, 767) == model.vocabulary.merges
    found = corpus.bits_per_byte(model.parameters, model.vocabulary, held_out)
    stated, n_grams = model.info["bits_per_byte"], model.info["bits_per_byte_of_n_grams"]
    assert found == pytest.approx(stated, abs=0.001)
    assert ngram.KneserNey(trained_on, 5).bits_per_byte(held_out) == pytest.approx(n_grams["5"], abs=0.0001)
    assert stated < n_grams["5"]


def test_the_bits_are_those_of_the_model_as_it_is_called(model, documents):
    held_out = text.split(documents)[1][-60:]
    bits = 0.0
    for document in held_out:
        ids = [*model.encode(document), model.eos_token_id]
        rows = np.stack([model(ids[:count]) for count in range(len(ids))])
        bits -= rheostat.logprobs(rows, ids).logprobs.sum() / math.log(2)
    as_one_stream = corpus.bits_per_byte(model.parameters, model.vocabulary, held_out)
    assert bits / text.bytes_of(held_out) == pytest.approx(as_one_stream, rel=0.05)


def generate(model, prompt, count, **knobs):
    ids = model.encode(prompt)
    first = len(ids)
    while len(ids) < first + count and ids[-1:] != [model.eos_token_id]:
        ids.append(rheostat.sample(model(ids), position=len(ids), **knobs))
    return model.decode(ids)


def test_greedy_text(model):
    assert generate(model, "Return True if", 30, temperature=0) == "Return True if the operand is a queue."
    found = generate(model, "The", 30, temperature=0)
    assert found.startswith(
        'The standard deviation of the future statement.\n\nThe "__dir__" method is called'
    )


def test_most_words_at_temperature_0_7_are_words_of_the_text(model, documents):
    known = set(re.findall(r"[a-z]+", " ".join(documents).lower()))
    texts = [
        generate(model, "The", 100, temperature=0.7, seed=seed, banned_token_ids=[model.eos_token_id])
        for seed in range(5)
    ]
    words = re.findall(r"[a-z]+", " ".join(texts).lower())
    assert len(words) > 200
    assert sum(word in known for word in words) > 0.95 * len(words)


def test_a_hundred_tokens_take_less_than_a_second(model):
    start = time.process_time()
    generate(model, "The", 100, temperature=0.7, seed=1, banned_token_ids=[model.eos_token_id])
    assert time.process_time() - start < 1


def test_loading_is_quick():
    times = []
    for _ in range(5):
        start = time.process_time()
        lab.load()
        times.append(time.process_time() - start)
    assert min(times) < 0.05
