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
//! 4. **A long list.** Where no window is enough, a sample tells about where the cut lies (see [`crate::band`]). If
//!    little of the row is above it, that is listed with a margin. Its exact mass leaves only the rest to the
//!    interval, which is so much narrower that it mostly decides.
//! 5. **Wide nuclei.** Else the cut is enclosed in a band of logits. A row that a look finds flat goes this way at
//!    once. Where the sample misled, or the row is short, all tokens are candidates.
//!
//! Every tier gives the law's own set; the tests force each.

use crate::band::{self, Band, NEXT_STEP};
use crate::law;
use crate::row;
use crate::scratch::Scratch;
use crate::select::{self, Cut, Known};
use crate::simd::{self, Level, SUMMED};
use crate::survey::{self, Survey};
use crate::weighed::{Bracket, Weighed};

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
pub type Wide<'a> = At<&'a [f32]>;

/// Where it stands.
pub type InPlace<'a> = At<row::Row<'a>>;

/// Distances from the maximum, in powers of two of the weight, within which candidates are looked for.
const WINDOWS: [f64; 5] = [6.0, 8.0, 10.0, 13.0, 16.0];

/// How far below a sample's guess a list begins, in powers of two of the weight.
const LOWER: [f32; 3] = [0.0, 1.0, 4.0];

/// From so large a share of hot cells on, 1 / WIDE of the row, candidates are too many to be worth it.
const WIDE: usize = 48;

/// One in so many cache lines tells where a cut may be that no sample has told.
const PART: usize = 8;

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
pub fn keep(row: InPlace<'_>, survey: Option<Survey>, p: f64, scratch: &mut Scratch) -> Found {
    if row.logits.len() >= LONG {
        let is_flat = survey.is_none() && survey::looks_flat(row.logits, Some(row.maximum), row.scale);
        let mut survey = match survey {
            None if !is_flat => Survey::with_guess(row.logits, row.maximum, row.scale, &mut scratch.cells),
            known => known,
        };
        if let Some(tier) = survey.and_then(|survey| row.keep_among_candidates(&survey, p, scratch)) {
            return Found { tier, cut: None };
        }
        let (standing, row) = (row, row.wide());
        let mut z = match survey {
            Some(survey) => Some(survey.sum_between(row.maximum, row.logits.len()).0 as f64),
            // A sample tells Z only of a flat row.
            None if is_flat => None,
            None => {
                let z = simd::sum_weights(Level::current(), row.logits, row.maximum, row.scale);
                if row.keep_in_window(p, z, scratch) {
                    return Found { tier: Tier::Candidates, cut: None };
                }
                Some(z as f64)
            }
        };
        let mut guess = band::guess(&row, p, z, scratch);
        if is_flat && guess.few_above {
            // The look has misled: what else is in it makes these logits light.
            survey = Survey::with_guess(row.logits.into(), row.maximum, row.scale, &mut scratch.cells);
            if let Some(tier) = survey.and_then(|survey| standing.keep_among_candidates(&survey, p, scratch))
            {
                return Found { tier, cut: None };
            }
            z = survey.map(|survey| survey.sum_between(row.maximum, row.logits.len()).0 as f64);
            guess = band::guess(&row, p, z, scratch);
        }
        if guess.few_above {
            if let Some(tier) = survey.and_then(|survey| row.keep_listed(&survey, p, &guess, scratch)) {
                return Found { tier, cut: None };
            }
            guess = band::guess_again(&row, p, z, scratch);
        }
        let (tier, cut) = match band::find(&row, p, guess, scratch) {
            Ok(cut) => (Tier::Band, cut),
            Err(known) => (Tier::All, row.cut_all(p, known, scratch)),
        };
        return Found { tier, cut: Some(cut) };
    }
    row.logits.gather(f32::MIN, &mut scratch.xs, &mut scratch.ids);
    let z = row.weigh(scratch);
    cut(Known::between(f32::MIN, row.maximum, z), law::share(p, z), scratch)
        .retain(&mut scratch.xs, &mut scratch.ids);
    Found { tier: Tier::All, cut: None }
}

