//! `BatchSampler`: many sequences. Check, take the lock, draw for all rows side by side, then let all move on.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use pyo3::IntoPyObjectExt;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::arrays::Logits;
use super::batch_step::{draw_rows, marks, tokens};
use super::bitmask::RowMasks;
use super::errors::{check_law, knob_error};
use super::handles::{
    SavedBatch, SavedSequence, Sequences, given_handles, handle_in, named, saved_batch, stranger,
};
use super::knobs::{Given, Shape};
use super::sampler::{check_width, lock, try_lock};
use super::slot::{Plan, Slot, ids_of, saved_of, vocab_size_of};
use super::stop_input::{Name, flag};
use crate::adjust::Shaped;
use crate::law::LAW;
use crate::sampler::Turn;
use crate::scratch::Scratch;
use crate::simd;

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyBatchSampler>()
}

/// Many sequences, which come and go, drawn for together.
///
/// A handle names a sequence from `add` to `remove`; it is an int and never used again. Each sequence gives the
/// tokens that a `Sampler` alone would, whatever its neighbours, its row or the number of threads. A failing call
/// changes nothing. Use during a call, by another thread or a callable of a chain, is a RuntimeError; copies and
/// pickles carry the whole state. `len` and `repr` work at all times.
///
/// Args:
///     vocab_size: how many tokens there are; where rows are wider (a padded head), the tail is forbidden.
///
/// Raises:
///     KnobError, TypeError: the argument breaks its rule.
///
/// >>> from rheostat import BatchSampler, SamplingParams
/// >>> batch = BatchSampler(3)
/// >>> a = batch.add(SamplingParams(temperature=0))
/// >>> b = batch.add(SamplingParams(seed=7), prompt_ids=[2, 1])
/// >>> batch.step([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]]).ids
/// array([1, 2])
/// >>> batch.remove(a)
/// >>> batch.step([[0.0, 0.0, 0.0]], [b])[0].id, batch.history(b)
/// (0, (2, 1, 2, 0))
#[pyclass(frozen, weakref, module = "rheostat", name = "BatchSampler")]
pub struct PyBatchSampler {
    vocab_size: usize,
    sequences: Mutex<Sequences>,
    /// How many there are, for whoever asks during a call.
    count: AtomicUsize,
}

impl PyBatchSampler {
    fn lock(&self) -> PyResult<MutexGuard<'_, Sequences>> {
        lock(&self.sequences, "BatchSampler")
    }

    /// `work` on the sequence of a handle.
    fn with<R>(&self, handle: &Bound<'_, PyAny>, work: impl FnOnce(&mut Slot) -> PyResult<R>) -> PyResult<R> {
        let key = handle_in("handle", handle, "an integer")?;
        match self.lock()?.slots.get_mut(&key) {
            Some(slot) => work(slot),
            None => Err(stranger(handle.py(), "handle", handle)),
        }
    }
}

