//! From logits to tokens: kept, sample, choose.

use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::arrays::Logits;
use super::chance::{Chance, Chances};
use super::errors::{to_python, type_error};
use super::knobs::{Chain, Given, PerRow, Shape, check, integer_of};
use super::{WORTH_DETACHING, detach_if};
use crate::chain::{self, Kept};
use crate::scratch::{self, Scratch};
use crate::{Error, threads};

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(kept, module)?)?;
    module.add_function(wrap_pyfunction!(sample, module)?)?;
    module.add_function(wrap_pyfunction!(choose, module)?)
}

/// The ids of the tokens that the chain of filters keeps.
///
/// Args:
///     logits: as in `softmax`.
///     temperature, top_k, top_p, min_p, chain: as in `sample`.
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
#[pyfunction]
#[pyo3(signature = (logits, /, *, temperature=Given(None), top_k=Given(None), top_p=Given(None),
                    min_p=Given(None), chain=Given(None)),
       text_signature = "(logits, /, *, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, chain='vllm')")]
fn kept<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    temperature: Given<'py>,
    top_k: Given<'py>,
    top_p: Given<'py>,
    min_p: Given<'py>,
    chain: Given<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let logits = Logits::extract(logits)?;
    let shape = Shape { count: logits.rows(), is_row: logits.is_row() };
    let chain = Chain::new(shape, &temperature, &top_k, &top_p, &min_p, &chain)?;
    let ids = keep_rows(py, &logits, &chain, |_, kept| {
        Ok(kept.tokens().map(|(id, _)| id as i64).collect::<Vec<_>>())
    })?;
    let mut arrays = ids.into_iter().map(|ids| PyArray1::from_vec(py, ids));
    match arrays.next() {
        Some(ids) if shape.is_row => Ok(ids.into_any()),
        first => Ok(PyList::new(py, first.into_iter().chain(arrays).collect::<Vec<_>>())?.into_any()),
    }
}

/// One token for each row, drawn from what the chain of filters keeps.
///
/// The chance comes from (seed, stream, position) alone, through one block of Philox4x64-10: the same three give
/// the same token on every machine, in any batch, at any place in it. For a sequence keep the seed and the
/// stream, and count the position up.
///
/// Args:
///     logits: as in `softmax`.
///     seed: an integer in [0, 2**64), or one per row. None draws a fresh seed for every row from the operating
///         system: such a call cannot be repeated.
///     stream, position: integers in [0, 2**64), or one per row. Several rows with one seed need one of the two
///         per row, or all would get the same chance.
///     u: the chance itself, an integer in [0, 2**64) or one per row, instead of the three.
///     temperature: as in `softmax`; 0 is greedy, at its place in the chain.
///     top_k: keep the k largest; 0 is off.
///     top_p: keep the smallest set that reaches this probability; 1 is off.
///     min_p: keep what has at least this share of the largest probability; 0 is off.
///     chain: the order of the filters: "vllm" (temperature, min_p, top_k, top_p), "hf" (temperature, top_k,
///         top_p, min_p), "llama.cpp" (top_k, top_p, min_p, temperature), or a tuple of their names.
///
/// Every knob is one value, or one per row.
///
/// Returns:
///     An int for a (vocab,) row, an int64 array for a batch. A (vocab,) row with an array of seeds, streams,
///     positions or u gives an array of that many tokens.
///
/// Raises:
///     KnobError: a knob or a chance breaks its rule.
///     LogitsError: a logit is NaN or +inf, or a row has no finite one.
///     TypeError: an argument has the wrong type.
///
/// >>> import rheostat
/// >>> rheostat.sample([0.0, 1.0, 2.0, 3.0], temperature=0.8, top_p=0.9, seed=7)
/// 3
/// >>> rheostat.sample([0.0, 1.0, 2.0, 3.0], seed=7, position=[0, 1, 2, 3])
/// array([3, 1, 0, 3])
#[pyfunction]
#[pyo3(signature = (logits, /, *, seed=Given(None), stream=Given(None), position=Given(None), u=Given(None),
                    temperature=Given(None), top_k=Given(None), top_p=Given(None), min_p=Given(None),
                    chain=Given(None)),
       text_signature = "(logits, /, *, seed=None, stream=0, position=0, u=None, temperature=1.0, top_k=0, \
                         top_p=1.0, min_p=0.0, chain='vllm')")]
