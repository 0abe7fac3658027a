//! `Sampler`: one sequence. Check, take the lock, draw, move on.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::arrays::Logits;
use super::bitmask::Words;
use super::call::map_row;
use super::errors::knob_error;
use super::knobs::{Given, Shape};
use super::slot::{Plan, Slot, ids_of, saved_of, vocab_size_of};
use super::token;
use crate::sampler::Turn;

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PySampler>()
}

/// The lock, unless it is taken. What it guards is whole at every moment, so a poisoned lock means nothing.
pub fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The lock, or an error: a call that waited for another's end, if it can end at all (a callable in the chain may be
/// who asks), would draw a token of a moment that nobody chose.
pub fn lock<'a, T>(mutex: &'a Mutex<T>, class: &str) -> PyResult<MutexGuard<'a, T>> {
    try_lock(mutex).ok_or_else(|| {
        let message = format!("{class} must not be used again during a call, got a second call");
        PyRuntimeError::new_err(message)
    })
}

/// Refuses a row without a logit for every token.
pub fn check_width(logits: &Logits<'_>, vocab_size: usize, py: Python<'_>) -> PyResult<()> {
    let width = logits.vocab();
    if width >= vocab_size {
        return Ok(());
    }
    let message = format!("vocab_size must be at most the width of the logits, {width}, got {vocab_size}");
    Err(knob_error(py, message, "vocab_size", vocab_size))
}

/// One sequence on its way: it knows what has come, and draws what comes next.
///
/// A token is `sample`'s for the same knobs, history, seed, stream and position: what is kept here, the counts
/// for penalties among it, is only kept so that no step reads knobs again or walks through the history. (DRY alone
/// does, through the last `dry_penalty_last_n` tokens: set it where the history is long.) A failing
/// call changes nothing. Use during a call, by another thread or a callable of the chain, is a RuntimeError; copies
/// and pickles carry the whole state.
///
/// Args:
///     params: a SamplingParams.
///     vocab_size: how many tokens there are; where a row is wider (a padded head), the tail is forbidden.
///     prompt_ids: the ids before the first token.
///     stream: which of the sequences with this seed it is, an integer in [0, 2**64).
///
/// Raises:
///     KnobError, TypeError: an argument breaks its rule, or an id is outside the vocabulary.
///
/// >>> from rheostat import Sampler, SamplingParams
/// >>> sampler = Sampler(SamplingParams(seed=7, frequency_penalty=1.5, logprobs=0), 4)
/// >>> [sampler.sample([0.0, 1.0, 2.0, 3.0]).id for _ in range(4)]
/// [3, 1, 0, 2]
/// >>> sampler.position, sampler.history
/// (4, (3, 1, 0, 2))
#[pyclass(frozen, weakref, module = "rheostat", name = "Sampler")]
pub struct PySampler {
    vocab_size: usize,
    slot: Mutex<Slot>,
}

impl PySampler {
    fn lock(&self) -> PyResult<MutexGuard<'_, Slot>> {
        lock(&self.slot, "Sampler")
    }
}

