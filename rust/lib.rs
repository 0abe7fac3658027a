//! From a row of logits to a token on a CPU: exact, reproducible, at memory speed.
//!
//! The map, one import direction from top to bottom:
//!
//! | module | idea |
//! |---|---|
//! | [`error`] | what can go wrong, one sentence each |
//! | [`tokens`] | token ids to their bytes |
//! | [`stop`] | stop sequences in a stream: minimal hold, no leak |

pub mod error;
pub mod stop;
pub mod tokens;

pub use error::Error;

#[cfg(feature = "python")]
mod python;
