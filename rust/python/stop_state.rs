//! A matcher's state as a tuple of plain values:
//! (version, fingerprint, phase, stop, depth, pending, fed, emitted, hit).

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};

use super::errors::to_python;
use super::stop_input::{Name, broken};
use crate::error::{Error, Number};
use crate::stop::{Phase, SNAPSHOT_VERSION, Snapshot, StopSet, Stream};

const PHASES: [(Phase, &str); 4] =
    [(Phase::Unarmed, "unarmed"), (Phase::Armed, "armed"), (Phase::Hit, "hit"), (Phase::Flushed, "flushed")];

/// The tuple.
pub fn to_tuple<'py>(py: Python<'py>, set: &StopSet, stream: &Stream) -> PyResult<Bound<'py, PyAny>> {
    let saved = set.save(stream);
    let phase = PHASES.iter().find(|(phase, _)| *phase == saved.phase).map(|(_, name)| *name);
    let pending = PyBytes::new(py, &saved.pending);
    let Snapshot { fingerprint, stop, depth, fed, emitted, hit, .. } = saved;
    (SNAPSHOT_VERSION, fingerprint, phase, stop, depth, pending, fed, emitted, hit).into_bound_py_any(py)
}

/// An int, exactly: no bool, nothing that only converts to one.
fn exact<'py, T: for<'a> FromPyObject<'a, 'py>>(value: &Bound<'py, PyAny>) -> Option<T> {
    if value.is_exact_instance_of::<PyInt>() { value.extract().ok() } else { None }
}

/// The saved state in a tuple of the right shape.
fn parse(state: &Bound<'_, PyTuple>) -> Option<Snapshot> {
    let items: Vec<_> = state.iter().collect();
    let [_, fingerprint, phase, stop, depth, pending, fed, emitted, hit] = &items[..] else { return None };
    let phase = phase.cast::<PyString>().ok()?.to_str().ok()?;
    let hit = if hit.is_none() {
        None
    } else {
        let hit: Vec<_> = hit.cast::<PyTuple>().ok()?.iter().collect();
        let [stop, discarded] = &hit[..] else { return None };
        Some((exact(stop)?, exact(discarded)?))
    };
    Some(Snapshot {
        fingerprint: exact(fingerprint)?,
        phase: PHASES.iter().find(|(_, name)| *name == phase)?.0,
        stop: exact(stop)?,
        depth: exact(depth)?,
        pending: pending.cast::<PyBytes>().ok()?.as_bytes().to_vec(),
        fed: exact(fed)?,
        emitted: exact(emitted)?,
        hit,
    })
}

/// The stream in the tuple; a ValueError if it is of another version or stop set, or malformed.
pub fn from_tuple(set: &StopSet, state: &Bound<'_, PyAny>) -> PyResult<Stream> {
    let bad = || broken(Name::of("state"), "must be one that StopMatcher.__getstate__ gave", state);
    let tuple = state.cast::<PyTuple>().map_err(|_| bad())?;
    let version = tuple.get_item(0).ok().filter(PyAnyMethods::is_exact_instance_of::<PyInt>);
    let version = version.ok_or_else(bad)?;
    if !version.eq(SNAPSHOT_VERSION)? {
        return Err(broken(Name::of("state"), "must be of version 1", &version));
    }
    set.restore(&parse(tuple).ok_or_else(bad)?).map_err(|error| match error {
        Error::Knob { value: Number::Int(_), .. } => to_python(state.py(), &error),
        _ => bad(),
    })
}
