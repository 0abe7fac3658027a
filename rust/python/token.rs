//! A drawn token as Python's named tuple.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::report::Drawn;

/// `rheostat.results.Token(...)`. Through `tuple.__new__`: the class's own one is written in Python.
pub fn wrap(py: Python<'_>, drawn: Drawn) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let new = NEW.get_or_try_init(py, || py.get_type::<PyTuple>().getattr("__new__").map(Bound::unbind))?;
    let Drawn { id, logprob, top, raw_logprob, rank, kept_count, kept_mass, entropy, .. } = drawn;
    let top = top.map(|top| PyTuple::new(py, top)).transpose()?;
    let fields = (id, logprob, raw_logprob, rank, top, kept_count, kept_mass, entropy);
    new.bind(py).call1((CLASS.import(py, "rheostat.results", "Token")?, fields.into_pyobject(py)?))
}

/// What stands in the place of the token of a row that has none.
pub fn none(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static NONE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let none = || PyResult::Ok(py.import("rheostat.results")?.getattr("Token")?.call1((-1,))?.unbind());
    Ok(NONE.get_or_try_init(py, none)?.bind(py).clone())
}