impl<L> At<L> {
    /// A logit at most as high as the one whose weight is 2**y.
    #[must_use]
    pub fn logit_at(&self, y: f64) -> f32 {
        let logit = (f64::from(self.maximum) + y / f64::from(self.scale)) as f32;
        logit.next_down().max(f32::MIN)
    }

    /// The float weight of a logit.
    #[must_use]
    pub fn weight_of(&self, logit: f32) -> f32 {
        let mut weight = [0.0];
        simd::store_weights(Level::current(), &[logit], self.maximum, self.scale, &mut weight);
        weight[0]
    }

    /// Leaves in the scratch the float weights of its logits, and gives the sum of the integer ones.
    pub fn weigh(&self, scratch: &mut Scratch) -> u64 {
        let Scratch { xs, weights, .. } = scratch;
        weights.resize(xs.len(), 0.0);
        simd::store_and_sum_weights(Level::current(), xs, self.maximum, self.scale, weights)
    }

    /// Cuts the weighed candidates in the scratch for a target that lies between two, both of which they reach.
    fn cut_candidates<'a>(&self, p: f64, known: Known, (low, high): (u64, u64), scratch: &mut Scratch) -> Tier
    where
        L: Copy + Into<row::Row<'a>>,
    {
        let mut found = cut(known, low, scratch);
        let is_open = found.mass < high;
        if is_open {
            let z =
                simd::sum_weights(Level::current(), self.logits.into().logits(), self.maximum, self.scale);
            found = cut(known, law::share(p, z), scratch);
        }
        found.retain(&mut scratch.xs, &mut scratch.ids);
        if is_open { Tier::Candidates } else { Tier::Interval }
    }
}

/// The cut for a target among the weighed logits of the scratch.
fn cut(known: Known, target: u64, scratch: &mut Scratch) -> Cut {
    let Scratch { xs, weights, members, .. } = scratch;
    select::cut_by_weight(Weighed { xs, weights }, known, target, members)
}

impl<'a> InPlace<'a> {
    /// As float32: a copy where it does not stand there so.
    fn wide(self) -> Wide<'a> {
        Wide { logits: self.logits.logits(), maximum: self.maximum, scale: self.scale }
    }

    fn keep_among_candidates(&self, survey: &Survey, p: f64, scratch: &mut Scratch) -> Option<Tier> {
        let (low, high) = survey.sum_between(self.maximum, self.logits.len());
        let (low, high) = (law::share(p, low), law::share(p, high));
        for window in WINDOWS {
            let logit = self.logit_at(-window);
            let hot = survey.least_cell(logit);
            let (mass, count) = scratch.cells.sum_hot(hot);
            if count > self.logits.len() / WIDE {
                return None;
            }
            // The hot cells hold at least what the candidates do.
            if f64::from(mass) < (1.0 - 5e-5) * p * survey.rough_sum() {
                continue;
            }
            let Scratch { xs, ids, cells, .. } = &mut *scratch;
            self.logits.gather_from_cells(cells, (hot, logit), xs, ids);
            let mass = self.weigh(scratch);
            if mass >= high {
                let known = Known::between(logit, self.maximum, mass);
                return Some(self.cut_candidates(p, known, (low, high), scratch));
            }
        }
        None
    }
}

