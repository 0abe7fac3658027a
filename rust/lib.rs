//! From a row of logits to a token on a CPU: exact, reproducible, at memory speed.
//!
//! What a host program calls, checked against what it may be given:
//!
//! | call | for |
//! |---|---|
//! | [`chain::keep`] | filters in an order: a row's kept set, then its `draw`, `count`, `tokens` |
//! | [`softmax::softmax`], [`softmax::log_softmax`] | probabilities, of a row that [`law::check_row`] accepts |
//! | [`logprobs::logprobs`] | log-probabilities of a few tokens and of the best |
//! | [`rng::words`] | chance from (seed, stream, position) |
//! | [`stop::StopSet`], [`stop::Batch`] | stop sequences in one stream or many |
//! | [`simd::Level`] | which instructions are used, where not the best |
//!
//! The rest is what they are made of, and public so that tests and readers reach it: it trusts what it is given, may
//! panic where that is none of its kind, and may change with any version.
//!
//! The map, from the ground up; a module uses only what stands above it.
//!
//! | module | idea |
//! |---|---|
//! | [`error`] | what can go wrong, one sentence each |
//! | [`simd`] | the passes over a row, the same bits at every SIMD level |
//! | [`law`] | integer weights, their sum, the order of tokens, the draw |
//! | [`row`] | a row where it stands, in its own type, masked and changed |
//! | [`rng`] | chance from (seed, stream, position) |
//! | [`knobs`] | the knobs, their rules, the presets |
//! | [`history`] | the sequence so far, what it repeats, counts of its tokens |
//! | [`hashing`] | maps from numbers |
//! | [`ngrams`] | what followed every n - 1 tokens, as the sequence grows and shrinks |
//! | [`memory`] | the same kept up to date, token by token |
//! | [`changes`] | the logits of a row that are changed |
//! | [`masks`], [`penalties`], [`dry`] | tokens that may not come; biases and penalties |
//! | [`adjust`] | all of these, in their order, before a chain |
//! | [`weighed`] | where a mass of weighed logits lies, about |
//! | [`bins`] | where the order is cut, in linear time |
//! | [`select`] | the same among weighed logits, mostly in fewer steps |
//! | [`survey`] | one read that tells a row's maximum and an interval for its sum |
//! | [`ties`] | equal logits, which are counted |
//! | [`band`] | wide nuclei, without a sort |
//! | [`nucleus`] | top-p of a whole row, mostly without its exact sum |
//! | [`entropy`] | logarithms and float64 sums over a kept set |
//! | [`cuts`] | filters that look at the whole kept set |
//! | [`urn`] | draws from a kept set |
//! | [`mirostat`] | a bound on surprise that follows the text |
//! | [`verify`] | whether a drafted token stays, and what takes its place |
//! | [`chain`] | filters in an order: from a row to its kept set |
//! | [`softmax`], [`filters`] | a row of results |
//! | [`logprobs`] | log-probabilities and ranks of a few tokens |
//! | [`report`] | what is told of a token |
//! | [`state`], [`sampler`] | a sequence between two tokens; the next one |
//! | [`threads`], [`scratch`] | a batch over threads, buffers kept from call to call |
//! | [`tokens`] | token ids to their bytes |
//! | [`stop`] | stop sequences in a stream: minimal hold, no leak |
//!
//! From a row to a token:
//!
//! ```
//! use rheostat::scratch::Scratch;
//! use rheostat::{Knobs, Step, chain, rng};
//!
//! let row = [2.0, 1.0, 0.5, 0.2, -1.0, -3.0_f32];
//! let knobs = Knobs { temperature: 0.8, top_p: 0.9, ..Knobs::default() };
//! let mut scratch = Scratch::default(); // keep it: the next call allocates nothing
//! let mut kept = chain::keep(&row, &knobs, &[Step::Temperature, Step::TopP], &mut scratch)?;
//! assert_eq!(kept.count(), 3);
//! let [u, ..] = rng::words(42, 0, 0); // seed, stream, position: the same token on every machine
//! assert_eq!(kept.draw(u), 1);
//! # Ok::<(), rheostat::Error>(())
//! ```

pub mod adjust;
pub mod band;
pub mod bins;
pub mod chain;
pub mod changes;
pub mod cuts;
pub mod dry;
pub mod entropy;
pub mod error;
pub mod filters;
pub mod hashing;
pub mod history;
pub mod knobs;
pub mod law;
pub mod logprobs;
pub mod masks;
pub mod memory;
pub mod mirostat;
pub mod ngrams;
pub mod nucleus;
pub mod penalties;
pub mod report;
pub mod rng;
pub mod row;
pub mod sampler;
pub mod scratch;
pub mod select;
pub mod simd;
pub mod softmax;
pub mod state;
pub mod stop;
pub mod survey;
pub mod threads;
pub mod ties;
pub mod tokens;
pub mod urn;
pub mod verify;
pub mod weighed;

pub use error::Error;
pub use knobs::{Knobs, Step};

#[cfg(feature = "python")]
#[expect(
    clippy::doc_markdown,
    clippy::doc_link_with_quotes,
    reason = "docstrings are plain text to Python's help()"
)]
#[expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]
mod python;
