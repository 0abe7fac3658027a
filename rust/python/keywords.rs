//! Keyword arguments beyond the few that every call of an inference loop gives: those are parameters of their
//! own, these come as a dict, so that a call without them pays nothing for their number.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors::type_error;
use super::knobs::Given;

/// What may come so: histories and knobs, in the order of `rheostat.reference.table`.
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

/// The further keyword arguments of a call; every name is known.
pub struct Keywords<'py>(Option<Bound<'py, PyDict>>);

impl<'py> Keywords<'py> {
    /// Refuses unknown names as Python does.
    pub fn new(function: &str, given: Option<&Bound<'py, PyDict>>) -> PyResult<Self> {
        for name in given.into_iter().flat_map(|given| given.keys()) {
            let known = match name.cast::<PyString>() {
                Ok(text) => NAMES.contains(&&*text.to_cow()?),
                Err(_) => false,
            };
            if !known {
                let name = name.repr()?;
                return Err(type_error(format!("{function}() got an unexpected keyword argument {name}")));
            }
        }
        Ok(Self(given.cloned()))
    }

    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The argument as it came; None where it was not given at all (a given `None` is an object).
    pub fn get(&self, name: &'static str) -> PyResult<Option<Bound<'py, PyAny>>> {
        match &self.0 {
            Some(given) => given.get_item(name),
            None => Ok(None),
        }
    }

    /// The same, as the knobs take it.
    pub fn given(&self, name: &'static str) -> PyResult<Given<'py>> {
        self.get(name).map(Given)
    }
}
