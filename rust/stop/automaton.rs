//! The automaton: a trie of all stops with failure links, and per state who wins there and how
//! much is held. The definitions and the proof are in the parent module.
//!
//! The trie is built without a map: with the stops sorted, each shares with its predecessor the
//! nodes of their common prefix and adds the rest. States are then renumbered by depth, the
//! completing ones last: "does a stop complete here" is one comparison.

use super::Tie;
use super::table::{Links, Machine, Steps};

/// No stop.
pub(super) const NONE: u32 = u32::MAX;

/// What a stream is made of: bytes or token ids.
pub trait Symbol: Copy + Ord + std::fmt::Debug + 'static {
    /// How the automaton steps over such symbols.
    #[doc(hidden)]
    type Steps: Steps<Self>;

    /// As bytes, the least first.
    #[doc(hidden)]
    fn bytes(self) -> impl Iterator<Item = u8>;
}

impl Symbol for u8 {
    type Steps = Machine;

    fn bytes(self) -> impl Iterator<Item = u8> {
        std::iter::once(self)
    }
}

impl Symbol for u32 {
    type Steps = Links<u32>;

    fn bytes(self) -> impl Iterator<Item = u8> {
        self.to_le_bytes().into_iter()
    }
}

/// The trie while it is built; nodes in preorder, node 0 the root.
struct Trie<S> {
    parent: Vec<u32>,
    symbol: Vec<Option<S>>,
    depth: Vec<u32>,
    /// The least stop that ends exactly here.
    own: Vec<u32>,
    /// The least stop that begins with the node's label.
    witness: Vec<u32>,
}

impl<S: Symbol> Trie<S> {
    fn new(stops: &[Box<[S]>]) -> Self {
        let mut trie =
            Self { parent: vec![0], symbol: vec![None], depth: vec![0], own: vec![NONE], witness: vec![0] };
        let mut sorted: Vec<usize> = (0..stops.len()).collect();
        sorted.sort_by(|&a, &b| stops[a].cmp(&stops[b])); // stable: of duplicates the first comes first
        let mut path = vec![0_u32]; // the nodes of the previous stop, by depth
        let mut before: &[S] = &[];
        for index in sorted {
            let stop = &stops[index];
            let shared = before.iter().zip(stop.iter()).take_while(|(a, b)| a == b).count();
            path.truncate(shared + 1);
            for (depth, &symbol) in stop.iter().enumerate().skip(shared) {
                path.push(trie.parent.len() as u32);
                trie.parent.push(path[depth]);
                trie.symbol.push(Some(symbol));
                trie.depth.push(depth as u32 + 1);
                trie.own.push(NONE);
                trie.witness.push(index as u32);
            }
            for &node in &path[1..] {
                let witness = &mut trie.witness[node as usize];
                *witness = (*witness).min(index as u32);
            }
            let end = path[stop.len()] as usize;
            trie.own[end] = trie.own[end].min(index as u32);
            before = stop;
        }
        trie
    }

    /// The nodes by depth, the root first.
    fn by_depth(&self) -> Vec<u32> {
        let mut nodes: Vec<u32> = (0..self.parent.len() as u32).collect();
        nodes.sort_by_key(|&node| self.depth[node as usize]);
        nodes
    }

