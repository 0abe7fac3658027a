//! Masks, biases, penalties and histories from Python, checked, for all rows of a call. The checks and their
//! order are those of `rheostat.reference.table`.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::bitmask::bitmask;
use super::errors::knob_error;
use super::keywords::Keywords;
use super::knobs::{Given, PerRow, Shape, counts, numbers, plain};
use super::lists::{self, Bounds};
use crate::adjust::{Adjustment, Shaping};
use crate::dry::{self, Dry};
use crate::history::History;
use crate::knobs::Rule;
use crate::masks::{self, Masks};
use crate::penalties::{self, Penalties};

/// What acts on every row before the chain.
pub struct Adjustments {
    /// None where nothing acts: to a small row that matters.
    each: Option<Vec<Adjustment>>,
    vocab: PerRow<usize>,
}

impl Adjustments {
    /// Checks the keywords of this kind, the vocabulary first and the histories last. `width` is the logits'.
    pub fn new(py: Python<'_>, shape: Shape, width: usize, keywords: &Keywords<'_>) -> PyResult<Self> {
        if keywords.is_empty() {
            return Ok(Self { each: None, vocab: PerRow::One(width) });
        }
        let number = |name, rule, off| numbers(name, rule, &keywords.given(name), off, shape);
        let count = |name, rule| counts(name, rule, &keywords.given(name), shape);
        let optional = |name, rule| optional_counts(name, rule, &keywords.given(name), shape);

        let vocab_size = optional("vocab_size", masks::VOCAB_SIZE)?;
        let vocab = vocabularies(py, &vocab_size, &keywords.given("vocab_size"), shape.count, width)?;
        let bounds = Bounds { shape, width, vocab };
        macro_rules! list {
            ($of:ident, $name:literal) => {
                match keywords.get($name) {
                    Some(value) => lists::$of($name, value, &bounds)?,
                    None => PerRow::One(None),
                }
            };
        }
        let allowed_token_ids = list!(ids, "allowed_token_ids");
        let bitmask = match keywords.get("bitmask") {
            Some(words) => bitmask("bitmask", words, &bounds)?,
            None => PerRow::One(None),
        };
        let banned_token_ids = list!(ids, "banned_token_ids");
        let bad_words = list!(words, "bad_words");
        let no_repeat_ngram_size = count("no_repeat_ngram_size", masks::COUNT)?;
        let min_tokens = count("min_tokens", masks::COUNT)?;
        let eos_token_id = list!(id_or_ids, "eos_token_id");
        let stop_token_ids = list!(ids, "stop_token_ids");
        let logit_bias = list!(biases, "logit_bias");
        let sequence_bias = list!(sequence_biases, "sequence_bias");
        let repetition_penalty = number("repetition_penalty", penalties::REPETITION, 1.0)?;
        let frequency_penalty = number("frequency_penalty", penalties::FINITE, 0.0)?;
        let presence_penalty = number("presence_penalty", penalties::FINITE, 0.0)?;
        let penalty_last_n = optional("penalty_last_n", penalties::WINDOW)?;
        let off = Dry::default();
        let dry_multiplier = number("dry_multiplier", dry::MULTIPLIER, off.multiplier)?;
        let dry_base = number("dry_base", dry::BASE, off.base)?;
        let dry_allowed_length = match keywords.get("dry_allowed_length") {
            Some(_) => count("dry_allowed_length", dry::LENGTH)?,
            None => PerRow::One(off.allowed_length),
        };
        let dry_penalty_last_n = optional("dry_penalty_last_n", penalties::WINDOW)?;
        let dry_sequence_breakers = list!(ids, "dry_sequence_breakers");
        let prompt_ids = list!(histories, "prompt_ids");
        let output_ids = list!(histories, "output_ids");

        let of_row = |row| {
            let masks = Masks {
                vocab_size: vocab_size.of(row).filter(|size| *size < width),
                allowed_token_ids: allowed_token_ids.of(row),
                bitmask: bitmask.of(row),
                banned_token_ids: banned_token_ids.of(row),
                bad_words: bad_words.of(row),
                no_repeat_ngram_size: no_repeat_ngram_size.of(row),
                min_tokens: min_tokens.of(row),
                eos_token_id: eos_token_id.of(row),
                stop_token_ids: stop_token_ids.of(row),
            };
            let dry = Dry {
                multiplier: dry_multiplier.of(row),
                base: dry_base.of(row),
                allowed_length: dry_allowed_length.of(row),
                last_n: dry_penalty_last_n.of(row),
                sequence_breakers: dry_sequence_breakers.of(row),
            };
            let penalties = Penalties {
                logit_bias: logit_bias.of(row),
                sequence_bias: sequence_bias.of(row),
                repetition_penalty: repetition_penalty.of(row),
                frequency_penalty: frequency_penalty.of(row),
                presence_penalty: presence_penalty.of(row),
                penalty_last_n: penalty_last_n.of(row),
                dry,
            };
            let (prompt, output) = (prompt_ids.of(row), output_ids.of(row));
            let history = History::new(&prompt.unwrap_or_default(), &output.unwrap_or_default());
            Adjustment::new(masks, penalties, history)
        };
        Ok(Self { each: Some((0..shape.count).map(of_row).collect()), vocab: bounds.vocab })
    }

