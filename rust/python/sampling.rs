//! From logits to tokens: kept, sample, choose.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::arrays::Logits;
use super::call::{Call, Failure};
use super::chance::{Chance, Chances, Source};
use super::errors::type_error;
use super::keywords::{Arguments, with_knobs};
use super::knobs::{Given, PerRow, Shape, check, integer_of};
use crate::Error;
use crate::law::MAX_VOCAB;

/// What one draw costs, in logits: it weighs a block of the urn again.
const DRAW: usize = 1024;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kept, module)?)?;
    module.add_function(wrap_pyfunction!(sample, module)?)?;
    module.add_function(wrap_pyfunction!(choose, module)?)
}

with_knobs! {
    /// The ids of the tokens that masks and the chain of filters keep.
    ///
    /// Args:
    ///     logits: as in `softmax`.
    ///     seed, stream, position: as in `sample`, one for each row. They decide nothing here but whether XTC acts.
    ///     prompt_ids, output_ids, chain and the knobs: as in `sample`.
    ///
    /// Returns:
    ///     int64 ids, ascending; for a batch a list of such arrays, one per row.
    ///
    /// Raises:
    ///     KnobError, LogitsError, TypeError: as in `sample`.
    ///
    /// >>> import rheostat
    /// >>> rheostat.kept([0.0, 1.0, 2.0, 3.0], top_p=0.8)
    /// array([2, 3])
    /// >>> rheostat.kept([0.0, 1.0, 2.0, 3.0], top_p=0.8, banned_token_ids=[3])
    /// array([1, 2])
    #[text_signature = "(logits, /, *, seed=None, stream=0, position=0, prompt_ids=(), output_ids=(), \
                         chain='vllm', temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0, \
                         epsilon_cutoff=0.0, eta_cutoff=0.0, top_h=0.0, top_n_sigma=0.0, xtc_threshold=0.1, \
                         xtc_probability=0.0, vocab_size=None, allowed_token_ids=None, bitmask=None, \
                         banned_token_ids=None, bad_words=None, no_repeat_ngram_size=0, min_tokens=0, \
                         eos_token_id=None, stop_token_ids=None, logit_bias=None, sequence_bias=None, \
                         repetition_penalty=1.0, frequency_penalty=0.0, presence_penalty=0.0, \
                         penalty_last_n=None, dry_multiplier=0.0, dry_base=1.75, dry_allowed_length=2, \
                         dry_penalty_last_n=None, dry_sequence_breakers=None)"]
    fn kept(logits; seed, stream, position) => kept_ids
}

fn kept_ids<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    knobs: Arguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Call::new(py, Logits::extract_brief(logits)?, &knobs)?;
    let chances = call.chance_per_row(py, &Source { seed, stream, position, u: Given(None) })?;
    let ids = call.rows(py, 0, |mut row| {
        let kept = row.keep(row.opens(chances.of(row.at)))?;
        Ok(kept.tokens().map(|(id, _)| id as i64).collect::<Vec<_>>())
    })?;
    let mut arrays = ids.into_iter().map(|ids| PyArray1::from_vec(py, ids));
    match arrays.next() {
        Some(ids) if call.shape.is_row => Ok(ids.into_any()),
        first => Ok(PyList::new(py, first.into_iter().chain(arrays).collect::<Vec<_>>())?.into_any()),
    }
}

