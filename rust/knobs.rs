//! The knobs of a chain, their rules, and the order in which a chain applies them.

use Step::{EpsilonCutoff, EtaCutoff, MinP, Temperature, TopH, TopK, TopNSigma, TopP, TypicalP, Xtc};

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

/// The rule of `typical_p`.
pub const TYPICAL_P: Rule<f64> = TOP_P;
/// The rule of `epsilon_cutoff` and `eta_cutoff`.
pub const CUTOFF: Rule<f64> = ("must be in [0, 1), where 0 is off", |e| (0.0..1.0).contains(&e));
/// The rule of `top_h`.
pub const TOP_H: Rule<f64> = ("must be in [0, 1], where 0 is off", |h| (0.0..=1.0).contains(&h));
/// The rule of `top_n_sigma`.
pub const TOP_N_SIGMA: Rule<f64> =
    ("must be at least 0 and finite, where 0 is off", |n| (0.0..f64::INFINITY).contains(&n));
/// The rule of `xtc_threshold`.
pub const XTC_THRESHOLD: Rule<f64> = MIN_P;
/// The rule of `xtc_probability`.
pub const XTC_PROBABILITY: Rule<f64> = MIN_P;

/// The rule of `seed`, `stream`, `position` and `u`.
pub const WORD: Rule<i128> = ("must be in [0, 2**64)", |i| (0..1 << 64).contains(&i));

/// One row's knobs, each within its rule. The default changes nothing.
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
    /// The mass that the typical set reaches; 1 is off.
    pub typical_p: f64,
    /// The least probability kept; 0 is off.
    pub epsilon_cutoff: f64,
    /// The same, lowered where the entropy is high; 0 is off.
    pub eta_cutoff: f64,
    /// The share of the entropy that is kept; 0 is off.
    pub top_h: f64,
    /// How many standard deviations below the maximum a logit may lie; 0 is off.
    pub top_n_sigma: f64,
    /// From which probability on a token is a top choice for XTC.
    pub xtc_threshold: f64,
    /// How often XTC acts; 0 is off.
    pub xtc_probability: f64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            epsilon_cutoff: 0.0,
            eta_cutoff: 0.0,
            top_h: 0.0,
            top_n_sigma: 0.0,
            xtc_threshold: 0.1,
            xtc_probability: 0.0,
        }
    }
}

impl Knobs {
    /// Whether each knob keeps its rule.
    ///
    /// # Errors
    /// [`Error::Knob`] for the first that does not.
    pub fn check(&self) -> Result<(), Error> {
        let rules = [
            ("temperature", TEMPERATURE, self.temperature),
            ("top_p", TOP_P, self.top_p),
            ("min_p", MIN_P, self.min_p),
            ("typical_p", TYPICAL_P, self.typical_p),
            ("epsilon_cutoff", CUTOFF, self.epsilon_cutoff),
            ("eta_cutoff", CUTOFF, self.eta_cutoff),
            ("top_h", TOP_H, self.top_h),
            ("top_n_sigma", TOP_N_SIGMA, self.top_n_sigma),
            ("xtc_threshold", XTC_THRESHOLD, self.xtc_threshold),
            ("xtc_probability", XTC_PROBABILITY, self.xtc_probability),
        ];
        rules.into_iter().try_for_each(|(name, rule, value)| check(name, rule, value, None).map(drop))
    }

    /// The knobs where chance has decided whether XTC acts: surely, or not at all.
    #[must_use]
    pub fn with_xtc(self, acts: bool) -> Self {
        Self { xtc_probability: f64::from(u8::from(acts)), ..self }
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
    /// What is about as surprising as a token is on average.
    TypicalP,
    /// What is probable enough.
    EpsilonCutoff,
    /// What is probable enough for the entropy.
    EtaCutoff,
    /// The first tokens with a share of the entropy.
    TopH,
    /// What lies few standard deviations below the maximum.
    TopNSigma,
    /// All but the last of the top choices go.
    Xtc,
}

impl Step {
    /// Every step, in the order of the arguments.
    pub const ALL: [Self; 10] =
        [Temperature, TopK, TopP, MinP, TypicalP, EpsilonCutoff, EtaCutoff, TopH, TopNSigma, Xtc];

    /// What is set but not named by a preset runs after it, in this order.
    pub const AFTER: [Self; 6] = [TopNSigma, TypicalP, EpsilonCutoff, EtaCutoff, TopH, Xtc];

    /// The name in a chain: the knob's, but for XTC, which has two.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Temperature => "temperature",
            TopK => "top_k",
            TopP => "top_p",
            MinP => "min_p",
            TypicalP => "typical_p",
            EpsilonCutoff => "epsilon_cutoff",
            EtaCutoff => "eta_cutoff",
            TopH => "top_h",
            TopNSigma => "top_n_sigma",
            Xtc => "xtc",
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
            Temperature => knobs.temperature != off.temperature,
            TopK => knobs.top_k != off.top_k,
            TopP => knobs.top_p != off.top_p,
            MinP => knobs.min_p != off.min_p,
            TypicalP => knobs.typical_p != off.typical_p,
            EpsilonCutoff => knobs.epsilon_cutoff != off.epsilon_cutoff,
            EtaCutoff => knobs.eta_cutoff != off.eta_cutoff,
            TopH => knobs.top_h != off.top_h,
            TopNSigma => knobs.top_n_sigma != off.top_n_sigma,
            Xtc => knobs.xtc_probability != off.xtc_probability,
        }
    }
}

/// A preset: the order in which a known program applies its filters.
pub type Preset = (&'static str, &'static [Step]);

/// The presets by name.
pub const PRESETS: [Preset; 3] = [
    ("vllm", &[Temperature, MinP, TopK, TopP]),
    ("hf", &[Temperature, TopH, TopK, TopP, MinP, TypicalP, EpsilonCutoff, EtaCutoff]),
    ("llama.cpp", &[TopNSigma, TopK, TypicalP, TopP, MinP, Xtc, Temperature]),
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
