//! softmax, log_softmax and the filters one by one: a row of results for each row of logits.

use pyo3::prelude::*;

use super::arrays::Logits;
use super::call::Failure;
use super::knobs::{Given, Shape, counts, numbers};
use super::out::Out;
use super::{WORTH_DETACHING, detach_if, signals};
use crate::knobs::{self, Knobs, Step};
use crate::{Error, chain, filters, law, scratch, softmax as core};

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(softmax, module)?)?;
    module.add_function(wrap_pyfunction!(log_softmax, module)?)?;
    module.add_function(wrap_pyfunction!(top_k, module)?)?;
    module.add_function(wrap_pyfunction!(top_p, module)?)?;
    module.add_function(wrap_pyfunction!(min_p, module)?)
}

/// Probabilities of the tokens, `exp(x / temperature)` normalised.
///
/// Args:
///     logits: (vocab,) or (batch, vocab); float32, float64, float16 or bfloat16, or lists of numbers. -inf is
///         a forbidden token.
///     temperature: 0, or in [1e-30, 1e30]; one number or one per row. Below 1 the distribution is sharper,
///         above 1 flatter; at 0 the first of the largest logits has probability 1.
///     out: where to write: a float32 NumPy array of the logits' shape, `logits` itself included.
///
/// Returns:
///     float32 probabilities of the logits' shape, `out` where it was given. Relative precision is kept down to
///     2**-100 of the largest; below that they are 0.
///
/// Raises:
///     KnobError: temperature or out breaks its rule.
///     LogitsError: a logit is NaN or +inf, or a row has no finite one; nothing has been written.
///     TypeError: an argument has the wrong type.
///
/// >>> import rheostat
/// >>> rheostat.softmax([0.0, 0.0, float("-inf")])
/// array([0.5, 0.5, 0. ], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, /, *, temperature=Given(None), out=None),
       text_signature = "(logits, /, *, temperature=1.0, out=None)")]
fn softmax<'py>(
    logits: &Bound<'py, PyAny>,
    temperature: Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    map_rows(logits, &temperature, out, core::softmax)
}

/// Natural logarithms of the probabilities, `x / temperature - log(sum(exp(x / temperature)))`.
///
/// Computed in float64 and rounded once, not as the logarithm of `softmax`: it keeps its precision where the
/// probability is 0. Arguments, shapes and errors are those of `softmax`. At temperature 0 the first of the
/// largest logits gets 0 and every other token -inf.
///
/// >>> import rheostat
/// >>> rheostat.log_softmax([0.0, -1000.0])
/// array([    0., -1000.], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, /, *, temperature=Given(None), out=None),
       text_signature = "(logits, /, *, temperature=1.0, out=None)")]
fn log_softmax<'py>(
    logits: &Bound<'py, PyAny>,
    temperature: Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    map_rows(logits, &temperature, out, core::log_softmax)
}

/// The logits with every token outside the k largest at -inf (Fan et al. 2018).
///
/// Exactly k tokens stay: of equal logits those with the lower ids.
///
/// Args:
///     logits: as in `softmax`.
///     k: how many tokens stay, one integer or one per row; 0 keeps all, as does more than the vocabulary.
///     temperature: only 0 makes a difference here: it leaves the first token alone.
///     out: as in `softmax`.
///
/// Returns:
///     float32 logits of the same shape.
///
/// Raises:
///     KnobError, LogitsError, TypeError: as in `softmax`.
///
/// >>> import rheostat
/// >>> rheostat.top_k([1.0, 3.0, 2.0, 3.0], 2)
/// array([-inf,   3., -inf,   3.], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, k, /, *, temperature=Given(None), out=None),
       text_signature = "(logits, k, /, *, temperature=1.0, out=None)")]
fn top_k<'py>(
    logits: &Bound<'py, PyAny>,
    k: Given<'py>,
    temperature: Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    filter(logits, &temperature, out, Step::TopK, |shape| {
        let k = counts("k", knobs::TOP_K, &k, shape)?;
        Ok(move |row| Knobs { top_k: k.get(row), ..Knobs::default() })
    })
}

/// The logits with every token outside the nucleus at -inf (Holtzman et al. 2020).
///
/// The nucleus is the shortest run of tokens, the largest logits first and of equal ones the lower id first,
/// whose probability reaches p: the token that crosses p is in it, so at least one always is. The sum is exact,
/// in integers.
///
/// Args:
///     logits: as in `softmax`.
///     p: the probability to reach, in (0, 1], one number or one per row; 1 keeps all.
///     temperature: of the distribution that p is a share of, as in `softmax`. The logits returned are not
///         divided by it.
///     out: as in `softmax`.
///
/// Returns:
///     float32 logits of the same shape.
///
/// Raises:
///     KnobError, LogitsError, TypeError: as in `softmax`.
///
/// >>> import rheostat
/// >>> rheostat.top_p([0.0, 1.0, 2.0, 3.0], 0.8)
/// array([-inf, -inf,   2.,   3.], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, p, /, *, temperature=Given(None), out=None),
       text_signature = "(logits, p, /, *, temperature=1.0, out=None)")]
