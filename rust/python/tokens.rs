//! `TokenTable`: token ids to their bytes.

use numpy::PyArray1;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyType};

use super::stop_input::{Name, items, wrong_type};
use crate::tokens::TokenTable;

/// The bytes of every token of a vocabulary: `table[id]` is bytes, or None for a token without text.
///
/// Immutable; made by one of its `from_...` constructors. `len(table)` is the size of the vocabulary. Special
/// tokens have no text: stop at their ids. The bytes of a text's tokens, joined, are what the tokenizer decodes
/// it to, but for a space that metaspace tokenizers drop before the first word.
///
/// >>> from rheostat import TokenTable
/// >>> table = TokenTable.from_bytes([b"Hel", b"lo", None])
/// >>> len(table), table[1], table[2]
/// (3, b'lo', None)
#[pyclass(frozen, weakref, module = "rheostat", name = "TokenTable")]
pub struct PyTokenTable {
    core: TokenTable,
    /// The text of each token as a str, made when it is first given out.
    texts: PyOnceLock<Box<[PyOnceLock<Py<PyString>>]>>,
}

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
        Ok(Self { core: table, texts: PyOnceLock::new() })
    }

    /// The tokens of a `tiktoken.Encoding`.
    ///
    /// An id that it leaves out has no text.
    ///
    /// Raises TypeError for anything else.
    #[classmethod]
    fn from_tiktoken(class: &Bound<'_, PyType>, encoding: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::from_vocabulary(class, "of_tiktoken", encoding)
    }

    /// The tokens of a `tokenizers.Tokenizer`, or of a transformers tokenizer, which has one as
    /// `backend_tokenizer`.
    ///
    /// It may be byte-level (GPT-2, Llama 3, Qwen) or of metaspace with or without byte fallback (Llama 2,
    /// Mistral, Gemma, T5). Added tokens that are not special have their text.
    ///
    /// Raises KnobError for a decoder under which tokens do not join to the text (WordPiece, CTC, none), and
    /// TypeError for anything else.
    #[classmethod]
    fn from_tokenizers(class: &Bound<'_, PyType>, tokenizer: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::from_vocabulary(class, "of_tokenizers", tokenizer)
    }

    /// The tokens of a `llama_cpp.Llama`, by its `detokenize`.
    ///
    /// What detokenizes to nothing has no text: its control tokens, and tokens of more than 32 bytes, which
    /// llama-cpp-python loses. With a tokenizer of its own (`LlamaHFTokenizer`), pass that to
    /// `from_tokenizers`: its `detokenize` is lossy within characters.
    ///
    /// Raises TypeError for anything else.
    #[classmethod]
    fn from_llama(class: &Bound<'_, PyType>, llama: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::from_vocabulary(class, "of_llama", llama)
    }

    /// The tokens that can come first in a text that begins with `prefix` (bytes), packed: (ceil(len / 32),)
    /// int32, bit `id % 32` of word `id // 32`, as `bitmask` takes it.
    ///
    /// These are the tokens that begin with it and its own non-empty beginnings. A prompt that ends within a
    /// token is healed by cutting its last token off and asking for that token's bytes; where the token that
    /// comes covers only a part of them, ask for the rest.
    ///
    /// Raises TypeError if prefix is not bytes.
    ///
    /// >>> from rheostat import TokenTable
    /// >>> TokenTable.from_bytes([b"h", b"htt", b"https", b"x"]).prefix_mask(b"htt")
    /// array([7], dtype=int32)
    fn prefix_mask<'py>(
        &self,
        py: Python<'py>,
        prefix: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let Ok(bytes) = prefix.cast::<PyBytes>() else {
            return Err(wrong_type(Name::of("prefix"), "must be bytes", prefix));
        };
        let bytes = bytes.as_bytes();
        Ok(PyArray1::from_vec(py, py.detach(|| self.core.prefix_mask(bytes))))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.tokens(py)?.try_iter()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyList>,))> {
        Ok((slf.get_type().getattr("from_bytes")?, (slf.get().tokens(slf.py())?,)))
    }

    fn __len__(&self) -> usize {
        self.core.len()
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
        let token = index.and_then(|index| self.core.get(index)).ok_or_else(|| {
            PyIndexError::new_err(format!("id must be in [0, {}), got {id}", self.core.len()))
        })?;
        Ok(token.map(|bytes| PyBytes::new(py, bytes)))
    }
}

impl PyTokenTable {
    /// The table itself.
    pub fn core(&self) -> &TokenTable {
        &self.core
    }

    /// A token's bytes; none of a token without text.
    pub fn bytes(&self, id: usize) -> &[u8] {
        self.core.get(id).flatten().unwrap_or_default()
    }

    /// The texts of tokens that are whole characters, each as the str that stands for it ever since it was first asked
    /// for. A vocabulary is small beside the texts that are written with it.
    pub fn texts<'py>(&self, py: Python<'py>) -> impl Fn(usize) -> Bound<'py, PyAny> {
        let texts = self.texts.get_or_init(py, || (0..self.core.len()).map(|_| PyOnceLock::new()).collect());
        move |id| {
            let text = || PyString::new(py, &String::from_utf8_lossy(self.bytes(id))).unbind();
            texts[id].get_or_init(py, text).bind(py).clone().into_any()
        }
    }

    /// What one of the functions of `rheostat.vocabularies` reads from a tokenizer.
    fn from_vocabulary(
        class: &Bound<'_, PyType>,
        function: &str,
        tokenizer: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let tokens = class.py().import("rheostat.vocabularies")?.call_method1(function, (tokenizer,))?;
        Self::from_bytes(class, &tokens)
    }

    fn tokens<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.core.iter().map(|token| token.map(|bytes| PyBytes::new(py, bytes))))
    }
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyTokenTable>()
}
