"""Settings by one name: where to begin, and what other programs do unless told otherwise."""

from __future__ import annotations

from typing import Any, NamedTuple


class Preset(NamedTuple):
    """Fields of SamplingParams, and when one wants them."""

    fields: dict[str, Any]
    says: str


PRESETS = {
    "greedy": Preset({"temperature": 0}, "always the likeliest token: for facts and for comparisons"),
    "precise": Preset({"temperature": 0.3, "top_p": 0.9}, "close to the likeliest: for answers and code"),
    "balanced": Preset({"temperature": 0.7, "top_p": 0.9}, "lively, and seldom off the point: the default"),
    "creative": Preset({"temperature": 1.1, "min_p": 0.05}, "unlikely words too, but no nonsense"),
    "plain": Preset({}, "the model's own distribution, nothing cut; as vLLM unless told otherwise"),
    "hf": Preset({"top_k": 50, "chain": "hf"}, "as transformers with do_sample=True"),
    "llama.cpp": Preset(
        {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "chain": "llama.cpp"},
        "as llama.cpp unless told otherwise: temperature last",
    ),
}
DEFAULT = "balanced"


def described() -> str:
    """The presets, a line each, with their values."""
    lines = []
    for name, preset in PRESETS.items():
        values = ", ".join(f"{field} {value}" for field, value in preset.fields.items())
        lines.append(f"  {name:<11}{preset.says}\n             ({values or 'every knob off'})")
    return "\n".join(lines)
