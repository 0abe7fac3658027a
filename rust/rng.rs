//! Chance without state: (seed, stream, position) decides, through one block of Philox4x64-10.
//!
//! Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3". The block is NumPy's:
//! `np.random.Philox(key=seed + (stream << 64), counter=position).random_raw(4)`.

/// The word of a block that draws the token.
pub const TOKEN: usize = 0;
/// The word that decides whether XTC acts.
pub const XTC: usize = 1;
/// The word that accepts a drafted token or does not.
pub const ACCEPT: usize = 2;
/// The word that draws what takes a refused one's place.
pub const RESIDUAL: usize = 3;

const ROUNDS: usize = 10;
const MULTIPLIERS: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
/// The golden ratio and sqrt(3) - 1, by which the key moves on from round to round.
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];

/// One block of four words.
#[must_use]
pub fn philox4x64(key: [u64; 2], counter: [u64; 4]) -> [u64; 4] {
    let [mut k0, mut k1] = key;
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    for _ in 0..ROUNDS {
        let a = u128::from(MULTIPLIERS[0]) * u128::from(c0);
        let b = u128::from(MULTIPLIERS[1]) * u128::from(c2);
        (c0, c1, c2, c3) = ((b >> 64) as u64 ^ c1 ^ k0, b as u64, (a >> 64) as u64 ^ c3 ^ k1, a as u64);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [c0, c1, c2, c3]
}

/// The four words of (seed, stream, position). NumPy steps its counter before it uses it, so this is block
/// position + 1.
///
/// ```
/// use rheostat::rng;
///
/// // In Python: np.random.Philox(key=42 + (1 << 64), counter=7).random_raw(4)
/// let words = rng::words(42, 1, 7);
/// assert_eq!(words, [0xdd5e_1813_eb3a_2996, 0xffda_0c78_5680_2dbe, 0x2a6b_fff7_0ba5_2377, 0x6d3c_98a2_9384_4ac9]);
/// assert_ne!(words[rng::TOKEN], rng::words(42, 2, 7)[rng::TOKEN]); // another sequence of the same seed
/// assert!(rng::opens(words[rng::XTC], 1.0) && !rng::opens(words[rng::XTC], 0.0));
/// ```
#[must_use]
pub fn words(seed: u64, stream: u64, position: u64) -> [u64; 4] {
    let (low, carry) = position.overflowing_add(1);
    philox4x64([seed, stream], [low, u64::from(carry), 0, 0])
}

/// Whether a word lets happen what has this probability: word < floor(probability * 2**64).
#[must_use]
pub fn opens(word: u64, probability: f64) -> bool {
    const SPAN: f64 = 18_446_744_073_709_551_616.0; // scaling by a power of two is exact
    u128::from(word) < (probability * SPAN) as u128
}

/// 64 fresh bits from the operating system.
///
/// # Errors
/// Where the system has none to give.
pub fn fresh_seed() -> Result<u64, getrandom::Error> {
    getrandom::u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the authors' Random123 1.14, file `kat_vectors`.
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(
            philox4x64([0; 2], [0; 4]),
            [0x1655_4d9e_ca36_314c, 0xdb20_fe9d_672d_0fdc, 0xd7e7_72ce_e186_176b, 0x7e68_b68a_ec7b_a23b]
        );
        assert_eq!(
            philox4x64([u64::MAX; 2], [u64::MAX; 4]),
            [0x87b0_92c3_013f_e90b, 0x438c_3c67_be8d_0224, 0x9cc7_d7c6_9cd7_77b6, 0xa09c_aebf_594f_0ba0]
        );
        assert_eq!(
            philox4x64(
                [0x4528_21e6_38d0_1377, 0xbe54_66cf_34e9_0c6c],
                [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89]
            ),
            [0xa528_f454_03e6_1d95, 0x38c7_2dbd_566e_9788, 0xa5a1_610e_72fd_18b5, 0x57bd_43b5_e52b_7fe6]
        );
    }

    #[test]
    fn position_carries_into_the_next_counter_word() {
        assert_eq!(words(1, 2, u64::MAX), philox4x64([1, 2], [0, 1, 0, 0]));
    }
}