    /// The same trie with node `order[i]` as node `i`.
    fn renumbered(&self, order: &[u32]) -> Self {
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old as usize] = new as u32;
        }
        Self {
            parent: order.iter().map(|&old| place[self.parent[old as usize] as usize]).collect(),
            symbol: pick(order, &self.symbol),
            depth: pick(order, &self.depth),
            own: pick(order, &self.own),
            witness: pick(order, &self.witness),
        }
    }

    /// The edges in one array, by parent and symbol.
    fn links(&self) -> Links<S> {
        let nodes = self.parent.len();
        let mut edges: Vec<(u32, S, u32)> = (0..nodes)
            .filter_map(|node| Some((self.parent[node], self.symbol[node]?, node as u32)))
            .collect();
        edges.sort_unstable();
        let mut first = vec![0_u32; nodes + 1];
        for &(parent, ..) in &edges {
            first[parent as usize + 1] += 1;
        }
        for node in 0..nodes {
            first[node + 1] += first[node];
        }
        let children = edges.into_iter().map(|(_, symbol, node)| (symbol, node)).collect();
        Links { fail: vec![0; nodes], first, children }
    }

    /// Failure links: the longest proper suffix of a node's label that is a node too. By depth, so
    /// that those of all shorter labels are known.
    fn fail(&self, links: &mut Links<S>, by_depth: &[u32]) {
        for &node in by_depth {
            let parent = self.parent[node as usize];
            if let (Some(symbol), true) = (self.symbol[node as usize], parent != 0) {
                links.fail[node as usize] = links.next(links.fail[parent as usize], symbol);
            }
        }
    }

    /// Who wins on entering each node.
    fn win(&self, links: &Links<S>, by_depth: &[u32], tie: Tie) -> Vec<u32> {
        let mut win = self.own.clone();
        for &node in by_depth {
            let (node, inherited) = (node as usize, win[links.fail[node as usize] as usize]);
            win[node] = match tie {
                Tie::First => win[node].min(inherited), // NONE is the greatest
                Tie::Longest if win[node] == NONE => inherited,
                Tie::Longest => win[node],
            };
        }
        win
    }

    /// The hold of every node. `all`: completions on the way do not count (unarmed).
    fn hold(&self, links: &Links<S>, by_depth: &[u32], win: &[u32], all: bool) -> Vec<u32> {
        let mut alive = vec![false; win.len()];
        for &node in by_depth.iter().skip(1).rev() {
            let node = node as usize;
            let wins = self.own[node] != NONE && win[node] == self.own[node];
            let passes = alive[node] && (all || win[node] == NONE);
            alive[self.parent[node] as usize] |= wins || passes;
        }
        let mut hold = vec![0; win.len()];
        for &node in by_depth {
            let node = node as usize;
            hold[node] = if alive[node] { self.depth[node] } else { hold[links.fail[node] as usize] };
        }
        hold
    }
}

fn pick<T: Copy>(order: &[u32], from: &[T]) -> Vec<T> {
    order.iter().map(|&old| from[old as usize]).collect()
}

/// All stops as one automaton. State 0 is the root.
#[derive(Debug)]
pub struct Automaton<S: Symbol> {
    steps: S::Steps,
    depth: Vec<u32>,
    witness: Vec<u32>,
    win: Vec<u32>,
    hold: Vec<u32>,
    hold_all: Vec<u32>,
    /// States from here on complete a stop.
    completing: u32,
}

impl<S: Symbol> Automaton<S> {
    /// Builds it. The stops are not empty and together at most [`super::MAX_TOTAL`] long.
    pub(super) fn new(stops: &[Box<[S]>], tie: Tie) -> Self {
        let trie = Trie::new(stops);
        let by_depth = trie.by_depth();
        let mut links = trie.links();
        trie.fail(&mut links, &by_depth);
        let win = trie.win(&links, &by_depth, tie);

        // Second numbering, now that it is known which states complete.
        let completes = |node: &&u32| win[**node as usize] != NONE;
        let quiet = by_depth.iter().filter(|node| !completes(node));
        let order: Vec<u32> = quiet.chain(by_depth.iter().filter(completes)).copied().collect();
        let win = pick(&order, &win);
        let completing = win.iter().take_while(|&&winner| winner == NONE).count() as u32;
        let trie = trie.renumbered(&order);
        let by_depth = trie.by_depth();
        let mut links = trie.links();
        trie.fail(&mut links, &by_depth);
        Self {
            hold: trie.hold(&links, &by_depth, &win, false),
            hold_all: trie.hold(&links, &by_depth, &win, true),
            steps: S::Steps::new(links, &by_depth),
            depth: trie.depth,
            witness: trie.witness,
            win,
            completing,
        }
    }

    /// Steps over `piece`, armed until just after the first completion. Gives the new state and the
    /// number of symbols read.
    pub(super) fn run(&self, state: u32, piece: &[S], armed: bool) -> (u32, usize) {
        self.steps.run(state, piece, if armed { self.completing } else { u32::MAX })
    }

    /// The stop that wins on entering `state`.
    pub(super) fn winner(&self, state: u32) -> Option<usize> {
        (state >= self.completing).then(|| self.win[state as usize] as usize)
    }

    /// How many of the last symbols are held in `state`.
    pub(super) fn hold(&self, state: u32, armed: bool) -> usize {
        (if armed { &self.hold } else { &self.hold_all })[state as usize] as usize
    }

    /// The label of `state`: a stop and how many of its symbols.
    pub(super) fn label(&self, state: u32) -> (usize, usize) {
        (self.witness[state as usize] as usize, self.depth[state as usize] as usize)
    }

    /// Memory of the tables, in bytes.
    pub(super) fn nbytes(&self) -> usize {
        self.steps.nbytes() + 5 * size_of::<u32>() * self.win.len()
    }
}
