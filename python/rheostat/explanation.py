"""What each knob did to a row, and why the drawn token was drawn.

No hot path: it runs the chain step by step through `kept`, `process`, `sample` and `softmax` of either
implementation, so what it tells is what that one did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import KnobError, LogitsError
from rheostat.params import SamplingParams
from rheostat.reference import chance, law
from rheostat.reference.chain import Step, chain_of
from rheostat.reference.cuts import Kept
from rheostat.reference.table import OFF, TABLE, Knobs, knobs_of

Ids = NDArray[np.int64]
Row = NDArray[np.float32]

# What acts before the chain, in its order: for each line the knob that sets it, then those that only say how.
MASKS = {
    "vocab_size": ("vocab_size",),
    "allowed_token_ids": ("allowed_token_ids",),
    "bitmask": ("bitmask",),
    "banned_token_ids": ("banned_token_ids",),
    "bad_words": ("bad_words",),
    "no_repeat_ngram_size": ("no_repeat_ngram_size",),
    "min_tokens": ("min_tokens", "eos_token_id", "stop_token_ids"),
}
MOVERS = {
    "logit_bias": ("logit_bias",),
    "sequence_bias": ("sequence_bias",),
    "repetition": ("repetition_penalty", "penalty_last_n"),
    "frequency, presence": ("frequency_penalty", "presence_penalty", "penalty_last_n"),
    "dry": tuple(knob.name for knob in TABLE if knob.name.startswith("dry_")),
}
SWITCHES = {"frequency, presence": ("frequency_penalty", "presence_penalty")}


class Implementation(Protocol):
    """What is asked of `rheostat` or `rheostat.reference`."""

    kept: Callable[..., Any]
    process: Callable[..., Any]
    sample: Callable[..., Any]


@dataclass(frozen=True)
class StepReport:
    """One step: its name and setting, how many tokens it found and left, which share of the mass it removed.

    The mass is that of the tokens it found, at the temperature the step ran at.
    """

    name: str
    setting: str
    tokens_before: int
    tokens_after: int
    mass_removed: float
    top_probability: float  # of the likeliest token, after the step
    ids: Ids = field(repr=False, compare=False)  # what it left

    @property
    def removed(self) -> int:
        return self.tokens_before - self.tokens_after


@dataclass(frozen=True)
class Survivor:
    """A token of the final set: its probability in the plain row at temperature 1, and the one it is drawn
    with.
    """

    token_id: int
    text: str | None
    before: float
    after: float


@dataclass(frozen=True)
class Draw:
    """The drawn token holds the part [low, high) of the kept mass, in id order, and u fell into it."""

    token_id: int
    text: str | None
    u: float
    low: float
    high: float
    rank: int  # in the law's order of what is kept

    def __str__(self) -> str:
        name = _fit(_name(self.token_id, self.text), 45)
        if (self.low, self.high) == (0, 1):
            return f"{name} was drawn: it alone was left."
        return (
            f"{name} was drawn, number {self.rank} of the kept tokens.\n"
            f"In id order it holds [{self.low:.6f}, {self.high:.6f}) of the kept mass, "
            f"and u = {self.u:.6f} fell into it."
        )


@dataclass(frozen=True)
class Explanation:
    """`str()` is a table for the terminal, `plot()` a picture.

    `before` and `after` are every token's probability in the plain row at temperature 1 and at the end,
    (vocab,).
    """

    steps: tuple[StepReport, ...]
    survivors: tuple[Survivor, ...]
    draw: Draw
    before: NDArray[np.float64] = field(repr=False, compare=False)
    after: NDArray[np.float64] = field(repr=False, compare=False)

    @property
    def token_id(self) -> int:
        return self.draw.token_id

    def __str__(self) -> str:
        lines = [f"{'step':<22}{'setting':<30}{'tokens':>10}{'removed':>10}{'mass removed':>15}{'top p':>10}"]
        for step in self.steps:
            removed = f"{-step.removed}" if step.removed else "-"
            mass = f"{step.mass_removed:.4%}" if step.removed else "-"
            lines.append(
                f"{_fit(step.name, 21):<22}{_fit(step.setting, 29):<30}{step.tokens_after:>10}{removed:>10}"
                f"{mass:>15}{step.top_probability:>10.4f}"
            )
        lines += ["", f"{'token':<46}{'before':>12}{'after':>12}"]
        for survivor in self.survivors:
            mark = "  <- drawn" if survivor.token_id == self.draw.token_id else ""
            name = _fit(_name(survivor.token_id, survivor.text), 45)
            lines.append(f"{name:<46}{survivor.before:>12.6f}{survivor.after:>12.6f}{mark}")
        hidden = self.steps[-1].tokens_after - len(self.survivors)
        if hidden > 0:
            lines.append(f"and {hidden} more")
        return "\n".join([*lines, "", str(self.draw)])

    def plot(self, tokens: int = 200) -> Any:
        """A matplotlib figure: the likeliest tokens before and after, and where each step cut. See
        `explain_plot`.
        """
        from rheostat.explain_plot import plot

        return plot(self, tokens)


# What `explain` takes beside params: all that belongs to one call.
OF_A_CALL = {
    "seed", "stream", "position", "u", "prompt_ids", "output_ids", "vocab_size", "bitmask", "table", "top",
}  # fmt: skip


def explain(logits: ArrayLike, /, params: SamplingParams | None = None, **arguments: Any) -> Explanation:
    """What each knob did to one row, step by step along the chain, and why this token was drawn.

    Args:
        logits: (vocab,), as in `softmax`.
        params: the knobs and the chain as `SamplingParams`; a seed given beside them goes before theirs.
        seed, stream, position, u, prompt_ids, output_ids, chain and the knobs: as in `sample`.
        table: what gives a token's bytes or text for its id, a `TokenTable` for instance; None shows ids.
        top: how many survivors are listed.

    Returns:
        An Explanation: `steps` (how many tokens and which mass each knob removed), `survivors` (probability
        before and after), `draw`. `str()` of it is a table for a terminal, `plot()` a matplotlib figure.

    Raises:
        KnobError, LogitsError, TypeError: as in `sample`; KnobError for more than one row or chance, for
            params with knobs beside them, and for params with mirostat, whose state only a `Sampler` has.

    >>> import rheostat
    >>> explained = rheostat.explain([0.0, 1.0, 2.0, 3.0], top_p=0.8, seed=7)
    >>> explained.token_id, [step.name for step in explained.steps], explained.steps[-1].removed
    (3, ['input', 'top_p'], 2)
    """
    import rheostat  # which imports this

    return explain_over(rheostat, logits, **with_params(params, arguments))


def with_params(params: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, with the knobs of the params among them."""
    if params is None:
        return dict(arguments)
    if not isinstance(params, SamplingParams):
        raise TypeError(f"params must be a SamplingParams, got {type(params).__name__}")
    beside = [name for name in arguments if name not in OF_A_CALL]
    if beside:
        rule = "params must come without knobs beside them"
        raise KnobError(f"{rule}, got {', '.join(beside)}", "params", beside)
    if params.mirostat:
        rule = "params must be without mirostat, whose state only a Sampler has"
        raise KnobError(f"{rule}, got mirostat={params.mirostat}", "params", params)
    table = arguments.get("table")
    knobs = params.knobs() if table is None else params.resolved(table).knobs()
    return ({} if "u" in arguments else {"seed": params.seed}) | knobs | dict(arguments)


