//! `StopBatch`: many streams, one row each.

use std::cell::LazyCell;
use std::sync::{Arc, Mutex};

use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::errors::{to_python, type_error};
use super::stop::PyStopSet;
use super::stop_input::{Armed, Name, int, ints, items, wrong_length, wrong_type};
use super::stop_matcher::lock;
use super::stop_piece::{PyPiece, wrap};
use super::tokens::PyTokenTable;
use crate::stop::{Batch, Feed, Hit, Kind, Output, Piece};

/// The most rows of a batch.
const MAX_ROWS: usize = 1 << 20;

/// Many streams of one kind, a row each, fed together. A row never sees its batch mates.
///
/// ``stop_set``: a StopSet for all rows or a sequence with one per row. ``n``: the number of rows, at
/// most 1048576. Use from several threads is serialised. Raises TypeError for anything but StopSets of
/// one kind, KnobError for a wrong ``n`` or number of sets.
///
/// >>> from rheostat import StopBatch, StopSet
/// >>> batch = StopBatch(StopSet(["END"]), 2)
/// >>> batch.feed(["one E", "two"]), batch.feed(["ND", "E"])
/// (['one ', 'two'], ['', ''])
/// >>> batch.hits, batch.ends
/// (array([ 0, -1], dtype=int32), array([ 7, -1]))
#[pyclass(frozen, module = "rheostat", name = "StopBatch")]
pub struct PyStopBatch {
    kind: Kind,
    rows: usize,
    batch: Mutex<Batch>,
}

fn one_set(value: &Bound<'_, PyAny>, name: Name, rule: &str) -> PyResult<Arc<crate::stop::StopSet>> {
    let set = value.cast::<PyStopSet>().map_err(|_| wrong_type(name, rule, value))?;
    Ok(Arc::clone(&set.get().core))
}

impl PyStopBatch {
    /// The rows meant by `rows`; None means all.
    fn rows(&self, rows: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<usize>> {
        rows.map_or_else(|| Ok((0..self.rows).collect()), |rows| ints(rows, Name::of("rows"), self.rows))
    }

    /// Feeds the rows. Where a row gives out all of a piece that is known to be text, that is the object of the piece's
    /// place. No Python code runs under the lock, and nobody waits for the GIL: the objects come after it.
    fn run<'a, 'py>(
        &self,
        py: Python<'py>,
        feeds: impl ExactSizeIterator<Item = Feed<'a>>,
        object: impl Fn(usize) -> Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let count = feeds.len();
        let mut others = vec![];
        let fed = lock(&self.batch).feed(feeds, |place, _, output| {
            if let Some(output) = output {
                others.push((place, output.into_owned()));
            }
        });
        fed.map_err(|error| to_python(py, &error))?;
        let wrapped = |(place, output)| Ok((place, wrap(py, output)?));
        let others = others.into_iter().map(wrapped).collect::<PyResult<Vec<_>>>()?;
        let mut others = others.into_iter().peekable();
        PyList::new(
            py,
            (0..count).map(|place| match others.next_if(|(other, _)| *other == place) {
                Some((_, output)) => output,
                None => object(place),
            }),
        )
    }

    fn hit_array<'py, T: numpy::Element>(
        &self,
        py: Python<'py>,
        value: impl Fn(Option<Hit>) -> T,
    ) -> Bound<'py, PyArray1<T>> {
        let values = lock(&self.batch).hits().map(value).collect();
        PyArray1::from_vec(py, values)
    }
}

/// The rows of a call: all, or these.
enum Rows {
    All(usize),
    These(Vec<usize>),
}

impl Rows {
    fn new(batch: &PyStopBatch, rows: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        match rows {
            None => Ok(Self::All(batch.rows)),
            Some(_) => Ok(Self::These(batch.rows(rows)?)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::These(rows) => rows.len(),
        }
    }

    fn at(&self, place: usize) -> usize {
        match self {
            Self::All(_) => place,
            Self::These(rows) => rows[place],
        }
    }
}

fn wrap_all<'py>(py: Python<'py>, outputs: Vec<Output<'_>>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    outputs.into_iter().map(|output| wrap(py, output)).collect()
}

#[pymethods]
impl PyStopBatch {
    #[new]
    pub fn new(stop_set: &Bound<'_, PyAny>, n: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rows = int(n, Name::of("n"), MAX_ROWS + 1, "must be in [0, 1048576]")?;
        let name = Name::of("stop_set");
        let sets = if let Ok(set) = stop_set.cast::<PyStopSet>() {
            vec![Arc::clone(&set.get().core); rows]
        } else {
            let given = items(stop_set, name, "must be a StopSet or a sequence of StopSets")?;
            if given.len() != rows {
                return Err(wrong_length(n.py(), "stop_set", rows, given.len()));
            }
            let one = |(i, set)| one_set(set, name.at(i), "must be a StopSet");
            given.iter().enumerate().map(one).collect::<PyResult<Vec<_>>>()?
        };
        let kind = match (stop_set.cast::<PyStopSet>(), sets.first()) {
            (Ok(set), _) => set.get().core.kind(),
            (Err(_), Some(set)) => set.kind(),
            (Err(_), None) => Kind::Text,
        };
        if let Some(i) = sets.iter().position(|set| set.kind() != kind) {
            let (first, other) = (kind.name(), sets[i].kind().name());
            return Err(type_error(format!(
                "stop_set[{i}] must be of kind '{first}' like stop_set[0], got kind '{other}'"
            )));
        }
        Ok(Self { kind, rows, batch: Mutex::new(Batch::new(sets)) })
    }

