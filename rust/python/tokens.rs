//! `TokenTable`: token ids to their bytes.

use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

use super::stop_input::{Name, items, wrong_type};
use crate::tokens::TokenTable;

/// The bytes of every token of a vocabulary: `table[id]` is bytes, or None for a token without text.
///
/// Immutable; made by one of its `from_...` constructors. `len(table)` is the size of the vocabulary.
///
/// >>> from rheostat import TokenTable
/// >>> table = TokenTable.from_bytes([b"Hel", b"lo", None])
/// >>> len(table), table[1], table[2]
/// (3, b'lo', None)
#[pyclass(frozen, module = "rheostat", name = "TokenTable")]
pub struct PyTokenTable(pub TokenTable);

#[pymethods]
impl PyTokenTable {
    /// A table from a sequence whose item `id` is the token's bytes, or None for a token without text.
    ///
    /// Raises TypeError for anything else.
    ///
    /// >>> from rheostat import TokenTable
    /// >>> list(TokenTable.from_bytes([b"a", None]))
    /// [b'a', None]
    #[classmethod]
    fn from_bytes(_class: &Bound<'_, PyType>, tokens: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = Name::of("tokens");
        let mut table = TokenTable::default();
        for (id, token) in items(tokens, name, "must be a sequence of bytes or None")?.iter().enumerate() {
            if token.is_none() {
                table.push(None);
            } else if let Ok(bytes) = token.cast::<PyBytes>() {
                table.push(Some(bytes.as_bytes()));
            } else {
                return Err(wrong_type(name.at(id), "must be bytes or None", token));
            }
        }
        Ok(Self(table))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let index = match id.extract::<i64>() {
            Ok(index) => usize::try_from(index).ok(),
            Err(error) if error.is_instance_of::<PyOverflowError>(py) => None,
            Err(_) => return Err(wrong_type(Name::of("id"), "must be an int", id)),
        };
        let token = index
            .and_then(|index| self.0.get(index))
            .ok_or_else(|| PyIndexError::new_err(format!("id must be in [0, {}), got {id}", self.0.len())))?;
        Ok(token.map(|bytes| PyBytes::new(py, bytes)))
    }
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyTokenTable>()
}
