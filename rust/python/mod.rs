//! The Python extension: check, release the GIL, call, wrap. The only place that names pyo3 or numpy.

mod adjust;
mod arrays;
mod batch_sampler;
mod batch_step;
mod bitmask;
mod call;
mod chain;
mod chance;
mod dlpack;
mod errors;
mod functions;
mod handles;
mod ids;
mod keywords;
mod knobs;
mod layout;
mod lent;
mod lists;
mod logprobs;
mod out;
mod process;
mod rows;
mod sampler;
mod sampling;
mod signals;
mod slot;
mod stop;
mod stop_batch;
mod stop_input;
mod stop_matcher;
mod stop_piece;
mod stop_state;
mod token;
mod tokens;
mod verify;

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};

use crate::law::LAW;
use crate::simd::Level;
use crate::threads;

/// Logits from which on a call releases the GIL: below, taking it back may cost more than the work.
const WORTH_DETACHING: usize = 1 << 17;

/// Runs `work`, without the GIL if asked to.
fn detach_if<R: Send>(py: Python<'_>, detach: bool, work: impl FnOnce() -> R + Send) -> R {
    if detach { py.detach(work) } else { work() }
}

/// Has the pool of threads told of Python's own forks, where the system has them.
fn watch_forks(py: Python<'_>) -> PyResult<()> {
    let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? else { return Ok(()) };
    let hooks = PyDict::new(py);
    hooks.set_item(
        "after_in_child",
        PyCFunction::new_closure(py, None, None, |_, _| threads::after_fork())?,
    )?;
    register.call((), Some(&hooks))?;
    Ok(())
}

/// The compiled half of `rheostat`; import `rheostat` instead.
#[pymodule(gil_used = false)]
fn _rheostat(module: &Bound<'_, PyModule>) -> PyResult<()> {
    Level::from_environment().map_err(|error| errors::to_python(module.py(), &error))?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("LAW", LAW)?;
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    module.add_function(wrap_pyfunction!(set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(_set_simd_level, module)?)?;
    functions::register(module)?;
    sampling::register(module)?;
    process::register(module)?;
    logprobs::register(module)?;
    sampler::register(module)?;
    batch_sampler::register(module)?;
    stop::register(module)?;
    tokens::register(module)?;
    verify::register(module)?;
    watch_forks(module.py())
}

/// What this build is and what it found on this machine, as a dict: version, law, simd (the level in use),
/// simd_available, threads.
///
/// The environment variable RHEOSTAT_SIMD (scalar, avx2, avx512, neon), read at import, caps the level; a name that is none of these is a
/// ValueError. Every
/// level gives the same bits.
///
/// >>> import rheostat
/// >>> rheostat.build_info()["law"]
/// 1
#[pyfunction]
fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let info = PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("law", LAW)?;
    info.set_item("simd", Level::current().name())?;
    info.set_item("simd_available", Level::available().map(Level::name).collect::<Vec<_>>())?;
    info.set_item("threads", threads::threads())?;
    Ok(info)
}

/// Uses n threads for a batch from now on; 0, the default, is one per CPU that the process may use.
///
/// A batch is split by rows, a row never is: results do not depend on the number.
///
/// Args:
///     n: an integer in [0, 1024].
///
/// Raises:
///     KnobError: n is out of range.
///     TypeError: n is no integer.
///
/// >>> import rheostat
/// >>> rheostat.set_num_threads(2)
/// >>> rheostat.build_info()["threads"]
/// 2
/// >>> rheostat.set_num_threads(0)
#[pyfunction]
#[pyo3(signature = (n, /))]
fn set_num_threads(n: &Bound<'_, PyAny>) -> PyResult<()> {
    let knobs::PerRow::One(count) = knobs::integer_of("n", n)? else {
        return Err(errors::type_error("n must be an integer, got several"));
    };
    let rule: crate::knobs::Rule<i128> = ("must be in [0, 1024]", |n| (0..=1024).contains(&n));
    knobs::check("n", rule, n, &knobs::PerRow::One(count))?;
    threads::set_threads(count as usize);
    Ok(())
}

/// Uses this SIMD level from now on; False where the CPU cannot run it. For tests.
#[pyfunction]
fn _set_simd_level(name: &str) -> bool {
    Level::from_name(name).map(Level::make_current).is_some()
}
