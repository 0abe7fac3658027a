"""What adapters share: the params of a request, and of the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence as Many

from rheostat.params import SamplingParams, require

Checked = SamplingParams | tuple[SamplingParams, ...]


def checked(params: SamplingParams | Many[SamplingParams], name: str = "params") -> Checked:
    """Params for all rows, or for each.

    Raises:
        TypeError: they are neither.
    """
    if isinstance(params, list | tuple):
        return tuple(require(each, name) for each in params)
    return require(params, name)


def each_of(params: Checked, rows: int) -> list[SamplingParams]:
    """The params of each row.

    Raises:
        ValueError: there are more or fewer.
    """
    found = [params] * rows if isinstance(params, SamplingParams) else list(params)
    if len(found) != rows:
        raise ValueError(f"params must be one, or one for each of the {rows} rows, got {len(found)}")
    return found


def with_eos(params: SamplingParams, ids: int | Many[int] | None) -> SamplingParams:
    """The params, with the end tokens of the model where they name none of their own."""
    is_open = params.eos_token_id is None and not params.ignore_eos
    return params.replace(eos_token_id=ids) if is_open and ids not in (None, ()) else params
