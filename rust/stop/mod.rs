//! Stop sequences in a stream: nothing of a stop leaks, and nothing else is withheld.
//!
//! # Meaning
//!
//! The stream `T` is all pieces fed so far; its symbols are bytes, or token ids. `a` is the length
//! of `T` that was fed unarmed (`min_tokens`). Stop `i` *completes* at `e` if `e > a` and `T[..e]`
//! ends with it. The finish is at the least `e` at which any stop completes; of several that
//! complete there the least index wins, or with [`Tie::Longest`] the longest and then the least
//! index. The output is what comes before the winner's start (with `include`, before its end).
//!
//! Without a finish, the hold `H(T)` is how far before the end of `T` the start of a winner can
//! still lie, over all continuations. What lies before it is safe and is given out at once.
//!
//! # Algorithm
//!
//! Aho-Corasick over all stops ([`Automaton`]). A state `v` is a prefix of a stop: after `T` the
//! automaton is in the longest one that is a suffix of `T`. Per state:
//!
//! * `win[v]`: the winner among the stops that complete on entering `v`: its own and all that are
//!   suffixes of it, found along the failure link;
//! * `alive[v]`: some stop `p` lies strictly below `v`, the path from `v` to it meets no other
//!   completing state, and `p` wins at its end;
//! * `hold[v]`: `depth(v)` if `alive[v]`, else `hold[fail(v)]`;
//! * `hold_all[v]`: the same with "some stop strictly below `v` wins at its own end" for `alive`:
//!   while unarmed, a completion on the way decides nothing, because arming can come after it.
//!
//! # Proof: armed, no finish yet, state `v` after `T`: `H(T) = hold[v]`
//!
//! *At most.* Let a winner `p` of some `Tw` start before the end of `T`, and let `s` be `T` from
//! there on. `s` is a proper prefix of `p` and a suffix of `T`: a node on the failure chain of `v`.
//! No stop completes on `p`'s remaining path before its end, and `p` wins there, for otherwise it
//! were not the winner; so that node is alive and `|s| <= hold[v]`.
//!
//! *At least.* Let `s` be the longest alive label on the chain, alive by `p`, and `w` the rest of
//! `p`. Let `r` be the winner of `Tw`, which exists because `p` completes. If `r` starts at or after
//! the start of `s`, it is a suffix match on `p`'s path, and there only `p` is possible. If it
//! starts earlier, its part in `T` is, by the first half, an alive label longer than `s`: a
//! contradiction. So `p` wins, and starts `|s|` before the end of `T`.
//!
//! Two consequences. What is held is always a prefix of a stop, so a [`Stream`] stores no text: a
//! state, two counters and at most three bytes of a character. And `H(Tx) <= H(T) + |x|`, so what
//! was given out is never taken back.

mod automaton;
mod batch;
mod matcher;
mod piece;
mod set;
mod snapshot;
mod stops;
mod table;
mod utf8;

pub use automaton::{Automaton, Symbol};
pub use batch::{Batch, Feed};
pub use matcher::{Hit, Phase, Release, Stream};
pub use piece::{Kind, Output, Piece};
pub use set::StopSet;
pub use snapshot::{SNAPSHOT_VERSION, Snapshot};
pub use stops::Stops;
pub use utf8::Pending;

/// All stops of a set together may be this long, in symbols.
pub const MAX_TOTAL: usize = 1 << 20;

/// Which stop wins where several complete at the same place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tie {
    /// The one listed first.
    #[default]
    First,
    /// The longest, and of equal ones the one listed first.
    Longest,
}
