"""A record of a generation: one JSON line for its settings and one for each step, and where two differ.

It tells a change of the model from one of the sampler. The first line has `recording` (1, the version of this
form), `rheostat`, `law`, `params`, `context` ("error" or "slide"), `vocab_size` (null where the first row
told it), `seed`, `stream`, `prompt_length` and `prompt` (a digest of its ids). Each other one has

    position    of the token in the output, from 0
    u           the chance that drew it: word 0 of its block
    id          the token
    kept        how many tokens the chain kept
    S           the sum of their integer weights
    logits      a digest of the row's bits as float32: 64 bits of BLAKE2b

The kept tokens are asked of the sequence's own library once more, and `S` is summed by the law. At 49,152
tokens a step with a record costs half a millisecond more, two fifths of it the digest, and some 3 where the
chain keeps all (processor time; Intel Xeon with AVX-512, Python 3.11.7, NumPy 2.4.6: `recording._entry` in
its fastest of 60 calls). It counts as sampling, and passes in the event loop's thread where there is one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rheostat.errors import KnobError
from rheostat.generation_model import Target, Window
from rheostat.reference import chance, law
from rheostat.reference.arrays import as_logits
from rheostat.reference.build import build_info
from rheostat.reference.state import from_bytes
from rheostat.sequence_step import Step

FORM = 1
SETTINGS = ("law", "params", "context", "vocab_size", "seed", "stream", "prompt")
STEP = ("position", "u", "id", "kept", "S", "logits")


class Recorder:
    """Writes the record of one sequence. A path is written anew, and open only while a line is written."""

    def __init__(self, target: Target, sequence: Any, window: Window, vocab_size: int | None) -> None:
        is_path = isinstance(target, str | os.PathLike)
        if not is_path and (not hasattr(target, "write") or isinstance(target, RawIOBase | BufferedIOBase)):
            raise TypeError(f"record must be a path or a text file, got {type(target).__name__}")
        self._file = None if isinstance(target, str | os.PathLike) else target
        self._path = Path(target).absolute() if isinstance(target, str | os.PathLike) else Path()
        self._written = -1  # the position of the last line
        params = json.loads(window.asked(sequence.params).replace(seed=None).to_json())
        prompt = np.asarray(sequence.prompt_ids, "<i8")
        header = {
            "recording": FORM,
            "rheostat": build_info()["version"],
            "law": params.pop("law"),
            "params": params,
            "context": window.context,
            "vocab_size": vocab_size,
            "seed": sequence.seed,
            "stream": sequence.stream,
            "prompt_length": prompt.size,
            "prompt": digest(prompt),
        }
        self._write(header, "w")

    def step(self, sequence: Any, row: Any, bitmask: Any) -> Step:
        """The sequence's step, written down; where it cannot be written it is not taken."""
        before = sequence.snapshot()
        try:
            step: Step = sequence.step(row, bitmask=bitmask)
            assert step.token is not None
            self.write(sequence, before.sampler, row, bitmask, step.token.id)
        except BaseException:
            sequence.restore(before)
            raise
        return step

    def write(self, sequence: Any, state: bytes, row: Any, bitmask: Any, id: int) -> None:
        """A line for the token that was drawn of the row; `state` is the sampler's before it."""
        entry = _entry(sequence, state, row, bitmask, id)
        if entry["position"] == self._written:  # an interrupt came right behind the line: here it is again
            return
        self._write(entry, "a")
        self._written = entry["position"]

    def _write(self, entry: Mapping[str, Any], mode: str) -> None:
        line = json.dumps(entry) + "\n"
        if self._file is not None:
            self._file.write(line)
            return
        with self._path.open(f"{mode}b", buffering=0) as file:
            end = file.tell() if file.seekable() else None
            left = memoryview(line.encode())
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                if end is not None:
                    with suppress(OSError):  # of what is no file, such as /dev/full
                        file.truncate(end)  # no half of a line, for it is written again
                raise


def digest(array: np.ndarray[Any, np.dtype[Any]]) -> str:
    """64 bits of BLAKE2b over an array's bytes, in hexadecimal."""
    return blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()


def _entry(sequence: Any, state: bytes, row: Any, bitmask: Any, id: int) -> dict[str, Any]:
    """What a line tells."""
    x, _ = as_logits(row)
    place = from_bytes(state, sequence.vocab_size)
    ids, logits = sequence._kept(x, state, place.history, bitmask)
    weights = law.integer_weights(logits, sequence.params.temperature or 1.0)  # greedy weighs one token alone
    with np.errstate(over="ignore"):
        bits = x[0].astype("<f4", copy=False)
    return {
        "position": place.position,
        "u": chance.words(place.seed, place.stream, place.position)[chance.TOKEN],
        "id": id,
        "kept": ids.size,
        "S": law.total(weights),
        "logits": digest(bits),
    }


