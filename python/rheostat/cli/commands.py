"""The commands, and what becomes of their errors."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

import rheostat
from rheostat import KnobError, LogitsError
from rheostat.cli import terminal
from rheostat.cli.errors import INTERRUPTED, FailedError, UsageError

DONE, FAILED, USAGE, BROKEN_PIPE = 0, 1, 2, 141

# Each is a module of this package, with what it says of itself in a line.
COMMANDS = {
    "generate": "write on from a prompt",
    "explain": "what each setting does to the next token",
    "count": "characters, words and tokens of a text",
    "train": "train a small model on your own text",
    "sweep": "what knobs do, at many settings: a table, pictures, and the best",
    "play": "turn the knobs in a browser",
    "bench": "how fast a token is on this machine",
    "diff": "where two recorded texts part, and why",
}

DESCRIPTION = """\
Text from a language model on a CPU, with every decoding knob, exact and reproducible.

  rheostat generate "Once upon a time"             write on from a prompt
  rheostat explain "Once upon a" --top-p 0.9       what a setting does to the next token
  rheostat play                                    turn the knobs in a browser
  rheostat count --file prompt.txt                 how long a text is
  rheostat train novel.txt                         a small model of your own text
  rheostat sweep --vary temperature=0.2:1.5        what a knob does, measured
  rheostat bench                                   how fast a token is here
  rheostat diff a.jsonl b.jsonl                    where two recorded texts part
"""
EPILOG = """\
Each command has more to tell: rheostat generate --help.

exit status: 0 done; 1 failed, or a difference was found; 2 the command line is wrong, or a file it names is
not there; 130 Ctrl-C; 141 the reader of its pipe has gone.
An error is one sentence; RHEOSTAT_TRACEBACK=1 shows where it came from.
"""


def parser(arguments: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The whole command line. Where the arguments are given, the commands that they do not name stay empty:
    each loads modules that the others do not need.
    """
    shape = partial(argparse.RawDescriptionHelpFormatter, max_help_position=34, width=_width())
    top = argparse.ArgumentParser("rheostat", description=DESCRIPTION, epilog=EPILOG, formatter_class=shape)
    top.add_argument("--version", action="version", version=_version())
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, says in COMMANDS.items():
        command = commands.add_parser(name, help=says, formatter_class=shape, allow_abbrev=False)
        if arguments is None or name in arguments:
            module = import_module(f"rheostat.cli.{name}")
            command.usage, command.description = f"rheostat {name} {module.USAGE}", module.DESCRIPTION
            module.add(command)
            command.set_defaults(run=module.run)
    return top


def _width() -> int:
    """Of the help: that of the terminal, within reason."""
    return min(shutil.get_terminal_size((100, 24)).columns, 110)


def run(arguments: Sequence[str] | None) -> int:
    """Runs a command line and gives its exit status."""
    terminal.replace_what_cannot_be_encoded()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        parsed = parser(given).parse_args(given)
    except SystemExit as end:  # argparse has said why
        return int(end.code or DONE)
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        terminal.close_quietly()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("RHEOSTAT_TRACEBACK"):
            raise
        print(f"rheostat {parsed.command}: {sentence(error)}", file=sys.stderr)
        return USAGE if _is_of_the_command_line(error) else FAILED


def _is_of_the_command_line(error: Exception) -> bool:
    """Whether other words of the user's would help. A row of logits is the model's."""
    if isinstance(error, KnobError):
        return error.argument != "logits"
    return isinstance(error, UsageError) or (isinstance(error, OSError) and error.filename is not None)


def sentence(error: Exception) -> str:
    """What is wrong, on one line; an error that is not meant for a user also names its kind."""
    said = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename or 'what was to be written'}: {error.strerror}"
    if said and isinstance(error, UsageError | FailedError | KnobError | LogitsError | OSError | ImportError):
        return said
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _version() -> str:
    build = rheostat.build_info()
    return f"rheostat {build['version']} (law {build['law']}, {build['simd']}, {build['threads']} threads)"
