"""rheostat in llama-cpp-python: an own loop over a `llama_cpp.Llama`, and a logits processor that draws.

What is said here of the host was read and tested in 0.3.36 (`llama_cpp/llama.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.generation import generate as loop
from rheostat.generation_model import PromptIds, Target
from rheostat.generation_over import Generation
from rheostat.integrations.llama_cpp_model import LlamaModel, Vocabulary, load, smollm2, vocabulary
from rheostat.integrations.rows import with_eos
from rheostat.params import SamplingParams
from rheostat.sequence import Sequence
from rheostat.transcript import Finish

__all__ = ["LlamaModel", "SamplingProcessor", "Vocabulary", "generate", "load", "smollm2", "vocabulary"]


def generate(
    llm: Any,
    prompt: str | PromptIds,
    params: SamplingParams,
    *,
    stream: int = 0,
    context: str = "error",
    bitmask: Callable[[tuple[int, ...]], Any] | None = None,
    record: Target | None = None,
) -> Generation:
    """A text from a `llama_cpp.Llama`, drawn by rheostat: an iterator of `Step`s, which has the result.

    A text ends at the tokens that end one in llama.cpp, unless `params` names other `eos_token_id`, and
    within the context of the model.

    Args:
        llm: the model.
        prompt: a text, which is read as `create_completion` reads it, or ids.
        params: SamplingParams. `SamplingParams.from_gguf(llm.metadata)` is what the model recommends.
        stream, context, bitmask, record: as in `rheostat.generate`.

    Raises:
        KnobError, TypeError: as in `rheostat.generate`.

    Example (not run; it needs a model)::

        params = rheostat.SamplingParams(temperature=0.7, top_p=0.9, seed=42, stop=["\\n\\n"], max_tokens=200)
        for step in generate(llm, "The capital of France is", params):
            print(step.text, end="", flush=True)
    """
    model = LlamaModel(llm)
    if isinstance(params, SamplingParams):
        length = min(params.context_length or model.context_length, model.context_length)
        params = with_eos(params.replace(context_length=length), model.eos_token_id)
    return loop(
        model,
        model.encode(prompt) if isinstance(prompt, str) else prompt,
        params,
        table=model.table,
        vocab_size=model.vocab_size,
        stream=stream,
        context=context,
        bitmask=bitmask,
        record=record,
    )


class SamplingProcessor:
    """A logits processor that draws: it leaves the host one token, by a `rheostat.Sequence` of its own.

    For programs that stay with `create_completion` or `create_chat_completion`; `arguments` is what they are
    called with. One processor is for one text. `text` and `finish` are the sequence's; in the host's own
    text a stop is cut by the host.

    llama-cpp-python only prints an exception in a processor and goes on with a token of its own. Here it is
    kept, and raised by `stop`, which the host asks after every token. A chat asks nothing: call `check` when
    it is done. `check` also tells when the host had dropped the processor, as it does with `logit_bias` (a
    knob of `SamplingParams` too).

    The host's temperature is 0, so that its own chance is not used. Give it no `grammar`: that acts later,
    and llama.cpp ends the whole process where it forbids the token that was drawn; `bitmask` is for grammars.

    Args:
        llm: the `llama_cpp.Llama`.
        params: SamplingParams; its end tokens are llama.cpp's unless it names others.
        stream: as in `Sequence`.
        bitmask: called with the ids of the output before every token, gives a grammar's mask or None.

    Example (not run; it needs a model)::

        processor = SamplingProcessor(llm, rheostat.SamplingParams(top_p=0.9, seed=42, max_tokens=99))
        answer = llm.create_completion("Once", **processor.arguments())
    """

    def __init__(
        self,
        llm: Any,
        params: SamplingParams,
        *,
        stream: int = 0,
        bitmask: Callable[[tuple[int, ...]], Any] | None = None,
    ) -> None:
        self._table, self._ends = vocabulary(llm)
        params = with_eos(params, self._ends)
        self._params, self._stream, self._bitmask = params, stream, bitmask
        self._new([])  # what is wrong with params is told here
        self._sequence: Sequence | None = None
        self._error: BaseException | None = None
        self._is_over = False
        self._row = np.full(llm.n_vocab(), -np.inf, np.float32)
        self._last = 0  # the one token of the row that is not -inf

    @property
    def sequence(self) -> Sequence | None:
        """The sequence, with tokens and log-probabilities; None before the first token."""
        return self._sequence

    @property
    def text(self) -> str:
        """The text so far, without stops and what is held back for one."""
        return "" if self._sequence is None else self._sequence.text

    @property
    def finish(self) -> Finish | None:
        """Why the text ended; None where the host ended it."""
        return None if self._sequence is None else self._sequence.finish

    def end(self) -> None:
        """Ends the text where the host has come to a limit of its own: what was held back for a stop, or of a
        character, is part of `text` then.
        """
        if self._sequence is not None and self._sequence.finish is None:
            self._sequence.end()

    def arguments(self, chat: bool = False) -> dict[str, Any]:
        """Keyword arguments for `create_completion`, or with `chat` for `create_chat_completion`, which takes
        no stopping criteria.

        Stops that are bytes, or come with min_tokens, the host does not know: its own text keeps them, and
        `text` does not.
        """
        import llama_cpp

        stops = self._params.stop
        texts = [stop for stop in stops if isinstance(stop, str)]
        given = {
            "logits_processor": llama_cpp.LogitsProcessorList([self]),
            "temperature": 0.0,
            "max_tokens": self._params.max_tokens,
            "stop": [] if self._params.include_stop_str_in_output or self._params.min_tokens else texts,
        }
        return given if chat else given | {"stopping_criteria": llama_cpp.StoppingCriteriaList([self.stop])}

    def __call__(self, input_ids: NDArray[np.intc], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The host's call: a row that leaves the drawn token alone. It is the same memory every time."""
        if self._error is None:
            try:
                id = self._draw(input_ids, scores)
            except BaseException as error:  # Ctrl-C too would be lost in the host's callback
                self._error = error
        if self._error is not None:
            id = self._ends[0] if self._ends else self._last  # so that the host comes to an end
        self._row[self._last] = -np.inf
        self._row[id] = 0
        self._last = id
        return self._row

    def stop(self, input_ids: NDArray[np.intc], logits: NDArray[np.float32]) -> bool:
        """The stopping criterion: raises what went wrong; True drops the token that was drawn last.

        A token that ends the text without being part of it is dropped. One that completes a stop string is
        not, since the host cuts it by its own stops; it is at the next token that the host is stopped then.
        """
        self.check()
        return self._is_over

    def check(self) -> None:
        """Raises what went wrong while tokens were drawn.

        Raises:
            RuntimeError: no token was drawn, so the host dropped the processor or was not called.
            Exception: any that was kept.
        """
        if self._error is not None:
            raise self._error
        if self._sequence is None:
            raise RuntimeError(
                "the processor was never called: with logit_bias llama-cpp-python drops all processors; "
                "give SamplingParams the logit_bias instead"
            )

    def _new(self, prompt_ids: list[int]) -> Sequence:
        return Sequence(self._params, self._table, prompt_ids=prompt_ids, stream=self._stream)

    def _draw(self, input_ids: NDArray[np.intc], scores: NDArray[np.float32]) -> int:
        sequence = self._sequence
        if sequence is None:
            sequence = self._sequence = self._new(input_ids.tolist())
        elif len(input_ids) != len(sequence.prompt_ids) + sequence.position or input_ids[-1] != self._last:
            raise RuntimeError(
                "the host took another token than the one drawn, or began another text: a processor is for "
                "one text, and without a draft model"
            )
        if sequence.finish is not None:
            self._is_over = True
            return self._ends[0] if self._ends else self._last
        words = None if self._bitmask is None else self._bitmask(sequence.output_ids)
        step = sequence.step(scores, bitmask=words)
        assert step.token is not None
        ender = step.finish is not None and isinstance(step.finish.stop, int)
        self._is_over = ender and not self._params.include_stop_str_in_output
        return step.token.id
