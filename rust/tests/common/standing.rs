//! A row in one of the types that it may come in, under a mask and with changed logits, and what that reads as.

use half::{bf16, f16};
use rheostat::row::{Row, Standing};
use rheostat::simd::{Logits, Source};

/// As many logits that no kernel may read lie behind the row.
const BEHIND: usize = 16;

/// A row in one of the types, with what is read of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// float32, float16, bfloat16.
    pub kind: usize,
    pub wide: Vec<f32>,
    pub words: Option<Vec<u32>>,
    /// By id; they act where there are words.
    pub changes: Vec<(u32, f32)>,
}

impl Case {
    fn is_allowed(words: &[u32], token: usize) -> bool {
        words[token / 32] >> (token % 32) & 1 == 1
    }

    /// Puts a logit everywhere that must not be read: where the mask forbids it, and where it has changed.
    pub fn spoil(&mut self, bad: f32) {
        let Some(words) = &self.words else { return };
        for (token, x) in self.wide.iter_mut().enumerate() {
            if !Self::is_allowed(words, token) {
                *x = bad;
            }
        }
        for (id, _) in &self.changes {
            self.wide[*id as usize] = bad;
        }
    }

    /// Runs `work` on the row, which begins so many logits behind an aligned place, and on what it reads as. All
    /// around it there are NaNs.
    pub fn with<R>(&self, offset: usize, work: impl FnOnce(Row<'_>, &[f32]) -> R) -> R {
        let row = offset..offset + self.wide.len();
        let mut padded = vec![f32::NAN; row.end + BEHIND];
        padded[row.clone()].copy_from_slice(&self.wide);
        let (mut halves, mut brains) = (vec![], vec![]);
        let (logits, mut wide): (_, Vec<f32>) = match self.kind {
            0 => (Logits::F32(&padded[row]), self.wide.clone()),
            1 => {
                halves.extend(padded.iter().map(|x| f16::from_f32(*x)));
                (Logits::F16(&halves[row.clone()]), halves[row].iter().map(|x| x.to_f32()).collect())
            }
            _ => {
                brains.extend(padded.iter().map(|x| bf16::from_f32(*x)));
                (Logits::Bf16(&brains[row.clone()]), brains[row].iter().map(|x| x.to_f32()).collect())
            }
        };
        // What has changed is read in its own place alone.
        let mut words = self.words.clone();
        if let Some(words) = &mut words {
            for (token, x) in wide.iter_mut().enumerate() {
                if !Self::is_allowed(words, token) {
                    *x = f32::NEG_INFINITY;
                }
            }
            for (id, x) in &self.changes {
                words[*id as usize / 32] &= !(1 << (id % 32));
                wide[*id as usize] = *x;
            }
        }
        let allowed = words.as_deref();
        let changes = if allowed.is_some() { self.changes.as_slice() } else { &[] };
        let standing = Standing::new(Source { logits, allowed }, changes, vec![5.0; 3]);
        work(standing.row(), &wide)
    }
}
