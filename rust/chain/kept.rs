//! What is kept of a row between two steps: as little of it is written down as the next one asks for.

use crate::Error;
use crate::cuts::Found;
use crate::entropy::entropy_of_row;
use crate::law;
use crate::nucleus;
use crate::row::Row;
use crate::scratch::Scratch;
use crate::select::Cut;
use crate::simd::{self, Level};
use crate::survey::{self, Survey};
use crate::urn::Urn;
use crate::verify::Distribution;

/// Where a mask allows at most one token in so many, they are listed at once: no pass over the row pays then.
const SPARSE: usize = 64;

/// What a chain has kept of one row.
pub struct Kept<'a> {
    pub(super) row: Row<'a>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) form: Form,
    pub(super) maximum: f32,
    pub(super) temperature: f64,
    /// What a survey of the row has told; its cells stand in the scratch.
    pub(super) survey: Option<Survey>,
    /// Whether the largest logits of the cells stand there instead.
    has_peaks: bool,
}

/// In what form the kept tokens are known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// All of the row.
    Whole,
    /// What a cut keeps of the row; the scratch's `sums` are those of the weights at a scale over blocks.
    Prefix { cut: Cut, scale: f32 },
    /// They stand in the scratch's `xs` and `ids`.
    Listed,
}

impl<'a> Kept<'a> {
    /// Everything, before any step, of a row whose maximum [`Row::check`] has given.
    #[must_use]
    pub fn whole(row: Row<'a>, maximum: f32, scratch: &'a mut Scratch) -> Self {
        Self { row, scratch, form: Form::Whole, maximum, temperature: 1.0, survey: None, has_peaks: false }
    }

    /// Everything, before any step, of a row that nobody has looked at yet. Where top-p or a draw will be the first to
    /// do so, at a scale that is given, one read serves both; else it leaves what spares a filter by logit another.
    /// Where a mask allows but a few tokens, these are listed.
    ///
    /// # Errors
    /// Those of [`law::check_row`].
    pub fn read(row: Row<'a>, first_scale: Option<f32>, scratch: &'a mut Scratch) -> Result<Self, Error> {
        law::check_length(row.len())?;
        if let Some(words) = row.source().allowed
            && simd::count_bits(Level::current(), words) <= row.len() / SPARSE
        {
            let maximum = row.gather_few(words, &mut scratch.xs, &mut scratch.ids)?;
            return Ok(Self { form: Form::Listed, ..Self::whole(row, maximum, scratch) });
        }
        let worth_it = |scale: &f32| row.len() >= nucleus::LONG && !survey::looks_flat(row, None, *scale);
        let scale = first_scale.filter(worth_it);
        let survey = scale.and_then(|scale| Survey::of(row, scale, &mut scratch.cells));
        let has_peaks = first_scale.is_none() && row.len() >= nucleus::LONG;
        let maximum = match survey {
            Some(survey) => survey.maximum(row, &scratch.cells),
            None if has_peaks => row.check_with_peaks(&mut scratch.cells)?,
            None => row.check()?,
        };
        Ok(Self { survey, has_peaks, ..Self::whole(row, maximum, scratch) })
    }

    /// The temperature applied so far.
    #[must_use]
    pub fn temperature(&self) -> f64 {
        self.temperature
    }

    /// The largest of the kept logits.
    #[must_use]
    pub fn maximum(&self) -> f32 {
        self.maximum
    }

    /// The logit of a token that is kept.
    #[must_use]
    pub fn logit(&self, id: u32) -> Option<f32> {
        if self.form == Form::Listed {
            return self.scratch.ids.binary_search(&id).ok().map(|at| self.scratch.xs[at]);
        }
        let at = id as usize;
        (at < self.row.len()).then(|| self.row.logit(at)).filter(|x| self.keeps_of_row(at, *x))
    }

