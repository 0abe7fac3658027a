//! What a pass over a row has left of each of its cells, for the passes that come after it.

use std::ops::Range;

use super::{Level, Maximum, Set, Source, Surveyed};

/// A value for each cell of 16 logits. Which logits are a cell's is the level's that wrote them, so it is kept beside
/// them: whoever sets another level in the middle of a row changes its speed, never its token.
#[derive(Clone, Debug)]
pub struct Cells {
    level: Level,
    values: Vec<f32>,
}

impl Default for Cells {
    fn default() -> Self {
        Self { level: Level(Set::Scalar), values: vec![] }
    }
}

impl Cells {
    /// [`super::survey`] at the current level, with what [`super::add_to_cells`] adds of the changed logits.
    pub fn survey(&mut self, source: Source<'_>, changes: &[(u32, f32)], scale: f32, shift: f32) -> Surveyed {
        self.level = Level::current();
        let found = super::survey(self.level, source, scale, shift, &mut self.values);
        super::add_to_cells(self.level, source, changes, scale, shift, &mut self.values, found)
    }

    /// [`super::peaks`] at the current level.
    pub fn peaks(&mut self, source: Source<'_>) -> Maximum {
        self.level = Level::current();
        super::peaks(self.level, source, &mut self.values)
    }

    /// [`super::maximum_from_cells`].
    #[must_use]
    pub fn maximum(&self, source: Source<'_>, hot: f32) -> f32 {
        super::maximum_from_cells(self.level, source, &self.values, hot)
    }

    /// [`super::gather_from_cells`].
    pub fn gather(&self, source: Source<'_>, bounds: (f32, f32), xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        super::gather_from_cells(self.level, source, &self.values, bounds, xs, ids);
    }

    /// [`super::block_at_mass`].
    #[must_use]
    pub fn block_at_mass(&self, source: Source<'_>, mass: f64) -> (Range<usize>, f64) {
        super::block_at_mass(self.level, source, &self.values, mass)
    }

    /// [`super::sum_hot`].
    #[must_use]
    pub fn sum_hot(&self, hot: f32) -> (f32, usize) {
        super::sum_hot(self.level, &self.values, hot)
    }

    /// [`super::sum_wide`] of the values.
    #[must_use]
    pub fn sum(&self) -> f64 {
        super::sum_wide(self.level, &self.values)
    }
}
