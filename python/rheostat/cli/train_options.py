"""The options of `rheostat train`: one for each training knob."""

from __future__ import annotations

import argparse
from typing import Any

from rheostat.cli.options import Option
from rheostat.lab.knobs import TrainingKnobs

RATE = {
    "learning_rate": Option(
        float, "R", "how far an update moves a weight; too low learns slowly, too high makes the loss jump"
    ),
    "schedule": Option(
        str, "NAME", "how it falls: constant, step, cosine (to 0 at the end), plateau (when nothing improves)"
    ),
    "warmup_steps": Option(int, "N", "so many updates climb to it; a tenth of all, 100 at most"),
    "decay_factor": Option(float, "F", "step, plateau: what a cut multiplies it by"),
    "decay_epochs": Option(int, "N", "step: epochs between cuts; plateau: epochs without improvement"),
    "clip_norm": Option(float, "L", "shorten longer gradients to this; caps a jump"),
}
BY_HEART = {
    "weight_decay": Option(
        float, "D", "each update shrinks the weights by this times the rate; keeps them small and even"
    ),
    "dropout": Option(float, "P", "leave out this share of the hidden units, at random, while training"),
    "input_dropout": Option(float, "P", "the same for the numbers that stand for a token"),
}
NETWORK = {
    "hidden_size": Option(
        int, "N", "the numbers it remembers a text by; the mean of the layers around it unless given"
    ),
    "embedding_size": Option(int, "N", "the numbers that stand for a token"),
    "vocabulary_size": Option(
        int, "N", "how many tokens there are at most; by the length of the text unless given"
    ),
}
READING = {
    "epochs": Option(int, "N", "how often the text is read, at most"),
    "batch_size": Option(
        int, "N", "places of the text that are read side by side for one update; by its length"
    ),
    "window": Option(
        int, "N", "so many tokens of each (the token length); what lies farther is learnt worse"
    ),
    "seed": Option(int, "SEED", "the same seed gives the same model, on the same machine"),
}
ENDING = {
    "patience": Option(int, "N", "stop early, after so many epochs without improvement; never unless given"),
    "min_delta": Option(float, "BITS", "what counts as an improvement: more than this"),
    "metric": Option(str, "NAME", "of which text: held_out, or train"),
    "restore_best": Option(None, "", "the model is that of the best epoch, or else of the last"),
}
GROUPS = (
    ("the learning rate", "Try this one first.", RATE),
    ("against learning by heart", "More where the held-out text is much worse than the other.", BY_HEART),
    ("the network", None, NETWORK),
    ("how it is read", None, READING),
    ("when it ends", None, ENDING),
)
KNOBS = {name: option for _, _, options in GROUPS for name, option in options.items()}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options in groups; one that is not given is absent from the parsed arguments."""
    for title, says, options in GROUPS:
        group = parser.add_argument_group(title, says)
        for name, option in options.items():
            default = TrainingKnobs.__dataclass_fields__[name].default
            how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
            if option.reads is not None:
                how = {"type": option.reads, "metavar": option.value}
            shown = "" if default is None or isinstance(default, bool) else f" [{default}]"
            group.add_argument(
                "--" + name.replace("_", "-"),
                dest=name,
                default=argparse.SUPPRESS,
                help=option.says + shown,
                **how,
            )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The knobs that the command line names."""
    return {name: vars(arguments)[name] for name in KNOBS if name in arguments}
