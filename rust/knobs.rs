//! The knobs of a chain, their rules, and the order in which a chain applies them.

use crate::Error;
use crate::error::Number;

/// What a knob must be, in the words of the error, and whether a value is.
pub type Rule<T> = (&'static str, fn(T) -> bool);

/// The rule of `temperature`.
pub const TEMPERATURE: Rule<f64> =
    ("must be 0 or in [1e-30, 1e30]", |t| t == 0.0 || (1e-30..=1e30).contains(&t));
/// The rule of `top_k`.
pub const TOP_K: Rule<i128> = ("must be at least 0, where 0 is off", |k| k >= 0);
/// The rule of `top_p`.
pub const TOP_P: Rule<f64> = ("must be in (0, 1]", |p| p > 0.0 && p <= 1.0);
/// The rule of `min_p`.
pub const MIN_P: Rule<f64> = ("must be in [0, 1]", |p| (0.0..=1.0).contains(&p));

/// The rule of `seed`, `stream`, `position` and `u`.
pub const WORD: Rule<i128> = ("must be in [0, 2**64)", |i| (0..1 << 64).contains(&i));

/// One row's knobs. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knobs {
    /// Divides the logits; 0 is greedy.
    pub temperature: f64,
    /// How many tokens top-k keeps; 0 is off.
    pub top_k: usize,
    /// The mass that the nucleus reaches; 1 is off.
    pub top_p: f64,
    /// The least weight kept, relative to the largest; 0 is off.
    pub min_p: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

/// A place in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From here on weights are taken at the temperature.
    Temperature,
    /// The first k tokens.
    TopK,
    /// The nucleus.
    TopP,
    /// What weighs enough beside the largest.
    MinP,
}

impl Step {
    /// Every step, in the order of the arguments.
    pub const ALL: [Self; 4] = [Self::Temperature, Self::TopK, Self::TopP, Self::MinP];

    /// The knob's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::TopK => "top_k",
            Self::TopP => "top_p",
            Self::MinP => "min_p",
        }
    }

    /// The step of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Whether the knobs ask for this step.
    #[must_use]
    pub fn is_set(self, knobs: &Knobs) -> bool {
        let off = Knobs::default();
        match self {
            Self::Temperature => knobs.temperature != off.temperature,
            Self::TopK => knobs.top_k != off.top_k,
            Self::TopP => knobs.top_p != off.top_p,
            Self::MinP => knobs.min_p != off.min_p,
        }
    }
}

/// A preset: the order in which a known program applies its filters.
pub type Preset = (&'static str, &'static [Step]);

/// The presets by name.
pub const PRESETS: [Preset; 3] = [
    ("vllm", &[Step::Temperature, Step::MinP, Step::TopK, Step::TopP]),
    ("hf", &[Step::Temperature, Step::TopK, Step::TopP, Step::MinP]),
    ("llama.cpp", &[Step::TopK, Step::TopP, Step::MinP, Step::Temperature]),
];

/// The value, if it keeps the rule.
///
/// # Errors
/// [`Error::Knob`], which names the row where there is one.
pub fn check<T: Copy + Into<Number>>(
    argument: &'static str,
    rule: Rule<T>,
    value: T,
    row: Option<usize>,
) -> Result<T, Error> {
    let (rule, holds) = rule;
    if holds(value) { Ok(value) } else { Err(Error::Knob { argument, rule, value: value.into(), row }) }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i128> for Number {
    fn from(value: i128) -> Self {
        Self::Int(value)
    }
}
