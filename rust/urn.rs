//! Draws from a kept set by its integer weights, with and without replacement.

use crate::law;
use crate::row::Row;
use crate::select::Cut;
use crate::simd::{self, Cells, Level};
use crate::survey::Survey;

/// Tokens whose weights are summed together: a draw walks the sums, then weighs one block.
const BLOCK: usize = simd::SUMMED;

/// The kept tokens of a row, ready to be drawn from. At least one: where another thread has changed the row between
/// two reads of it, so that none is kept, token 0 is drawn.
pub struct Urn<'a> {
    /// The kept logits in id order, -inf among them.
    logits: Row<'a>,
    /// Their ids; their places where there are none.
    ids: Option<&'a [u32]>,
    /// What keeps a part of the logits, if not all are kept.
    cut: Option<Cut>,
    maximum: f32,
    scale: f32,
    /// A buffer for one block's float weights.
    weights: &'a mut Vec<f32>,
    /// The weight left in every block; empty until it is needed.
    sums: &'a mut Vec<u64>,
    /// The weight left.
    total: u64,
    /// What a survey of the whole row has told, with its cells: mostly enough for a draw.
    survey: Option<(Survey, &'a Cells)>,
    /// Places and weights of tokens taken out, by block.
    taken: Vec<Vec<(usize, u64)>>,
}

impl<'a> Urn<'a> {
    /// An urn of these logits, which are not yet weighed; `weights` and `sums` are buffers.
    pub(crate) fn new(
        logits: Row<'a>,
        ids: Option<&'a [u32]>,
        maximum: f32,
        scale: f32,
        weights: &'a mut Vec<f32>,
        sums: &'a mut Vec<u64>,
    ) -> Self {
        sums.clear();
        let (cut, total, survey, taken) = (None, 0, None, Vec::new());
        Self { logits, ids, cut, maximum, scale, weights, sums, total, survey, taken }
    }

    /// The same urn, where all its logits are a row that was surveyed.
    pub(crate) fn with_survey(self, survey: Survey, cells: &'a Cells) -> Self {
        Self { survey: Some((survey, cells)), ..self }
    }

    /// What a cut keeps of a row, with the sums of its weights over blocks.
    pub(crate) fn of_prefix(
        row: Row<'a>,
        cut: Cut,
        maximum: f32,
        scale: f32,
        weights: &'a mut Vec<f32>,
        sums: &'a mut Vec<u64>,
    ) -> Self {
        let total = sums.iter().sum();
        let (ids, cut, survey, taken) = (None, Some(cut), None, Vec::new());
        Self { logits: row, ids, cut, maximum, scale, weights, sums, total, survey, taken }
    }

    /// Weighs the logits, if nobody has.
    fn weigh(&mut self) {
        if self.sums.is_empty() {
            simd::sum_blocks(Level::current(), self.logits.logits(), self.maximum, self.scale, self.sums);
            self.total = self.sums.iter().sum();
        }
    }

    /// The token that chance `u` draws: the first in id order whose cumulative weight exceeds
    /// r = floor(u * S / 2**64).
    pub fn draw(&mut self, u: u64) -> usize {
        if let Some((survey, cells)) = self.survey.filter(|_| self.sums.is_empty())
            && let Some(token) = survey.draw(self.logits, self.maximum, u, cells, self.weights)
        {
            return token;
        }
        let place = if self.sums.is_empty() && self.logits.len() <= BLOCK {
            // A single block is weighed and summed in one go.
            self.weights.resize(self.logits.len(), 0.0);
            let (level, logits) = (Level::current(), self.logits.logits());
            let total = simd::store_and_sum_weights(level, logits, self.maximum, self.scale, self.weights);
            self.walk(law::draw(u, total)).0
        } else {
            self.weigh();
            self.find(u).0
        };
        self.token_at(place)
    }

    /// The token at a place.
    fn token_at(&self, place: usize) -> usize {
        self.ids.map_or(place, |ids| ids.get(place).map_or(0, |id| *id as usize))
    }

    /// Puts back what was taken out.
    pub fn refill(&mut self) {
        for (block, taken) in self.taken.iter_mut().enumerate() {
            let weight: u64 = taken.drain(..).map(|(_, weight)| weight).sum();
            self.sums[block] += weight;
            self.total += weight;
        }
    }

    /// Draws a token and takes it out; None when nothing of any weight is left.
    pub fn take(&mut self, u: u64) -> Option<usize> {
        self.weigh();
        if self.total == 0 {
            return None;
        }
        let (place, weight) = self.find(u);
        self.sums[place / BLOCK] = self.sums[place / BLOCK].saturating_sub(weight);
        self.total = self.total.saturating_sub(weight);
        self.taken.resize(self.sums.len(), Vec::new());
        self.taken[place / BLOCK].push((place, weight));
        Some(self.token_at(place))
    }

    /// The place drawn and its weight. (Both searches end at the last place at the latest, even where another
    /// thread has changed the logits since they were summed.)
    fn find(&mut self, u: u64) -> (usize, u64) {
        let mut rest = law::draw(u, self.total);
        let mut block = 0;
        while block + 1 < self.sums.len() && rest >= self.sums[block] {
            rest -= self.sums[block];
            block += 1;
        }
        let from = block * BLOCK;
        let logits = self.logits.logits();
        let logits = &logits[from..logits.len().min(from + BLOCK)];
        self.weights.resize(logits.len(), 0.0);
        simd::store_weights(Level::current(), logits, self.maximum, self.scale, self.weights);
        if let Some(cut) = self.cut {
            for (at, x) in logits.iter().enumerate() {
                if !cut.keeps(from + at, *x) {
                    self.weights[at] = 0.0;
                }
            }
        }
        for (place, _) in self.taken.get(block).into_iter().flatten() {
            self.weights[place - from] = 0.0;
        }
        let (at, weight) = self.walk(rest);
        (from + at, weight)
    }

    /// The place among the block's weights where their sum exceeds `rest`, the last at the latest, and the weight there.
    fn walk(&self, mut rest: u64) -> (usize, u64) {
        let mut last = (0, 0);
        for (at, weight) in self.weights.iter().enumerate() {
            last = (at, law::integer_weight(*weight));
            if rest < last.1 {
                break;
            }
            rest -= last.1;
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_urn_of_nothing_is_no_panic() {
        let (mut weights, mut sums) = (vec![1.0], vec![5]);
        for ids in [None, Some(&[][..])] {
            let mut urn = Urn::new(Row::Float32(&[]), ids, 1.0, 1.0, &mut weights, &mut sums);
            assert_eq!((urn.draw(u64::MAX), urn.take(7)), (0, None));
        }
    }

    #[test]
    fn a_draw_from_a_row_that_has_become_lighter_ends_at_its_last_token() {
        let row = vec![f32::NEG_INFINITY; 3000];
        let (mut weights, mut sums) = (vec![], vec![7, 8, 9]);
        let cut = Cut { logit: 0.0, last: 2999, mass: 24 };
        let mut urn = Urn::of_prefix(Row::Float32(&row), cut, 1.0, 1.0, &mut weights, &mut sums);
        assert_eq!(urn.draw(u64::MAX), 2999);
        assert_eq!(urn.take(u64::MAX), Some(2999));
    }
}
