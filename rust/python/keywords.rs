//! The functions that take every knob. Those that a call of an inference loop gives come first in the signature that
//! PyO3 searches; all have a parameter, since a function with `**kwargs` is called with a tuple and a dict made for
//! the call, which takes longer than to look through 40 names.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::chain::Hot;
use super::errors::type_error;
use super::knobs::Given;

/// The knobs beyond the few that nearly every call gives: histories and knobs, in the order of
/// `rheostat.reference.table`.
const NAMES: [&str; 29] = [
    "prompt_ids",
    "output_ids",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_h",
    "top_n_sigma",
    "xtc_threshold",
    "xtc_probability",
    "vocab_size",
    "allowed_token_ids",
    "bitmask",
    "banned_token_ids",
    "bad_words",
    "no_repeat_ngram_size",
    "min_tokens",
    "eos_token_id",
    "stop_token_ids",
    "logit_bias",
    "sequence_bias",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "penalty_last_n",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "dry_sequence_breakers",
];

/// These arguments of a call.
pub struct Keywords<'py> {
    values: [Given<'py>; NAMES.len()],
    is_empty: bool,
}

impl<'py> Keywords<'py> {
    /// In the order of the names.
    #[inline]
    pub fn new(values: [Given<'py>; NAMES.len()]) -> Self {
        let is_empty = values.iter().all(|value| value.0.is_none());
        Self { values, is_empty }
    }

    /// From a dict; refuses unknown names as Python does.
    pub fn of_dict(function: &str, given: &Bound<'py, PyDict>) -> PyResult<Self> {
        let mut values = [const { Given(None) }; NAMES.len()];
        for (name, value) in given {
            let place = match name.cast::<PyString>() {
                Ok(text) => place_of(&text.to_cow()?),
                Err(_) => None,
            };
            let Some(place) = place else {
                let name = name.repr()?;
                return Err(type_error(format!("{function}() got an unexpected keyword argument {name}")));
            };
            values[place] = Given(Some(value));
        }
        Ok(Self::new(values))
    }

    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// The argument as it came; None where it was not given at all (a given `None` is an object).
    pub fn get(&self, name: &'static str) -> Option<&Bound<'py, PyAny>> {
        place_of(name).and_then(|place| self.values[place].0.as_ref())
    }

    /// The same, as the knobs take it.
    pub fn given(&self, name: &'static str) -> Given<'py> {
        Given(self.get(name).cloned())
    }
}

fn place_of(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// What the functions of this kind take beside their own arguments.
pub struct Arguments<'py> {
    pub chain: Given<'py>,
    pub hot: Hot<'py>,
    pub keywords: Keywords<'py>,
}

/// A function of the module: its positional arguments; its own keywords; and every knob, which reach the function
/// that does its work as [`Arguments`].
macro_rules! with_knobs {
    (
        $(#[doc = $doc:tt])*
        #[text_signature = $text:tt]
        fn $name:ident($($positional:ident),+; $($own:ident),+) => $work:ident
    ) => {
        $(#[doc = $doc])*
        #[pyfunction]
        #[pyo3(
            signature = (
                $($positional,)+ /, *, $($own=Given(None),)+ chain=Given(None),
                temperature=Given(None), top_k=Given(None), top_p=Given(None), min_p=Given(None),
                prompt_ids=Given(None), output_ids=Given(None), typical_p=Given(None),
                epsilon_cutoff=Given(None), eta_cutoff=Given(None), top_h=Given(None),
                top_n_sigma=Given(None), xtc_threshold=Given(None), xtc_probability=Given(None),
                vocab_size=Given(None), allowed_token_ids=Given(None), bitmask=Given(None),
                banned_token_ids=Given(None), bad_words=Given(None), no_repeat_ngram_size=Given(None),
                min_tokens=Given(None), eos_token_id=Given(None), stop_token_ids=Given(None),
                logit_bias=Given(None), sequence_bias=Given(None), repetition_penalty=Given(None),
                frequency_penalty=Given(None), presence_penalty=Given(None), penalty_last_n=Given(None),
                dry_multiplier=Given(None), dry_base=Given(None), dry_allowed_length=Given(None),
                dry_penalty_last_n=Given(None), dry_sequence_breakers=Given(None)
            ),
            text_signature = $text
        )]
        #[allow(clippy::too_many_arguments)] // the knobs are keywords in Python
        fn $name<'py>(
            py: Python<'py>,
            $($positional: &Bound<'py, PyAny>,)+
            $($own: Given<'py>,)+
            chain: Given<'py>,
            temperature: Given<'py>, top_k: Given<'py>, top_p: Given<'py>, min_p: Given<'py>,
            prompt_ids: Given<'py>, output_ids: Given<'py>, typical_p: Given<'py>,
            epsilon_cutoff: Given<'py>, eta_cutoff: Given<'py>, top_h: Given<'py>, top_n_sigma: Given<'py>,
            xtc_threshold: Given<'py>, xtc_probability: Given<'py>, vocab_size: Given<'py>,
            allowed_token_ids: Given<'py>, bitmask: Given<'py>, banned_token_ids: Given<'py>,
            bad_words: Given<'py>, no_repeat_ngram_size: Given<'py>, min_tokens: Given<'py>,
            eos_token_id: Given<'py>, stop_token_ids: Given<'py>, logit_bias: Given<'py>,
            sequence_bias: Given<'py>, repetition_penalty: Given<'py>, frequency_penalty: Given<'py>,
            presence_penalty: Given<'py>, penalty_last_n: Given<'py>, dry_multiplier: Given<'py>,
            dry_base: Given<'py>, dry_allowed_length: Given<'py>, dry_penalty_last_n: Given<'py>,
            dry_sequence_breakers: Given<'py>,
        ) -> PyResult<Bound<'py, PyAny>> {
            let keywords = $crate::python::keywords::Keywords::new([
                prompt_ids, output_ids, typical_p, epsilon_cutoff, eta_cutoff, top_h, top_n_sigma,
                xtc_threshold, xtc_probability, vocab_size, allowed_token_ids, bitmask, banned_token_ids,
                bad_words, no_repeat_ngram_size, min_tokens, eos_token_id, stop_token_ids, logit_bias,
                sequence_bias, repetition_penalty, frequency_penalty, presence_penalty, penalty_last_n,
                dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers,
            ]);
            let hot = $crate::python::chain::Hot { temperature, top_k, top_p, min_p };
            let knobs = $crate::python::keywords::Arguments { chain, hot, keywords };
            $work(py, $($positional,)+ $($own,)+ knobs)
        }
    };
}
pub(super) use with_knobs;
