"""What a sequence tells of itself."""

from __future__ import annotations

from typing import Any

from rheostat.params import SamplingParams
from rheostat.results import Token
from rheostat.transcript import Finish, Transcript


class SequenceProperties:
    """The properties of a sequence, over its sampler and its transcript."""

    _params: SamplingParams
    _table: Any
    _sampler: Any
    _transcript: Transcript

    @property
    def params(self) -> SamplingParams:
        """The parameters; breakers that were strings are ids."""
        return self._params

    @property
    def table(self) -> Any:
        """The tokens' bytes, or None."""
        return self._table

    @property
    def vocab_size(self) -> int:
        """How many tokens there are to draw from."""
        return int(self._sampler.vocab_size)

    @property
    def seed(self) -> int:
        """The seed, also where the system gave it."""
        return int(self._sampler.seed)

    @property
    def stream(self) -> int:
        """The stream."""
        return int(self._sampler.stream)

    @property
    def position(self) -> int:
        """How many tokens the output has: the position of the next draw."""
        return len(self._transcript.tokens)

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The prompt."""
        return tuple(self._sampler.prompt_ids)

    @property
    def output_ids(self) -> tuple[int, ...]:
        """Every token that was taken, with one that ended the sequence."""
        return tuple(self._sampler.output_ids)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._transcript.text)

    @property
    def finish(self) -> Finish | None:
        """Why it ended, or None while it goes on."""
        return self._transcript.finish

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that the text was made of, for their log-probabilities: those of all steps.

        Not among them are a stop or EOS token whose text is not part of it, those that begin in a stop
        string, and, while the sequence goes on, those that are held back.
        """
        transcript = self._transcript
        return tuple(transcript.tokens[: transcript.released])
