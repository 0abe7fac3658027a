//! Biases and penalties: what moves logits before a chain, in this order. Each touches only the tokens it
//! names.
//!
//! Knobs are rounded to float32 once, and every operation is one float32 operation, so the results are those
//! of transformers and llama.cpp to the last bit. What is at -inf stays there.

use std::sync::Arc;

use crate::changes::Changing;
use crate::dry::Dry;
use crate::history::{History, Tally};
use crate::knobs::Rule;
use crate::memory::Moment;

/// The largest float32, as the float64 that knobs are.
const FLOAT32_MAX: f64 = f32::MAX as f64;

/// The rule of `frequency_penalty` and `presence_penalty`.
pub const FINITE: Rule<f64> = ("must be finite in float32", |value| value.abs() <= FLOAT32_MAX);
/// The rule of a bias.
pub const BIAS: Rule<f64> = ("must hold biases that are -inf or finite in float32", |bias| {
    bias == f64::NEG_INFINITY || bias.abs() <= FLOAT32_MAX
});
/// The rule of `repetition_penalty`; the smallest positive float32 is 2**-149.
pub const REPETITION: Rule<f64> =
    ("must be positive and finite in float32", |r| (f64::from(f32::from_bits(1))..=FLOAT32_MAX).contains(&r));
/// The rule of `penalty_last_n` and `dry_penalty_last_n`.
pub const WINDOW: Rule<i128> = ("must be at least 0", |n| n >= 0);

/// What each token gets added.
pub type Biases = Arc<[(u32, f64)]>;
/// What the last id of a sequence gets added where the history ends with the others; the shortest first.
pub type SequenceBiases = Arc<[(Box<[u32]>, f64)]>;

/// One row's biases and penalties. The default changes nothing; ids beyond the row say nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Penalties {
    /// x + bias, each id once. (OpenAI)
    pub logit_bias: Option<Biases>,
    /// x + the sum of the biases of the sequences that the token would complete. (transformers)
    pub sequence_bias: Option<SequenceBiases>,
    /// r in x / r if x > 0 else x * r, for what the window holds; 1 is off. (Keskar et al. 2019)
    pub repetition_penalty: f64,
    /// f in x - (f * count + presence), for what the window holds; 0 is off. (OpenAI)
    pub frequency_penalty: f64,
    /// presence in the same formula; 0 is off.
    pub presence_penalty: f64,
    /// The window of the penalties: the last n of prompt and output. None is all of it, of which frequency
    /// and presence see the output alone.
    pub penalty_last_n: Option<usize>,
    /// Don't repeat yourself.
    pub dry: Dry,
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            logit_bias: None,
            sequence_bias: None,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            penalty_last_n: None,
            dry: Dry::default(),
        }
    }
}

/// Why penalties stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stopped {
    /// A logit that a step touches is NaN or +inf: the row is to be checked.
    BadRow,
    /// A logit went to +inf.
    Infinite {
        /// The argument's name.
        argument: &'static str,
        /// Its value.
        value: f64,
        /// The lowest such token.
        token: usize,
    },
}