#[pymethods]
impl PyBatchSampler {
    #[new]
    fn new(vocab_size: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { vocab_size: vocab_size_of(vocab_size)?, sequences: Mutex::default(), count: 0.into() })
    }

    /// Adds a sequence, returns its handle. Arguments and errors are those of `Sampler`.
    #[pyo3(signature = (params, *, prompt_ids=Given(None), stream=Given(None)),
           text_signature = "($self, params, *, prompt_ids=(), stream=0)")]
    fn add(&self, params: &Bound<'_, PyAny>, prompt_ids: Given<'_>, stream: Given<'_>) -> PyResult<u64> {
        let slot = Slot::new(params, self.vocab_size, &prompt_ids, &stream)?;
        let mut sequences = self.lock()?;
        let handle = sequences.next;
        sequences.next += 1;
        sequences.slots.insert(handle, slot);
        self.count.store(sequences.slots.len(), Relaxed);
        Ok(handle)
    }

    /// Forgets a sequence.
    fn remove(&self, handle: &Bound<'_, PyAny>) -> PyResult<()> {
        let key = handle_in("handle", handle, "an integer")?;
        let mut sequences = self.lock()?;
        let removed = sequences.slots.remove(&key);
        self.count.store(sequences.slots.len(), Relaxed);
        drop(sequences); // what the sequence holds may run Python code as it goes
        removed.map(drop).ok_or_else(|| stranger(handle.py(), "handle", handle))
    }

    /// The next token of several sequences; each becomes part of its history.
    ///
    /// Args:
    ///     logits: (rows, vocab), as in `softmax`, at least as wide as the vocabulary.
    ///     handles: row i belongs to `handles[i]`: any of the sequences in any order, each once. None: all, in the
    ///         order in which they were added.
    ///     bitmask: int32 (words,) for all rows, (rows, words), or a list with an array (words,) or None for each.
    ///     on_bad_row: what happens where a row is NaN, +inf or without a finite logit, or masks and penalties
    ///         leave none, or a callable of its chain raises a KnobError or a LogitsError. "raise": the error of the
    ///         lowest such row, and nothing changes. "mark": its id is -1 and `reasons` has the sentence; its
    ///         sequence stays where it is, and all others move on. What else a callable raises is always raised,
    ///         with a note that names row and handle.
    ///     kept: whether to give the kept sets.
    ///
    /// Returns:
    ///     Tokens: `.ids` is an int64 array, `[i]` the Token of row i.
    ///
    /// Raises:
    ///     KnobError, LogitsError, TypeError: as `sample` does, and for handles that are wrong.
    ///
    /// >>> from rheostat import BatchSampler, SamplingParams
    /// >>> batch = BatchSampler(2)
    /// >>> handles = [batch.add(SamplingParams(temperature=0)) for _ in range(2)]
    /// >>> tokens = batch.step([[0.0, 1.0], [float("nan"), 1.0]], handles, on_bad_row="mark", kept=True)
    /// >>> tokens.ids, tokens.reasons[1], tokens.kept
    /// (array([ 1, -1]), 'logits must be finite or -inf, got nan at row 1, token 0', (array([0, 1, 1]), array([1])))
    #[pyo3(signature = (logits, handles=None, *, bitmask=None, on_bad_row=Given(None), kept=Given(None)),
           text_signature = "($self, logits, handles=None, *, bitmask=None, on_bad_row='raise', kept=False)")]
    fn step<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        handles: Option<&Bound<'py, PyAny>>,
        bitmask: Option<&Bound<'py, PyAny>>,
        on_bad_row: Given<'py>,
        kept: Given<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let logits = Logits::extract(logits)?;
        check_width(&logits, self.vocab_size, py)?;
        let rows = logits.rows();
        let handles = handles.map(|handles| given_handles(handles, rows)).transpose()?;
        let shape = Shape { count: rows, is_row: logits.is_row() };
        let none = py.None().into_bound(py);
        let masks = RowMasks::extract("bitmask", bitmask.unwrap_or(&none), shape, logits.vocab())?;
        let masks = masks.rows(rows);
        let marks = marks(&on_bad_row)?;
        let kept = kept.0.as_ref().map_or(Ok(false), |kept| flag(kept, Name::of("kept")))?;

        let mut sequences = self.lock()?;
        let keys = named(&sequences, handles.as_deref(), rows, py)?;
        let slots: Vec<&Slot> = keys.iter().map(|key| &sequences.slots[key]).collect();
        let draw = |at: usize, logits: simd::Logits<'_>, shaped: &mut Shaped, scratch: &mut Scratch| {
            let drawn = slots[at].draw(Turn { logits, at, bitmask: masks[at], kept }, shaped, scratch);
            drawn.map_err(|failure| failure.noted(at, keys[at]))
        };
        let results = draw_rows(py, &logits, &slots, marks, draw)?;
        for (key, result) in keys.iter().zip(&results) {
            if let (Some(slot), Ok(drawn)) = (sequences.slots.get_mut(key), result) {
                slot.accept(drawn);
            }
        }
        drop(sequences);
        tokens(py, results, kept)
    }

    /// Moves a sequence on by tokens that were not drawn here, as `Sampler.accept` does.
    fn accept(&self, handle: &Bound<'_, PyAny>, ids: &Bound<'_, PyAny>) -> PyResult<()> {
        let ids = ids_of(ids, self.vocab_size)?;
        self.with(handle, |slot| {
            slot.state.extend(&ids);
            Ok(())
        })
    }

    /// Other parameters for a sequence, as in `Sampler.set_params`.
    fn set_params(&self, handle: &Bound<'_, PyAny>, params: &Bound<'_, PyAny>) -> PyResult<()> {
        let plan = Plan::new(params, self.vocab_size)?;
        self.with(handle, |slot| {
            slot.set_plan(plan);
            Ok(())
        })
    }

    /// A sequence's state as bytes: those of `Sampler.snapshot`.
    fn snapshot<'py>(&self, py: Python<'py>, handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        self.with(handle, |slot| Ok(slot.snapshot(py)))
    }

    /// Takes a sequence back, or on, to a state that `snapshot`, here or of a `Sampler`, gave.
    fn restore(&self, handle: &Bound<'_, PyAny>, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let saved = saved_of(state, self.vocab_size)?;
        self.with(handle, |slot| {
            slot.restore(saved);
            Ok(())
        })
    }

    /// The SamplingParams of a sequence.
    fn params<'py>(&self, py: Python<'py>, handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.with(handle, |slot| Ok(slot.params(py)))
    }

    /// How many tokens a sequence's output has: the position of its next draw.
    fn position(&self, handle: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.with(handle, |slot| Ok(slot.state.position()))
    }

    /// A sequence's seed, also where it came from the system.
    fn seed(&self, handle: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.with(handle, |slot| Ok(slot.state.seed))
    }

    /// A sequence's stream.
    fn stream(&self, handle: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.with(handle, |slot| Ok(slot.state.stream))
    }

    /// A sequence's mirostat bound; None where mirostat is off.
    fn mu(&self, handle: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        self.with(handle, |slot| Ok(slot.state.mu))
    }

    /// The ids of a sequence's prompt and output, a tuple.
    fn history<'py>(&self, py: Python<'py>, handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        self.with(handle, |slot| PyTuple::new(py, slot.state.history().all()))
    }

    /// The ids of a sequence's prompt, a tuple.
    fn prompt_ids<'py>(&self, py: Python<'py>, handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        self.with(handle, |slot| PyTuple::new(py, slot.state.history().prompt()))
    }

    /// The ids after a sequence's prompt, a tuple.
    fn output_ids<'py>(&self, py: Python<'py>, handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        self.with(handle, |slot| PyTuple::new(py, slot.state.history().output()))
    }

    /// How many tokens there are.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The handles of all sequences, in the order in which they were added.
    #[getter]
    fn handles<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.lock()?.slots.keys().copied().collect::<Vec<_>>())
    }

    fn __len__(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// (LAW, the next handle, (handle, params, snapshot) of each sequence).
    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let sequences = self.lock()?;
        let one = |(handle, slot): (&u64, &Slot)| (*handle, slot.params(py), slot.snapshot(py));
        let all = PyTuple::new(py, sequences.slots.iter().map(one).collect::<Vec<_>>())?;
        (LAW, sequences.next, all).into_bound_py_any(py)
    }

    fn __setstate__<'py>(&self, state: &Bound<'py, PyAny>) -> PyResult<()> {
        let Some(SavedBatch { law, next, sequences }) = saved_batch(state) else {
            let message = "state must be one that BatchSampler.__getstate__ gave, got another".to_owned();
            return Err(knob_error(state.py(), message, "state", "another"));
        };
        check_law(&law)?;
        let slot_of = |(key, params, saved): SavedSequence<'py>| {
            Ok((key, Slot::from_snapshot(&params, self.vocab_size, &saved)?))
        };
        let slots = sequences.into_iter().map(slot_of).collect::<PyResult<_>>()?;
        let mut sequences = self.lock()?;
        let before = std::mem::replace(&mut *sequences, Sequences { slots, next });
        self.count.store(sequences.slots.len(), Relaxed);
        drop(sequences); // as in `remove`
        drop(before);
        Ok(())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        (slf.get_type(), (this.vocab_size,), this.__getstate__(py)?).into_bound_py_any(py)
    }

    /// As in `Sampler`.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(sequences) = try_lock(&self.sequences) else { return Ok(()) };
        sequences.slots.values().try_for_each(|slot| slot.traverse(&visit))
    }

    fn __clear__(&self) {
        let Some(mut sequences) = try_lock(&self.sequences) else { return };
        let slots = std::mem::take(&mut sequences.slots);
        self.count.store(0, Relaxed);
        drop(sequences); // as in `remove`
        drop(slots);
    }

    fn __repr__(&self) -> String {
        let in_use = if try_lock(&self.sequences).is_some() { "" } else { ", in use" };
        format!("BatchSampler(vocab_size={}, sequences={}{in_use})", self.vocab_size, self.__len__())
    }
}
