//! The naive twin of the stop matcher: every end, every stop, every continuation is tried.

#![allow(dead_code)] // each test binary uses its part

use rheostat::stop::Tie;

/// Least end past `unarmed` at which a stop completes: (index, end).
pub fn naive_finish(stops: &[Vec<u8>], tie: Tie, text: &[u8], unarmed: usize) -> Option<(usize, usize)> {
    (unarmed + 1..=text.len()).find_map(|end| {
        let complete = (0..stops.len()).filter(|&i| text[..end].ends_with(&stops[i]));
        let winner = match tie {
            Tie::First => complete.min(),
            Tie::Longest => complete.min_by_key(|&i| (usize::MAX - stops[i].len(), i)),
        };
        winner.map(|index| (index, end))
    })
}

/// The hold: every rest of every stop is tried as a continuation; unarmed, every later arming too.
pub fn naive_hold(stops: &[Vec<u8>], tie: Tie, text: &[u8], armed: bool) -> usize {
    let mut hold = 0;
    for stop in stops {
        for there in (1..stop.len()).filter(|&there| text.ends_with(&stop[..there])) {
            let whole = [text, &stop[there..]].concat();
            let last = if armed { text.len() } else { whole.len() - 1 };
            for unarmed in text.len()..=last {
                if let Some((index, end)) = naive_finish(stops, tie, &whole, unarmed) {
                    hold = hold.max((text.len() + stops[index].len()).saturating_sub(end));
                }
            }
        }
    }
    hold
}
