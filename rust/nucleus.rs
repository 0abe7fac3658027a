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
//! 4. **Wide nuclei.** Where no window is enough, the cut is enclosed in a band of logits (see [`crate::band`]). A
//!    row whose first logits are flat goes this way at once. Where that fails, or the row is short, all tokens are
//!    candidates.
//!
//! Every tier gives the law's own set; the tests force each.

use crate::band;
use crate::law;
use crate::row;
use crate::scratch::Scratch;
use crate::select::{self, Cut};
use crate::simd::{self, Level};
use crate::survey::{self, Survey};

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

/// A row on its way to its nucleus, in one form or another.
#[derive(Clone, Copy)]
pub struct At<L> {
    /// The logits; -inf is no token.
    pub logits: L,
    /// The largest.
    pub maximum: f32,
    /// The law's factor c at the temperature.
    pub scale: f32,
}

/// As float32.
pub type Row<'a> = At<&'a [f32]>;

/// Where it stands.
pub type Standing<'a> = At<row::Row<'a>>;

/// Distances from the maximum, in powers of two of the weight, within which candidates are looked for.
const WINDOWS: [f64; 5] = [6.0, 8.0, 10.0, 13.0, 16.0];

/// From so large a share of hot cells on, 1 / WIDE of the row, candidates are too many to be worth it.
const WIDE: usize = 48;

/// Rows shorter than this are not worth a filter.
pub const LONG: usize = 1 << 11;

/// A nucleus that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// How.
    pub tier: Tier,
    /// None where it stands in the scratch's `xs` and `ids`. Else it is what this cut keeps of the row, and the
    /// scratch's `sums` are those of its integer weights over blocks.
    pub cut: Option<Cut>,
}

/// Finds the nucleus of probability p, 0 < p < 1. `survey` is of this row and scale, its cells in the scratch; None
/// where there is none.
pub fn keep(row: Standing<'_>, survey: Option<Survey>, p: f64, scratch: &mut Scratch) -> Found {
    if row.logits.len() >= LONG {
        let is_flat = survey.is_none() && survey::looks_flat(row.logits, row.scale);
        let survey = match survey {
            None if !is_flat => Survey::with_guess(row.logits, row.maximum, row.scale, &mut scratch.cells),
            known => known,
        };
        if let Some(tier) = survey.and_then(|survey| row.keep_among_candidates(&survey, p, scratch)) {
            return Found { tier, cut: None };
        }
        let row = row.wide();
        let z = match survey {
            Some(survey) => Some(survey.sum_between(row.maximum, row.logits.len()).0 as f64),
            // A sample tells Z only of a flat row.
            None if is_flat => None,
            None => Some(simd::sum_weights(Level::current(), row.logits, row.maximum, row.scale) as f64),
        };
        if let Some(cut) = band::find(&row, p, z, scratch) {
            return Found { tier: Tier::Band, cut: Some(cut) };
        }
    }
    row.logits.gather(f32::MIN, &mut scratch.xs, &mut scratch.ids);
    let z = row.weigh(scratch);
    cut(scratch, law::share(p, z)).retain(&mut scratch.xs, &mut scratch.ids);
    Found { tier: Tier::All, cut: None }
}

impl<L> At<L> {
    /// A logit at most as high as the one whose weight is 2**y.
    #[must_use]
    pub fn logit_at(&self, y: f64) -> f32 {
        let logit = (f64::from(self.maximum) + y / f64::from(self.scale)) as f32;
        logit.next_down().max(f32::MIN)
    }

    /// Leaves in the scratch the float weights of its logits, and gives the sum of the integer ones.
    pub fn weigh(&self, scratch: &mut Scratch) -> u64 {
        let Scratch { xs, weights, .. } = scratch;
        weights.resize(xs.len(), 0.0);
        simd::store_and_sum_weights(Level::current(), xs, self.maximum, self.scale, weights)
    }
}

impl<'a> Standing<'a> {
    /// As float32: a copy where it does not stand there so.
    fn wide(self) -> Row<'a> {
        Row { logits: self.logits.logits(), maximum: self.maximum, scale: self.scale }
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
            self.logits.gather_from_cells(cells, (hot, logit), xs, ids);
            if self.weigh(scratch) < high {
                continue;
            }
            let found = cut(scratch, low);
            if found.mass >= high {
                found.retain(&mut scratch.xs, &mut scratch.ids);
                return Some(Tier::Interval);
            }
            let z = simd::sum_weights(level, self.logits.logits(), self.maximum, self.scale);
            cut(scratch, law::share(p, z)).retain(&mut scratch.xs, &mut scratch.ids);
            return Some(Tier::Candidates);
        }
        None
    }
}

/// The cut for a target among the weighed logits of the scratch.
fn cut(scratch: &mut Scratch, target: u64) -> Cut {
    let Scratch { xs, weights, members, .. } = scratch;
    select::cut_by_weight(xs, weights, target, members)
}
