//! Temporary: `top_k` for k = 0 alone, to exercise the array boundary until the filters exist.

use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;

use super::arrays::Logits;
use super::errors::to_python;
use super::out::Out;

/// The logits, widened to float32.
#[pyfunction]
#[pyo3(signature = (logits, k, /, *, out=None))]
pub fn top_k<'py>(
    py: Python<'py>,
    logits: &Bound<'py, PyAny>,
    k: usize,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    if k != 0 {
        return Err(PyNotImplementedError::new_err("top_k beyond k = 0 (off)"));
    }
    let object = logits;
    let mut logits = Logits::extract(object)?;
    let mut out = Out::extract(out, object, &logits)?;
    let mut pairs = out.pairs(&mut logits)?;
    let done = py.detach(|| {
        let rows = pairs.rows();
        let mut scratch = Vec::new();
        for i in 0..rows.rows() {
            rows.row(i, &mut scratch).map(drop)?;
        }
        pairs.fill(rows_in_parallel(&pairs), |_, logits, result| result.copy_from_slice(logits))
    });
    done.map_err(|error| to_python(py, &error))?;
    out.finish()
}

/// Whether there is work for several threads.
fn rows_in_parallel(pairs: &super::out::Pairs<'_>) -> bool {
    let rows = pairs.rows();
    rows.rows() > 1 && rows.rows() * rows.vocab() > 1 << 18
}