impl Wide<'_> {
    /// [`InPlace::keep_among_candidates`] without a survey, for a known Z.
    fn keep_in_window(&self, p: f64, z: u64, scratch: &mut Scratch) -> bool {
        let target = law::share(p, z);
        for window in WINDOWS {
            let logit = self.logit_at(-window);
            self.gather((logit, f32::INFINITY), scratch);
            let mass = self.weigh(scratch);
            if mass >= target {
                let known = Known::between(logit, self.maximum, mass);
                cut(known, target, scratch).retain(&mut scratch.xs, &mut scratch.ids);
                return true;
            }
            if scratch.xs.len() > self.logits.len() / WIDE {
                return false;
            }
        }
        false
    }

    /// The same with all logits from `low` on for candidates, which may be many. What they weigh is known exactly,
    /// so the interval for Z is that for the others alone.
    fn keep_listed(&self, survey: &Survey, p: f64, guess: &Band, scratch: &mut Scratch) -> Option<Tier> {
        // Where the sample held too few of the heavy ones below, the cut is a little lower.
        for lower in LOWER {
            let lowest = (guess.low - lower / self.scale).max(f32::MIN);
            simd::list_at_least(Level::current(), self.logits, lowest, &mut scratch.xs, &mut scratch.ids);
            if scratch.xs.len() as f64 > self.logits.len() as f64 / band::FEW {
                return None;
            }
            let mass = self.weigh(scratch);
            let Scratch { xs, cells, .. } = &*scratch;
            let (low, high) = survey.sum_with_listed(self.maximum, self.logits.len(), xs, mass, cells);
            let targets = (law::share(p, low), law::share(p, high));
            if mass >= targets.1 {
                let known = Known::between(lowest, self.maximum, mass);
                let known = known.and_likely(guess.middle, NEXT_STEP / self.scale);
                return Some(self.cut_candidates(p, known, targets, scratch));
            }
        }
        // No interval is narrow enough for a p next to 1. But all that weighs anything may be few: that is exact.
        let (level, lowest) = (Level::current(), self.logit_at(band::NOTHING));
        let count = self.logits.len() - simd::count_below(level, self.logits, lowest);
        if count as f64 > self.logits.len() as f64 / band::FEW {
            return None;
        }
        simd::list_at_least(level, self.logits, lowest, &mut scratch.xs, &mut scratch.ids);
        let z = self.weigh(scratch);
        cut(Known::between(lowest, self.maximum, z), law::share(p, z), scratch)
            .retain(&mut scratch.xs, &mut scratch.ids);
        Some(Tier::Candidates)
    }

    /// The cut of the nucleus in the row itself, and the sums of its blocks in the scratch. A part of the logits tells
    /// where it may be, all of them where it is.
    fn cut_all(&self, p: f64, known: Known, scratch: &mut Scratch) -> Cut {
        let Scratch { xs, weights, members, sums, .. } = scratch;
        let (level, target) = (Level::current(), law::share(p, known.total));
        let all = self.logits.len();
        xs.clear();
        self.logits.chunks_exact(16).step_by(PART).for_each(|part| xs.extend_from_slice(part));
        xs.extend_from_slice(self.logits);
        weights.resize(xs.len(), 0.0);
        simd::store_weights(level, xs, self.maximum, self.scale, weights);
        let size = xs.len() - all;
        let ((part, logits), (of_part, weights)) = (xs.split_at(size), weights.split_at(size));
        let share = size as f64 / all as f64;
        let below = (known.total - target) as f64 * share;
        let Bracket { low, below_low, high, below_high } = known.within;
        let within = Bracket { below_low: below_low * share, below_high: below_high * share, low, high };
        let near = Weighed { xs: part, weights: of_part }.enclose(below, below / 64.0, within, None);
        let known = known.and_likely(near.low, (near.high - near.low).max(NEXT_STEP / 8.0 / self.scale));
        let cut = select::cut_by_weight(Weighed { xs: logits, weights }, known, target, members);
        let blocks = logits.chunks(SUMMED).zip(weights.chunks(SUMMED));
        sums.clear();
        sums.extend(blocks.map(|(xs, weights)| simd::sum_above(level, xs, weights, cut.logit)));
        members.clear();
        simd::positions_between(level, &logits[..=cut.last], (cut.logit, cut.logit), members);
        let weight = law::integer_weight(weights[cut.last]);
        for at in members {
            sums[*at as usize / SUMMED] += weight;
        }
        cut
    }

    /// Leaves in the scratch the logits within the bounds.
    fn gather(&self, bounds: (f32, f32), scratch: &mut Scratch) {
        let Scratch { xs, ids, .. } = scratch;
        xs.clear();
        ids.clear();
        simd::gather_between(Level::current(), self.logits, bounds, 0, xs, ids);
    }
}
