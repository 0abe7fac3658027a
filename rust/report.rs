//! What is told of a token that was drawn. Nothing is computed that was not asked for.

use crate::chain::Kept;
use crate::entropy::LogProbs;
use crate::mirostat;
use crate::row;
use crate::simd::{self, Level};
use crate::{law, logprobs};

/// What is asked for.
#[expect(clippy::struct_excessive_bools, reason = "each is asked for by itself")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// ln p over the kept set.
    pub logprob: bool,
    /// So many of the first kept tokens with theirs.
    pub top: usize,
    /// ln p over the row as it came, at T = 1.
    pub raw_logprob: bool,
    /// 1 + the place in the row as it came.
    pub rank: bool,
    /// How many tokens were kept.
    pub kept_count: bool,
    /// What part of the probability was kept.
    pub kept_mass: bool,
    /// The entropy of the kept set.
    pub entropy: bool,
    /// -log2 p over the kept set.
    pub surprise: bool,
    /// The kept set itself.
    pub kept: bool,
}

/// A token, and of the rest what was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // as in `Wanted`
pub struct Drawn {
    pub id: u32,
    pub logprob: Option<f64>,
    pub top: Option<Vec<(u32, f64)>>,
    pub raw_logprob: Option<f64>,
    pub rank: Option<usize>,
    pub kept_count: Option<usize>,
    pub kept_mass: Option<f64>,
    pub entropy: Option<f64>,
    pub surprise: Option<f64>,
    pub kept: Option<Vec<u32>>,
}

/// A row before the chain.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// As it came: as many logits as the vocabulary has tokens.
    pub given: row::Row<'a>,
    /// The largest of these; only read where the row as it came is to be told of.
    pub given_maximum: f32,
    /// After masks, biases and penalties; the same row where nothing acts.
    pub shaped: row::Row<'a>,
    /// The largest of the shaped logits.
    pub maximum: f32,
}

impl Wanted {
    /// Whether the row as it came is told of, which then must be one.
    #[must_use]
    pub fn reads_given(&self) -> bool {
        self.raw_logprob || self.rank
    }
}

/// Draws a token from what the chain has kept of the row, and tells of it what is wanted.
#[must_use]
pub fn draw(mut kept: Kept<'_>, before: Before<'_>, is_greedy: bool, u: u64, wanted: &Wanted) -> Drawn {
    let kept_count = wanted.kept_count.then(|| kept.count());
    let entropy = wanted.entropy.then(|| kept.entropy());
    let id = kept.draw(u);
    let mut drawn = Drawn { id: id as u32, kept_count, entropy, ..Drawn::default() };
    drawn.kept_mass = wanted.kept_mass.then(|| if is_greedy { 1.0 } else { mass(&mut kept, before) });
    drawn.kept = wanted.kept.then(|| kept.tokens().map(|(id, _)| id as u32).collect());
    drawn.raw_logprob = wanted.raw_logprob.then(|| raw_logprob(before, id));
    drawn.rank = wanted.rank.then(|| logprobs::rank(before.given.logits(), id));
    if wanted.logprob || wanted.surprise {
        let sum = kept.weight();
        let log_probs = LogProbs::new(kept.maximum(), kept.temperature(), sum);
        let x = before.shaped.logit(id);
        drawn.logprob = wanted.logprob.then(|| log_probs.of(x));
        drawn.surprise = wanted.surprise.then(|| mirostat::surprise(&log_probs, x));
        drawn.top = (wanted.top > 0).then(|| logprobs::best(kept, &log_probs, wanted.top));
    }
    drawn
}

/// S / Z, both in weights of the whole shaped row: a cut may have dropped its maximum.
fn mass(kept: &mut Kept<'_>, before: Before<'_>) -> f64 {
    if kept.is_whole_row() {
        return 1.0;
    }
    let (level, scale) = (Level::current(), law::scale_of(kept.temperature()));
    let sum_of = |logits: &[f32]| simd::sum_weights(level, logits, before.maximum, scale);
    let sum = if kept.maximum() == before.maximum { kept.weight() } else { sum_of(kept.logits()) };
    sum as f64 / sum_of(before.shaped.logits()) as f64
}

fn raw_logprob(before: Before<'_>, id: usize) -> f64 {
    let given = before.given.logits();
    let sum = simd::sum_weights(Level::current(), given, before.given_maximum, law::scale_of(1.0));
    LogProbs::new(before.given_maximum, 1.0, sum).of(given[id])
}
