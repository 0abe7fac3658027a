//! The Python extension: check, release the GIL, call, wrap. The only place that names pyo3 or numpy.

mod errors;
mod stop;
mod stop_batch;
mod stop_input;
mod stop_matcher;
mod stop_state;
mod tokens;

use pyo3::prelude::*;

/// The compiled half of `rheostat`; import `rheostat` instead.
#[pymodule(gil_used = false)]
fn _rheostat(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    stop::register(module)?;
    tokens::register(module)?;
    Ok(())
}