class Recording(NamedTuple):
    """A record that was read: its first line, and the others."""

    header: dict[str, Any]
    steps: tuple[dict[str, Any], ...]


def read(path: str | os.PathLike[str], /) -> Recording:
    """Reads a record.

    Raises:
        KnobError: the file is none, or of another form.
        OSError: it cannot be read.
    """
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    entries = [_parsed(path, number, line) for number, line in enumerate(lines, 1)]
    if not entries or entries[0].get("recording") != FORM or not set(SETTINGS) <= set(entries[0]):
        raise _no_recording(path, 1, "the settings of a generation")
    for number, entry in enumerate(entries[1:], 2):
        if set(entry) != set(STEP):
            raise _no_recording(path, number, "a step")
    return Recording(entries[0], tuple(entries[1:]))


def _parsed(path: Any, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        raise _no_recording(path, number, "a JSON object")
    return entry


def _no_recording(path: Any, number: int, wanted: str) -> KnobError:
    message = f"path must be that of a recording, got {os.fspath(path)}, whose line {number} is not {wanted}"
    return KnobError(message, "path", path)


@dataclass(frozen=True)
class Difference:
    """Where two records part; `str()` of it says so in a few sentences."""

    settings: tuple[tuple[str, Any, Any], ...]
    """The settings that differ: (name, of a, of b)."""
    position: int | None
    """The first step that differs; None where only settings do."""
    cause: str | None
    """``"input"``: the logits differ, and so do settings that decide what the model reads. ``"model"``: the
    logits alone differ. ``"sampler"``: the logits are equal, the tokens are not. ``"length"``: one ends
    here."""
    a: dict[str, Any] | None
    """That step in a; None where a has ended."""
    b: dict[str, Any] | None
    """That step in b; None where b has ended."""

    def __str__(self) -> str:
        lines = [f"{name} differs: {a!r} and {b!r}." for name, a, b in self.settings]
        if self.position is None:
            return "\n".join([*lines, "The logits and tokens of every step are equal."])
        return "\n".join([*lines, *self._of_the_step()])

    def _of_the_step(self) -> list[str]:
        at, a, b = self.position, self.a, self.b
        steps = "step before it is" if at == 1 else f"{at} steps before it are"
        before = [f"The {steps} equal."] if at else []
        if a is None or b is None:
            return [f"Step {at}: the {'first' if a is None else 'second'} has ended.", *before]
        tokens = f"tokens {a['id']} and {b['id']}" if a["id"] != b["id"] else f"the same token, {a['id']}"
        if self.cause in ("input", "model"):
            digests = f"digests {a['logits']} and {b['logits']}"
            blame = "so the model"
            if self.cause == "input":
                blame = "as they may, for the model read something else"
            return [f"Step {at}: the logits differ, {blame}: {digests}; {tokens}.", *before]
        why = [f"{name} {a[name]} and {b[name]}" for name in ("u", "kept", "S") if a[name] != b[name]]
        cause = ", ".join(why) or "the same u, kept and S"
        return [f"Step {at}: the logits are equal, so the sampler: {tokens}; {cause}.", *before]


def diff(a: str | os.PathLike[str], b: str | os.PathLike[str], /) -> Difference | None:
    """The first step where two records differ: in the logits, which is the model, or what it read, or in the
    token alone, which is the sampler. None where nothing does.

    Raises:
        KnobError: one is no recording.
        OSError: one cannot be read.
    """
    one, other = read(a), read(b)
    settings = tuple(_settings(one.header, other.header))
    for at in range(max(len(one.steps), len(other.steps))):
        x = one.steps[at] if at < len(one.steps) else None
        y = other.steps[at] if at < len(other.steps) else None
        if x is None or y is None:
            return Difference(settings, at, "length", x, y)
        if x["logits"] != y["logits"]:
            slides = "slide" in (one.header["context"], other.header["context"])
            read_by_model = {"prompt", "context", "context_length"} if slides else {"prompt"}
            is_input = not read_by_model.isdisjoint(name for name, _, _ in settings)
            return Difference(settings, at, "input" if is_input else "model", x, y)
        if x["id"] != y["id"]:
            return Difference(settings, at, "sampler", x, y)
    return Difference(settings, None, None, None, None) if settings else None


def _settings(a: dict[str, Any], b: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs, each of the params by its name. A vocabulary of an unknown size differs from none."""
    names = dict.fromkeys([*a["params"], *b["params"]])
    params = [(name, a["params"].get(name), b["params"].get(name)) for name in names]
    others = [(name, a[name], b[name]) for name in SETTINGS if name != "params"]
    told = [each for each in others if each[0] != "vocab_size" or None not in each]
    return [(name, x, y) for name, x, y in params + told if x != y]
