"""`rheostat explain`: one next token, and what every setting did to its distribution."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rheostat
from rheostat.cli import models, options, terminal
from rheostat.explain_report import Explanation
from rheostat.generation_model import IncrementalModel
from rheostat.reference.arrays import as_logits
from rheostat.reference.chance import fresh_seed

if TYPE_CHECKING:
    from rich.table import Table

BAR = 24

# Fields that no single token is drawn by.
OF_A_TEXT = (
    "mirostat", "mirostat_tau", "mirostat_eta", "max_tokens", "context_length", "stop",
    "include_stop_str_in_output", "logprobs",
)  # fmt: skip

USAGE = "[PROMPT] [OPTIONS]"
DESCRIPTION = """\
Explains the next token after a prompt: how many tokens and how much probability each setting removes, what is
left, and why the drawn token was drawn.

  rheostat explain "The sky is" --temperature 0.8 --top-p 0.9
  rheostat explain "The sky is" --chain llama.cpp --temperature 0.8 --top-p 0.9
  rheostat explain "The sky is" --top-k 40 --plot sky.png
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "prompt", nargs="*", help="the text before the token, in quotes; - or none reads standard input"
    )
    models.add_option(parser)
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="how many of the tokens left to list; 10"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw it too (.png, .svg, .pdf; the extra plot)"
    )
    options.add_options(parser, *OF_A_TEXT)


def run(arguments: argparse.Namespace) -> int:
    """Explains the token."""
    prompt = terminal.text_given(terminal.one_argument(arguments.prompt, "the prompt"), "the prompt")
    model = models.load(arguments.model)
    params = options.params_of(arguments, model)
    if params.seed is None:
        params = params.replace(seed=fresh_seed())
    prompt_ids = models.encoded(model, prompt)
    logits = model.start(prompt_ids) if isinstance(model, IncrementalModel) else model(prompt_ids)
    explanation = rheostat.explain(
        logits,
        params,
        prompt_ids=prompt_ids,
        table=model.table,
        top=arguments.top,
        **padding(logits, len(model.table)),
    )
    show(explanation)
    terminal.note(f"seed {params.seed}")
    if arguments.plot is not None:
        explanation.plot().savefig(arguments.plot)
        terminal.note(f"drawn to {arguments.plot}")
    return 0


def padding(logits: Any, vocab_size: int) -> dict[str, int]:
    """`vocab_size`, where the row is wider: the rest of it is no token."""
    return {"vocab_size": vocab_size} if as_logits(logits)[0].shape[1] > vocab_size else {}


def show(explanation: Explanation, stderr: bool = False) -> None:
    """The explanation as tables on a terminal where they fit, as its plain text elsewhere."""
    console = terminal.console(stderr)
    if not console.is_terminal:
        console.print(str(explanation))
        return
    tables = [_steps(explanation), _tokens(explanation, min(BAR, max(1, console.width - 60)))]
    if not all(map(terminal.fits, tables)):
        console.print(str(explanation))
        return
    for table in tables:
        console.print(table)
    console.print(str(explanation.draw))


def _steps(explanation: Explanation) -> Table:
    from rich import box
    from rich.table import Table

    steps = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("step", "setting"):
        steps.add_column(name, no_wrap=name == "step")
    for name in ("tokens", "removed", "mass removed", "likeliest"):
        steps.add_column(name, justify="right", no_wrap=True)
    for step in explanation.steps:
        removed = (f"{-step.removed:,}", f"{step.mass_removed:.2%}") if step.removed else ("", "")
        steps.add_row(
            step.name, step.setting, f"{step.tokens_after:,}", *removed, f"{step.top_probability:.2%}"
        )
    return steps


def _tokens(explanation: Explanation, width: int) -> Table:
    """What is left, each with a bar of at most so many characters."""
    from rich import box
    from rich.table import Table

    tokens = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    tokens.add_column("token", overflow="fold")
    for name in ("before", "after"):
        tokens.add_column(name, justify="right", no_wrap=True)
    tokens.add_column("", no_wrap=True)
    largest = max(survivor.after for survivor in explanation.survivors)
    for survivor in explanation.survivors:
        is_drawn = survivor.token_id == explanation.token_id
        bar = "\u2588" * max(1, round(width * survivor.after / largest))
        name = str(survivor.token_id) if survivor.text is None else f"{survivor.text!r} ({survivor.token_id})"
        tokens.add_row(
            name, f"{survivor.before:.2%}", f"{survivor.after:.2%}", bar + " drawn" * is_drawn,
            style="bold green" if is_drawn else None,
        )  # fmt: skip
    hidden = explanation.steps[-1].tokens_after - len(explanation.survivors)
    if hidden > 0:
        tokens.add_row(f"and {hidden:,} more", "", "", "", style="dim")
    return tokens
