"""AdamW, and the clipping of gradients."""

from __future__ import annotations

import math

import numpy as np

from rheostat.lab.network import Parameters

BETA1, BETA2, EPSILON = 0.9, 0.98, 1e-8


def clip(gradients: Parameters, norm: float) -> float:
    """Scales all gradients, in place, so that together they are no longer than `norm`; returns their length
    (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training recurrent neural networks").
    """
    length = math.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values()))
    if length > norm:
        for g in gradients.values():
            g *= np.float32(norm / length)
    return length


class AdamW:
    """Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019), the latter on
    matrices alone.
    """

    def __init__(self, parameters: Parameters, weight_decay: float) -> None:
        self.parameters = parameters
        self.weight_decay = weight_decay
        self.mean = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.square = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.steps = 0

    def step(self, gradients: Parameters, rate: float) -> None:
        """One update of the parameters, in place."""
        self.steps += 1
        correct1, correct2 = 1 - BETA1**self.steps, 1 - BETA2**self.steps
        for name, value in self.parameters.items():
            g, mean, square = gradients[name], self.mean[name], self.square[name]
            mean += np.float32(1 - BETA1) * (g - mean)
            square += np.float32(1 - BETA2) * (g * g - square)
            if value.ndim > 1:
                value *= np.float32(1 - rate * self.weight_decay)
            spread = np.sqrt(square * np.float32(1 / correct2)) + np.float32(EPSILON)
            value -= np.float32(rate / correct1) * mean / spread
