//! Equal logits of a row, many of them: which are kept is told by counting, since each weighs the same and the first
//! come first.

use crate::law;
use crate::nucleus::Wide;
use crate::select::Cut;
use crate::simd::SUMMED;
use crate::weighed;

/// All logits of a row that are equal to one.
#[derive(Clone, Copy)]
pub struct Equals<'a> {
    row: &'a [f32],
    logit: f32,
    /// What each of them weighs.
    weight: u64,
    /// A bit for each of them, 32 in a word, where they are marked.
    marks: Option<&'a [u32]>,
}

impl<'a> Equals<'a> {
    /// Those that are marked.
    #[must_use]
    pub fn marked(row: &Wide<'a>, logit: f32, marks: &'a [u32]) -> Self {
        Self { marks: Some(marks), ..Self::standing(row, logit) }
    }

    /// Those that stand in the row.
    #[must_use]
    pub fn standing(row: &Wide<'a>, logit: f32) -> Self {
        let weight = law::integer_weight(row.weight_of(logit));
        Self { row: row.logits, logit, weight, marks: None }
    }

    /// How many there are in each block of [`SUMMED`] logits.
    fn counts(self) -> impl Iterator<Item = u64> {
        let blocks = self.row.len().div_ceil(SUMMED);
        (0..blocks).map(move |block| match self.marks {
            Some(marks) => {
                let words = SUMMED / 32;
                let marks = &marks[block * words..marks.len().min((block + 1) * words)];
                marks.iter().map(|word| u64::from(word.count_ones())).sum()
            }
            None => weighed::count(self.block(block), self.logit) as u64,
        })
    }

    fn block(self, block: usize) -> &'a [f32] {
        &self.row[block * SUMMED..self.row.len().min((block + 1) * SUMMED)]
    }

    /// Takes them out of the sums of the blocks.
    pub fn take_out(self, sums: &mut [u64]) {
        // (Another thread may have made more logits equal since they were summed.)
        for (sum, count) in sums.iter_mut().zip(self.counts()) {
            *sum = sum.saturating_sub(count * self.weight);
        }
    }

    /// The cut after the first of them, as many as weigh `left`, these into the sums; all of them and what they weigh,
    /// where that is too little.
    ///
    /// # Errors
    /// What all of them weigh.
    pub fn cut(self, left: u64, sums: &mut [u64]) -> Result<Cut, u64> {
        if self.weight == 0 {
            return Err(0);
        }
        let needed = left.div_ceil(self.weight);
        let mut missing = needed;
        for (block, count) in self.counts().enumerate() {
            if count < missing {
                missing -= count;
                sums[block] += count * self.weight;
                continue;
            }
            sums[block] += missing * self.weight;
            let places = self.block(block).iter().enumerate().filter(|(_, x)| **x == self.logit);
            let last =
                block * SUMMED + places.map(|(at, _)| at).nth(missing as usize - 1).unwrap_or(SUMMED - 1);
            return Ok(Cut { logit: self.logit, last, mass: needed * self.weight });
        }
        Err((needed - missing) * self.weight)
    }
}
