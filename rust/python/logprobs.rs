//! logprobs: log-probabilities and ranks of given tokens, and of the best.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::arrays::Logits;
use super::call::Call;
use super::chance::Source;
use super::errors::{knob_error, type_error};
use super::ids::{id, id_list, is_sequence, items};
use super::keywords::{Arguments, with_knobs};
use super::knobs::{Given, PerRow, check, integer_of, plain, type_name};
use crate::law::MAX_VOCAB;
use crate::logprobs as core;

/// Adds the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(logprobs, module)?)
}

with_knobs! {
    /// Log-probabilities and ranks of given tokens under the chain, and the best `top`; no result has the size of the
    /// vocabulary.
    ///
    /// Args:
    ///     logits: as in `softmax`.
    ///     token_ids: for one row an id or (n,) ids; for a batch (batch,), one for each row, or (batch, n).
    ///     top: how many of the best kept tokens are listed, at most 1048576.
    ///     seed, stream, position: as in `kept`.
    ///     prompt_ids, output_ids, chain and the knobs: as in `sample`. Without any, what is told is the row's own
    ///         `log_softmax`.
    ///
    /// Returns:
    ///     Logprobs(logprobs, ranks, top_ids, top_logprobs). The first two, float64 and int64, have the shape of the
    ///     ids: ln p = (x - m) / T - ln S among the kept tokens, -inf for others, and 1 + the place by logit, then by
    ///     id, after masks and penalties. The others are (top,) or (batch, top); where fewer tokens are kept they
    ///     end with id -1 at -inf.
    ///
    /// Raises:
    ///     KnobError, LogitsError, TypeError: as in `sample`, and for ids outside the vocabulary.
    ///
    /// >>> import rheostat
    /// >>> found = rheostat.logprobs([1.0, 3.0, 2.0], [1, 2], top=1, top_k=1)
    /// >>> found.logprobs, found.ranks, found.top_ids
    /// (array([  0., -inf]), array([1, 2]), array([1]))
    #[text_signature = "(logits, token_ids, /, *, top=0, seed=None, stream=0, position=0, prompt_ids=(), \
                         output_ids=(), chain='vllm', temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, \
                         typical_p=1.0, epsilon_cutoff=0.0, eta_cutoff=0.0, top_h=0.0, top_n_sigma=0.0, \
                         xtc_threshold=0.1, xtc_probability=0.0, vocab_size=None, allowed_token_ids=None, \
                         bitmask=None, banned_token_ids=None, bad_words=None, no_repeat_ngram_size=0, \
                         min_tokens=0, eos_token_id=None, stop_token_ids=None, logit_bias=None, \
                         sequence_bias=None, repetition_penalty=1.0, frequency_penalty=0.0, \
                         presence_penalty=0.0, penalty_last_n=None, dry_multiplier=0.0, dry_base=1.75, \
                         dry_allowed_length=2, dry_penalty_last_n=None, dry_sequence_breakers=None)"]
    fn logprobs(logits, token_ids; top, seed, stream, position) => logprobs_of
}

#[allow(clippy::too_many_arguments)] // most are keywords in Python
fn logprobs_of<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    token_ids: &Bound<'py, PyAny>,
    top: Given<'py>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    knobs: Arguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Call::new(py, Logits::extract_brief(logits)?, &knobs)?;
    let wanted = Wanted::extract(token_ids, &call)?;
    let top = count_of(&top)?;
    let chances = call.chance_per_row(py, &Source { seed, stream, position, u: Given(None) })?;
    let found = call.rows(py, 0, |mut row| {
        let ids = &wanted.ids[row.at];
        let ranks = core::ranks(row.x.logits(), ids);
        let (logprobs, best) = core::logprobs(row.keep(row.opens(chances.of(row.at)))?, ids, top);
        Ok((logprobs, ranks, best))
    })?;

    let rows = found.len();
    let (mut logprobs, mut ranks) = (vec![], vec![]);
    let (mut top_ids, mut top_logprobs) = (vec![-1_i64; rows * top], vec![f64::NEG_INFINITY; rows * top]);
    for (row, (own, own_ranks, best)) in found.into_iter().enumerate() {
        logprobs.extend(own);
        ranks.extend(own_ranks.into_iter().map(|rank| rank as i64));
        for (place, (id, logprob)) in best.into_iter().enumerate() {
            top_ids[row * top + place] = id.into();
            top_logprobs[row * top + place] = logprob;
        }
    }
    let top_shape = if call.shape.is_row { vec![top] } else { vec![rows, top] };
    class(py)?.call1((
        PyArray1::from_vec(py, logprobs).reshape(wanted.shape.clone())?,
        PyArray1::from_vec(py, ranks).reshape(wanted.shape)?,
        PyArray1::from_vec(py, top_ids).reshape(top_shape.clone())?,
        PyArray1::from_vec(py, top_logprobs).reshape(top_shape)?,
    ))
}

