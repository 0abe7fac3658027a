"""What others can check themselves with: their samplers, their stop matchers, and a build on their machine.

`check_sampler` finds by which cause a sampler keeps other tokens than the exact ones, `check_stops` by which
cause a stop matcher shows other text; `python -m rheostat.testing.conformance` compares this build with the
results that every build gives.
"""

from rheostat.testing.sampler_check import Difference, SamplerReport, check_sampler
from rheostat.testing.sampler_draws import DrawTest
from rheostat.testing.stops_check import StopDifference, StopReport, check_stops

__all__ = [
    "Difference",
    "DrawTest",
    "SamplerReport",
    "StopDifference",
    "StopReport",
    "check_sampler",
    "check_stops",
]