    /// The row that the tokens are kept of.
    #[must_use]
    pub fn row(&self) -> &'a [f32] {
        self.row.logits()
    }

    /// Whether nothing was filtered.
    #[must_use]
    pub fn is_whole_row(&self) -> bool {
        self.form == Form::Whole
    }

    /// How many tokens are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        if self.form == Form::Listed { self.scratch.ids.len() } else { self.tokens().count() }
    }

    /// The kept tokens with their logits, in id order.
    pub fn tokens(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        let (xs, ids) = match self.form {
            Form::Listed => (self.scratch.xs.as_slice(), Some(&self.scratch.ids)),
            _ => (self.row.logits(), None),
        };
        let tokens = xs.iter().enumerate();
        tokens
            .map(move |(at, x)| (ids.map_or(at, |ids| ids[at] as usize), *x))
            .filter(|(id, x)| self.form == Form::Listed || self.keeps_of_row(*id, *x))
    }

    /// Whether a token of the row, which stands at a place, is kept; not where they are listed.
    fn keeps_of_row(&self, at: usize, x: f32) -> bool {
        match self.form {
            Form::Prefix { cut, .. } => cut.keeps(at, x),
            _ => x > f32::NEG_INFINITY,
        }
    }

    /// The id of a place in [`Self::logits`].
    #[must_use]
    pub fn id_at(&self, place: usize) -> u32 {
        if self.form == Form::Listed { self.scratch.ids[place] } else { place as u32 }
    }

    /// The logits of the kept tokens, in id order; -inf among them where nothing was filtered.
    #[must_use]
    pub fn logits(&mut self) -> &[f32] {
        if self.form == Form::Whole {
            return self.row.logits();
        }
        self.list();
        &self.scratch.xs
    }

    /// The ids and the logits of the kept tokens, in id order, without any at -inf.
    pub fn survivors(&mut self) -> (&[u32], &[f32]) {
        self.list();
        (&self.scratch.ids, &self.scratch.xs)
    }

    /// Keeps those of [`Self::survivors`] for which `mask` is true: at least one.
    pub fn retain(&mut self, mask: &[bool]) {
        self.list();
        let Scratch { xs, ids, .. } = &mut *self.scratch;
        let mut kept = 0;
        for (at, stays) in mask.iter().enumerate().take(xs.len()) {
            (xs[kept], ids[kept]) = (xs[at], ids[at]);
            kept += usize::from(*stays);
        }
        xs.truncate(kept);
        ids.truncate(kept);
        self.maximum = simd::maximum(Level::current(), xs).logit;
    }

    /// The sum of the integer weights of what is kept.
    #[must_use]
    pub fn weight(&mut self) -> u64 {
        let scale = law::scale_of(self.temperature);
        if matches!(self.form, Form::Prefix { scale: summed_at, .. } if summed_at == scale) {
            return self.scratch.sums.iter().sum();
        }
        let maximum = self.maximum;
        simd::sum_weights(Level::current(), self.logits(), maximum, scale)
    }

    /// H of what is kept, in nats.
    pub fn entropy(&mut self) -> f64 {
        if self.form == Form::Whole {
            return entropy_of_row(self.row.logits(), self.maximum, self.temperature, self.weight());
        }
        let found = self.found();
        found.entropy(&found.log_probs())
    }

    /// Leaves the kept tokens in the scratch.
    pub(super) fn list(&mut self) {
        match self.form {
            Form::Whole => self.narrow(f32::MIN),
            Form::Prefix { cut, .. } => {
                let Scratch { xs, ids, .. } = &mut *self.scratch;
                xs.clear();
                ids.clear();
                cut.gather(self.row.logits(), xs, ids);
                self.form = Form::Listed;
            }
            Form::Listed => {}
        }
    }

    /// Leaves in the scratch the kept logits at or above `cut`.
    pub(super) fn narrow(&mut self, cut: f32) {
        if self.form == Form::Whole {
            let Scratch { xs, ids, cells, .. } = &mut *self.scratch;
            let least = self.survey.map(|survey| survey.least_cell(cut));
            match least.or(self.has_peaks.then_some(cut)) {
                Some(hot) => self.row.gather_from_cells(cells, (hot, cut), xs, ids),
                None => self.row.gather(cut, xs, ids),
            }
            self.form = Form::Listed;
        } else {
            self.list();
            simd::retain_at_least(Level::current(), cut, &mut self.scratch.xs, &mut self.scratch.ids);
        }
    }

    /// The row at the temperature of this scale: what the nucleus is looked for in.
    pub(super) fn row_at(&self, scale: f32) -> nucleus::InPlace<'a> {
        nucleus::InPlace { logits: self.row, maximum: self.maximum, scale }
    }

    /// Leaves in the scratch the float weights of the narrowed tokens, and gives the sum of the integer ones.
    pub(super) fn weigh(&mut self, scale: f32) -> u64 {
        self.row_at(scale).weigh(self.scratch)
    }

    /// What is kept, with its weights, for a cut to look at.
    pub(super) fn found(&mut self) -> Found<'_> {
        self.list();
        let sum = self.weigh(law::scale_of(self.temperature));
        let Scratch { xs, ids, weights, .. } = &*self.scratch;
        Found { xs, ids, weights, sum, maximum: self.maximum, temperature: self.temperature }
    }

    /// The kept tokens with their integer weights.
    #[must_use]
    pub fn distribution(mut self) -> Distribution {
        let sum = self.found().sum;
        let Scratch { ids, weights, .. } = self.scratch;
        let weights = weights.iter().map(|weight| law::integer_weight(*weight)).collect();
        Distribution { ids: ids.clone(), weights, sum }
    }

    /// The token that chance `u` draws.
    pub fn draw(&mut self, u: u64) -> usize {
        self.urn().draw(u)
    }

    /// Makes ready to draw.
    #[must_use]
    pub fn urn(&mut self) -> Urn<'_> {
        let scale = law::scale_of(self.temperature);
        if matches!(self.form, Form::Prefix { scale: summed_at, .. } if summed_at != scale) {
            self.list();
        }
        let Self { row, form, maximum, survey, .. } = *self;
        let Scratch { xs, ids, weights, sums, cells, .. } = &mut *self.scratch;
        match form {
            Form::Listed => Urn::new(Row::Float32(xs), Some(ids), maximum, scale, weights, sums),
            Form::Prefix { cut, .. } => Urn::of_prefix(row, cut, maximum, scale, weights, sums),
            Form::Whole => {
                let urn = Urn::new(row, None, maximum, scale, weights, sums);
                match survey.filter(|survey| survey.scale() == scale) {
                    Some(survey) => urn.with_survey(survey, cells),
                    None => urn,
                }
            }
        }
    }
}