/// The named tuple that both implementations give.
fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "rheostat.results", "Logprobs")
}

fn count_of(top: &Given<'_>) -> PyResult<usize> {
    let Some(given) = &top.0 else { return Ok(0) };
    let PerRow::One(top) = integer_of("top", given)? else {
        return Err(type_error("top must be an integer, got one per row"));
    };
    check("top", ("must be at least 0", |top| top >= 0), given, &PerRow::One(top))?;
    if top > MAX_VOCAB as i128 {
        let top = plain(given)?;
        let message = format!("top must be at most {MAX_VOCAB}, got {top}");
        return Err(knob_error(given.py(), message, "top", top));
    }
    Ok(top as usize)
}

/// The token ids asked for.
struct Wanted {
    /// Those of each row, as many for one as for another.
    ids: Vec<Vec<u32>>,
    /// The shape in which they were given.
    shape: Vec<usize>,
}

impl Wanted {
    fn extract(given: &Bound<'_, PyAny>, call: &Call<'_>) -> PyResult<Self> {
        const NAME: &str = "token_ids";
        let (py, vocab) = (given.py(), call.vocab());
        // A matrix of rows, or an array of no dimension, is read as Python numbers.
        let original = given;
        let given = &if given.hasattr("tolist")? { given.call_method0("tolist")? } else { given.clone() };
        if call.shape.is_row {
            let kind = "a token id or a sequence of token ids";
            if is_sequence(given)? {
                let ids = id_list(NAME, given, vocab.get(0), kind)?;
                let shape = vec![ids.len()];
                return Ok(Self { ids: vec![ids], shape });
            }
            return Ok(Self { ids: vec![vec![id(NAME, given, vocab.get(0), kind)?]], shape: vec![] });
        }
        let kind = "a token id or a sequence of token ids for each row";
        if !is_sequence(given)? {
            return Err(type_error(format!("{NAME} must be {kind}, got {}", type_name(original))));
        }
        let items = items(NAME, given, kind)?;
        let rows = call.shape.count;
        if items.len() != rows {
            let message = format!("{NAME} must have one entry for each of {rows} rows, got {}", items.len());
            return Err(knob_error(py, message, NAME, items.len()));
        }
        let mut flat = true;
        for item in &items {
            flat &= !is_sequence(item)?;
        }
        let of_row = |(row, item): (usize, &Bound<'_, PyAny>)| {
            let vocab = vocab.get(row);
            if flat { Ok(vec![id(NAME, item, vocab, kind)?]) } else { id_list(NAME, item, vocab, kind) }
        };
        let ids = items.iter().enumerate().map(of_row).collect::<PyResult<Vec<_>>>()?;
        let length = ids.first().map_or(0, Vec::len);
        if ids.iter().any(|ids| ids.len() != length) {
            let message = format!("{NAME} must hold as many ids for every row, got a ragged list");
            return Err(knob_error(py, message, NAME, "a ragged list"));
        }
        let shape = if flat { vec![rows] } else { vec![rows, length] };
        Ok(Self { ids, shape })
    }
}
