"""The training knobs: what each does, what is commonly chosen, and what is allowed."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

from rheostat.errors import KnobError
from rheostat.lab.schedules import SCHEDULES, cosine, plateaus

METRICS = ("held_out", "train")


@dataclass(frozen=True, kw_only=True)
class TrainingKnobs:
    """What decides a training run, beside its text. Frozen, checked, hashable.

    Attributes:
        learning_rate: How far an update moves a weight, nearly: Adam's steps are about this long whatever
            the gradients are. Too low, and the text is not learnt in the time; too high, and the loss jumps
            about or stays up. Common: 1e-3 to 1e-2 for a network as small as this, 1e-4 to 6e-4 for large
            ones. Tune it first.
        schedule: How the rate changes: "constant"; "step", times decay_factor after every decay_epochs
            epochs; "cosine", down to 0 along half a cosine; "plateau", times decay_factor whenever the
            metric has not improved for decay_epochs epochs. Common: cosine where the number of epochs is
            known beforehand, plateau where not.
        warmup_steps: So many updates climb to the rate, in a line; None: a tenth of all updates, 100 at
            most. Common: 1 to 10 per cent of a run; more where the loss jumps at the beginning.
        decay_factor: What "step" and "plateau" multiply the rate by. Common: 0.1 to 0.5.
        decay_epochs: After how many epochs "step" cuts the rate, and after how many without an improvement
            "plateau" does. Common: a third of a run; 2 to 10.
        weight_decay: Each update shrinks every matrix by the learning rate times this, apart from the
            gradient ("decoupled", AdamW); biases do not shrink. The weights stay small and the model
            smooth. Common: 0.01 to 0.1; more where held-out text is much worse than the text trained on, 0
            where there is text in plenty.
        clip_norm: Gradients that are longer than this together are shortened to it. Common: 0.5 to 5 for
            recurrent networks; it caps the rare jump.
        dropout: The share of hidden units left out at random in each step of training; none when the model
            is used or measured. Each unit must be of use without the others. Common: 0.5 for hidden units
            (Srivastava et al. 2014), 0.1 to 0.3 where the text is large for the network, 0 where the
            network does not even learn the text trained on.
        input_dropout: The same for the numbers of a token's vector, lower than dropout since what is lost
            there is lost for all units. Common: 0.1 to 0.2.
        vocabulary_size: 256 bytes, at most so many merges of frequent pairs as make up this number, and the
            end of a text; None: a merge for every 150 bytes, 1,024 tokens at most. Common: hundreds for
            some kilobytes of text, where long tokens are too rare to learn; 30,000 and more for gigabytes.
        embedding_size: The numbers that stand for a token, in the input and the output. Common: 16 to 128
            here, thousands in large models.
        hidden_size: The numbers of the state, which is all that the model remembers; None: the mean of the
            layers around it, embedding_size in and as many tokens as there are out. Common: that mean to
            begin with; twice as many cost up to four times the time and overfit sooner, half as many learn
            less.
        batch_size: So many sequences are read side by side, for one update; None: the largest power of two,
            32 at most, that leaves 16 updates in an epoch. Large ones give steadier gradients and fewer
            updates per epoch, and read more tokens in a second; small ones learn more from little text.
            Common: 16 to 64 where there is text enough; with twice the batch a higher learning rate, up to
            twice.
        window: The context window ("token length"): tokens of each sequence per update, which is how far
            back a gradient is followed; the state itself goes on from one window to the next. Longer ones
            learn what depends on what stands farther away. Common: 32 to 256 for recurrent networks.
        epochs: How often the text is read, at most. Common: one for gigabytes, tens for a small text, with
            the best epoch's weights kept.
        patience: Early stopping: the run ends after so many epochs without an improvement of the metric;
            None: never. Common: 3 to 10; well above decay_epochs with the schedule "plateau", so that a
            lower rate has its chance.
        min_delta: What counts as an improvement: more than so many bits per byte. Common: 0 to 0.01.
        metric: What is to improve: bits per byte of the text that is "held_out", or of the text trained on
            ("train"). Common: held_out; train shows how far a network can get at all.
        restore_best: The model gets the weights of the best epoch, otherwise of the last. Common: True.
        seed: Of the first weights, of dropout and of the order of texts: the same seed gives the same model
            on the same machine, with as many threads of the BLAS. Common: any; several, to see how much of a
            difference is luck.

    >>> TrainingKnobs(learning_rate=0.01, hidden_size=64).replace(dropout=0.5).dropout
    0.5
    >>> TrainingKnobs(dropout=1.0)
    Traceback (most recent call last):
    rheostat.errors.KnobError: dropout must be in [0, 1), got 1.0

    Raises:
        KnobError: a value breaks its rule.
        TypeError: a value is of another type than its field.
    """

    learning_rate: float = 3e-3
    schedule: str = "cosine"
    warmup_steps: int | None = None
    decay_factor: float = 0.3
    decay_epochs: int = 3
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    dropout: float = 0.5
    input_dropout: float = 0.1
    vocabulary_size: int | None = None
    embedding_size: int = 96
    hidden_size: int | None = None
    batch_size: int | None = None
    window: int = 32
    epochs: int = 20
    patience: int | None = None
    min_delta: float = 0.0
    metric: str = "held_out"
    restore_best: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = _typed(field.name, str(field.type), getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            allowed = RULES.get(field.name)
            if allowed is not None and value is not None and not allowed[1](value):
                raise KnobError(f"{field.name} must be {allowed[0]}, got {value}", field.name, value)
        if self.weight_decay * self.learning_rate > 1:  # beyond, an update turns the sign of every weight
            rule = f"at most 1 / learning_rate, which is {1 / self.learning_rate:g}"
            message = f"weight_decay must be {rule}, got {self.weight_decay}"
            raise KnobError(message, "weight_decay", self.weight_decay)

    def to_dict(self) -> dict[str, Any]:
        """Every knob by its name: JSON types alone."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """The knobs of `to_dict`; those that are not given have their default.

        Raises:
            KnobError: a name is no knob's, or a value breaks its rule.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise KnobError(f"{name} must be one of {', '.join(names)}", name, value)
        return cls(**given)

    def replace(self, **changes: Any) -> Self:
        """The same knobs but for the changes."""
        return self.from_dict(self.to_dict() | changes)

    def tokens(self, bytes_trained_on: int) -> int:
        """`vocabulary_size`, or where it is None as many as suit a text so long.

        >>> TrainingKnobs().tokens(7_500), TrainingKnobs().tokens(10**6)
        (307, 1024)
        """
        if self.vocabulary_size is not None:
            return self.vocabulary_size
        return min(257 + bytes_trained_on // 150, 1024)

    def sequences(self, tokens: int) -> int:
        """`batch_size`, or where it is None as many as suit a text of so many tokens.

        >>> TrainingKnobs(window=32).sequences(2_800), TrainingKnobs(window=32).sequences(10**6)
        (4, 32)
        """
        if self.batch_size is not None:
            return self.batch_size
        most = min(tokens // self.window // 16, 32)
        return 1 << max(most.bit_length() - 1, 0)

    def hidden_units(self, vocabulary: int) -> int:
        """`hidden_size`, or where it is None the mean of the layers before and after it.

        >>> TrainingKnobs(embedding_size=96).hidden_units(1024)
        560
        """
        return self.hidden_size if self.hidden_size is not None else (self.embedding_size + vocabulary) // 2

    def rate(self, step: int, steps: int, per_epoch: int, metrics: list[float]) -> float:
        """The learning rate of an update, `step` from 0, after epochs that reached these metrics."""
        warmup = self.warmup_steps if self.warmup_steps is not None else min(100, steps // 10)
        if self.schedule == "cosine":
            return self.learning_rate * cosine(step, steps, warmup)
        if step < warmup:
            return self.learning_rate * ((step + 1) / warmup)
        cuts = 0
        if self.schedule == "step":
            cuts = step // per_epoch // self.decay_epochs
        elif self.schedule == "plateau":
            cuts = plateaus(metrics, self.decay_epochs, self.min_delta)
        return self.learning_rate * self.decay_factor**cuts


def _typed(name: str, kind: str, value: Any) -> Any:
    """The value as the type that the field is annotated with."""
    if value is None and kind.endswith("| None"):
        return None
    kind = kind.removesuffix(" | None")
    if kind == "int" and not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    elif kind == "float" and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    elif (kind == "bool" and isinstance(value, bool)) or (kind == "str" and isinstance(value, str)):
        return value
    raise TypeError(f"{name} must be {WANTED[kind]}, got {type(value).__name__}")


WANTED = {"int": "an integer", "float": "a number", "bool": "True or False", "str": "a string"}

AT_LEAST_0 = ("at least 0", lambda value: value >= 0)
AT_LEAST_1 = ("at least 1", lambda value: value >= 1)
POSITIVE = ("above 0 and finite", lambda value: 0 < value < math.inf)
NOT_NEGATIVE = ("at least 0 and finite", lambda value: 0 <= value < math.inf)
SHARE = ("in [0, 1)", lambda value: 0 <= value < 1)


def _one_of(names: tuple[str, ...]) -> tuple[str, Any]:
    return f"{', '.join(names[:-1])} or {names[-1]}", lambda value: value in names


RULES = {
    "learning_rate": POSITIVE,
    "schedule": _one_of(SCHEDULES),
    "warmup_steps": AT_LEAST_0,
    "decay_factor": ("in (0, 1)", lambda value: 0 < value < 1),
    "decay_epochs": AT_LEAST_1,
    "weight_decay": NOT_NEGATIVE,
    "clip_norm": POSITIVE,
    "dropout": SHARE,
    "input_dropout": SHARE,
    "vocabulary_size": ("in [257, 65536]", lambda value: 257 <= value <= 65_536),
    "embedding_size": AT_LEAST_1,
    "hidden_size": AT_LEAST_1,
    "batch_size": AT_LEAST_1,
    "window": AT_LEAST_1,
    "epochs": AT_LEAST_1,
    "patience": AT_LEAST_1,
    "min_delta": NOT_NEGATIVE,
    "metric": _one_of(METRICS),
    "seed": AT_LEAST_0,
}
