//! process: the logits after the whole chain, for other samplers.

use pyo3::prelude::*;

use super::arrays::Logits;
use super::call::{Call, Failure};
use super::chance::Source;
use super::keywords::{Arguments, with_knobs};
use super::knobs::Given;
use super::out::Out;
use crate::Error;
use crate::chain::Kept;

/// Adds the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(process, module)?)
}

with_knobs! {
    /// The logits after masks, penalties and the whole chain, divided by the temperature; what is not kept at -inf.
    ///
    /// For other samplers: a draw from the softmax of the result is a draw under the knobs. As float32(x / T) rounds
    /// once more than `sample` does, such a draw can differ from `sample`'s with the temperature; without one it is
    /// the same.
    ///
    /// Args:
    ///     logits: as in `softmax`.
    ///     seed, stream, position: as in `kept`.
    ///     prompt_ids, output_ids, chain and the knobs: as in `sample`.
    ///     out: as in `softmax`.
    ///
    /// Returns:
    ///     float32 logits of the same shape, `out` where it was given.
    ///
    /// Raises:
    ///     KnobError, LogitsError, TypeError: as in `sample`, and KnobError where a temperature makes a kept logit
    ///         infinite in float32. Nothing has been written then.
    ///
    /// >>> import rheostat
    /// >>> rheostat.process([0.0, 1.0, 2.0, 3.0], temperature=0.5, top_k=2, banned_token_ids=[3])
    /// array([-inf,   2.,   4., -inf], dtype=float32)
    #[text_signature = "(logits, /, *, seed=None, stream=0, position=0, prompt_ids=(), output_ids=(), \
                         chain='vllm', out=None, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, \
                         typical_p=1.0, epsilon_cutoff=0.0, eta_cutoff=0.0, top_h=0.0, top_n_sigma=0.0, \
                         xtc_threshold=0.1, xtc_probability=0.0, vocab_size=None, allowed_token_ids=None, \
                         bitmask=None, banned_token_ids=None, bad_words=None, no_repeat_ngram_size=0, \
                         min_tokens=0, eos_token_id=None, stop_token_ids=None, logit_bias=None, \
                         sequence_bias=None, repetition_penalty=1.0, frequency_penalty=0.0, \
                         presence_penalty=0.0, penalty_last_n=None, dry_multiplier=0.0, dry_base=1.75, \
                         dry_allowed_length=2, dry_penalty_last_n=None, dry_sequence_breakers=None)"]
    fn process(logits; seed, stream, position, out) => process_rows
}

fn process_rows<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    out: Given<'py>,
    knobs: Arguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let out = out.0.filter(|out| !out.is_none());
    let mut call = Call::new(py, Logits::extract(logits)?, &knobs)?;
    let mut out = Out::extract(out.as_ref(), logits, &call.logits)?;
    let chances = call.chance_per_row(py, &Source { seed, stream, position, u: Given(None) })?;
    // Every row is known before any is written.
    let results = call.rows(py, 0, |mut row| {
        let at = row.at;
        tempered(row.keep(row.opens(chances.of(at)))?, at)
    })?;
    out.pairs(&mut call.logits)?.fill(|row, _, result| {
        let Tempered { ids, xs } = &results[row];
        match ids {
            None => result.copy_from_slice(xs),
            Some(ids) => {
                result.fill(f32::NEG_INFINITY);
                for (id, x) in ids.iter().zip(xs) {
                    result[*id as usize] = *x;
                }
            }
        }
    });
    out.finish()
}

/// float32(x / T) of the kept tokens, or of the whole row where nothing was filtered.
struct Tempered {
    ids: Option<Vec<u32>>,
    xs: Vec<f32>,
}

/// The kept logits at the temperature, which must leave them finite.
fn tempered(mut kept: Kept<'_>, row: usize) -> Result<Tempered, Failure> {
    let temperature = kept.temperature();
    let ids = (!kept.is_whole_row()).then(|| kept.tokens().map(|(id, _)| id as u32).collect());
    let temper = |x: &f32| (f64::from(*x) / temperature) as f32;
    let xs: Vec<f32> = kept.logits().iter().map(temper).collect();
    let became_infinite = |(x, tempered): (&f32, &f32)| tempered.is_infinite() && x.is_finite();
    if let Some(place) = kept.logits().iter().zip(&xs).position(became_infinite) {
        let token = ids.as_ref().map_or(place, |ids: &Vec<u32>| ids[place] as usize);
        return Err(Failure::Law(Error::InfiniteQuotient { temperature, row, token }));
    }
    Ok(Tempered { ids, xs })
}
