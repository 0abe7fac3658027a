"""`rheostat generate`: text as it comes on standard output, all else on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import rheostat
from rheostat.cli import models, options, terminal
from rheostat.cli.errors import INTERRUPTED, UsageError
from rheostat.cli.stop_at import STOPS, closing
from rheostat.cli.views import Held, Plain, Probabilities, Silent
from rheostat.generation_model import POLICIES

MAX_TOKENS = 200

USAGE = "[PROMPT] [OPTIONS]"
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
    parser.add_argument(
        "prompt", nargs="*", help="the text to go on from, in quotes; - or none reads standard input"
    )
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
    output.add_argument(
        "--quiet", action="store_true", help="nothing on standard error but errors and what --explain tells"
    )
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
    options.add_options(parser, max_tokens=MAX_TOKENS)


def run(arguments: argparse.Namespace) -> int:
    """Writes the text, and its exit status."""
    prompt = terminal.text_given(terminal.one_argument(arguments.prompt, "the prompt"), "the prompt")
    model = models.load(arguments.model)
    params = options.params_of(arguments, model, max_tokens=MAX_TOKENS)
    if arguments.stop_at:
        params = params.replace(stop=(*params.stop, *STOPS[arguments.stop_at]))
    if arguments.explain and params.mirostat:
        raise UsageError("--explain must be without mirostat, whose state only the text as a whole has")
    prompt_ids = models.encoded(model, prompt)
    length = params.context_length
    if arguments.context == "error" and length is not None and len(prompt_ids) >= length:
        cure = "a shorter one leaves room for text, and --context slide drops its oldest tokens"
        raise UsageError(f"the prompt has {len(prompt_ids)} tokens of a context of {length}; {cure}")
    if arguments.show_probs:
        params = params.replace(report=("raw_logprob",))
    generation = rheostat.generate(
        model,
        prompt_ids,
        params,
        table=model.table,
        stream=arguments.stream,
        context=arguments.context,
        record=arguments.record,
    )
    view = _view(arguments, model.table)
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
        view.legend()
        terminal.note(_summary(generation, interrupted))
    return INTERRUPTED if interrupted else 0


def _view(arguments: argparse.Namespace, table: Any) -> Plain:
    if arguments.json:
        return Silent()
    if arguments.show_probs:
        return Probabilities(table)
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
    times, params = generation.timings, generation.params
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
        "context": arguments.context,
        "dropped": generation.dropped,
        "seed": generation.seed,
        "stream": arguments.stream,
        "params": json.loads(params.to_json()),
        **entries,
        "timings": {**times._asdict(), "tokens_per_second": times.tokens_per_second},
    }
