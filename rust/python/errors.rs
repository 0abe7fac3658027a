//! The core's errors as Python exceptions, with the core's own sentences.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::error::{Error, Number};

/// `rheostat.errors.KnobError(message, argument, value)`.
pub fn knob_error<'py>(
    py: Python<'py>,
    message: String,
    argument: &str,
    value: impl IntoPyObjectExt<'py>,
) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let arguments = value.into_py_any(py).map(|value| (message, argument.to_owned(), value));
    match (CLASS.import(py, "rheostat.errors", "KnobError"), arguments) {
        (Ok(class), Ok(arguments)) => PyErr::from_type(class.clone(), arguments),
        (Err(error), _) | (_, Err(error)) => error,
    }
}

/// `rheostat.errors.LogitsError(message, row, token_id)`.
fn logits_error(py: Python<'_>, message: String, row: usize, token: Option<usize>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "rheostat.errors", "LogitsError") {
        Ok(class) => PyErr::from_type(class.clone(), (message, row, token)),
        Err(error) => error,
    }
}

/// Whether it is one of the two kinds of error that are told apart: the caller's fault and the model's.
pub fn is_ours(py: Python<'_>, error: &PyErr) -> bool {
    static CLASSES: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();
    let classes = CLASSES.get_or_try_init(py, || {
        let module = py.import("rheostat.errors")?;
        PyResult::Ok([module.getattr("KnobError")?.unbind(), module.getattr("LogitsError")?.unbind()])
    });
    classes.is_ok_and(|classes| classes.iter().any(|class| error.matches(py, class).unwrap_or(false)))
}

/// An error about logits under the name of the argument that holds them.
pub fn named(py: Python<'_>, error: PyErr, name: &str) -> PyErr {
    let value = error.value(py);
    let text = value.to_string();
    let Some(rest) = text.strip_prefix("logits ") else { return error };
    let message = format!("{name} {rest}");
    let row = || value.getattr("row")?.extract();
    let token = || value.getattr("token_id")?.extract();
    if value.is_exact_instance_of::<PyTypeError>() {
        type_error(message)
    } else if let (Ok(row), Ok(token)) = (row(), token()) {
        logits_error(py, message, row, token)
    } else if let Ok(value) = value.getattr("value") {
        knob_error(py, message, name, value)
    } else {
        error
    }
}

/// Refuses what was stored under another law.
pub fn check_law(law: &Bound<'_, PyAny>) -> PyResult<()> {
    law.py().import("rheostat.law_version")?.call_method1("check_law", (law,))?;
    Ok(())
}

/// A wrong type: one sentence, as everywhere.
pub fn type_error(message: impl Into<String>) -> PyErr {
    PyTypeError::new_err(message.into())
}

/// The Python exception for a core error.
#[expect(
    clippy::match_same_arms,
    reason = "the same words over a float and over an integer are two functions"
)]
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Knob { argument, value: Number::Float(value), .. } => knob_error(py, text, argument, *value),
        Error::Knob { argument, value: Number::Int(value), .. } => knob_error(py, text, argument, *value),
        Error::Logit { row, token, .. } => logits_error(py, text, *row, Some(*token)),
        Error::NoFiniteLogit { row } => logits_error(py, text, *row, None),
        Error::NothingLeft { names, .. } => {
            knob_error(py, text, names.first().copied().unwrap_or_default(), 0)
        }
        Error::Infinite { argument, value, .. } => knob_error(py, text, argument, *value),
        Error::InfiniteQuotient { temperature, .. } => knob_error(py, text, "temperature", *temperature),
        Error::TooFewTokens { wanted, .. } => knob_error(py, text, "n", *wanted),
        Error::Snapshot { got, .. } => knob_error(py, text, "state", got.as_str()),
        Error::Disarmed { .. } => knob_error(py, text, "armed", false),
        Error::UnknownLevel { .. }
        | Error::EmptyStop { .. }
        | Error::FedAfterFlush { .. }
        | Error::WrongSymbols
        | Error::BadState => PyValueError::new_err(text),
    }
}
