//! From a row of logits to a token on a CPU: exact, reproducible, at memory speed.
//!
//! The map, one import direction from top to bottom:
//!
//! | module | idea |
//! |---|---|
//! | [`error`] | what can go wrong, one sentence each |

pub mod error;

pub use error::Error;

#[cfg(feature = "python")]
mod python;
