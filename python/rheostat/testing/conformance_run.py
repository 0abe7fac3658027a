"""One case of the conformance file: the call, and its result as named parts, whose bytes are digested.

Everything is little-endian: probabilities and logits float32, other numbers float64, ids and counts int64. A
text is its length in bytes (int64) and its UTF-8, a list of ids its length and the ids. `docs/conformance.md`
has the order of the parts of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.params import SamplingParams
from rheostat.testing.conformance_cases import ROWS, Case
from rheostat.testing.rows import Row, row_of

Part = tuple[str, NDArray[Any] | bytes]


def digest(parts: Iterable[Part]) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the parts' bytes, one after the other."""
    return sha256(b"".join(_bytes(value) for _, value in parts)).hexdigest()[:16]


def run(api: Any, case: Case) -> list[Part]:
    """The result of a case with one implementation: `rheostat` or `rheostat.reference`."""
    return CALLS[case["call"]](api, case)


def _bytes(value: NDArray[Any] | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    return np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()


def _integers(name: str, values: Any) -> Part:
    return name, np.asarray(values, np.int64).reshape(-1)


def _numbers(name: str, values: Any) -> Part:
    return name, np.asarray(values, np.float64).reshape(-1)


def _row(case: Case) -> Row:
    return row_of(ROWS[case["row"]])


def _knobs(knobs: Case) -> Case:
    """Keyword arguments: the ids of biases are strings and pairs in JSON, masks are lists."""
    knobs = dict(knobs)
    if "logit_bias" in knobs:
        knobs["logit_bias"] = {int(id): float(bias) for id, bias in knobs["logit_bias"].items()}
    if "sequence_bias" in knobs:
        knobs["sequence_bias"] = {tuple(ids): bias for ids, bias in knobs["sequence_bias"]}
    if "bitmask" in knobs:
        knobs["bitmask"] = np.array(knobs["bitmask"], np.int32)
    return knobs


def _softmax(api: Any, case: Case) -> list[Part]:
    function = getattr(api, case["call"])
    return [("result", function(_row(case), temperature=case["temperature"]))]


def _filter(api: Any, case: Case) -> list[Part]:
    function = getattr(api, case["call"])
    return [("result", function(_row(case), case["value"], temperature=case["temperature"]))]


def _kept(api: Any, case: Case) -> list[Part]:
    return [_integers("ids", api.kept(_row(case), **_knobs(case["knobs"])))]


def _process(api: Any, case: Case) -> list[Part]:
    return [("logits", api.process(_row(case), **_knobs(case["knobs"])))]


def _sample(api: Any, case: Case) -> list[Part]:
    positions = np.arange(case["positions"])
    return [_integers("tokens", api.sample(_row(case), position=positions, **_knobs(case["knobs"])))]


def _choose(api: Any, case: Case) -> list[Part]:
    return [_integers("tokens", api.choose(_row(case), case["count"], **_knobs(case["knobs"])))]


def _logprobs(api: Any, case: Case) -> list[Part]:
    found = api.logprobs(_row(case), case["token_ids"], top=case["top"], **_knobs(case["knobs"]))
    return [
        _numbers("logprobs", found.logprobs),
        _integers("ranks", found.ranks),
        _integers("top_ids", found.top_ids),
        _numbers("top_logprobs", found.top_logprobs),
    ]


def _verify(api: Any, case: Case) -> list[Part]:
    """Row i of the target is the row moved on by i places; the draft's is twice it, and its first token
    drafted.
    """
    x = _row(case)
    target = np.stack([np.roll(x, step) for step in range(case["drafted"] + 1)])
    draft = target[:-1] * np.float32(2)
    found = api.verify(
        np.argmax(draft, axis=1),
        draft if case["method"] == "lossless" else None,
        target,
        SamplingParams(**_knobs(case["params"])),
        seed=case["seed"],
        position=0,
        method=case["method"],
    )
    return [_integers("accepted", found.accepted), _integers("ids", found.ids)]


def _told(token: Any) -> list[Part]:
    """A token and all that was asked about it, in the order of its fields."""
    parts = [_integers("id", token.id)]
    for name in ("logprob", "raw_logprob", "rank", "top_logprobs", "kept_count", "kept_mass", "entropy"):
        value = getattr(token, name)
        if value is not None:
            parts.append((_integers if name in ("rank", "kept_count") else _numbers)(name, value))
    return parts


def _sampler(api: Any, case: Case) -> list[Part]:
    """Step i has the row moved on by i places."""
    x, parts = _row(case), []
    sampler = api.Sampler(SamplingParams(**_knobs(case["params"])), x.size, prompt_ids=case["prompt_ids"])
    for step in range(case["steps"]):
        parts += _told(sampler.sample(np.roll(x, step)))
    return parts if sampler.mu is None else [*parts, _numbers("mu", sampler.mu)]


def _batch(api: Any, case: Case) -> list[Part]:
    """Sequence i has stream i, and its row at step j is moved on by i + j places."""
    x, parts = _row(case), []
    batch = api.BatchSampler(x.size)
    for stream in range(case["sequences"]):
        batch.add(SamplingParams(**_knobs(case["params"])), stream=stream)
    for step in range(case["steps"]):
        rows = np.stack([np.roll(x, step + stream) for stream in range(case["sequences"])])
        parts += [part for token in batch.step(rows) for part in _told(token)]
    return parts


def _stops(api: Any, case: Case) -> list[Part]:
    """Every piece up to the finish, then the finish, then the flush."""
    stops, pieces = ([_plain(each) for each in case[name]] for name in ("stops", "pieces"))
    stop_set = api.StopSet(stops, kind=case["kind"], tie=case["tie"], include=case["include"])
    matcher, parts = stop_set.matcher(), []
    for number, piece in enumerate(pieces):
        parts.append(_output(f"piece {number}", matcher.feed(piece, armed=number >= case["armed_from"])))
        if matcher.hit is not None:
            break
    hit = matcher.hit
    finish = [-1] if hit is None else [hit.index, hit.start, hit.end, hit.discarded]
    return [
        *parts,
        _output("held", matcher.held),
        _integers("finish", finish),
        _output("flush", matcher.flush()),
    ]


def _plain(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def _output(name: str, output: Any) -> Part:
    if isinstance(output, list):
        return _integers(name, [len(output), *output])
    data = output.encode() if isinstance(output, str) else output
    return name, len(data).to_bytes(8, "little") + data


CALLS: dict[str, Callable[[Any, Case], list[Part]]] = {
    "softmax": _softmax, "log_softmax": _softmax, "top_p": _filter, "top_k": _filter, "min_p": _filter,
    "kept": _kept, "process": _process, "sample": _sample, "choose": _choose, "logprobs": _logprobs,
    "verify": _verify, "sampler": _sampler, "batch": _batch, "stops": _stops,
}  # fmt: skip