with_knobs! {
    /// One token for each row, drawn from what masks and the chain of filters keep.
    ///
    /// The chance comes from (seed, stream, position) alone, through one block of Philox4x64-10: the same three give
    /// the same token on every machine, in any batch, at any place in it. For a sequence keep the seed and the
    /// stream, and count the position up.
    ///
    /// Args:
    ///     logits: as in `softmax`. What stands at a forbidden token is not read.
    ///     seed: an integer in [0, 2**64), or one per row. None draws a fresh seed for every row from the operating
    ///         system: such a call cannot be repeated.
    ///     stream, position: integers in [0, 2**64), or one per row. Several rows with one seed need one of the two
    ///         per row, or all would get the same chance.
    ///     u: the chance itself, an integer in [0, 2**64) or one per row, instead of the three (and without XTC).
    ///     prompt_ids, output_ids: the sequence so far, for what looks at it; for a batch one sequence per row.
    ///     chain: the order of the filters: "vllm" (temperature, min_p, top_k, top_p), "hf" (temperature, top_h,
    ///         top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff), "llama.cpp" (top_n_sigma, top_k,
    ///         typical_p, top_p, min_p, xtc, temperature), or a tuple of knob names and "xtc". What is set and not
    ///         named by a preset runs after it: top_n_sigma, typical_p, epsilon_cutoff, eta_cutoff, top_h, xtc; a
    ///         tuple must name it. In a tuple a callable may stand: it gets the survivors (ids int64, logits
    ///         float32, probabilities float32) and returns a boolean mask over them, or ids among them (no uint8,
    ///         which could be either).
    ///
    /// Filters. Each works on what is left: W are the integer weights exp((x - m) / T), S their sum, p = W / S, H the
    /// entropy, m the largest logit, T the temperature applied so far; tokens go by logit descending, then by id.
    ///     temperature: divides the logits, from its place in the chain on; 0 is greedy: the first token.
    ///     top_k: the first k; 0 is off. (Fan et al. 2018)
    ///     top_p: the shortest prefix whose p sums to top_p, at least one; 1 is off. (Holtzman et al. 2020)
    ///     min_p: p >= min_p * max p; 0 is off. (Nguyen et al. 2024)
    ///     typical_p: by |ln p + H| ascending, the shortest prefix that sums to typical_p, and what ties with its
    ///         last; 1 is off. (Meister et al. 2023)
    ///     epsilon_cutoff: p >= epsilon, or the first; 0 is off. (Hewitt, Manning and Liang 2022)
    ///     eta_cutoff: p >= min(eta, sqrt(eta) * exp(-H)), or the first; 0 is off. (the same)
    ///     top_h: of the first 100, renormalised, while the running sum of -p ln p is at most top_h of the whole; 0
    ///         is off. (Baghaei Potraghloo et al. 2025)
    ///     top_n_sigma: x >= m - n * sigma, sigma the standard deviation of the logits; 0 is off. (Tang et al. 2025)
    ///     xtc_threshold, xtc_probability: with that probability (word 1 of the block), of the tokens with p >=
    ///         threshold drop all but the last; probability 0 is off. (p-e-w 2024)
    ///
    /// Masks, before everything else, in this order. None is off; ids are integers in the vocabulary.
    ///     vocab_size: where the row is wider (a padded head), the tail is forbidden.
    ///     allowed_token_ids, banned_token_ids: sequences of ids, for all rows or one per row.
    ///     bitmask: int32 (words,) or (batch, words) as xgrammar and llguidance pack it: bit i % 32 of word i // 32
    ///         is 1 where token i is allowed.
    ///     bad_words: id sequences whose last id is forbidden where the sequence so far ends with the others.
    ///     no_repeat_ngram_size: no n ids in a row come twice; 0 is off. (fairseq)
    ///     min_tokens, eos_token_id, stop_token_ids: while output_ids is shorter, the other two are forbidden, unless
    ///         a bitmask leaves nothing else.
    ///
    /// Biases and penalties, after the masks, in this order, each in float32.
    ///     logit_bias: {id: bias}, added; -inf forbids. (OpenAI)
    ///     sequence_bias: {(id, ...): bias}, added to the last id where the sequence so far ends with the others.
    ///         (transformers)
    ///     repetition_penalty: x / r if x > 0 else x * r, for every id seen; 1 is off. (Keskar et al. 2019)
    ///     frequency_penalty, presence_penalty: x - (frequency * count + presence) for every id of the output; 0 is
    ///         off. (OpenAI)
    ///     penalty_last_n: None, or all three penalties look at the last n ids of prompt and output. (llama.cpp)
    ///     dry_multiplier, dry_base, dry_allowed_length, dry_penalty_last_n, dry_sequence_breakers: x - multiplier *
    ///         base ** (n - allowed_length), n how long a repetition the token would continue; 0 is off. (p-e-w 2024)
    ///
    /// Every number is one value, or one per row.
    ///
    /// Returns:
    ///     An int for a (vocab,) row, an int64 array for a batch. A (vocab,) row with an array of seeds, streams,
    ///     positions or u gives an array of that many tokens.
    ///
    /// Raises:
    ///     KnobError: a knob or a chance breaks its rule, or masks and penalties leave no token.
    ///     LogitsError: a logit is NaN or +inf, or a row has no finite one.
    ///     TypeError: an argument has the wrong type.
    ///     Whatever a callable in the chain raises.
    ///
    /// >>> import rheostat
    /// >>> rheostat.sample([0.0, 1.0, 2.0, 3.0], temperature=0.8, top_p=0.9, seed=7)
    /// 3
    /// >>> rheostat.sample([0.0, 1.0, 2.0, 3.0], seed=7, position=[0, 1, 2, 3])
    /// array([3, 1, 0, 3])
    /// >>> rheostat.sample([0.0, 1.0, 2.0, 3.0], seed=7, output_ids=[3, 3], frequency_penalty=1.5, typical_p=0.9)
    /// 2
    #[text_signature = "(logits, /, *, seed=None, stream=0, position=0, u=None, prompt_ids=(), \
                         output_ids=(), chain='vllm', temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, \
                         typical_p=1.0, epsilon_cutoff=0.0, eta_cutoff=0.0, top_h=0.0, top_n_sigma=0.0, \
                         xtc_threshold=0.1, xtc_probability=0.0, vocab_size=None, allowed_token_ids=None, \
                         bitmask=None, banned_token_ids=None, bad_words=None, no_repeat_ngram_size=0, \
                         min_tokens=0, eos_token_id=None, stop_token_ids=None, logit_bias=None, \
                         sequence_bias=None, repetition_penalty=1.0, frequency_penalty=0.0, \
                         presence_penalty=0.0, penalty_last_n=None, dry_multiplier=0.0, dry_base=1.75, \
                         dry_allowed_length=2, dry_penalty_last_n=None, dry_sequence_breakers=None)"]
    fn sample(logits; seed, stream, position, u) => sample_rows
}

