"""The core of a server: requests come and go, one call of the model serves all that are under way.

Each request gets the very text that it would get alone, whoever its neighbours are. Run it as
`python examples/batch_server.py`.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import rheostat
from bigrams import TEXT, bigram_logits

VOCAB = 256
TABLE = rheostat.TokenTable.from_bytes([bytes([byte]) for byte in range(VOCAB)])
DEFAULTS = rheostat.SamplingParams(min_p=0.03, max_tokens=40)


class Event(NamedTuple):
    """What a client is sent: its request's name, new text, and why it ended (None while it goes on)."""

    name: str
    text: str
    end: str | None


class Running(NamedTuple):
    """A request that has a place in the batch: its sampler's handle, and its text."""

    name: str
    handle: Any
    sequence: rheostat.Sequence


class Server:
    """At most `places` requests at once; the others wait. `step` is one call of the model."""

    def __init__(self, model: np.ndarray, places: int) -> None:
        self.model, self.places = model, places
        self.batch = rheostat.BatchSampler(VOCAB)
        self.waiting: deque[tuple[str, list[int], rheostat.SamplingParams]] = deque()
        self.running: list[Running] = []

    def submit(self, name: str, body: dict[str, Any]) -> str | None:
        """Takes a request as OpenAI's completions have it. A sentence if it is refused: that is a 400."""
        try:
            params, rest = rheostat.SamplingParams.from_openai(body, defaults=DEFAULTS)
        except (rheostat.KnobError, TypeError) as error:
            return str(error)
        self.waiting.append((name, list(rest["prompt"].encode()), params))
        return None

    def step(self) -> Iterator[Event]:
        """Lets requests in, runs the model once for all, and gives what each client is to be sent."""
        while self.waiting and len(self.running) < self.places:
            name, prompt, params = self.waiting.popleft()
            sequence = rheostat.Sequence(params, TABLE, prompt_ids=prompt)
            handle = self.batch.add(params, prompt_ids=prompt)
            self.running.append(Running(name, handle, sequence))
        last = [(*one.sequence.prompt_ids, *one.sequence.output_ids)[-1] for one in self.running]
        logits = self.model[last]  # (running, VOCAB): here your model would run
        tokens = self.batch.step(logits, [one.handle for one in self.running], on_bad_row="mark")
        for one, token, reason in zip(list(self.running), tokens, tokens.reasons, strict=True):
            if reason is not None:  # this row's model is at fault: a 500 for one, and no harm to the others
                yield self._end(one, "", reason)
                continue
            step = one.sequence.push(token)
            if step.finish is None:
                yield Event(one.name, step.text, None)
            else:
                yield self._end(one, step.text, step.finish.reason)

    def _end(self, one: Running, text: str, why: str) -> Event:
        self.batch.remove(one.handle)
        self.running.remove(one)
        return Event(one.name, text, why)


def serve(server: Server, requests: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, tuple[str, str]]:
    """All requests to their ends: name to (text, why it ended)."""
    texts: dict[str, str] = {}
    ended: dict[str, tuple[str, str]] = {}
    for name, body in requests:
        refused = server.submit(name, body)
        if refused is not None:
            ended[name] = ("", refused)
    while server.waiting or server.running:
        for event in server.step():
            texts[event.name] = texts.get(event.name, "") + event.text
            if event.end is not None:
                ended[event.name] = (texts[event.name], event.end)
    return ended


REQUESTS = [
    ("ann", {"model": "bigrams", "prompt": "the ", "temperature": 0.7, "seed": 1, "stop": "."}),
    ("bob", {"model": "bigrams", "prompt": "a ", "top_p": 0.9, "seed": 2, "max_tokens": 12}),
    ("cho", {"model": "bigrams", "prompt": "the cat", "temperature": 0, "max_tokens": 9}),
    ("dee", {"model": "bigrams", "prompt": "the rat", "top_p": 1.5}),
    ("eve", {"model": "bigrams", "prompt": "dog", "seed": 5, "stop": [" on", " at"]}),
]


def main() -> int:
    for name, (text, why) in sorted(serve(Server(bigram_logits(TEXT), places=2), REQUESTS).items()):
        print(f"{name}  {text!r} ({why})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
