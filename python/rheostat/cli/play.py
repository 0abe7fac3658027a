"""`rheostat play`: a page in the browser on which sliders turn the knobs."""

from __future__ import annotations

import argparse
import webbrowser

from rheostat.cli import models, terminal
from rheostat.cli.errors import UsageError

USAGE = "[OPTIONS]"
DESCRIPTION = """\
Opens a page on which sliders turn the knobs, and shows at once what becomes of the text, of the distribution
of each of its tokens, and which knob removed what. The page is served to this machine alone, until Ctrl-C.

  rheostat play
  rheostat play --model mine.npz --port 8765 --no-browser
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    models.add_option(parser)
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="where it listens; 0 takes a free port"
    )
    parser.add_argument("--no-browser", action="store_true", help="only say where the page is")


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until it is interrupted, which is how it ends."""
    from rheostat.play import Playground, Server  # here, since no other command needs it

    playground = Playground(models.load(arguments.model), arguments.model)
    try:
        server = Server(playground, arguments.port)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "must be in [0, 65535]"
        raise UsageError(f"--port {arguments.port}: {reason}") from error
    with server:
        terminal.note(f"{server.url} (Ctrl-C ends it)")
        if not arguments.no_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            terminal.note("ended")
    return 0