    /// Each row's vocabulary: the ids that may be asked for.
    pub fn vocab(&self) -> &PerRow<usize> {
        &self.vocab
    }

    /// What acts on this row of that width, if anything does.
    pub fn row(&self, row: usize, width: usize) -> Option<&Adjustment> {
        self.each.as_ref().map(|each| &each[row]).filter(|adjustment| !adjustment.is_none(width))
    }

    /// What acts on a single row, without its history.
    pub fn into_shaping(self) -> Shaping {
        let first = self.each.into_iter().flatten().next();
        first.map_or_else(Shaping::default, Adjustment::into_shaping)
    }
}

/// A count or None, or one of them per row.
fn optional_counts(
    name: &'static str,
    rule: Rule<i128>,
    given: &Given<'_>,
    shape: Shape,
) -> PyResult<PerRow<Option<usize>>> {
    let Some(value) = given.0.as_ref().filter(|value| !value.is_none()) else {
        return Ok(PerRow::One(None));
    };
    let is_list = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    let items = if is_list { value.try_iter()?.collect::<PyResult<Vec<_>>>()? } else { vec![] };
    if items.iter().any(PyAnyMethods::is_none) {
        // checked with a 1, which keeps every rule, in the place of each None
        let py = value.py();
        let filled = PyList::new(py, items.iter().map(|i| if i.is_none() { one(py) } else { i.clone() }))?;
        let counts = counts(name, rule, &Given(Some(filled.into_any())), shape)?;
        let unless_none = |(row, item): (usize, &Bound<'_, PyAny>)| (!item.is_none()).then(|| counts.of(row));
        return Ok(PerRow::Each(items.iter().enumerate().map(unless_none).collect()));
    }
    Ok(match counts(name, rule, given, shape)? {
        PerRow::One(count) => PerRow::One(Some(count)),
        PerRow::Each(counts) => PerRow::Each(counts.into_iter().map(Some).collect()),
    })
}

fn one(py: Python<'_>) -> Bound<'_, PyAny> {
    pyo3::types::PyInt::new(py, 1).into_any()
}

/// Each row's vocabulary, at most the width of the logits.
fn vocabularies(
    py: Python<'_>,
    sizes: &PerRow<Option<usize>>,
    given: &Given<'_>,
    rows: usize,
    width: usize,
) -> PyResult<PerRow<usize>> {
    let check = |row: Option<usize>, size: Option<usize>| match (size, &given.0) {
        (Some(size), Some(given)) if size > width => {
            // as it was given: a count may have been clamped
            let size = plain(&row.map_or_else(|| Ok(given.clone()), |row| given.get_item(row))?)?;
            let message = format!("vocab_size must be at most the width of the logits, {width}, got {size}");
            Err(knob_error(py, message, "vocab_size", size))
        }
        (size, _) => Ok(size.unwrap_or(width)),
    };
    Ok(match sizes {
        PerRow::One(_) if rows == 0 => PerRow::One(width),
        PerRow::One(size) => PerRow::One(check(None, *size)?),
        PerRow::Each(sizes) => PerRow::Each(
            sizes.iter().enumerate().map(|(row, size)| check(Some(row), *size)).collect::<PyResult<_>>()?,
        ),
    })
}
