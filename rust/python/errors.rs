//! The core's errors as Python exceptions. Numbers are printed by Python's own `repr`, so that the
//! text equals the reference's to the letter.

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

/// A wrong type: one sentence, as everywhere.
pub fn type_error(message: impl Into<String>) -> PyErr {
    PyTypeError::new_err(message.into())
}

/// The Python exception for a core error.
pub fn to_python(py: Python<'_>, error: &Error) -> PyErr {
    match error {
        Error::Knob { argument, rule, value, row } => {
            let place = row.map_or(String::new(), |row| format!(" for row {row}"));
            match value {
                Number::Float(value) => {
                    let shown = repr(py, *value);
                    knob_error(py, format!("{argument} {rule}, got {shown}{place}"), argument, *value)
                }
                Number::Int(value) => {
                    knob_error(py, format!("{argument} {rule}, got {value}{place}"), argument, *value)
                }
            }
        }
        Error::Logit { row, token, value } => {
            let shown = repr(py, *value);
            let message = format!("logits must be finite or -inf, got {shown} at row {row}, token {token}");
            logits_error(py, message, *row, Some(*token))
        }
        Error::NothingLeft { names, .. } => {
            knob_error(py, error.to_string(), names.first().copied().unwrap_or_default(), 0)
        }
        Error::Infinite { argument, value, row, token } => {
            let shown = repr(py, *value);
            let message = format!(
                "{argument} must leave every logit below +inf, got {shown} which does not at row {row}, token {token}"
            );
            knob_error(py, message, argument, *value)
        }
        Error::InfiniteQuotient { temperature, row, token } => {
            let shown = repr(py, *temperature);
            let message = format!(
                "temperature must leave kept logits finite in float32, got {shown} which does not at row {row}, token {token}"
            );
            knob_error(py, message, "temperature", *temperature)
        }
        Error::TooFewTokens { wanted, .. } => knob_error(py, error.to_string(), "n", *wanted),
        Error::NoFiniteLogit { row } => logits_error(py, error.to_string(), *row, None),
        Error::Snapshot { got, .. } => knob_error(py, error.to_string(), "state", got.as_str()),
        Error::Disarmed { .. } => knob_error(py, error.to_string(), "armed", false),
        Error::UnknownLevel { .. }
        | Error::EmptyStop { .. }
        | Error::FedAfterFlush { .. }
        | Error::WrongSymbols
        | Error::BadState => PyValueError::new_err(error.to_string()),
    }
}

/// A float as Python prints it.
fn repr(py: Python<'_>, value: f64) -> String {
    pyo3::types::PyFloat::new(py, value).repr().map_or_else(|_| value.to_string(), |text| text.to_string())
}
