//! Maps from numbers. The standard library's hash withstands whoever chooses any keys at all; for a number one
//! multiplication by a secret does, and costs a tenth.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A map from u32 or u64.
pub type Map<K, V> = HashMap<K, V, Secret>;

/// Makes hashers of one map, which share its secret.
#[derive(Clone, Copy, Debug)]
pub struct Secret(u64);

impl Default for Secret {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for Secret {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer { secret: self.0, hash: 0 }
    }
}

/// The number xor the secret, times the secret, both halves of the product in one: every bit of the hash has some
/// of every bit of the number.
#[derive(Debug)]
pub struct Mixer {
    secret: u64,
    hash: u64,
}

impl Hasher for Mixer {
    fn write_u64(&mut self, number: u64) {
        let product = u128::from(number ^ self.hash ^ self.secret) * u128::from(self.secret);
        self.hash = product as u64 ^ (product >> 64) as u64;
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    /// Numbers alone are hashed; this is for completeness.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64((*byte).into());
        }
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
