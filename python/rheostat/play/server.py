"""The page and its answers over HTTP, on this machine alone."""

from __future__ import annotations

import json
import os
import sys
import traceback
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar

from rheostat.play.answers import Playground

PAGES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
MAX_BODY = 1 << 20

# The page needs nothing from elsewhere, and is shown in no frame.
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"


class Server(ThreadingHTTPServer):
    """A playground at 127.0.0.1; port 0 takes a free one. `serve_forever` runs it, `url` says where it is."""

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there it would let two servers have one port

    def __init__(self, playground: Playground, port: int = 0) -> None:
        self.playground = playground
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a page that was closed before its answer came."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _asked(body: bytes) -> Any:
    """What a request asks; a ValueError where it is no JSON that can be read."""
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("the request must be JSON, got one that is nested too deeply") from None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "rheostat"
    sys_version = ""

    ANSWERS: ClassVar = {"/api/text": Playground.text, "/api/next": Playground.next}

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        if self.path == "/api/about":
            self._send_json(HTTPStatus.OK, self.server.playground.about())
        elif self.path in PAGES:
            name, kind = PAGES[self.path]
            self._send(HTTPStatus.OK, kind, (files("rheostat.play") / name).read_bytes())
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": f"there is no {self.path} here"})

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        answer = self.ANSWERS.get(self.path)
        if answer is None:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": f"there is no {self.path} here"})
            return
        # A page of another origin cannot send this type without asking, and is not answered when it asks.
        if self.headers.get_content_type() != "application/json":
            self._send_json(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"error": "the request must be application/json"}
            )
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self._send_json(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                {"error": f"the request must have at most {MAX_BODY} bytes"},
            )
            return
        try:
            told = answer(self.server.playground, _asked(self.rfile.read(int(length))))
        except (ValueError, TypeError) as error:  # KnobError among them
            argument = getattr(error, "argument", None)
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error), "argument": argument})
        except Exception as error:  # of the model's
            traceback.print_exc(file=sys.stderr)
            self._send_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": f"{type(error).__name__}: {error}"})
        else:
            self._send_json(HTTPStatus.OK, told)

    def _is_ours(self) -> bool:
        """Whether the request names this machine: else a name of another's could lead a browser here."""
        port = self.server.server_port
        if self.headers.get("Host") in (f"127.0.0.1:{port}", f"localhost:{port}"):
            return True
        self._send_json(HTTPStatus.FORBIDDEN, {"error": "the playground answers on this machine alone"})
        return False

    def _send_json(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(answer).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing of requests: the terminal is the user's."""
