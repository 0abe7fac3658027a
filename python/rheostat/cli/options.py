"""The options of a command, made from the fields of `SamplingParams`, and the params made of them.

An option that is not given is absent from the parsed arguments, so that a preset or the model decides.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rheostat.cli import terminal
from rheostat.cli.presets import DEFAULT, PRESETS, described
from rheostat.params import SamplingParams


def ids(text: str) -> list[int]:
    """ "1,2,3" as ids."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        message = f"must be token ids with commas between, as 1,2,3, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def bias(text: str) -> tuple[str, float]:
    """ "5=-1.5" as an id and its bias, "1,2=-1.5" as several; the bias may be -inf."""
    key, _, value = text.rpartition("=")
    try:
        return ",".join(map(str, ids(key))), float(value)
    except (argparse.ArgumentTypeError, ValueError):
        message = f"must be ids and a bias, as 5=-1.5 or 1,2=-inf, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def steps(text: str) -> str | list[str]:
    """A preset's name, or "top_k,temperature" as an order."""
    return text.split(",") if "," in text else text


def escaped(text: str) -> str:
    r"""A text in which \n, \t and \\ stand for a new line, a tab and a backslash."""
    parts = [part.replace("\\n", "\n").replace("\\t", "\t") for part in text.split("\\\\")]
    return "\\".join(parts)


class Option(NamedTuple):
    """How a field is given on a command line, and what it says of itself."""

    reads: Callable[[str], Any] | None  # None for a flag
    value: str
    says: str
    many: bool = False  # may be given several times


FILTERS = {
    "temperature": Option(
        float, "T", "below 1 the likely tokens get likelier, above 1 the others; 0 takes the likeliest"
    ),
    "top_k": Option(int, "K", "keep the K likeliest tokens; 0 keeps all"),
    "top_p": Option(
        float, "P", "keep the fewest likeliest tokens that have probability P together (the nucleus)"
    ),
    "min_p": Option(float, "P", "keep what is at least P times as likely as the likeliest"),
    "typical_p": Option(float, "P", "keep the tokens as surprising as is usual here, until they have P"),
    "epsilon_cutoff": Option(float, "P", "drop what is less likely than P"),
    "eta_cutoff": Option(float, "P", "the same, but less strict where the model is unsure"),
    "top_h": Option(float, "H", "keep the likeliest while their entropy is at most H of the whole"),
    "top_n_sigma": Option(float, "N", "keep logits within N standard deviations of the largest"),
    "xtc_probability": Option(
        float, "P", "XTC: how often to drop the likeliest choices, all but the last of them"
    ),
    "xtc_threshold": Option(float, "P", "XTC: what counts as such a choice"),
    "mirostat": Option(int, "2", "2 steers the text's surprise instead; 0 is off"),
    "mirostat_tau": Option(float, "BITS", "mirostat: the surprise of a token to aim at"),
    "mirostat_eta": Option(float, "RATE", "mirostat: how fast it steers"),
    "chain": Option(
        steps, "ORDER", "the order of the filters: vllm, hf, llama.cpp, or names with commas between"
    ),
}
PENALTIES = {
    "repetition_penalty": Option(
        float, "R", "above 1, what has come already gets less likely, the prompt included"
    ),
    "frequency_penalty": Option(float, "F", "take F off a token's logit for each time it was written"),
    "presence_penalty": Option(float, "F", "take F off once, if it was written at all"),
    "penalty_last_n": Option(int, "N", "these three look at the last N tokens alone"),
    "no_repeat_ngram_size": Option(int, "N", "never write the same N tokens twice"),
    "dry_multiplier": Option(
        float, "M", "DRY: how hard to press against going on with a repetition; 0 is off"
    ),
    "dry_base": Option(float, "B", "DRY: how much harder with each further token"),
    "dry_allowed_length": Option(int, "N", "DRY: a repetition shorter than this is free"),
    "dry_penalty_last_n": Option(int, "N", "DRY: look at the last N tokens alone"),
    "dry_sequence_breakers": Option(
        escaped, "TEXT", "DRY: no repetition goes across this; may be repeated", many=True
    ),
}
ENDS = {
    "max_tokens": Option(int, "N", "how many tokens to write at most"),
    "min_tokens": Option(int, "N", "how many before a stop or EOS ends the text"),
    "context_length": Option(int, "N", "how many tokens prompt and text may have together; the model's own"),
    "stop": Option(escaped, "TEXT", "end before this text (\\n: a new line); may be repeated", many=True),
    "include_stop_str_in_output": Option(None, "", "write that text too"),
    "stop_token_ids": Option(ids, "IDS", "end at these tokens (1,2,3)"),
    "eos_token_id": Option(ids, "IDS", "the end of a text; the model's own"),
    "ignore_eos": Option(None, "", "write on behind it"),
}
TOKENS = {
    "logit_bias": Option(
        bias, "ID=BIAS", "add this to a token's logit; -inf forbids it; may be repeated", many=True
    ),
    "sequence_bias": Option(
        bias, "IDS=BIAS", "add this to the last token's logit behind the others", many=True
    ),
    "banned_token_ids": Option(ids, "IDS", "never write these (1,2,3)"),
    "allowed_token_ids": Option(ids, "IDS", "write only these"),
    "bad_words": Option(ids, "IDS", "never write these one after another; may be repeated", many=True),
}
CHANCE = {
    "seed": Option(int, "SEED", "the same seed draws the same tokens of the same logits, on every machine"),
    "logprobs": Option(int, "N", "with --json: each token's log-probability, and the best N"),
}
GROUPS = (
    ("which tokens may come", "Each filter sees what those before it have kept.", FILTERS),
    ("against repetition", None, PENALTIES),
    ("where the text ends", None, ENDS),
    ("single tokens", "Ids are the model's; `rheostat explain` shows them.", TOKENS),
    ("chance", None, CHANCE),
)
FIELDS = {name: option for _, _, options in GROUPS for name, option in options.items()}