fn sample_rows<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    u: Given<'py>,
    knobs: Arguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Call::new(py, Logits::extract_brief(logits)?, &knobs)?;
    let chances = call.chances(py, &Source { seed, stream, position, u })?;
    if let Some(chance) = chances.single() {
        let token = call.row(py, |mut row| {
            let mut kept = row.keep(row.opens(chance))?;
            Ok(kept.draw(chance.word(0)))
        })?;
        return token.into_bound_py_any(py);
    }
    let tokens = call.rows(py, 0, |mut row| {
        let chances = of_row(&chances, call.shape, row.at);
        let mut tokens = vec![0_i64; chances.len()];
        row.keep_by_gate(chances, |places, mut kept| {
            let mut urn = kept.urn();
            for &place in places {
                tokens[place] = urn.draw(chances[place].word(0)) as i64;
            }
            Ok(())
        })?;
        Ok(tokens)
    })?;
    Ok(PyArray1::from_vec(py, tokens.concat()).into_any())
}

with_knobs! {
    /// n distinct tokens for each row, drawn one after another without replacement.
    ///
    /// Item i is drawn with stream + i from what the items before it have left, so the first is `sample`'s token.
    /// For rows that share a seed space the streams n apart: `stream=n * np.arange(batch)`.
    ///
    /// Args:
    ///     logits: as in `softmax`.
    ///     n: how many, at least 1 and at most the number of kept tokens that have a weight.
    ///     seed, stream, position, prompt_ids, output_ids, chain and the knobs: as in `sample`. Item 0 decides
    ///         whether XTC acts.
    ///
    /// Returns:
    ///     int64 ids in the order drawn: (n,) for a (vocab,) row, (batch, n) for a batch; a (vocab,) row with an array
    ///     of seeds, streams or positions gives one row of ids for each.
    ///
    /// Raises:
    ///     KnobError, LogitsError, TypeError: as in `sample`.
    ///
    /// >>> import rheostat
    /// >>> rheostat.choose([0.0, 1.0, 2.0, 3.0], 3, seed=7)
    /// array([3, 2, 1])
    #[text_signature = "(logits, n, /, *, seed=None, stream=0, position=0, prompt_ids=(), output_ids=(), \
                         chain='vllm', temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0, \
                         epsilon_cutoff=0.0, eta_cutoff=0.0, top_h=0.0, top_n_sigma=0.0, xtc_threshold=0.1, \
                         xtc_probability=0.0, vocab_size=None, allowed_token_ids=None, bitmask=None, \
                         banned_token_ids=None, bad_words=None, no_repeat_ngram_size=0, min_tokens=0, \
                         eos_token_id=None, stop_token_ids=None, logit_bias=None, sequence_bias=None, \
                         repetition_penalty=1.0, frequency_penalty=0.0, presence_penalty=0.0, \
                         penalty_last_n=None, dry_multiplier=0.0, dry_base=1.75, dry_allowed_length=2, \
                         dry_penalty_last_n=None, dry_sequence_breakers=None)"]
    fn choose(logits, n; seed, stream, position) => choose_rows
}

fn choose_rows<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    n: &Bound<'py, PyAny>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    knobs: Arguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let PerRow::One(items) = integer_of("n", n)? else {
        return Err(type_error("n must be an integer, got one per row"));
    };
    check("n", ("must be at least 1", |n| n >= 1), n, &PerRow::One(items))?;
    let call = Call::new(py, Logits::extract_brief(logits)?, &knobs)?;
    let chances = call.chances(py, &Source { seed, stream, position, u: Given(None) })?;
    check("n", ("must be at most 1048576", |n| n <= MAX_VOCAB as i128), n, &PerRow::One(items))?;
    chances.check_room_for(py, items)?;
    let ids = call.rows(py, DRAW.saturating_mul(items as usize), |mut row| {
        let at = row.at;
        let chances = of_row(&chances, call.shape, at);
        let mut ids = vec![vec![]; chances.len()];
        row.keep_by_gate(chances, |places, mut kept| {
            let mut urn = kept.urn();
            for &place in places {
                urn.refill();
                for item in 0..items {
                    let Some(id) = urn.take(chances[place].word(item as u64)) else {
                        let available = item as usize;
                        return Err(Failure::Law(Error::TooFewTokens { row: at, wanted: items, available }));
                    };
                    ids[place].push(id as i64);
                }
            }
            Ok(())
        })?;
        Ok(ids.concat())
    })?;
    let ids = PyArray1::from_vec(py, ids.concat());
    if !chances.many {
        return Ok(ids.into_any());
    }
    let ids: Bound<'py, PyArray2<i64>> = ids.reshape([chances.all().len(), items as usize])?;
    Ok(ids.into_any())
}

/// The chances of a row: its own, or all where they are for a single row.
fn of_row(chances: &Chances, shape: Shape, row: usize) -> &[Chance] {
    if shape.is_row { chances.all() } else { &chances.all()[row..=row] }
}