impl Penalties {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.logit_bias.as_ref().is_none_or(|biases| biases.is_empty())
            && self.sequence_bias.as_ref().is_none_or(|biases| biases.is_empty())
            && self.repetition_penalty == 1.0
            && self.frequency_penalty == 0.0
            && self.presence_penalty == 0.0
            && self.dry.multiplier == 0.0
    }

    /// Whether frequency or presence do something, as the float32 that they are rounded to.
    #[must_use]
    pub fn count_something(&self) -> bool {
        self.frequency_penalty as f32 != 0.0 || self.presence_penalty as f32 != 0.0
    }

    /// Changes the row; gives the names of those that took a logit to -inf.
    ///
    /// # Errors
    /// Why the row is left half changed.
    pub fn apply(&self, moment: Moment<'_>, row: &mut Changing<'_>) -> Result<Vec<&'static str>, Stopped> {
        let counted = if self.frequency_penalty == 0.0 { "presence_penalty" } else { "frequency_penalty" };
        let counted_value =
            if self.frequency_penalty == 0.0 { self.presence_penalty } else { self.frequency_penalty };
        // Of a bias the value is the token's own, looked for when it is told.
        let steps: [(&str, &str, f64, Step<'_>); 5] = [
            ("logit_bias", "logit_bias", 0.0, &|row| self.bias(row)),
            ("sequence_bias", "sequence_bias", 0.0, &|row| self.bias_sequences(row, moment.history)),
            ("repetition_penalty", "repetition_penalty", self.repetition_penalty, &|row| {
                self.penalize_repetition(row, moment.memory.repeated());
            }),
            ("frequency_penalty", counted, counted_value, &|row| {
                self.penalize_counts(row, moment.memory.counted());
            }),
            ("dry_multiplier", "dry_multiplier", self.dry.multiplier, &|row| {
                self.dry.apply(row, moment.history.all());
            }),
        ];
        let mut takers = vec![];
        for (name, argument, value, step) in steps {
            let mut row = RowInStep { logits: row, takes: false, is_bad: false, infinite: None };
            step(&mut row);
            if row.is_bad {
                return Err(Stopped::BadRow);
            }
            if let Some(token) = row.infinite {
                let value = match name {
                    "logit_bias" => self.largest_bias(token),
                    "sequence_bias" => self.largest_sequence_bias(token, moment.history),
                    _ => value,
                };
                return Err(Stopped::Infinite { argument, value, token });
            }
            if row.takes {
                takers.push(name);
            }
        }
        Ok(takers)
    }

    fn bias(&self, row: &mut RowInStep<'_, '_>) {
        for (id, bias) in self.logit_bias.iter().flat_map(|biases| biases.iter()) {
            row.set(*id, |x| x + *bias as f32);
        }
    }

    /// The biases of one token are added up first, in their order.
    fn bias_sequences(&self, row: &mut RowInStep<'_, '_>, history: &History) {
        let Some(biases) = &self.sequence_bias else { return };
        Tally::with(row.width(), |mut tally| {
            let mut sums: Vec<(u32, f32)> = vec![]; // a tally holds 1 + the token's place here
            for (sequence, bias) in biases.iter() {
                let Some((last, others)) = sequence.split_last() else { continue };
                let Some(place) = tally.at(*last).filter(|_| history.all().ends_with(others)) else {
                    continue;
                };
                if *place == 0 {
                    sums.push((*last, 0.0));
                    *place = sums.len() as u32;
                }
                sums[*place as usize - 1].1 += *bias as f32;
            }
            for (id, sum) in sums {
                tally.take(id);
                row.set(id, |x| x + sum);
            }
        });
    }

    /// Of what the token gets added.
    fn largest_bias(&self, token: usize) -> f64 {
        let biases = self.logit_bias.iter().flat_map(|biases| biases.iter());
        biases
            .filter(|(id, _)| *id as usize == token)
            .map(|(_, bias)| *bias)
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// The same for what its sequences get added.
    fn largest_sequence_bias(&self, token: usize, history: &History) -> f64 {
        let biases = self.sequence_bias.iter().flat_map(|biases| biases.iter());
        let completed = biases.filter(|(sequence, _)| {
            sequence
                .split_last()
                .is_some_and(|(last, others)| *last as usize == token && history.all().ends_with(others))
        });
        completed.map(|(_, bias)| *bias).fold(f64::NEG_INFINITY, f64::max)
    }

    fn penalize_repetition(&self, row: &mut RowInStep<'_, '_>, repeated: &[(u32, u32)]) {
        let r = self.repetition_penalty as f32;
        if r != 1.0 {
            for (id, _) in repeated {
                row.set(*id, |x| if x > 0.0 { x / r } else { x * r });
            }
        }
    }

    fn penalize_counts(&self, row: &mut RowInStep<'_, '_>, counted: &[(u32, u32)]) {
        let (f, presence) = (self.frequency_penalty as f32, self.presence_penalty as f32);
        if self.count_something() {
            for (id, count) in counted {
                row.set(*id, |x| x - (f * *count as f32 + presence));
            }
        }
    }
}

/// A step of the penalties.
type Step<'a> = &'a dyn Fn(&mut RowInStep<'_, '_>);

/// A row under one step, and what happened to it.
pub(crate) struct RowInStep<'a, 'b> {
    logits: &'a mut Changing<'b>,
    takes: bool,
    is_bad: bool,
    infinite: Option<usize>,
}

impl RowInStep<'_, '_> {
    /// How many tokens it has.
    pub(crate) fn width(&self) -> usize {
        self.logits.width()
    }

    /// The token's logit by the formula, unless it is at -inf, or not there.
    pub(crate) fn set(&mut self, id: u32, formula: impl FnOnce(f32) -> f32) {
        let token = id as usize;
        match self.logits.get(token) {
            None | Some(f32::NEG_INFINITY) => {}
            Some(x) if x.is_nan() || x == f32::INFINITY => self.is_bad = true,
            Some(x) => {
                let x = formula(x);
                self.logits.set(token, x);
                self.takes |= x == f32::NEG_INFINITY;
                // NaN is the sum of infinite biases
                if x.is_nan() || x == f32::INFINITY {
                    self.infinite = Some(self.infinite.map_or(token, |lowest| lowest.min(token)));
                }
            }
        }
    }
}
