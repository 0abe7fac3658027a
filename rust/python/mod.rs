//! The Python extension: check, release the GIL, call, wrap. The only place that names pyo3 or numpy.

mod arrays;
mod dlpack;
mod errors;
mod functions;
mod layout;
mod out;
mod rows;

use pyo3::prelude::*;

/// The compiled half of `rheostat`; import `rheostat` instead.
#[pymodule(gil_used = false)]
fn _rheostat(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(functions::top_k, module)?)?;
    Ok(())
}