def add_options(parser: argparse.ArgumentParser, *without: str, **defaults: Any) -> None:
    """The options for all fields but those named, in groups; with the command's own defaults for fields."""
    start = parser.add_argument_group(
        "settings",
        "The preset, then --params, then the options below; in [], what holds without them.",
    )
    start.add_argument(
        "--preset",
        choices=PRESETS,
        default=DEFAULT,
        metavar="NAME",
        help=f"one of those below; {DEFAULT}",
    )
    start.add_argument(
        "--params", type=Path, metavar="FILE", help="SamplingParams as JSON, as to_json() writes it"
    )
    for title, says, options in GROUPS:
        group = parser.add_argument_group(title, says)
        for name, option in options.items():
            if name in without:
                continue
            how: dict[str, Any] = {"action": "store_true"}
            if option.reads is not None:
                how = {"type": option.reads, "metavar": option.value}
                how["action"] = "append" if option.many else "store"
            flag = "--" + name.replace("_", "-")
            group.add_argument(
                flag, dest=name, default=argparse.SUPPRESS, help=option.says + _held(name, defaults), **how
            )
    parser.epilog = f"presets:\n{described()}"


def _held(name: str, defaults: dict[str, Any]) -> str:
    """The number that a knob stands at unless it, or another preset, is given."""
    field = SamplingParams.__dataclass_fields__[name]
    value = PRESETS[DEFAULT].fields.get(name, defaults.get(name, field.default))
    return f" [{value:g}]" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def params_of(arguments: argparse.Namespace, model: Any, **defaults: Any) -> SamplingParams:
    """The params: the model's and the command's own where nothing else is said, then preset, file, options.

    Raises:
        KnobError, TypeError: a value breaks its rule.
        OSError: the file cannot be read.
    """
    own = {name: getattr(model, name) for name in ("context_length", "eos_token_id")}
    fields = {name: value for name, value in own.items() if value is not None}
    fields |= defaults | PRESETS[arguments.preset].fields
    if arguments.params is not None:
        text = terminal.text_of_file(arguments.params)
        given = SamplingParams.from_json(text)
        fields |= {name: getattr(given, name) for name in json.loads(text) if name != "law"}
    fields |= {name: _value(name, vars(arguments)[name]) for name in FIELDS if name in arguments}
    return SamplingParams(**fields)


def _value(name: str, value: Any) -> Any:
    if name == "logit_bias":
        return {int(id): number for id, number in value}
    if name == "sequence_bias":
        return {tuple(ids(key)): number for key, number in value}
    return value