fn top_p<'py>(
    logits: &Bound<'py, PyAny>,
    p: Given<'py>,
    temperature: Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    filter(logits, &temperature, out, Step::TopP, |shape| {
        let p = numbers("p", knobs::TOP_P, &p, 1.0, shape)?;
        Ok(move |row| Knobs { top_p: p.get(row), ..Knobs::default() })
    })
}

/// The logits with every token at -inf whose probability is below p times the largest (Nguyen et al. 2024).
///
/// Args:
///     logits: as in `softmax`.
///     p: the share of the largest probability, in [0, 1], one number or one per row; 0 keeps all.
///     temperature: of the distribution that p is measured in, as in `softmax`. The logits returned are not
///         divided by it.
///     out: as in `softmax`.
///
/// Returns:
///     float32 logits of the same shape.
///
/// Raises:
///     KnobError, LogitsError, TypeError: as in `softmax`.
///
/// >>> import rheostat
/// >>> rheostat.min_p([0.0, 1.0, 2.0, 3.0], 0.1)
/// array([-inf,   1.,   2.,   3.], dtype=float32)
#[pyfunction]
#[pyo3(signature = (logits, p, /, *, temperature=Given(None), out=None),
       text_signature = "(logits, p, /, *, temperature=1.0, out=None)")]
fn min_p<'py>(
    logits: &Bound<'py, PyAny>,
    p: Given<'py>,
    temperature: Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    filter(logits, &temperature, out, Step::MinP, |shape| {
        let p = numbers("p", knobs::MIN_P, &p, 0.0, shape)?;
        Ok(move |row| Knobs { min_p: p.get(row), ..Knobs::default() })
    })
}

/// A kernel (row, its maximum, temperature, result) over every row.
fn map_rows<'py>(
    object: &Bound<'py, PyAny>,
    temperature: &Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
    kernel: impl Fn(&[f32], f32, f64, &mut [f32]) + Sync,
) -> PyResult<Bound<'py, PyAny>> {
    write_rows(object, out, |shape| {
        let temperature = numbers("temperature", knobs::TEMPERATURE, temperature, 1.0, shape)?;
        Ok(move |row, logits: &[f32], maximum, result: &mut [f32]| {
            kernel(logits, maximum, temperature.get(row), result);
        })
    })
}

/// One filter over every row, at a temperature.
fn filter<'py, K: Fn(usize) -> Knobs + Sync>(
    object: &Bound<'py, PyAny>,
    temperature: &Given<'py>,
    out: Option<&Bound<'py, PyAny>>,
    step: Step,
    knobs_of: impl FnOnce(Shape) -> PyResult<K>,
) -> PyResult<Bound<'py, PyAny>> {
    write_rows(object, out, |shape| {
        let knobs_of = knobs_of(shape)?;
        let temperature = numbers("temperature", knobs::TEMPERATURE, temperature, 1.0, shape)?;
        Ok(move |row, logits: &[f32], maximum, result: &mut [f32]| {
            let knobs = Knobs { temperature: temperature.get(row), ..knobs_of(row) };
            scratch::with(|scratch| {
                let kept = chain::keep_checked(logits, maximum, &knobs, &[Step::Temperature, step], scratch);
                filters::store_kept(&kept, result);
            });
        })
    })
}

/// Checks everything, then calls what `prepare` gives, (row's place, logits, their maximum, result), for every
/// row: a failing call has written nothing.
fn write_rows<'py, K: Fn(usize, &[f32], f32, &mut [f32]) + Sync>(
    object: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    prepare: impl FnOnce(Shape) -> PyResult<K>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let mut logits = Logits::extract(object)?;
    let mut out = Out::extract(out, object, &logits)?;
    let shape = Shape { count: logits.rows(), is_row: logits.is_row() };
    let kernel = prepare(shape)?;
    let vocab = logits.vocab();
    let mut pairs = out.pairs(&mut logits)?;
    let done = detach_if(py, shape.count * vocab >= WORTH_DETACHING, || {
        let rows = pairs.rows();
        let maxima = signals::map_rows((0..shape.count).collect(), vocab, |row| {
            scratch::with(|scratch| {
                law::check_row(rows.row(row, &mut scratch.row)).map_err(|e| rows.restore(e.in_row(row)))
            })
        })?;
        let maxima = maxima.into_iter().collect::<Result<Vec<f32>, Error>>()?;
        // What has begun is written to its end, also where Ctrl-C comes: `out` holds all results or none.
        pairs.fill(|row, logits, result| kernel(row, logits, maxima[row], result));
        Ok(())
    });
    done.map_err(|failure: Failure| failure.into_python(py))?;
    out.finish()
}
