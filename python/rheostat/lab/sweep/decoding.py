"""A setting of the decoding knobs, measured: what a model writes with it, and at what cost."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Sequence
from typing import Any, NamedTuple

import rheostat
from rheostat import Generation, SamplingParams
from rheostat.errors import KnobError
from rheostat.lab.sweep import metrics
from rheostat.lab.sweep.goals import Metric
from rheostat.lab.sweep.kinds import exact, kinds_of, knob_values
from rheostat.lab.sweep.plan import Report, Settings

PROMPTS = ("The default is", "Return the", "If the file", "This module")
TEXTS = 8
MAX_TOKENS = 100

# What a setting reports about its tokens changes none of them.
REPORTS = ("logprobs", "include_stop_str_in_output")
KINDS = {name: kind for name, kind in kinds_of(SamplingParams).items() if name not in REPORTS}

METRICS = (
    Metric("perplexity", "of the texts under the model: among how many tokens each seemed chosen", digits=2),
    Metric("bits_per_byte", "the same by bytes: the model's surprise in bits"),
    Metric("distinct_1", "of all tokens of all texts, the share of different ones", higher=True),
    Metric("distinct_2", "the same of pairs of neighbours", higher=True),
    Metric("repetition", "of the runs of four tokens in a text, the share that came before in it"),
    Metric("nucleus_size", "how many tokens were left to draw from, in the mean", digits=1),
    Metric("length", "tokens of a text, in the mean", higher=True, digits=1),
    Metric(
        "stopped", "the share of texts that a stop or the model ended, not a limit", higher=True, digits=2
    ),
    Metric("tokens_per_second", "of model and sampling together", higher=True, digits=0),
    Metric(
        "peak_memory", "what a text needs at most, in Python and NumPy, beside the model", digits=0, unit="kB"
    ),
)


class Written(NamedTuple):
    """A text: the ids that were drawn, what each cost, and what is told of the whole."""

    ids: list[int]
    nats: list[float]
    kept: list[int]
    size: int
    is_stopped: bool
    seconds: float


class Decoding:
    """Texts of a model at a setting.

    Args:
        model: with `table`, `encode`, `context_length` and `eos_token_id`, as the command line takes it.
        name: of the model, for the study and the command line.
        base: fields of `SamplingParams` that hold where a setting says nothing.
        prompts: the beginnings; text number i goes on from prompt i modulo their number, in stream i, so that
            every setting meets the same chances.
        texts: how many are written at each setting.
        digest: of the model's file, so that a study does not go on with another of its name; "" for none.

    Raises:
        KnobError: base breaks a rule, texts is below 1, or there is no prompt.
    """

    kind = "decoding"
    metrics = METRICS
    reported = None
    step_name = "text"

    def __init__(
        self,
        model: Any,
        name: str,
        base: dict[str, Any],
        prompts: Sequence[str] = PROMPTS,
        texts: int = TEXTS,
        digest: str = "",
    ) -> None:
        self.kinds = KINDS
        if texts < 1:
            raise KnobError(f"texts must be at least 1, got {texts}", "texts", texts)
        if not prompts:
            raise KnobError("prompts must hold at least one text, got none", "prompts", ())
        self.model = model
        self.name = name
        self.digest = digest
        self.prompts = tuple(prompts)
        self.texts = texts
        own = {key: getattr(model, key) for key in ("context_length", "eos_token_id")}
        self.defaults = {key: value for key, value in own.items() if value is not None}
        self.defaults |= {"max_tokens": MAX_TOKENS, "seed": 1}
        self.base = base
        self._is_warm = False
        self.check({})

    def params(self, settings: Settings) -> SamplingParams:
        """All knobs at a setting.

        Raises:
            KnobError, TypeError: one breaks its rule.
        """
        return SamplingParams(**self.defaults | self.base | knob_values(self.kinds, settings))

    def check(self, settings: Settings) -> None:
        """Raises a KnobError where a setting breaks its rule."""
        params = self.params(settings)
        longest = max((self.model.encode(prompt) for prompt in self.prompts), key=len)
        if params.context_length is not None and not self._slides(settings):
            rheostat.generate(
                self.model, longest, params, table=self.model.table
            )  # which is too long, or not

    def measure(self, settings: Settings, report: Report) -> dict[str, float]:
        """The metrics at a setting, over all its texts. `report` is told the number of each, and no value."""
        params = self.params(settings).replace(report=("raw_logprob", "kept_count"))
        if (
            not self._is_warm
        ):  # the first text of a process fills caches, which is neither its time nor its memory
            self._text(settings, params, 0)
            self._is_warm = True
        texts = []
        for number in range(self.texts):
            texts.append(self._text(settings, params, number))
            report(number + 1, math.nan)
        ids = [text.ids for text in texts]
        nats = [nat for text in texts for nat in text.nats]
        size = sum(text.size for text in texts)
        if size == 0:
            raise ValueError("every text is empty: the model ends each at once")
        return {
            "perplexity": metrics.perplexity(nats),
            "bits_per_byte": metrics.bits_per_byte(nats, size),
            "distinct_1": metrics.distinct(ids, 1),
            "distinct_2": metrics.distinct(ids, 2),
            "repetition": metrics.repetition(ids),
            "nucleus_size": sum(sum(text.kept) for text in texts) / len(nats),
            "length": len(nats) / len(texts),
            "stopped": sum(text.is_stopped for text in texts) / len(texts),
            "tokens_per_second": len(nats) / math.fsum(text.seconds for text in texts),
            "peak_memory": self._peak_memory(settings, params) / 1e3,
        }

    def command(self, settings: Settings) -> list[str]:
        """`rheostat generate` with the setting."""
        options = ["rheostat", "generate", self.prompts[0], "--preset", "plain"]
        if self.name != "box":
            options += ["--model", self.name]
        if self._slides(settings):
            options += ["--context", "slide"]
        params = self.params(settings)
        for key in dict.fromkeys([*self.base, *settings]):
            value = getattr(params, key)
            if value is None or value is False or value == ():
                continue
            flag = "--" + key.replace("_", "-")
            if isinstance(value, bool):
                options.append(flag)
            elif key == "stop":
                options += [f"{flag}={_escaped(text)}" for text in value]  # one word, also of a stop like -x
            else:
                options += [flag, ",".join(map(str, value)) if isinstance(value, tuple) else exact(value)]
        return options

    def identity(self) -> dict[str, Any]:
        """What else decides the numbers."""
        fixed = json.loads(SamplingParams(**self.defaults | self.base).to_json())
        model = {"model": self.name, "model of SHA-256": self.digest}
        return {**model, "prompts": list(self.prompts), "texts": self.texts, "fixed": fixed}

    def _slides(self, settings: Settings) -> bool:
        """Whether the oldest tokens are dropped at the context length: where one is chosen."""
        return "context_length" in settings or "context_length" in self.base

    def _begin(self, settings: Settings, params: SamplingParams, number: int) -> Generation:
        is_sliding = self._slides(settings) and params.context_length is not None
        return rheostat.generate(
            self.model,
            self.model.encode(self.prompts[number % len(self.prompts)]),
            params,
            table=self.model.table,
            stream=number,
            context="slide" if is_sliding else "error",
        )

    def _text(self, settings: Settings, params: SamplingParams, number: int) -> Written:
        generation = self._begin(settings, params, number)
        tokens: list[Any] = [step.token for step in generation]
        ids = [token.id for token in tokens]
        if generation.dropped:  # then the rows that were drawn from are of a model that has seen less
            nats = metrics.surprises(self.model, generation.prompt_ids, ids)
        else:
            nats = [-token.raw_logprob for token in tokens]
        return Written(
            ids,
            nats,
            [token.kept_count for token in tokens],
            sum(len(self.model.table[id] or b"") for id in ids),
            generation.finish_reason in ("stop", "eos"),
            generation.timings.model + generation.timings.sampling,
        )

    def _peak_memory(self, settings: Settings, params: SamplingParams) -> int:
        """Bytes, by tracemalloc: repeatable to some bytes, where the resident size of a process tells of all
        that ran in it before. The compiled core's own few bytes for each token are not among them. The text
        is the first, written once more, for tracing takes time.
        """
        was_tracing = tracemalloc.is_tracing()
        if not was_tracing:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            self._begin(settings, params, 0).run()
            return max(tracemalloc.get_traced_memory()[1] - before, 0)
        finally:
            if not was_tracing:
                tracemalloc.stop()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
