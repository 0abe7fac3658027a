"""`rheostat generate`: text as it comes on standard output, all else on standard error."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import rheostat
from rheostat.cli import models, options, terminal
from rheostat.cli.stop_at import STOPS, closing
from rheostat.generation_over import POLICIES

INTERRUPTED = 130
MAX_TOKENS = 200

# The least probability of each colour, likeliest first.
COLOURS = ((0.8, "green"), (0.5, "cyan"), (0.2, "yellow"), (0.05, "dark_orange"), (0.0, "red"))

USAGE = "[PROMPT] [OPTIONS]"
HELP = "write on from a prompt"
DESCRIPTION = """\
Writes on from a prompt. The text goes to standard output as it comes, everything else to standard error.

  rheostat generate "The meaning of life is"
  rheostat generate "Once upon a time" --preset creative --seed 7 --max-tokens 80
  rheostat generate "The capital of France is" --stop-at sentence --show-probs
  rheostat generate - --json < prompt.txt | jq .text

If it repeats itself, raise --temperature or set --repetition-penalty 1.1; if it rambles, lower --temperature
or --top-p. --explain shows for every token what each setting did.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("prompt", nargs="?", help="the text to go on from; - or none reads standard input")
    models.add_option(parser)
    output = parser.add_argument_group("what is shown")
    shown = output.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON object at the end instead of the text")
    shown.add_argument(
        "--show-probs", action="store_true", help="colour each token by the model's probability for it"
    )
    output.add_argument(
        "--explain", action="store_true", help="for each token what every setting did (on standard error)"
    )
    output.add_argument("--quiet", action="store_true", help="nothing on standard error but errors")
    output.add_argument(
        "--record", type=Path, metavar="FILE", help="a line about each step, for `rheostat diff`"
    )
    parser.add_argument("--stop-at", choices=STOPS, help="end with the sentence, line or paragraph")
    parser.add_argument(
        "--context", choices=POLICIES, default="error",
        help="at the context length: end (error), or drop the oldest tokens and go on (slide)",
    )  # fmt: skip
    parser.add_argument(
        "--stream", type=int, default=0, metavar="N", help="which of the texts of one seed; 0"
    )
    options.add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes the text, and its exit status."""
    prompt = terminal.text_given(arguments.prompt, "the prompt")
    model = models.load(arguments.model)
    params = options.params_of(arguments, model, max_tokens=MAX_TOKENS)
    if arguments.stop_at:
        params = params.replace(stop=(*params.stop, *STOPS[arguments.stop_at]))
    if arguments.show_probs:
        params = params.replace(report=("raw_logprob",))
    generation = rheostat.generate(
        model,
        model.encode(prompt),
        params,
        table=model.table,
        stream=arguments.stream,
        context=arguments.context,
        record=arguments.record,
    )
    view = _view(arguments)
    if not arguments.quiet:
        view.prompt(prompt)
    interrupted = False
    try:
        for step in generation:
            view.step(step)
            if arguments.explain:
                _explain(generation)
    except KeyboardInterrupt:
        interrupted = True
    except Exception:
        view.end("")  # so that the error has a line of its own
        raise
    missing = closing(generation.stop, arguments.stop_at, params.include_stop_str_in_output)
    view.end(missing)
    if arguments.json:
        result = _as_json(arguments, prompt, generation, missing, interrupted)
        print(json.dumps(result, ensure_ascii=False, default=lambda stop: {"hex": stop.hex()}))
    if not arguments.quiet:
        terminal.note(_summary(generation, interrupted))
    return INTERRUPTED if interrupted else 0


class Plain:
    """The text, and on a terminal the prompt before it, dim."""

    def prompt(self, text: str) -> None:
        if sys.stdout.isatty() and sys.stderr.isatty():
            terminal.console(stderr=True).print(text, style="dim", end="")

    def step(self, step: rheostat.Step) -> None:
        self.write(step.text)

    def end(self, missing: str) -> None:
        self.write(missing)
        if sys.stdout.isatty():
            terminal.write("\n")

    def write(self, text: str) -> None:
        if text:
            terminal.write(text)


class Held(Plain):
    """The text as a whole at its end, below the explanations of a terminal."""

    def __init__(self) -> None:
        self.start = ""
        self.parts: list[str] = []

    def prompt(self, text: str) -> None:
        self.start = text

    def write(self, text: str) -> None:
        self.parts.append(text)

    def end(self, missing: str) -> None:
        sys.stderr.write("\n")
        super().prompt(self.start)
        terminal.write("".join([*self.parts, missing, "\n"]))


class Probabilities(Plain):
    """Each token in the colour of the probability that the model gave it; without colour the number."""

    def __init__(self) -> None:
        self.console = terminal.console()
        self.is_plain = self.console.color_system is None or self.console.no_color

    def step(self, step: rheostat.Step) -> None:
        if not step.text:
            return
        assert step.token is not None
        assert step.token.raw_logprob is not None
        probability = math.exp(step.token.raw_logprob)
        if self.is_plain:
            terminal.write(f"{step.text}[{probability:.0%}]")
        else:
            colour = next(colour for least, colour in COLOURS if probability >= least)
            self.console.print(step.text, style=colour, end="")

    def end(self, missing: str) -> None:
        super().end(missing)
        if not self.is_plain:
            from rich.text import Text

            names = [(f"{least:.0%} and more" if least else "less", colour) for least, colour in COLOURS]
            legend = Text("the model's probability: ", style="dim")
            for name, colour in names:
                legend.append(f"{name}  ", style=colour)
            terminal.console(stderr=True).print(legend)


class Silent(Plain):
    """Nothing: the JSON says it all."""

    def prompt(self, text: str) -> None:
        return

    def step(self, step: rheostat.Step) -> None:
        return

    def end(self, missing: str) -> None:
        return


def _view(arguments: argparse.Namespace) -> Plain:
    if arguments.json:
        return Silent()
    if arguments.show_probs:
        return Probabilities()
    is_one_screen = sys.stdout.isatty() and sys.stderr.isatty()
    return Held() if arguments.explain and is_one_screen else Plain()


def _explain(generation: rheostat.Generation) -> None:
    """What happened at the step that was just taken."""
    from rheostat.cli.explain import padding, show

    position = len(generation.ids) - 1
    sequence = generation.sequence
    explanation = rheostat.explain(
        generation.logits,
        sequence.params,
        seed=generation.seed,
        stream=sequence.stream,
        position=position,
        prompt_ids=generation.prompt_ids,
        output_ids=generation.ids[:-1],
        table=sequence.table,
        top=5,
        **padding(generation.logits, sequence.vocab_size),
    )
    print(f"\ntoken {position + 1}", file=sys.stderr)
    show(explanation, stderr=True)


def _summary(generation: rheostat.Generation, interrupted: bool) -> str:
    times = generation.timings
    reason = "interrupted" if interrupted else generation.finish_reason
    ended = f" at {generation.stop!r}" if isinstance(generation.stop, str) else ""
    dropped = f" \u00b7 {generation.dropped} oldest dropped" if generation.dropped else ""
    speed = f"{times.tokens_per_second:,.0f} tokens/s"
    parts = f"model {_seconds(times.model)}, sampling {_seconds(times.sampling)}"
    return (
        f"{reason}{ended} \u00b7 {times.tokens} tokens{dropped} \u00b7 {speed} ({parts}) "
        f"\u00b7 seed {generation.seed}"
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def _as_json(
    arguments: argparse.Namespace,
    prompt: str,
    generation: rheostat.Generation,
    missing: str,
    interrupted: bool,
) -> dict[str, Any]:
    times, params = generation.timings, generation.sequence.params
    entries = {}
    if params.logprobs is not None:
        table = generation.sequence.table
        entries["logprobs"] = [token.to_openai(table) for token in generation.tokens]
    return {
        "model": arguments.model,
        "prompt": prompt,
        "text": generation.text + missing,
        "finish_reason": "interrupted" if interrupted else generation.finish_reason,
        "stop": generation.stop,
        "ids": generation.ids,
        "prompt_tokens": len(generation.prompt_ids),
        "dropped": generation.dropped,
        "seed": generation.seed,
        "stream": arguments.stream,
        "params": json.loads(params.to_json()),
        **entries,
        "timings": {**times._asdict(), "tokens_per_second": times.tokens_per_second},
    }
