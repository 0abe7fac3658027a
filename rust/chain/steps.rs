//! The filters, one by one: each narrows what is kept.

use super::kept::{Form, Kept};
use crate::cuts::{self, Buffers, Found};
use crate::entropy::LogProbs;
use crate::law;
use crate::mirostat;
use crate::nucleus;
use crate::scratch::Scratch;
use crate::select::{self, Known};
use crate::weighed::Weighed;
use crate::{Knobs, Step};

/// Candidates for top-k are first looked for within these distances of the maximum, in powers of two of the
/// weight.
const WINDOWS: [f64; 4] = [6.0, 10.0, 16.0, 24.0];

impl Kept<'_> {
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

    /// Keeps what the mask that `rule` writes is true for.
    fn cut(&mut self, rule: impl FnOnce(&Found<'_>, &mut Buffers)) {
        let mut buffers = std::mem::take(&mut self.scratch.cut);
        rule(&self.found(), &mut buffers);
        self.retain(&buffers.mask);
        self.scratch.cut = buffers;
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
        select::cut_by_weight(Weighed { xs, weights }, known, law::share(p, total), members).retain(xs, ids);
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

    /// Mirostat's step: keeps what is at most as surprising as mu, or the first token.
    pub fn keep_unsurprising(&mut self, mu: f64) {
        let log_probs = LogProbs::new(self.maximum, self.temperature, self.weight());
        match mirostat::least_logit(&log_probs, self.maximum, mu) {
            Some(logit) => self.narrow(logit),
            None => self.keep_first(),
        }
    }

    /// Greedy: the first token in the law's order, and no other.
    fn keep_first(&mut self) {
        self.narrow(self.maximum);
        self.scratch.xs.truncate(1);
        self.scratch.ids.truncate(1);
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
}
