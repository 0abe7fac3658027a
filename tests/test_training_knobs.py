"""The training knobs: what is allowed, and what each of them does to a text that can be learnt by heart."""

import json
import math
import random
import re

import numpy as np
import pytest
import rheostat
from lab_support import PLAIN, QUICK, TEXT, held_out, learnt, rates, trained
from rheostat.lab import Progress, TrainingKnobs, train_text

# What is allowed


@pytest.mark.parametrize(
    ("knob", "value", "rule"),
    [
        ("learning_rate", 0.0, "above 0 and finite"),
        ("learning_rate", float("nan"), "above 0 and finite"),
        ("schedule", "linear", "constant, step, cosine or plateau"),
        ("warmup_steps", -1, "at least 0"),
        ("decay_factor", 1.0, "in (0, 1)"),
        ("decay_epochs", 0, "at least 1"),
        ("weight_decay", -0.1, "at least 0 and finite"),
        ("weight_decay", 400.0, "at most 1 / learning_rate, which is 333.333"),
        ("clip_norm", math.inf, "above 0 and finite"),
        ("dropout", 1.0, "in [0, 1)"),
        ("input_dropout", -0.5, "in [0, 1)"),
        ("vocabulary_size", 256, "in [257, 65536]"),
        ("embedding_size", 0, "at least 1"),
        ("hidden_size", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("window", -3, "at least 1"),
        ("epochs", 0, "at least 1"),
        ("patience", 0, "at least 1"),
        ("min_delta", float("inf"), "at least 0 and finite"),
        ("metric", "loss", "held_out or train"),
        ("seed", -1, "at least 0"),
    ],
)
def test_a_knob_out_of_range_is_named(knob, value, rule):
    with pytest.raises(rheostat.KnobError) as caught:
        TrainingKnobs(**{knob: value})
    assert str(caught.value) == f"{knob} must be {rule}, got {value}"
    assert caught.value.argument == knob


@pytest.mark.parametrize(
    ("knob", "value", "wanted"),
    [
        ("epochs", 2.0, "an integer, got float"),
        ("epochs", None, "an integer, got NoneType"),
        ("hidden_size", True, "an integer, got bool"),
        ("dropout", "0.5", "a number, got str"),
        ("schedule", 1, "a string, got int"),
        ("restore_best", 1, "True or False, got int"),
    ],
)
def test_a_knob_of_another_type_is_named(knob, value, wanted):
    with pytest.raises(TypeError) as caught:
        TrainingKnobs(**{knob: value})
    assert str(caught.value) == f"{knob} must be {wanted}"


def test_knobs_go_through_json_and_come_back_equal():
    knobs = TrainingKnobs(hidden_size=np.int64(7), learning_rate=1, patience=3)
    assert (type(knobs.hidden_size), type(knobs.learning_rate)) == (int, float)
    assert TrainingKnobs.from_dict(json.loads(json.dumps(knobs.to_dict()))) == knobs
    assert TrainingKnobs.from_dict({}) == TrainingKnobs()
    assert hash(knobs) == hash(knobs.replace())
    with pytest.raises(rheostat.KnobError, match=r"^momentum must be one of learning_rate, schedule, "):
        TrainingKnobs.from_dict({"momentum": 0.9})


def test_every_knob_is_told_of_with_what_is_commonly_chosen():
    told = dict(re.findall(r"^        (\w+): ((?:.+\n(?: {12}.+\n)*))", TrainingKnobs.__doc__, re.MULTILINE))
    assert told.keys() >= TrainingKnobs.__dataclass_fields__.keys()
    assert all("Common: " in told[name] for name in TrainingKnobs.__dataclass_fields__)


# The learning rate


def test_a_low_learning_rate_learns_less_in_the_time_and_a_very_high_one_too():
    slow, good, wild = (trained(learning_rate=rate) for rate in (0.001, 0.01, 0.5))
    assert learnt(slow)[-1] > learnt(good)[-1] + 0.5
    assert learnt(wild)[-1] > learnt(good)[-1] + 0.5


def test_each_schedule_has_its_shape():
    def shares(schedule, **changes):
        knobs = QUICK.replace(schedule=schedule, warmup_steps=0, epochs=6, **changes)
        return rates(train_text(TEXT, knobs))

    assert shares("constant") == [1] * 6
    assert shares("step", decay_epochs=2, decay_factor=0.5) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    cosine = shares("cosine")
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[2] == pytest.approx(0.5, abs=0.01)
    assert cosine[-1] == 0
    # Nothing counts as an improvement of 9 bits but the first epoch: from then on every second one is a cut.
    assert shares("plateau", decay_epochs=2, decay_factor=0.5, min_delta=9.0) == [
        1, 1, 1, 0.5, 0.5, 0.25,
    ]  # fmt: skip


def test_a_plateau_is_answered_by_a_lower_rate_which_keeps_what_was_learnt():
    constant, plateau = trained(), trained(schedule="plateau", decay_epochs=2)
    assert held_out(plateau)[-1] < held_out(constant)[-1] - 0.2
    first_cut = rates(plateau).index(0.3)
    best_before = int(np.argmin(held_out(plateau)[:first_cut]))
    assert (
        first_cut == best_before + 3
    )  # two epochs in a row were no better, and the one after them begins lower
    assert set(rates(plateau)[1:first_cut]) == {1}  # the first epoch ends within the warm-up


def test_the_warm_up_climbs_in_a_line():
    seen = []
    train_text(TEXT, QUICK.replace(warmup_steps=10, epochs=2), on_step=seen.append)
    found = [at.learning_rate / QUICK.learning_rate for at in seen]
    assert found[:12] == pytest.approx([*(np.arange(1, 11) / 10), 1, 1])
    by_default = []
    train_text(TEXT, QUICK, on_step=by_default.append)
    tenth = by_default[0].steps // 10
    assert tenth > 2
    whole = [at.learning_rate == QUICK.learning_rate for at in by_default]
    assert whole == [False] * (tenth - 1) + [True] * (len(whole) - tenth + 1)


# Against learning by heart


def test_without_anything_against_it_a_text_is_learnt_by_heart():
    plain = trained()
    assert learnt(plain)[-1] < 1.3
    assert held_out(plain)[-1] > plain.best.held_out_bits_per_byte + 0.3


def test_weight_decay_makes_weights_small_and_the_held_out_text_better():
    spreads, bits = [], []
    for decay in (0.0, 0.1, 1.0):
        last = trained(weight_decay=decay).epochs[-1]
        spreads.append(last.weight_spread)
        bits.append(last.held_out_bits_per_byte)
    assert spreads[0] > spreads[1] + 0.02 > spreads[2] + 0.1
    assert bits[0] > bits[1] + 0.1 > bits[2] + 0.4
    weights = trained(weight_decay=1.0).model.parameters
    matrices = np.concatenate([value.ravel() for value in weights.values() if value.ndim == 2])
    assert matrices.std() == pytest.approx(spreads[2], rel=0.05)
    # It shrinks by itself, with no gradient at all to speak of: far too much of it leaves nothing.
    assert trained(weight_decay=20.0).epochs[-1].weight_spread < 0.06


@pytest.mark.parametrize("knobs", [{"dropout": 0.5}, {"input_dropout": 0.2}])
def test_dropout_keeps_a_text_from_being_learnt_by_heart(knobs):
    plain, dropped = trained(), trained(**knobs)
    assert learnt(dropped)[-1] > learnt(plain)[-1] + 0.2
    assert held_out(dropped)[-1] < held_out(plain)[-1] - 0.4
    assert dropped.best.held_out_bits_per_byte < plain.best.held_out_bits_per_byte - 0.05


@pytest.mark.parametrize("knob", ["dropout", "input_dropout"])
def test_dropout_is_off_when_the_model_is_measured_and_used(knob):
    seen = []
    training = train_text(TEXT, PLAIN.replace(epochs=4, **{knob: 0.7}), on_step=seen.append)
    assert learnt(training)[-1] < seen[-1].bits_per_byte - 0.2
    ids = training.model.encode("The fox and the crow")
    np.testing.assert_array_equal(training.model(ids), training.model.start(ids)[1])


# The network


def test_a_larger_state_learns_more_and_then_too_much():
    small, large = trained(hidden_size=8), trained(hidden_size=96)
    assert learnt(small)[-1] > learnt(large)[-1] + 1
    assert held_out(large)[-1] > held_out(small)[-1] + 1


def test_more_numbers_for_a_token_learn_more():
    few, many = trained(embedding_size=2), trained()
    assert learnt(few)[-1] > learnt(many)[-1] + 0.5


def test_the_hidden_size_is_the_mean_of_the_layers_around_it_unless_given():
    model = train_text(TEXT, QUICK.replace(hidden_size=None, epochs=1)).model
    assert model.parameters["U"].shape[0] == (QUICK.embedding_size + model.vocab_size) // 2 == 164
    assert trained(hidden_size=8).model.parameters["U"].shape[0] == 8


def test_the_sizes_suit_the_text_unless_given():
    knobs = QUICK.replace(vocabulary_size=None, batch_size=None, window=16, epochs=1)
    short, long = (train_text(TEXT * times, knobs).model.info for times in (1, 4))
    assert (short["vocabulary_size"], short["batch_size"]) == (257 + len(TEXT) * 9 // 10 // 150, 8)
    assert (long["vocabulary_size"], long["batch_size"]) == (257 + len(TEXT) * 4 * 9 // 10 // 150, 16)


def test_a_larger_vocabulary_has_longer_tokens():
    bytes_alone, pairs = (
        train_text(TEXT, QUICK.replace(vocabulary_size=n, epochs=1)).model for n in (257, 400)
    )
    assert (bytes_alone.vocab_size, pairs.vocab_size) == (257, 400)
    assert len(pairs.encode(TEXT)) < 0.6 * len(bytes_alone.encode(TEXT)) == 0.6 * len(TEXT)


# How it is read


def updates(**changes) -> list[Progress]:
    seen: list[Progress] = []
    train_text(TEXT, QUICK.replace(**changes), on_step=seen.append)
    return seen


def test_a_batch_twice_as_large_makes_half_as_many_updates():
    few, many = updates(batch_size=16, epochs=2), updates(batch_size=8, epochs=2)
    assert len(many) == pytest.approx(2 * len(few), abs=4)
    assert few[-1].tokens == pytest.approx(many[-1].tokens, rel=0.2)
    assert [at.step for at in few] == list(range(1, few[0].steps + 1))
    assert [at.epoch for at in few] == sorted(at.epoch for at in few)


def test_a_small_batch_learns_more_from_little_text():
    assert learnt(trained(batch_size=4))[-1] < learnt(trained(batch_size=32))[-1] - 0.6


def test_more_epochs_learn_more_and_the_best_one_is_not_the_last():
    plain = trained()
    assert learnt(plain)[::3] == sorted(learnt(plain)[::3], reverse=True)
    assert len(plain.epochs) == 12
    assert 1 < plain.best.epoch < 10
    assert min(held_out(plain)) == plain.best.held_out_bits_per_byte


def test_what_lies_beyond_the_window_is_hardly_learnt():
    rng = random.Random(1)  # the letter at the beginning of a line comes again at its end
    text = "".join(f"{(letter := rng.choice('abcd'))}......{letter}\n" for _ in range(400))
    knobs = QUICK.replace(vocabulary_size=257, hidden_size=16, batch_size=8, learning_rate=0.02, epochs=5)
    knobs = knobs.replace(dropout=0.0, weight_decay=0.0)
    near, far = (min(held_out(train_text(text, knobs.replace(window=window)))) for window in (2, 9))
    by_chance = 2 * 2 / 9  # bits per byte: two letters of four in nine bytes
    assert near > by_chance > far + 0.05


def test_a_seed_repeats_a_run_and_another_does_not():
    one, same, other = (train_text(TEXT, QUICK.replace(seed=seed)).model.parameters for seed in (1, 1, 2))
    for name, value in one.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, same[name])
        assert not np.array_equal(value, other[name])


def test_gradients_are_shortened_to_the_clip_norm():
    # Adam forgets a common factor of all gradients, so that what shows is one as small as its epsilon.
    assert learnt(trained(clip_norm=1e-9))[-1] > learnt(trained())[-1] + 1


# When it ends


def test_early_stopping_waits_for_an_improvement_and_restores_the_best_weights():
    stopped, whole = trained(patience=3), trained()
    assert (stopped.stopped, whole.stopped) == ("early", "epochs")
    assert len(stopped.epochs) == stopped.best.epoch + 3 < len(whole.epochs)
    assert held_out(stopped) == held_out(whole)[: len(stopped.epochs)]
    # int8 changes the weights a little
    assert stopped.model.info["bits_per_byte"] == pytest.approx(stopped.best.held_out_bits_per_byte, abs=0.02)
    last = trained(patience=3, restore_best=False)
    assert last.model.info["bits_per_byte"] == pytest.approx(held_out(last)[-1], abs=0.02)
    assert last.model.info["bits_per_byte"] > stopped.model.info["bits_per_byte"] + 0.05


def test_what_is_less_than_min_delta_is_no_improvement():
    strict, lax = trained(patience=2, min_delta=0.3), trained(patience=2)
    assert len(strict.epochs) < len(lax.epochs)
    assert len(strict.epochs) == strict.best.epoch + 2


def test_the_text_trained_on_gets_better_for_longer():
    by_train, by_held_out = trained(patience=3, metric="train"), trained(patience=3)
    assert by_train.best.epoch > by_held_out.best.epoch + 2
    assert (by_train.stopped, by_held_out.stopped) == ("epochs", "early")
