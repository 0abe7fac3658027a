//! The chain: filters in an order, each working on what the ones before it have kept.
//!
//! Between steps there are the kept tokens' logits in id order and the temperature applied so far (1 before
//! its place). As a filter sees nothing else, `sample(top_p(x, p))` is `sample(x, top_p = p)`, bit for bit.

use crate::cuts::{self, Buffers, Found};
use crate::entropy::{LogProbs, entropy_of_row};
use crate::law;
use crate::mirostat;
use crate::nucleus;
use crate::row::Row;
use crate::scratch::Scratch;
use crate::select::{self, Cut, Known};
use crate::simd::{self, Level};
use crate::survey::{self, Survey};
use crate::urn::Urn;
use crate::verify::Weighed;
use crate::weighed;
use crate::{Error, Knobs, Step};

/// Candidates for top-k are first looked for within these distances of the maximum, in powers of two of the
/// weight.
const WINDOWS: [f64; 4] = [6.0, 10.0, 16.0, 24.0];

/// Where a mask allows at most one token in so many, they are listed at once: no pass over the row pays then.
const SPARSE: usize = 64;

/// What a chain has kept of one row.
pub struct Kept<'a> {
    row: Row<'a>,
    scratch: &'a mut Scratch,
    form: Form,
    maximum: f32,
    temperature: f64,
    /// What a survey of the row has told; its cells stand in the scratch.
    survey: Option<Survey>,
    /// Whether the largest logits of the cells stand there instead.
    has_peaks: bool,
}

/// In what form the kept tokens are known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// All of the row.
    Whole,
    /// What a cut keeps of the row; the scratch's `sums` are those of the weights at a scale over blocks.
    Prefix { cut: Cut, scale: f32 },
    /// They stand in the scratch's `xs` and `ids`.
    Listed,
}

/// Runs the chain over a row.
///
/// # Errors
/// [`Error::Logit`] and [`Error::NoFiniteLogit`], with row 0.
pub fn keep<'a>(
    row: &'a [f32],
    knobs: &Knobs,
    chain: &[Step],
    scratch: &'a mut Scratch,
) -> Result<Kept<'a>, Error> {
    let mut kept = Kept::read(row.into(), first_scale(chain.iter().copied(), knobs), scratch)?;
    for step in chain {
        kept.take(*step, knobs);
    }
    Ok(kept)
}

/// The scale at which top-p, or the draw, is the first to look at the row, if it is.
#[must_use]
pub fn first_scale(chain: impl IntoIterator<Item = Step>, knobs: &Knobs) -> Option<f32> {
    let mut temperature = 1.0;
    for step in chain.into_iter().filter(|step| step.is_set(knobs)) {
        match step {
            Step::Temperature if knobs.temperature > 0.0 => temperature = knobs.temperature,
            Step::TopP => return Some(law::scale_of(temperature)),
            _ => return None,
        }
    }
    Some(law::scale_of(temperature))
}