#[pymethods]
impl PySampler {
    #[new]
    #[pyo3(signature = (params, vocab_size, *, prompt_ids=Given(None), stream=Given(None)),
           text_signature = "(params, vocab_size, *, prompt_ids=(), stream=0)")]
    fn new(
        params: &Bound<'_, PyAny>,
        vocab_size: &Bound<'_, PyAny>,
        prompt_ids: Given<'_>,
        stream: Given<'_>,
    ) -> PyResult<Self> {
        let vocab_size = vocab_size_of(vocab_size)?;
        let slot = Mutex::new(Slot::new(params, vocab_size, &prompt_ids, &stream)?);
        Ok(Self { vocab_size, slot })
    }

    /// The next token; it becomes part of the history.
    ///
    /// Args:
    ///     logits: one row, as in `softmax`, at least as wide as the vocabulary.
    ///     bitmask: int32 (words,), as in `sample`, for this token alone.
    ///
    /// Returns:
    ///     A Token; what `params.logprobs` and `params.report` do not ask for is None.
    ///
    /// Raises:
    ///     KnobError, LogitsError, TypeError: as `sample` does. Nothing has changed then.
    ///
    /// >>> from rheostat import Sampler, SamplingParams
    /// >>> sampler = Sampler(SamplingParams(temperature=0, report=("rank",)), 3)
    /// >>> sampler.sample([0.5, 2.0, 1.0])
    /// Token(id=1, logprob=None, raw_logprob=None, rank=1, top_logprobs=None, kept_count=None, kept_mass=None, entropy=None)
    #[pyo3(signature = (logits, *, bitmask = None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        logits: &Bound<'py, PyAny>,
        bitmask: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let logits = Logits::extract_brief(logits)?;
        if logits.rows() != 1 {
            let shape = (logits.rows(), logits.vocab());
            let message = format!("logits must be one row, got shape ({}, {})", shape.0, shape.1);
            return Err(knob_error(py, message, "logits", shape));
        }
        check_width(&logits, self.vocab_size, py)?;
        let shape = Shape { count: 1, is_row: logits.is_row() };
        let words =
            bitmask.map(|words| Words::extract("bitmask", words, shape, logits.vocab())).transpose()?;
        let words = words.as_ref().map(|words| words.of(0));
        let mut slot = self.lock()?;
        let drawn = map_row(py, &logits, slot.calls(), |logits, shaped, scratch| {
            slot.draw(Turn { logits, at: 0, bitmask: words, kept: false }, shaped, scratch)
        });
        let token = drawn.map_err(|failure| failure.into_python(py))?;
        slot.accept(&token);
        drop(slot); // what is told of the token takes Python objects, and no lock
        token::wrap(py, token)
    }

    /// Moves on by tokens that were not drawn here: forced or verified ones. Chance does not depend on how the
    /// tokens before came about; mirostat's mu does not move.
    ///
    /// Args:
    ///     ids: a token id or a sequence of token ids.
    ///
    /// >>> from rheostat import Sampler, SamplingParams
    /// >>> sampler = Sampler(SamplingParams(), 10)
    /// >>> sampler.accept([4, 5])
    /// >>> sampler.position
    /// 2
    fn accept(&self, ids: &Bound<'_, PyAny>) -> PyResult<()> {
        let ids = ids_of(ids, self.vocab_size)?;
        self.lock()?.state.extend(&ids);
        Ok(())
    }

    /// Other parameters from the next token on. History, position and stream stay, and the seed unless the
    /// parameters have one; mirostat's mu stays where it stays on.
    ///
    /// >>> from rheostat import Sampler, SamplingParams
    /// >>> sampler = Sampler(SamplingParams(seed=1), 10)
    /// >>> sampler.set_params(SamplingParams(temperature=0))
    /// >>> sampler.seed
    /// 1
    fn set_params(&self, params: &Bound<'_, PyAny>) -> PyResult<()> {
        let plan = Plan::new(params, self.vocab_size)?;
        self.lock()?.set_plan(plan);
        Ok(())
    }

    /// The SamplingParams that act.
    #[getter]
    fn params<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.lock()?.params(py))
    }

    /// How many tokens there are.
    #[getter]
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// How many tokens the output has: the position of the next draw.
    #[getter]
    fn position(&self) -> PyResult<u64> {
        Ok(self.lock()?.state.position())
    }

    /// The seed, also where it came from the system: with it a run can be repeated.
    #[getter]
    fn seed(&self) -> PyResult<u64> {
        Ok(self.lock()?.state.seed)
    }

    /// Which of the sequences with this seed it is.
    #[getter]
    fn stream(&self) -> PyResult<u64> {
        Ok(self.lock()?.state.stream)
    }

    /// Mirostat's bound on the surprise of the next token, in bits; None where mirostat is off.
    #[getter]
    fn mu(&self) -> PyResult<Option<f64>> {
        Ok(self.lock()?.state.mu)
    }

    /// The ids of prompt and output, a tuple.
    #[getter]
    fn history<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.lock()?.state.history().all())
    }

    /// The ids of the prompt, a tuple.
    #[getter]
    fn prompt_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.lock()?.state.history().prompt())
    }

    /// The ids after the prompt, a tuple.
    #[getter]
    fn output_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.lock()?.state.history().output())
    }

    /// The state as bytes, the same on every machine: history, seed, stream and mu, without the parameters.
    ///
    /// >>> from rheostat import Sampler, SamplingParams
    /// >>> sampler = Sampler(SamplingParams(seed=1), 10, prompt_ids=[3])
    /// >>> saved = sampler.snapshot()
    /// >>> token = sampler.sample([0.0] * 10)
    /// >>> sampler.restore(saved)
    /// >>> sampler.sample([0.0] * 10) == token
    /// True
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(self.lock()?.snapshot(py))
    }

    /// Goes back, or on, to a state that `snapshot` gave. Raises KnobError for anything else.
    fn restore(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let saved = saved_of(state, self.vocab_size)?;
        self.lock()?.restore(saved);
        Ok(())
    }

    fn __setstate__(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        self.restore(state)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let slot = this.lock()?;
        (slf.get_type(), (slot.params(py), this.vocab_size), slot.snapshot(py)).into_bound_py_any(py)
    }

    /// Whoever uses it during a call holds a reference: what cannot be locked is no garbage.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        try_lock(&self.slot).map_or(Ok(()), |slot| slot.traverse(&visit))
    }

    fn __clear__(&self) {
        Python::attach(|py| {
            let objects = try_lock(&self.slot).map(|mut slot| slot.give_up(py));
            drop(objects); // with the lock open again
        });
    }

    fn __repr__(&self) -> String {
        let size = self.vocab_size;
        let Some(slot) = try_lock(&self.slot) else { return format!("Sampler(vocab_size={size}, in use)") };
        let (position, seed, stream) = (slot.state.position(), slot.state.seed, slot.state.stream);
        format!("Sampler(vocab_size={size}, position={position}, seed={seed}, stream={stream})")
    }
}
