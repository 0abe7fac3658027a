"""A headless Chromium, driven through its own protocol over a pair of pipes: JSON, each message ended by NUL.

https://chromedevtools.github.io/devtools-protocol/ (--remote-debugging-pipe reads descriptor 3 and writes 4)
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60  # seconds; a busy machine starts a browser slowly

# Gives the program the two pipes under the numbers that it expects, whatever theirs are.
LAUNCH = (
    "import fcntl, os, sys; ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]; "
    "[os.dup2(end, number) for end, number in zip(ends, (3, 4))]; os.execv(sys.argv[3], sys.argv[3:])"
)


def program():
    """Where it is; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """One page of a browser that starts empty and leaves nothing behind. `problems` is what its console
    complained of.
    """

    def __init__(self, width=1280, height=1000):
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        read, self._write = os.pipe()
        self._read, write = os.pipe()
        options = [
            "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu",
            "--disable-dev-shm-usage", "--disable-background-networking",
            f"--user-data-dir={self._home.name}",
            f"--window-size={width},{height}",
        ]  # fmt: skip
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # which refuses to start as root
        command = [sys.executable, "-c", LAUNCH, str(read), str(write), program(), *options]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(read, write), start_new_session=True, **quiet)
        os.close(read)
        os.close(write)
        self._buffer, self._number, self._session, self.problems = b"", 0, None, []
        try:
            target = self.send("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.send(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the browser with all its processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        os.close(self._read)
        os.close(self._write)
        self._home.cleanup()

    def send(self, method, **params):
        """The result of one method."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._listen(answer)

    def evaluate(self, expression):
        """The value of an expression in the page; of a promise, what it comes to."""
        answer = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, url):
        self.send("Page.navigate", url=url)

    def wait_for(self, expression):
        """Waits until the expression is true in the page, and gives its value."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression} did not come; {self.problems}"
            time.sleep(0.05)
        return value

    def screenshot(self, path):
        """The whole page as a PNG."""
        picture = self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(picture))

    def _receive(self):
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], PATIENCE)[0], "the browser is silent"
            data = os.read(self._read, 1 << 16)
            assert data, f"the browser has ended with status {self._process.wait(PATIENCE)}"
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _listen(self, event):
        """Keeps what a console would show in red."""
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown" or (
            method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning")
        ):
            self.problems.append(params)
