"""rheostat in transformers: the end of each row."""

from __future__ import annotations

from collections.abc import Sequence as Many
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat._rheostat import TokenTable
from rheostat.integrations.rows import checked, each_of
from rheostat.params import SamplingParams
from rheostat.reference.arrays import MAX_VOCAB
from rheostat.sequence import Sequence
from rheostat.transcript import Finish

ONE_CALL = (
    "input_ids must be those of the last call and one token more, for what draws and stops is for one call "
    "of generate, without beams or an assistant"
)


class StopCriterion:
    """A stopping criterion: each row ends by its own params, at its first stop string, stop id, EOS or limit.

    It only looks at the tokens, so it goes with the host's own sampling too. Of the params it uses what ends
    a sequence; `context_length` is left to the host's `max_length`. They must name the `eos_token_id` of the
    model: where the host alone knows it, the padding behind it is taken for text. One criterion is for one
    call.

    Args:
        params: SamplingParams, or a list of one for each row.
        table: TokenTable, the bytes of every token: `TokenTable.from_tokenizers(tokenizer)`; None for ids
            without text.

    Example (not run; it needs a model)::

        table = rheostat.TokenTable.from_tokenizers(tokenizer)
        params = rheostat.SamplingParams(stop=["\\n\\n"], eos_token_id=model.generation_config.eos_token_id)
        criterion = StopCriterion(params, table)
        model.generate(**inputs, stopping_criteria=[criterion])
        print(criterion.texts)
    """

    def __init__(self, params: SamplingParams | Many[SamplingParams], table: TokenTable | None) -> None:
        self._params, self._table = checked(params), table
        for each in (self._params,) if isinstance(self._params, SamplingParams) else self._params:
            self._new(each.replace(context_length=None))  # what is wrong with them is told here
        self._width = 0
        self.sequences: list[Sequence] = []
        self.drawn: NDArray[np.int64] | None = None
        """What a processor has drawn for each row: where another id comes, the host has ended the row."""

    @property
    def texts(self) -> list[str]:
        """The text of each row so far, without its stop and what is held back for one."""
        return [sequence.text for sequence in self.sequences]

    @property
    def finishes(self) -> list[Finish | None]:
        """Why each row ended; None where the host ended it, or it goes on."""
        return [sequence.finish for sequence in self.sequences]

    def begin(self, params: list[SamplingParams], prompts: Many[NDArray[np.int64]]) -> None:
        """Makes the sequences of the rows; the first call does where nobody else has."""
        self.sequences = [self._new(*row) for row in zip(params, prompts, strict=True)]

    def end(self) -> None:
        """Ends the rows that go on, when the host has come to a limit of its own, such as max_new_tokens:
        what was held back for a stop, or of a character, is text then.
        """
        for sequence in self.sequences:
            if sequence.finish is None:
                sequence.end()

    def _new(self, params: SamplingParams, prompt_ids: Any = ()) -> Sequence:
        return Sequence(params, self._table, prompt_ids=prompt_ids, vocab_size=MAX_VOCAB)

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        """The host's call: (rows,) bool, whether each row has ended."""
        import torch

        rows, width = input_ids.shape
        if not self.sequences:
            params = each_of(self._params, rows)
            self.begin([each.replace(context_length=None) for each in params], [np.zeros(0, np.int64)] * rows)
        if rows != len(self.sequences) or self._width not in (0, width - 1):
            got = f"({rows}, {width}) after ({len(self.sequences)}, {self._width})"
            raise ValueError(f"{ONE_CALL}, got the shape {got}")
        self._width = width
        for row, (sequence, id) in enumerate(zip(self.sequences, input_ids[:, -1].tolist(), strict=True)):
            if sequence.finish is None and (self.drawn is None or self.drawn[row] == id):
                sequence.push(id)
        ended = [sequence.finish is not None for sequence in self.sequences]
        return torch.tensor(ended, dtype=torch.bool, device=input_ids.device)
