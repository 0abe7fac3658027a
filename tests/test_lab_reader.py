"""The model in the box, read token by token: by a loop whose window slides, and on any number of threads."""

import doctest
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import rheostat
from rheostat import lab
from rheostat.lab import reader


@pytest.fixture(scope="module")
def model():
    return lab.load()


def test_a_reader_gives_what_calls_give_and_starts_anew(model):
    reader, ids = model.reader(), model.encode("The object is returned if it is not in the list of names.")
    with_calls = [model(ids[:count]) for count in range(1, len(ids) + 1)]
    np.testing.assert_array_equal(reader.next(ids[0]), with_calls[0])
    for at in (1, 5):
        rows = [reader.start(ids[:at]), *(reader.next(id) for id in ids[at:])]
        np.testing.assert_array_equal(rows, with_calls[at - 1 :])
    names = ("table", "context_length", "eos_token_id", "vocab_size")
    assert [getattr(reader, name) for name in names] == [getattr(model, name) for name in names]
    assert reader.encode("The") == model.encode("The")


def test_a_window_that_slides_costs_a_reader_about_two_readings_of_each_token(model):
    read = []

    class Watched(type(model.reader())):
        def start(self, ids):
            read.append(len(ids))
            return super().start(ids)

        def next(self, id):
            read.append(1)
            return super().next(id)

    params = rheostat.SamplingParams(seed=1, max_tokens=200, context_length=32)
    done = rheostat.generate(Watched(model), model.encode("The"), params, context="slide").run()
    assert done.dropped > 200 - 32
    assert 200 < sum(read) <= 2 * 200 + 16


def test_the_logits_are_the_same_on_any_number_of_threads():
    program = (
        "from rheostat import lab; model = lab.load(); "
        "print([model(model.encode('The default is')[:n]).tobytes().hex() for n in range(4)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env=os.environ | {"OPENBLAS_NUM_THREADS": count},
        ).stdout
        for count in ("1", "2")
    }  # fmt: skip
    assert len(told) == 1


def test_a_model_can_be_sent_to_another_process_and_describes_itself(model):
    ids = model.encode("The default is")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again(ids), model(ids))
    assert again.encode("The default is") == ids
    assert repr(model) == f"<Model of {model.info['parameters']:,} parameters, 1,024 tokens>"


@pytest.mark.parametrize("ids", [[1, 2.0], "ab", [None]])
def test_ids_are_integers(model, ids):
    with pytest.raises(TypeError, match="token ids must be integers, got "):
        model(ids)


def test_the_example_runs():
    assert doctest.testmod(reader) == (0, 7)
