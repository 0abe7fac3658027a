"""What the page is told: from a request, a dict as JSON has it, to an answer, another one. No HTTP here."""

from __future__ import annotations

import math
import shlex
import threading
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

import rheostat
from rheostat.cli.explain import padding
from rheostat.cli.options import FIELDS, PENALTIES
from rheostat.cli.presets import DEFAULT, PRESETS
from rheostat.errors import KnobError
from rheostat.explain_report import Explanation
from rheostat.generation_model import IncrementalModel
from rheostat.params import SamplingParams
from rheostat.play.sliders import SLIDERS
from rheostat.reference.chain import PRESETS as CHAINS
from rheostat.reference.lists import id_tuple

PROMPT = "The default is"
MAX_PROMPT = 4000  # characters
MAX_TOKENS = 200
TOKENS_SHOWN = 24

# What the page sets; everything else of SamplingParams is the playground's own.
SETTINGS = {*(slider.name for slider in SLIDERS), "chain", "stop", "seed", "max_tokens"}
DEFAULTS = {field.name: field.default for field in fields(SamplingParams)}


class Playground:
    """A model to play with. Requests are answered one at a time: the model may remember what it has read."""

    def __init__(self, model: Any, name: str = "box") -> None:
        self.model, self.name = model, name
        self._lock = threading.Lock()

    def about(self) -> dict[str, Any]:
        """What the page is built from: the sliders, the presets, the orders of the chain."""
        sliders = [
            {
                **slider._asdict(),
                "says": FIELDS[slider.name].says,
                "off": DEFAULTS[slider.name],
                "group": "against repetition" if slider.name in PENALTIES else "which tokens may come",
            }
            for slider in SLIDERS
        ]
        presets = [{"name": name, "says": p.says, "fields": p.fields} for name, p in PRESETS.items()]
        return {
            "version": rheostat.__version__,
            "model": self.name,
            "prompt": PROMPT,
            "sliders": sliders,
            "presets": presets,
            "preset": DEFAULT,
            "chains": {name: " \u2192 ".join(steps) for name, steps in CHAINS.items()},
        }

    def text(self, request: Any) -> dict[str, Any]:
        """The text after a prompt, in pieces with the token of each; how to get it without the page."""
        prompt, params = _prompt(request), self._params(request)
        with self._lock:
            generation = rheostat.generate(
                self.model, self.model.encode(prompt), params.replace(logprobs=0), table=self.model.table
            )
            pieces = [
                {"text": step.text, "id": step.token.id, "p": math.exp(step.token.logprob or 0.0)}
                for step in generation
                if step.token is not None  # as in every step that was drawn
            ]
        return {
            "pieces": pieces,
            "finish": generation.finish_reason,
            "stop": generation.stop if isinstance(generation.stop, str) else None,
            "python": f"rheostat.SamplingParams({_arguments(request)})",
            "command": _command(prompt, request, self.name),
        }

    def next(self, request: Any) -> dict[str, Any]:
        """The distribution of the token at a place of the text: what each knob did to it, and the draw."""
        prompt, params = _prompt(request), self._params(request)
        size = len(self.model.table)
        output = list(id_tuple("output_ids", request.get("output_ids", []), size, "a list of token ids"))
        with self._lock:
            prompt_ids = self.model.encode(prompt)
            ids = [*prompt_ids, *output]
            logits = self.model.start(ids) if isinstance(self.model, IncrementalModel) else self.model(ids)
            explanation = rheostat.explain(
                logits,
                params,
                prompt_ids=prompt_ids,
                output_ids=output,
                position=len(output),
                table=self.model.table,
                top=TOKENS_SHOWN,
                **padding(logits, size),
            )
        return {
            "steps": [
                {
                    "name": step.name,
                    "setting": step.setting,
                    "tokens": step.tokens_after,
                    "removed": step.removed,
                    "mass": step.mass_removed,
                    "top": step.top_probability,
                }
                for step in explanation.steps
            ],
            "tokens": _bars(explanation, self.model.table),
            "draw": {"id": explanation.token_id, "why": str(explanation.draw)},
        }

    def _params(self, request: Mapping[str, Any]) -> SamplingParams:
        """The settings of a request, with the model's own end and context."""
        settings = _settings(request)
        own = {name: getattr(self.model, name) for name in ("context_length", "eos_token_id")}
        params = SamplingParams(**{name: v for name, v in own.items() if v is not None}, **settings)
        if params.max_tokens is None or params.max_tokens > MAX_TOKENS:
            rule = f"max_tokens must be at most {MAX_TOKENS} here"
            raise KnobError(f"{rule}, got {params.max_tokens}", "max_tokens", params.max_tokens)
        return params


def _prompt(request: Any) -> str:
    if not isinstance(request, dict):
        raise TypeError(f"request must be an object, got {type(request).__name__}")
    prompt = request.get("prompt")
    if not isinstance(prompt, str):
        raise TypeError(f"prompt must be a string, got {type(prompt).__name__}")
    if not 0 < len(prompt) <= MAX_PROMPT:
        rule = f"prompt must have 1 to {MAX_PROMPT} characters"
        raise KnobError(f"{rule}, got {len(prompt)}", "prompt", len(prompt))
    return prompt


def _settings(request: Mapping[str, Any]) -> dict[str, Any]:
    settings = request.get("settings", {})
    if not isinstance(settings, dict):
        raise TypeError(f"settings must be an object, got {type(settings).__name__}")
    for name in settings:
        if name not in SETTINGS:
            raise KnobError(f"settings must hold what the page sets, got {name!r}", "settings", name)
    return {"seed": 1, "max_tokens": 60} | settings


def _changed(request: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not what they are anyway."""
    return {name: value for name, value in _settings(request).items() if value != DEFAULTS[name]}


def _arguments(request: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in _changed(request).items())


def _command(prompt: str, request: Mapping[str, Any], model: str) -> str:
    """The command line that writes the same text."""
    words = ["rheostat", "generate", prompt, "--preset", "plain"]
    words += ["--model", model] if model != "box" else []
    for name, value in _changed(request).items():
        flag = "--" + name.replace("_", "-")
        for item in value if isinstance(value, list) else [value]:
            words.append(f"{flag}={_escaped(item)}")
    return shlex.join(words)


def _escaped(value: Any) -> str:
    """As the command line reads a text: a new line and a tab in letters."""
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def _bars(explanation: Explanation, table: Any) -> list[dict[str, Any]]:
    """The likeliest tokens before and after all knobs, the drawn one among them; which step dropped each."""
    count = min(TOKENS_SHOWN, explanation.before.size)
    best = np.argsort(-explanation.before, kind="stable")[:count].tolist()
    best += [survivor.token_id for survivor in explanation.survivors[: count // 2]]
    ids = sorted({*best, explanation.token_id}, key=lambda i: (-explanation.before[i], i))
    return [
        {
            "id": i,
            "text": (table[i] or b"").decode("utf-8", "replace"),
            "before": float(explanation.before[i]),
            "after": float(explanation.after[i]),
            "dropped": next((step.name for step in explanation.steps if i not in step.ids), None),
        }
        for i in ids
    ]