def explain_over(
    api: Implementation,
    logits: ArrayLike,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    u: Any = None,
    prompt_ids: Any = (),
    output_ids: Any = (),
    chain: Any = "vllm",
    table: Any = None,
    top: int = 10,
    **knobs: Any,
) -> Explanation:
    """What each knob did to one row, step by step, and why the token that `api.sample` draws was drawn.

    `table[id]` gives a token's bytes or text; `top` is how many survivors are listed.
    """
    if seed is None and u is None:
        seed = chance.fresh_seed()
    place = {"seed": seed, "stream": stream, "position": position}
    history = {"prompt_ids": prompt_ids, "output_ids": output_ids}
    token = api.sample(logits, **place, u=u, **history, chain=chain, **knobs)
    if not isinstance(token, int):
        raise KnobError(
            f"logits must be one row with one chance, got {len(token)} tokens", "logits", len(token)
        )
    run = Run(api, logits, history, knobs)
    run.masks()
    run.movers()
    run.chain(chain, {} if u is not None else place)
    word = int(u) if u is not None else chance.words(int(seed), int(stream), int(position))[chance.TOKEN]
    after = np.zeros(run.before.size)
    after[run.kept.ids] = probabilities(run.kept)
    best = [int(i) for i in run.kept.ids[law.order(run.kept.x)]]
    listed = best[:top] if token in best[:top] else [*best[: top - 1], token]
    survivors = tuple(Survivor(i, _text(table, i), float(run.before[i]), float(after[i])) for i in listed)
    draw = _draw(run.kept, token, word, best.index(token) + 1, _text(table, token))
    return Explanation(tuple(run.reports), survivors, draw, run.before, after)


