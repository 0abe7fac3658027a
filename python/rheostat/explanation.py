"""What each knob did to a row, and why the drawn token was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rheostat.errors import KnobError
from rheostat.explain_report import Draw, Explanation, Survivor
from rheostat.explain_steps import Implementation, Once, Run, probabilities
from rheostat.params import SamplingParams, require
from rheostat.reference import chance, law
from rheostat.reference import knobs as rules
from rheostat.reference.arrays import MAX_VOCAB, as_logits
from rheostat.reference.cuts import Kept
from rheostat.reference.table import takes_knobs_of


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
    top: Any = 10,
    **knobs: Any,
) -> Explanation:
    """What each knob did to one row, step by step, and why the token that `api.sample` draws was drawn.

    `table[id]` gives a token's bytes or text; `top` is how many survivors are listed.
    """
    if seed is None and u is None:
        seed = chance.fresh_seed()
    place = {"seed": seed, "stream": stream, "position": position}
    history = {"prompt_ids": prompt_ids, "output_ids": output_ids}
    calls: list[Once] = []
    if isinstance(chain, tuple | list):
        chain = [Once(step) if callable(step) else step for step in chain]
        calls = [step for step in chain if isinstance(step, Once)]
    x, is_row = as_logits(logits)
    logits = np.array(x[0] if is_row else x)  # its own: a callable may write to what was given
    token = api.sample(logits, **place, u=u, **history, chain=chain, **knobs)
    if not isinstance(token, int):
        raise KnobError(
            f"logits must be one row with one chance, got {len(token)} tokens", "logits", len(token)
        )
    top, table = _count_of(top), _checked(table)
    for call in calls:
        call.repeats = True
    run = Run(api, logits, history, knobs)
    run.masks()
    run.movers()
    run.chain(chain, {} if u is not None else place)
    word = (
        _number("u", u) if u is not None else chance.words(*map(_number, place, place.values()))[chance.TOKEN]
    )
    after = np.zeros(run.before.size)
    after[run.kept.ids] = probabilities(run.kept)
    best = [int(i) for i in run.kept.ids[law.order(run.kept.x)]]
    listed = best[:top] if token in best[:top] else [*best[: top - 1], token]
    survivors = tuple(Survivor(i, _text(table, i), float(run.before[i]), float(after[i])) for i in listed)
    draw = _draw(run.kept, token, word, best.index(token) + 1, _text(table, token))
    return Explanation(tuple(run.reports), survivors, draw, run.before, after)


# What `explain` takes beside params: all that belongs to one call.
OF_A_CALL = {
    "seed", "stream", "position", "u", "prompt_ids", "output_ids", "vocab_size", "bitmask", "table", "top",
}  # fmt: skip


@takes_knobs_of(explain_over)
def explain(logits: ArrayLike, /, params: SamplingParams | None = None, **arguments: Any) -> Explanation:
    """What each knob did to one row, step by step along the chain, and why this token was drawn.

    Args:
        logits: (vocab,), as in `softmax`.
        params: the knobs and the chain as `SamplingParams`; a seed given beside them goes before theirs.
        seed, stream, position, u, prompt_ids, output_ids, chain and the knobs: as in `sample`. A callable in
            the chain is called once.
        table: what gives a token's bytes or text for its id, a `TokenTable` for instance; None shows ids.
        top: how many survivors are listed, in [1, 1048576].

    Returns:
        An Explanation: `steps` (how many tokens and which mass each knob removed), `survivors` (probability
        before and after), `draw`. `str()` of it is a table for a terminal, `plot()` a matplotlib figure.

    Raises:
        KnobError, LogitsError, TypeError: as in `sample`; KnobError for more than one row or chance, for
            params with knobs beside them, for params with mirostat, whose state only a `Sampler` has, and for
            a table that has not every token listed.

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
    given = require(params)
    beside = [name for name in arguments if name not in OF_A_CALL]
    if beside:
        rule = "params must come without knobs beside them"
        raise KnobError(f"{rule}, got {', '.join(beside)}", "params", beside)
    if given.mirostat:
        rule = "params must be without mirostat, whose state only a Sampler has"
        raise KnobError(f"{rule}, got mirostat={given.mirostat}", "params", given)
    table = arguments.get("table")
    knobs = given.knobs() if table is None else given.resolved(table).knobs()
    return ({} if "u" in arguments else {"seed": given.seed}) | knobs | dict(arguments)


def _draw(kept: Kept, token: int, word: int, rank: int, text: str | None) -> Draw:
    s = law.total(kept.w)
    high = np.cumsum(kept.w, dtype=np.uint64)
    at = int(np.searchsorted(kept.ids, token))
    low = int(high[at]) - int(kept.w[at])
    return Draw(token, text, word / 2**64, low / s, int(high[at]) / s, rank)


def _number(name: str, value: Any) -> int:
    """What `sample` has found to be one integer."""
    number = rules.integer_of(name, value)
    assert isinstance(number, int)
    return number


def _count_of(top: Any) -> int:
    count = rules.integer_of("top", top)
    if isinstance(count, list):
        raise TypeError("top must be an integer, got one per row")
    rules.check("top", ("must be at least 1", lambda count: count >= 1), count)
    return int(rules.check("top", (f"must be at most {MAX_VOCAB}", lambda count: count <= MAX_VOCAB), count))


def _checked(table: Any) -> Any:
    if table is not None and not hasattr(table, "__getitem__"):
        raise TypeError(f"table must give bytes or text for each token id, got {type(table).__name__}")
    return table


def _text(table: Any, token_id: int) -> str | None:
    """The token's text; None where there is no table, or where the table has none for it."""
    if table is None:
        return None
    try:
        text = table[token_id]
    except LookupError:
        message = f"table must give bytes or text for each token id, got nothing for {token_id}"
        raise KnobError(message, "table", token_id) from None
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    if text is not None and not isinstance(text, str):
        rule = "table must give bytes or text for each token id"
        raise TypeError(f"{rule}, got {type(text).__name__} for {token_id}")
    return text
