//! The nucleus of a whole row, by filtered exactness, as in exact geometric predicates: a cheap pass gives an
//! interval for Z, exact integers are taken for the few tokens that can be in the nucleus, and only where the
//! interval leaves the cut open is the exact sum of the row taken.
//!
//! 1. **Survey.** One read gives an interval for Z and rough sums of cells of 16 logits (see [`crate::survey`]).
//! 2. **Candidates.** A prefix of the order, all logits at or above some cut, contains the nucleus when its
//!    exact mass reaches the target's upper end. A cell is at least each of its rough weights, so only blocks
//!    with a cell as large as the cut's own are looked into. The windows widen until one is enough.
//! 3. **Certificate.** The candidates' cut for the target's lower end is the nucleus if its mass also reaches
//!    the upper end, since every target between the two has the same shortest prefix. If not, Z is taken
//!    exactly.
//! 4. **Wide nuclei.** Where no window is enough, two logits that enclose the cut are estimated from a sample;
//!    one exact pass gives Z and the mass above the upper one; the tokens between the two decide. Where the
//!    sample misled, or the row is short, all tokens are candidates.
//!
//! Every tier gives the law's own set; the tests force each.

use crate::law;
use crate::scratch::Scratch;
use crate::select::{self, Cut};
use crate::simd::{self, Level};
use crate::survey::Survey;

/// How a nucleus was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Among candidates, by the interval alone.
    Interval,
    /// Among candidates, with the exact sum.
    Candidates,
    /// Between two logits estimated from a sample, with the exact sum.
    Band,
    /// Among all tokens.
    All,
}

/// A row on its way to its nucleus.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The logits; -inf is no token.
    pub logits: &'a [f32],
    /// The largest.
    pub maximum: f32,
    /// The law's factor c at the temperature.
    pub scale: f32,
}

/// Distances from the maximum, in powers of two of the weight, within which candidates are looked for.
const WINDOWS: [f64; 5] = [6.0, 8.0, 10.0, 13.0, 16.0];

/// From so large a share of hot cells on, 1 / WIDE of the row, candidates are too many to be worth it.
const WIDE: usize = 48;

/// Rows shorter than this are not worth a filter.
pub const LONG: usize = 1 << 11;

/// Logits in a sample, and the part of the mass below the cut by which it is distrusted on either side.
const SAMPLE: usize = 1 << 12;
const DISTRUST: f64 = 0.2;

/// Leaves the nucleus of probability p, 0 < p < 1, in the scratch's `xs` and `ids`. `survey` is of this row and
/// scale, its cells in the scratch; None where there is none.
pub fn keep(row: Row<'_>, survey: Option<Survey>, p: f64, scratch: &mut Scratch) -> Tier {
    if row.logits.len() >= LONG {
        let survey =
            survey.or_else(|| Survey::with_guess(row.logits, row.maximum, row.scale, &mut scratch.cells));
        if let Some(tier) = survey.and_then(|survey| row.keep_among_candidates(&survey, p, scratch)) {
            return tier;
        }
        if row.keep_by_band(p, scratch).is_some() {
            return Tier::Band;
        }
    }
    row.gather((f32::MIN, f32::INFINITY), scratch);
    let z = row.weigh(scratch);
    cut(scratch, law::share(p, z)).retain(&mut scratch.xs, &mut scratch.ids);
    Tier::All
}