class Run:
    """One row on its way through the knobs, with a report for each step that is set."""

    def __init__(
        self, api: Implementation, logits: ArrayLike, history: Mapping[str, Any], knobs: Mapping[str, Any]
    ) -> None:
        self.api, self.logits, self.history, self.given = api, logits, history, knobs
        try:
            plain = api.process(logits, chain=())
        except LogitsError:  # a forbidden token's logit may be anything: then the row begins as masked
            plain = self._process([name for names in MASKS.values() for name in names])
        self.width = plain.size
        self.knobs: Knobs = knobs_of(knobs, 1, self.width, True)[0]
        self.kept = _all_of(plain)
        self.before = np.zeros(self.width)
        self.before[self.kept.ids] = probabilities(self.kept)
        self.reports: list[StepReport] = []
        self._report("input", "", self.kept)

    def masks(self) -> None:
        """A mask never looks at logits: what it leaves of a row of zeros it leaves of this one."""
        acting: list[str] = []
        for step, names in MASKS.items():
            if not self._is_set(step, names):
                continue
            acting += names
            zeros = np.zeros(self.width, np.float32)
            allowed = self.api.kept(zeros, **self.history, chain=(), **self._only(acting))
            left = np.isin(self.kept.ids, allowed)
            self._report(
                step, self._setting(names), self.kept._replace(ids=self.kept.ids[left], x=self.kept.x[left])
            )

    def movers(self) -> None:
        acting = [name for names in MASKS.values() for name in names]
        for step, names in MOVERS.items():
            if self._is_set(step, names):
                acting += [name for name in names if name not in acting]
                self._report(step, self._setting(names), _all_of(self._process(acting)))

    def chain(self, chain: Any, place: Mapping[str, Any]) -> None:
        """The kept set after each step is that of the chain up to it."""
        shaped = np.full(self.width, -np.inf, np.float32)
        shaped[self.kept.ids] = self.kept.x
        steps = chain_of(chain, [self.knobs])
        temperature = 1.0
        for end, step in enumerate(steps, 1):
            if not callable(step) and not self.knobs.sets(step):
                continue
            if step == "temperature":
                temperature = self.knobs.temperature or 1.0
            names = [knob.name for knob in TABLE if knob.acts in steps[:end]]
            ids = self.api.kept(shaped, **place, chain=steps[:end], **self._only(names))
            own = [knob.name for knob in TABLE if knob.acts == step]
            self._report(_step_name(step), self._setting(own), Kept(ids, shaped[ids], temperature))

    def _report(self, name: str, setting: str, after: Kept) -> None:
        """Close a step: the mass removed is counted among what it found, at the temperature it ran at."""
        found = self.kept._replace(temperature=after.temperature)
        gone = ~np.isin(found.ids, after.ids)
        removed = float(probabilities(found)[gone].sum())
        likeliest = float(probabilities(after).max())
        report = StepReport(name, setting, found.ids.size, after.ids.size, removed, likeliest, after.ids)
        self.reports.append(report)
        self.kept = after

    def _process(self, names: list[str]) -> Row:
        row: Row = self.api.process(self.logits, **self.history, chain=(), **self._only(names))
        return row

    def _only(self, names: list[str]) -> dict[str, Any]:
        return {name: value for name, value in self.given.items() if name in names}

    def _is_set(self, step: str, names: tuple[str, ...]) -> bool:
        return any(_differs(getattr(self.knobs, name), OFF[name]) for name in SWITCHES.get(step, names[:1]))

    def _setting(self, names: list[str] | tuple[str, ...]) -> str:
        """The values given, named where the step does not tell: "0.9", "threshold 0.1, probability 0.5"."""
        given = {name: self.given[name] for name in names if name in self.given}
        unnamed = names[0] if names and names[0] not in ("frequency_penalty", "xtc_threshold") else None
        if list(given) == [unnamed]:
            return _short(*given.values())
        return ", ".join(f"{_short_name(name)} {_short(value)}" for name, value in given.items())


def probabilities(kept: Kept) -> NDArray[np.float64]:
    """W / S of what is kept: (n,)."""
    return kept.w / float(law.total(kept.w))


def _all_of(x: Row) -> Kept:
    ids = np.flatnonzero(x > -np.inf)
    return Kept(ids, x[ids], 1.0)


def _draw(kept: Kept, token: int, word: int, rank: int, text: str | None) -> Draw:
    s = law.total(kept.w)
    high = np.cumsum(kept.w, dtype=np.uint64)
    at = int(np.searchsorted(kept.ids, token))
    low = int(high[at]) - int(kept.w[at])
    return Draw(token, text, word / 2**64, low / s, int(high[at]) / s, rank)


def _differs(value: Any, off: Any) -> bool:
    return isinstance(value, np.ndarray) or value != off


def _step_name(step: Step) -> str:
    return step if isinstance(step, str) else str(getattr(step, "__name__", type(step).__name__))


def _short_name(name: str) -> str:
    return name.removesuffix("_penalty").removeprefix("xtc_").removeprefix("dry_")


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) or (isinstance(value, list | tuple | dict) and len(value) > 3):
        return f"{len(value)} given"
    return str(value)


def _text(table: Any, token_id: int) -> str | None:
    if table is None:
        return None
    text = table[token_id]
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _name(token_id: int, text: str | None) -> str:
    return f"token {token_id}" if text is None else f"{text!r} ({token_id})"


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