#[allow(clippy::too_many_arguments)] // the knobs are keywords in Python
fn sample<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    u: Given<'py>,
    temperature: Given<'py>,
    top_k: Given<'py>,
    top_p: Given<'py>,
    min_p: Given<'py>,
    chain: Given<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let logits = Logits::extract(logits)?;
    let shape = Shape { count: logits.rows(), is_row: logits.is_row() };
    let chain = Chain::new(shape, &temperature, &top_k, &top_p, &min_p, &chain)?;
    let chances = Chances::new(py, &seed, &stream, &position, &u, shape)?;
    if let ([chance], false) = (chances.each.as_slice(), chances.many) {
        let token = keep_rows(py, &logits, &chain, |_, kept| Ok(kept.into_urn().draw(chance.word(0))))?;
        return token[0].into_bound_py_any(py);
    }
    let tokens = keep_rows(py, &logits, &chain, |row, kept| {
        let mut urn = kept.into_urn();
        Ok(of_row(&chances, shape, row).iter().map(|c| urn.draw(c.word(0)) as i64).collect::<Vec<_>>())
    })?;
    Ok(PyArray1::from_vec(py, tokens.concat()).into_any())
}

/// n distinct tokens for each row, drawn one after another without replacement.
///
/// Item i is drawn with stream + i from what the items before it have left, so the first is `sample`'s token.
/// For rows that share a seed space the streams n apart: `stream=n * np.arange(batch)`.
///
/// Args:
///     logits: as in `softmax`.
///     n: how many, at least 1 and at most the number of kept tokens that have a weight.
///     seed, stream, position: as in `sample`.
///     temperature, top_k, top_p, min_p, chain: as in `sample`.
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
#[pyfunction]
#[pyo3(signature = (logits, n, /, *, seed=Given(None), stream=Given(None), position=Given(None),
                    temperature=Given(None), top_k=Given(None), top_p=Given(None), min_p=Given(None),
                    chain=Given(None)),
       text_signature = "(logits, n, /, *, seed=None, stream=0, position=0, temperature=1.0, top_k=0, top_p=1.0, \
                         min_p=0.0, chain='vllm')")]
#[allow(clippy::too_many_arguments)] // the knobs are keywords in Python
fn choose<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    n: &Bound<'py, PyAny>,
    seed: Given<'py>,
    stream: Given<'py>,
    position: Given<'py>,
    temperature: Given<'py>,
    top_k: Given<'py>,
    top_p: Given<'py>,
    min_p: Given<'py>,
    chain: Given<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let logits = Logits::extract(logits)?;
    let shape = Shape { count: logits.rows(), is_row: logits.is_row() };
    let PerRow::One(items) = integer_of("n", n)? else {
        return Err(type_error("n must be an integer, got one per row"));
    };
    check("n", ("must be at least 1", |n| n >= 1), n, &PerRow::One(items))?;
    let chain = Chain::new(shape, &temperature, &top_k, &top_p, &min_p, &chain)?;
    let chances = Chances::new(py, &seed, &stream, &position, &Given(None), shape)?;
    chances.check_room_for(py, items)?;
    let ids = keep_rows(py, &logits, &chain, |row, kept| {
        let mut urn = kept.into_urn();
        let mut ids = vec![];
        for chance in of_row(&chances, shape, row) {
            urn.refill();
            for item in 0..items {
                match urn.take(chance.word(item as u64)) {
                    Some(id) => ids.push(id as i64),
                    None => {
                        let available = item as usize;
                        return Err(Error::TooFewTokens { row, wanted: items, available });
                    }
                }
            }
        }
        Ok(ids)
    })?;
    let ids = PyArray1::from_vec(py, ids.concat());
    if !chances.many {
        return Ok(ids.into_any());
    }
    let ids: Bound<'py, PyArray2<i64>> = ids.reshape([chances.each.len(), items as usize])?;
    Ok(ids.into_any())
}

/// The chances of a row: its own, or all where they are for a single row.
fn of_row(chances: &Chances, shape: Shape, row: usize) -> &[Chance] {
    if shape.is_row { &chances.each } else { &chances.each[row..=row] }
}

/// `work` on what the chain keeps of every row; the error of the lowest row that has one.
fn keep_rows<R: Send>(
    py: Python<'_>,
    logits: &Logits<'_>,
    chain: &Chain,
    work: impl Fn(usize, Kept<'_>) -> Result<R, Error> + Sync,
) -> PyResult<Vec<R>> {
    let rows = logits.view();
    let (count, vocab) = (logits.rows(), logits.vocab());
    let one = |row: usize, scratch: &mut Scratch| {
        let mut buffer = std::mem::take(&mut scratch.row);
        let result = rows.row(row, &mut buffer).and_then(|x| {
            let kept = chain::keep(x, &chain.row(row), chain.steps(), scratch).map_err(|e| e.in_row(row))?;
            work(row, kept)
        });
        scratch.row = buffer;
        result
    };
    let results = detach_if(py, count * vocab >= WORTH_DETACHING, || {
        let results = threads::map_rows((0..count).collect(), vocab, |row, _| scratch::with(|s| one(row, s)));
        results.into_iter().collect::<Result<Vec<R>, Error>>()
    });
    results.map_err(|error| to_python(py, &error))
}
