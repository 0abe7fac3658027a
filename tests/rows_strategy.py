"""Rows that are hard on filters: ties, plateaus, forbidden tokens, far tails, one token alone."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

few = settings(derandomize=True, deadline=None, max_examples=100)

values = st.one_of(
    st.integers(-6, 6).map(float),
    st.floats(-30, 30, width=32),
    st.sampled_from([-np.inf, 0.0, -0.0, -200.0]),
)


@st.composite
def rows(draw, max_size=60):
    """(n,) float32 with at least one finite logit."""
    x = np.array(draw(st.lists(values, min_size=1, max_size=max_size)), np.float32)
    if not (x > -np.inf).any():
        x[draw(st.integers(0, x.size - 1))] = 1.0
    return x


temperatures = st.sampled_from([0.3, 0.7, 1.0, 1.5, 4.0])
shares = st.one_of(st.sampled_from([0.1, 0.25, 0.5, 0.9, 0.999]), st.floats(0.001, 0.999))
