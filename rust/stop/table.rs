//! How the automaton steps: failure links, or for bytes a dense table with the links resolved.
//!
//! The table has a column per class of bytes: each byte that occurs in a stop is a class, all others
//! are one. Its cells hold the row's offset and not its number, which saves a multiplication per
//! byte, as u16 while they fit. A table over 4 MB would be slower to build and to read than the
//! links; ids have too many classes for one.

use super::automaton::Symbol;

/// The most that a dense table may take, in bytes.
const MAX_TABLE: usize = 4 << 20;

/// A step function over symbols.
pub trait Steps<S>: std::fmt::Debug + Send + Sync {
    /// From the trie with its failure links; `by_depth`: its nodes, shortest labels first.
    fn new(links: Links<S>, by_depth: &[u32]) -> Self;
    /// Steps until just after the first state that is `limit` or more: that state, or the last one,
    /// and how many symbols were read.
    fn run(&self, state: u32, piece: &[S], limit: u32) -> (u32, usize);
    /// Memory, in bytes.
    fn nbytes(&self) -> usize;
}

/// The trie's edges and failure links.
#[derive(Debug)]
pub struct Links<S> {
    pub(super) fail: Vec<u32>,
    /// Node `v`'s children are `children[first[v]..first[v + 1]]`, sorted by symbol.
    pub(super) first: Vec<u32>,
    pub(super) children: Vec<(S, u32)>,
}

impl<S: Symbol> Links<S> {
    /// The state after `symbol`.
    pub(super) fn next(&self, mut state: u32, symbol: S) -> u32 {
        loop {
            let at = state as usize;
            let children = &self.children[self.first[at] as usize..self.first[at + 1] as usize];
            match children.binary_search_by_key(&symbol, |child| child.0) {
                Ok(place) => return children[place].1,
                Err(_) if state == 0 => return 0,
                Err(_) => state = self.fail[at],
            }
        }
    }
}

impl<S: Symbol + Send + Sync> Steps<S> for Links<S> {
    fn new(links: Links<S>, _by_depth: &[u32]) -> Self {
        links
    }

    fn run(&self, mut state: u32, piece: &[S], limit: u32) -> (u32, usize) {
        for (read, &symbol) in piece.iter().enumerate() {
            state = self.next(state, symbol);
            if state >= limit {
                return (state, read + 1);
            }
        }
        (state, piece.len())
    }

    fn nbytes(&self) -> usize {
        size_of::<u32>() * (self.fail.len() + self.first.len()) + size_of_val(&self.children[..])
    }
}

/// A dense table with cells of type `C`.
#[derive(Debug)]
pub struct Dense<C> {
    class: [u8; 256],
    /// Bytes of lower classes leave the root where it is.
    leaving: u8,
    width: u32,
    cells: Vec<C>,
}

impl<C: Copy + Default + Into<u32> + TryFrom<u32>> Dense<C> {
    /// None if an offset does not fit a cell.
    fn new(links: &Links<u8>, by_depth: &[u32], (class, leaving, width): Classes) -> Option<Self> {
        let mut cells = vec![C::default(); by_depth.len() * width];
        for &node in by_depth {
            // The row of the longest proper suffix, which is done already, then the node's own edges.
            let row = node as usize * width;
            if node != 0 {
                let suffix = links.fail[node as usize] as usize * width;
                cells.copy_within(suffix..suffix + width, row);
            }
            let own = links.first[node as usize] as usize..links.first[node as usize + 1] as usize;
            for &(byte, child) in &links.children[own] {
                cells[row + class[byte as usize] as usize] = C::try_from(child * width as u32).ok()?;
            }
        }
        Some(Self { class, leaving, width: width as u32, cells })
    }

    fn run(&self, state: u32, piece: &[u8], limit: u32) -> (u32, usize) {
        let limit = limit.saturating_mul(self.width);
        let mut offset = state * self.width;
        let mut read = 0;
        loop {
            if offset == 0 {
                read += self.ordinary(&piece[read..]);
            }
            let Some(&byte) = piece.get(read) else { break };
            offset = self.cells[offset as usize + self.class[byte as usize] as usize].into();
            read += 1;
            if offset >= limit {
                break;
            }
        }
        // A division takes as long as several steps, and mostly the root is where a piece ends.
        (if offset == 0 { 0 } else { offset / self.width }, read)
    }

    /// How many symbols leave the root where it is: text is mostly that, and in it no step waits for the one before.
    fn ordinary(&self, piece: &[u8]) -> usize {
        let leaves = |byte: &u8| self.class[*byte as usize] >= self.leaving;
        piece.iter().position(leaves).unwrap_or(piece.len())
    }
}

/// The step function over bytes.
#[derive(Debug)]
pub enum Machine {
    /// At most 65,536 cells.
    Narrow(Dense<u16>),
    /// At most 4 MB.
    Wide(Dense<u32>),
    /// Anything larger.
    Links(Links<u8>),
}

/// The class of every byte, the first class of those with which a stop begins, which come last, and how many classes
/// there are.
type Classes = ([u8; 256], u8, usize);

fn classes(links: &Links<u8>) -> Classes {
    let (mut used, mut begins) = ([false; 256], [false; 256]);
    for (byte, _) in &links.children {
        used[*byte as usize] = true;
    }
    for (byte, _) in &links.children[links.first[0] as usize..links.first[1] as usize] {
        begins[*byte as usize] = true;
    }
    let mut class = [0; 256];
    let mut next = usize::from(used.contains(&false)); // class 0: the bytes that occur in no stop
    let mut leaving = 0;
    for last in [false, true] {
        leaving = next;
        for byte in (0..256).filter(|byte| used[*byte] && begins[*byte] == last) {
            class[byte] = next as u8;
            next += 1;
        }
    }
    (class, leaving as u8, next)
}

impl Steps<u8> for Machine {
    fn new(links: Links<u8>, by_depth: &[u32]) -> Self {
        let classes @ (.., width) = classes(&links);
        let cells = by_depth.len() * width;
        if cells <= 1 << 16
            && let Some(table) = Dense::new(&links, by_depth, classes)
        {
            return Self::Narrow(table);
        }
        if cells * size_of::<u32>() <= MAX_TABLE
            && let Some(table) = Dense::new(&links, by_depth, classes)
        {
            return Self::Wide(table);
        }
        Self::Links(links)
    }

    fn run(&self, state: u32, piece: &[u8], limit: u32) -> (u32, usize) {
        match self {
            Self::Narrow(table) => table.run(state, piece, limit),
            Self::Wide(table) => table.run(state, piece, limit),
            Self::Links(links) => links.run(state, piece, limit),
        }
    }

    fn nbytes(&self) -> usize {
        match self {
            Self::Narrow(table) => size_of_val(&table.cells[..]) + 256,
            Self::Wide(table) => size_of_val(&table.cells[..]) + 256,
            Self::Links(links) => links.nbytes(),
        }
    }
}