    fn __len__(&self) -> usize {
        self.rows
    }

    /// Feeds one piece to each of ``rows`` (default: all), returns the list of what is newly safe in
    /// each. ``armed``: a bool, or one per piece (default: True), as in StopMatcher.feed.
    ///
    /// Raises as StopMatcher.feed does, and KnobError for a row that does not exist or a wrong number of
    /// pieces; then no row has changed.
    ///
    /// >>> from rheostat import StopSet
    /// >>> batch = StopSet(["x"]).batch(3)
    /// >>> batch.feed(["ax", "b"], rows=[2, 0], armed=[False, True])
    /// ['ax', 'b']
    #[pyo3(signature = (pieces, rows = None, armed = None))]
    fn feed<'py>(
        &self,
        py: Python<'py>,
        pieces: &Bound<'py, PyAny>,
        rows: Option<&Bound<'py, PyAny>>,
        armed: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let values = items(pieces, Name::of("pieces"), "must be a sequence of pieces")?;
        let rows = Rows::new(self, rows)?;
        if values.len() != rows.len() {
            return Err(wrong_length(py, "pieces", rows.len(), values.len()));
        }
        let piece = |(i, value)| PyPiece::new(value, self.kind, Name::of("pieces").at(i));
        let given = values.iter().enumerate().map(piece).collect::<PyResult<Vec<_>>>()?;
        let armed = Armed::new(armed, given.len())?;
        let feeds = given.iter().enumerate().map(|(i, given)| Feed {
            row: rows.at(i),
            piece: given.piece(),
            armed: armed.at(i),
            is_text: given.is_plain_str(),
        });
        self.run(py, feeds, |place| values[place].clone())
    }

    /// Feeds each of ``rows`` (default: all) the bytes of one token id; a token without text feeds
    /// nothing. For kinds text and bytes.
    ///
    /// Raises TypeError for kind tokens (use feed), KnobError for an id that is not in the table.
    ///
    /// >>> from rheostat import StopSet, TokenTable
    /// >>> table = TokenTable.from_bytes([b"a", b"END", None])
    /// >>> batch = StopSet(["END"]).batch(3)
    /// >>> batch.feed_ids([0, 1, 2], table), batch.hits.tolist()
    /// (['a', '', ''], [-1, 0, -1])
    #[pyo3(signature = (ids, table, rows = None, armed = None))]
    fn feed_ids<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
        table: &Bound<'py, PyAny>,
        rows: Option<&Bound<'py, PyAny>>,
        armed: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        if self.kind == Kind::Tokens {
            return Err(type_error("feed_ids must have stops of kind 'text' or 'bytes', got kind 'tokens'"));
        }
        let wrong = |_| wrong_type(Name::of("table"), "must be a TokenTable", table);
        let table = table.cast::<PyTokenTable>().map_err(wrong)?.get();
        let ids = ints(ids, Name::of("ids"), table.core().len())?;
        let rows = Rows::new(self, rows)?;
        if ids.len() != rows.len() {
            return Err(wrong_length(py, "ids", rows.len(), ids.len()));
        }
        let armed = Armed::new(armed, ids.len())?;
        let gives_text = self.kind == Kind::Text;
        let feeds = ids.iter().enumerate().map(|(i, id)| Feed {
            row: rows.at(i),
            piece: Piece::Bytes(table.bytes(*id)),
            armed: armed.at(i),
            is_text: gives_text && table.core().is_whole(*id),
        });
        let texts = LazyCell::new(|| table.texts(py));
        self.run(py, feeds, |place| (*texts)(ids[place]))
    }

    /// The index of the stop that ended each row, -1 where none did: an int32 array.
    #[getter]
    fn hits<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i32>> {
        self.hit_array(py, |hit| hit.map_or(-1, |hit| hit.index as i32))
    }

    /// Where that stop ends in the row's stream, in bytes or ids, -1 where none did: an int64 array.
    #[getter]
    fn ends<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.hit_array(py, |hit| hit.map_or(-1, |hit| hit.end as i64))
    }

    /// Ends each of ``rows`` (default: all), returns the list of what each still held.
    #[pyo3(signature = (rows = None))]
    fn flush<'py>(
        &self,
        py: Python<'py>,
        rows: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let rows = self.rows(rows)?;
        let outputs = lock(&self.batch).flush(&rows).map_err(|error| to_python(py, &error))?;
        wrap_all(py, outputs)
    }

    /// Starts a new stream in each of ``rows`` (default: all).
    #[pyo3(signature = (rows = None))]
    fn reset(&self, py: Python<'_>, rows: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let rows = self.rows(rows)?;
        lock(&self.batch).reset(&rows).map_err(|error| to_python(py, &error))
    }

    /// Row i goes on as row ``index[i]`` was, its StopSet included: beam search. One entry per row.
    ///
    /// >>> from rheostat import StopSet
    /// >>> batch = StopSet(["ab"]).batch(2)
    /// >>> batch.feed(["a", "x"])
    /// ['', 'x']
    /// >>> batch.reorder([0, 0])
    /// >>> batch.feed(["b", "c"])
    /// ['', 'ac']
    fn reorder(&self, py: Python<'_>, index: &Bound<'_, PyAny>) -> PyResult<()> {
        let index = ints(index, Name::of("index"), self.rows)?;
        if index.len() != self.rows {
            return Err(wrong_length(py, "index", self.rows, index.len()));
        }
        lock(&self.batch).reorder(&index).map_err(|error| to_python(py, &error))
    }
}