/// [`keep`] for a row whose maximum [`law::check_row`] has given.
#[must_use]
pub fn keep_checked<'a>(
    row: &'a [f32],
    maximum: f32,
    knobs: &Knobs,
    chain: &[Step],
    scratch: &'a mut Scratch,
) -> Kept<'a> {
    let mut kept = Kept::whole(row.into(), maximum, scratch);
    for step in chain {
        kept.take(*step, knobs);
    }
    kept
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
    /// [`Error::Logit`] and [`Error::NoFiniteLogit`], with row 0.
    pub fn read(row: Row<'a>, first_scale: Option<f32>, scratch: &'a mut Scratch) -> Result<Self, Error> {
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

    /// One step of a chain, if the knobs ask for it. (XTC acts wherever its probability is not 0: chance has
    /// been asked before, see [`Knobs::with_xtc`].)
    pub fn take(&mut self, step: Step, knobs: &Knobs) {
        if !step.is_set(knobs) {
            return;
        }
        match step {
            Step::Temperature if knobs.temperature == 0.0 => self.keep_first(),
            Step::Temperature => self.temperature = knobs.temperature,
            Step::TopK => self.keep_top_k(knobs.top_k),
            Step::TopP => self.keep_top_p(knobs.top_p),
            Step::MinP => self.keep_min_p(knobs.min_p),
            Step::TypicalP => self.cut(|found, buffers| cuts::typical(found, knobs.typical_p, buffers)),
            Step::EpsilonCutoff => self.keep_epsilon(knobs.epsilon_cutoff),
            Step::EtaCutoff => self.cut(|found, buffers| cuts::eta(found, knobs.eta_cutoff, buffers)),
            Step::TopH => self.keep_top_h(knobs.top_h),
            Step::TopNSigma => self.keep_top_n_sigma(knobs.top_n_sigma),
            Step::Xtc => self.cut(|found, buffers| cuts::xtc(found, knobs.xtc_threshold, buffers)),
        }
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

    /// Keeps what the mask that `rule` writes is true for.
    fn cut(&mut self, rule: impl FnOnce(&Found<'_>, &mut Buffers)) {
        let mut buffers = std::mem::take(&mut self.scratch.cut);
        rule(&self.found(), &mut buffers);
        self.retain(&buffers.mask);
        self.scratch.cut = buffers;
    }

    /// What is kept, with its weights, for a cut to look at.
    fn found(&mut self) -> Found<'_> {
        self.list();
        let sum = self.weigh(law::scale_of(self.temperature));
        let Scratch { xs, ids, weights, .. } = &*self.scratch;
        Found { xs, ids, weights, sum, maximum: self.maximum, temperature: self.temperature }
    }

    /// Leaves the kept tokens in the scratch.
    fn list(&mut self) {
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

    /// A prefix of the first 100, and so again a top-k.
    fn keep_top_h(&mut self, share: f64) {
        self.keep_top_k(cuts::TOP_H_TOKENS);
        let mut buffers = std::mem::take(&mut self.scratch.cut);
        let size = cuts::top_h(&self.found(), share, &mut buffers);
        self.scratch.cut = buffers;
        self.keep_top_k(size);
    }

    /// Keeps x >= m - n * sigma: a cut between logits.
    fn keep_top_n_sigma(&mut self, n: f64) {
        self.list();
        let Scratch { xs, ids, .. } = &*self.scratch;
        let cut = cuts::top_n_sigma(xs, ids, self.maximum, n);
        self.narrow(cut);
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

    /// The id of a place in [`Self::logits`].
    #[must_use]
    pub fn id_at(&self, place: usize) -> u32 {
        if self.form == Form::Listed { self.scratch.ids[place] } else { place as u32 }
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

    /// How many tokens are kept.
    #[must_use]
    pub fn count(&self) -> usize {
        if self.form == Form::Listed { self.scratch.ids.len() } else { self.tokens().count() }
    }

    /// H of what is kept, in nats.
    pub fn entropy(&mut self) -> f64 {
        if self.form == Form::Whole {
            return entropy_of_row(self.row.logits(), self.maximum, self.temperature, self.weight());
        }
        let found = self.found();
        found.entropy(&found.log_probs())
    }

    /// Mirostat's step: keeps what is at most as surprising as mu, or the first token.
    pub fn keep_unsurprising(&mut self, mu: f64) {
        let log_probs = LogProbs::new(self.maximum, self.temperature, self.weight());
        match mirostat::least_logit(&log_probs, self.maximum, mu) {
            Some(logit) => self.narrow(logit),
            None => self.keep_first(),
        }
    }

    /// Whether nothing was filtered.
    #[must_use]
    pub fn is_whole_row(&self) -> bool {
        self.form == Form::Whole
    }

    /// The row that the tokens are kept of.
    #[must_use]
    pub fn row(&self) -> &'a [f32] {
        self.row.logits()
    }

    /// Greedy: the first token in the law's order, and no other.
    fn keep_first(&mut self) {
        self.narrow(self.maximum);
        self.scratch.xs.truncate(1);
        self.scratch.ids.truncate(1);
    }

    fn keep_top_k(&mut self, k: usize) {
        if self.form == Form::Whole && k >= self.row.len() {
            return;
        }
        self.narrow_to_candidates(k);
        let Scratch { xs, ids, members, .. } = &mut *self.scratch;
        if k < xs.len() {
            select::cut(xs, |_| 1, k as u64, members).retain(xs, ids);
        }
    }

    fn keep_top_p(&mut self, p: f64) {
        let scale = law::scale_of(self.temperature);
        if self.form == Form::Whole {
            let survey = self.survey.filter(|survey| survey.scale() == scale);
            let found = nucleus::keep(self.row_at(scale), survey, p, self.scratch);
            self.form = found.cut.map_or(Form::Listed, |cut| Form::Prefix { cut, scale });
            return;
        }
        self.list();
        let total = self.weigh(scale);
        let Scratch { xs, ids, weights, members, .. } = &mut *self.scratch;
        let (lowest, highest) = select::span(xs);
        let known = Known::between(lowest, highest, total);
        select::cut_by_weight(weighed::Weighed { xs, weights }, known, law::share(p, total), members)
            .retain(xs, ids);
    }

    fn keep_min_p(&mut self, min_p: f64) {
        self.keep_at_least(law::share(min_p, law::UNIT));
    }

    /// Keeps W >= ceil(epsilon * S), or the first token. (Hewitt, Manning and Liang 2022)
    fn keep_epsilon(&mut self, epsilon: f64) {
        let least = law::share(epsilon, self.weight());
        if least > law::UNIT { self.keep_first() } else { self.keep_at_least(least) }
    }

    /// Keeps W >= least. First by logit, from below with a margin that covers every rounding; then by the weights
    /// themselves, which are no monotone function of the logits in their last bit.
    fn keep_at_least(&mut self, least: u64) {
        let scale = law::scale_of(self.temperature);
        let y = ((least as f64 - 0.5) / law::UNIT as f64).log2() - 0.01;
        self.narrow(self.row_at(scale).logit_at(y));
        self.weigh(scale);
        let Scratch { xs, ids, weights, .. } = &mut *self.scratch;
        let mut kept = 0;
        for at in 0..xs.len() {
            (xs[kept], ids[kept]) = (xs[at], ids[at]);
            kept += usize::from(law::integer_weight(weights[at]) >= least);
        }
        xs.truncate(kept);
        ids.truncate(kept);
    }

    /// The row at the temperature of this scale: what the nucleus is looked for in.
    fn row_at(&self, scale: f32) -> nucleus::Standing<'a> {
        nucleus::Standing { logits: self.row, maximum: self.maximum, scale }
    }

    /// Leaves in the scratch the k first tokens and maybe more: the logits at or above some cut.
    fn narrow_to_candidates(&mut self, k: usize) {
        if self.form != Form::Whole {
            return self.list();
        }
        let scale = law::scale_of(self.temperature);
        for window in WINDOWS {
            self.narrow(self.row_at(scale).logit_at(-window));
            if self.scratch.xs.len() >= k {
                return;
            }
            self.form = Form::Whole;
        }
        self.narrow(f32::MIN);
    }

    /// Leaves in the scratch the kept logits at or above `cut`.
    fn narrow(&mut self, cut: f32) {
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

    /// Leaves in the scratch the float weights of the narrowed tokens, and gives the sum of the integer ones.
    fn weigh(&mut self, scale: f32) -> u64 {
        self.row_at(scale).weigh(self.scratch)
    }

    /// The kept tokens with their integer weights.
    #[must_use]
    pub fn weighed(mut self) -> Weighed {
        let sum = self.found().sum;
        let Scratch { ids, weights, .. } = self.scratch;
        let weights = weights.iter().map(|weight| law::integer_weight(*weight)).collect();
        Weighed { ids: ids.clone(), weights, sum }
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