impl Row<'_> {
    /// A logit at most as high as the one whose weight is 2**y.
    #[must_use]
    pub fn logit_at(&self, y: f64) -> f32 {
        let logit = (f64::from(self.maximum) + y / f64::from(self.scale)) as f32;
        logit.next_down().max(f32::MIN)
    }

    fn keep_among_candidates(&self, survey: &Survey, p: f64, scratch: &mut Scratch) -> Option<Tier> {
        let level = Level::current();
        let (low, high) = survey.sum_between(self.maximum, self.logits.len());
        let (low, high) = (law::share(p, low), law::share(p, high));
        for window in WINDOWS {
            let logit = self.logit_at(-window);
            let hot = survey.least_cell(logit);
            let (mass, count) = simd::sum_hot(level, &scratch.cells, hot);
            if count > self.logits.len() / WIDE {
                return None;
            }
            // The hot cells hold at least what the candidates do.
            if f64::from(mass) < 0.999 * p * survey.rough_sum() {
                continue;
            }
            let Scratch { xs, ids, cells, .. } = &mut *scratch;
            xs.clear();
            ids.clear();
            simd::gather_from_cells(level, self.logits, cells, (hot, logit), xs, ids);
            if self.weigh(scratch) < high {
                continue;
            }
            let found = cut(scratch, low);
            if found.mass >= high {
                found.retain(&mut scratch.xs, &mut scratch.ids);
                return Some(Tier::Interval);
            }
            let z = simd::sum_weights(level, self.logits, self.maximum, self.scale);
            cut(scratch, law::share(p, z)).retain(&mut scratch.xs, &mut scratch.ids);
            return Some(Tier::Candidates);
        }
        None
    }

    fn keep_by_band(&self, p: f64, scratch: &mut Scratch) -> Option<()> {
        let level = Level::current();
        let sum = simd::sum_weights(level, self.logits, self.maximum, self.scale) as f64;
        let (below, above) = self.estimate(p, sum, scratch);
        let (z, mass) =
            simd::sum_weights_and_above(level, self.logits, self.maximum, self.scale, above.next_up());
        let target = law::share(p, z);
        if target <= mass {
            return None;
        }
        self.gather((below, above), scratch);
        if self.weigh(scratch) < target - mass {
            return None;
        }
        let mut found = cut(scratch, target - mass);
        found.last = scratch.ids[found.last] as usize;
        let Scratch { xs, ids, .. } = scratch;
        xs.clear();
        ids.clear();
        found.gather(self.logits, xs, ids);
        Some(())
    }

    /// Two logits between which the cut for p lies, as far as a sample can tell. One logit is taken from each
    /// of equal stretches, at a place that moves by the golden ratio, so that no period of the row's is met.
    /// The mass below the cut is what it must tell, (1 - p) * Z: that is spread over many tokens where the
    /// nucleus is wide, while the mass above may lie in a few that no sample meets.
    fn estimate(&self, p: f64, sum: f64, scratch: &mut Scratch) -> (f32, f32) {
        let stretch = self.logits.len() / SAMPLE.min(self.logits.len() / 2);
        let mut place = 0_u32;
        scratch.xs.clear();
        scratch.xs.extend(self.logits.chunks_exact(stretch).map(|logits| {
            place = place.wrapping_add(0x9E37_79B9);
            logits[((u64::from(place) * stretch as u64) >> 32) as usize]
        }));
        let total = self.weigh(scratch);
        let below = (1.0 - p) * sum / stretch as f64;
        let above = |below: f64| total.saturating_sub(below as u64);
        let (upper, lower) = (above(below * (1.0 + DISTRUST)), above(below * (1.0 - DISTRUST)));
        let high = if upper == 0 { self.maximum } else { cut(scratch, upper).logit };
        let low = if lower == 0 { self.maximum } else { cut(scratch, lower).logit };
        (low.max(f32::MIN), high)
    }

    /// Leaves in the scratch the logits within the bounds.
    fn gather(&self, bounds: (f32, f32), scratch: &mut Scratch) {
        let Scratch { xs, ids, .. } = scratch;
        xs.clear();
        ids.clear();
        simd::gather_between(Level::current(), self.logits, bounds, 0, xs, ids);
    }

    /// Leaves in the scratch the float weights of its logits, and gives the sum of the integer ones.
    pub fn weigh(&self, scratch: &mut Scratch) -> u64 {
        let Scratch { xs, weights, .. } = scratch;
        weights.resize(xs.len(), 0.0);
        simd::store_and_sum_weights(Level::current(), xs, self.maximum, self.scale, weights)
    }
}

/// The cut for a target among the weighed logits of the scratch.
fn cut(scratch: &mut Scratch, target: u64) -> Cut {
    let Scratch { xs, weights, members, .. } = scratch;
    select::cut(xs, |at| law::integer_weight(weights[at]), target, members)
}
