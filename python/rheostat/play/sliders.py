"""The knobs that the page has sliders for, and how far each goes. It may go less far than the knob itself."""

from __future__ import annotations

from typing import NamedTuple


class Slider(NamedTuple):
    """A knob of `SamplingParams`, the ends of its slider and the step between two places of it."""

    name: str
    least: float
    most: float
    step: float
    common: bool = False
    """Whether it is shown from the start; the others are behind a fold."""


SLIDERS = (
    Slider("temperature", 0, 2, 0.05, common=True),
    Slider("top_k", 0, 100, 1, common=True),
    Slider("top_p", 0.01, 1, 0.01, common=True),
    Slider("min_p", 0, 0.5, 0.005, common=True),
    Slider("typical_p", 0.01, 1, 0.01),
    Slider("top_n_sigma", 0, 5, 0.1),
    Slider("top_h", 0, 1, 0.05),
    Slider("epsilon_cutoff", 0, 0.1, 0.001),
    Slider("eta_cutoff", 0, 0.1, 0.001),
    Slider("xtc_probability", 0, 1, 0.05),
    Slider("xtc_threshold", 0, 0.5, 0.01),
    Slider("repetition_penalty", 1, 2, 0.01, common=True),
    Slider("frequency_penalty", -1, 2, 0.05, common=True),
    Slider("presence_penalty", -1, 2, 0.05),
    Slider("no_repeat_ngram_size", 0, 8, 1),
    Slider("dry_multiplier", 0, 2, 0.1),
)
