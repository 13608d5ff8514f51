//! n-fold (RFC 3961 5.1): stretches or shrinks a constant to the size of a cipher block.

/// Folds `input` into `out`: copies of `input`, each rotated 13 bits further to the right, are laid
/// end to end and added up in ones' complement.
pub(super) fn nfold(input: &[u8], out: &mut [u8]) {
    out.fill(0);
    let bits = input.len() * 8;
    if bits == 0 || out.is_empty() {
        return;
    }
    // Bit `index` of the copy `round` is bit `index - 13 * round` of the input.
    let octet = |position: usize| {
        let round = position / input.len();
        let start = (position % input.len()) * 8 + bits - (13 * round) % bits;
        let pick = |at: usize| u16::from(input.get((at / 8) % input.len()).copied().unwrap_or_default());
        let pair = (pick(start) << 8) | pick(start + 8);
        ((pair << (start % 8)) >> 8) & 0xff
    };
    let width = out.len();
    let laps = input.len() / gcd(input.len(), width);
    let mut carry = 0u16;
    for lap in (0..laps).rev() {
        for (at, sum) in out.iter_mut().enumerate().rev() {
            carry += octet(lap * width + at) + u16::from(*sum);
            *sum = carry.to_be_bytes()[1];
            carry >>= 8;
        }
    }
    // Ones' complement: what falls out on the left comes back on the right.
    while carry != 0 {
        for sum in out.iter_mut().rev() {
            carry += u16::from(*sum);
            *sum = carry.to_be_bytes()[1];
            carry >>= 8;
        }
    }
}

/// Key usages whose constants are folded when this is compiled: those of the RFCs.
const USAGES: usize = 66;

/// The byte that says which key, in the order of the table.
const WHICH: [u8; 3] = [0x99, 0xaa, 0x55];

static FOLDED: [[[u8; 16]; 3]; USAGES] = table();

#[allow(clippy::indexing_slicing, reason = "at compile time")]
const fn table() -> [[[u8; 16]; 3]; USAGES] {
    let mut table = [[[0; 16]; 3]; USAGES];
    let mut usage = 0;
    while usage < USAGES {
        let mut which = 0;
        while which < 3 {
            table[usage][which] = folded([0, 0, 0, usage as u8, WHICH[which]]);
            which += 1;
        }
        usage += 1;
    }
    table
}

/// [`nfold`] of a key usage and the byte that says which key (RFC 3961 5.3) to one block.
pub(super) fn nfold_constant(constant: [u8; 5]) -> [u8; 16] {
    if let [0, 0, 0, usage, kind] = constant
        && let Some(row) = FOLDED.get(usize::from(usage))
        && let Some((_, known)) = WHICH.iter().zip(row).find(|(which, _)| **which == kind)
    {
        return *known;
    }
    folded(constant)
}

const fn folded(constant: [u8; 5]) -> [u8; 16] {
    // The 16 copies of 40 bits make 5 blocks: words are cheaper than octets.
    let [a, b, c, d, e] = constant;
    let value = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let mut copies = [0u64; 16];
    let mut round = 0;
    #[allow(clippy::indexing_slicing, reason = "sixteen of sixteen")]
    while round < 16 {
        let turn = 13 * round % 40;
        copies[round] = ((value >> turn) | (value << (40 - turn))) & 0xff_ffff_ffff;
        round += 1;
    }
    let (mut sum, mut bit) = (0u128, 0);
    while bit < 640 {
        let block = bits(&copies, bit);
        let (added, overflow) = sum.overflowing_add(block);
        // Cannot overflow twice: a sum that did is at most 2^128 - 2.
        sum = added + overflow as u128;
        bit += 128;
    }
    sum.to_be_bytes()
}

/// The 128 bits from a bit on, of words of 40.
#[allow(clippy::indexing_slicing, reason = "within the words for any multiple of 128 below 640")]
const fn bits(words: &[u64; 16], from: usize) -> u128 {
    let (mut block, mut bit) = (0u128, from);
    while bit < from + 128 {
        // To the end of the word, or of the block.
        let (word, within) = (bit / 40, bit % 40);
        let left = from + 128 - bit;
        let take = if 40 - within < left { 40 - within } else { left };
        let piece = (words[word] >> (40 - within - take)) & ((1 << take) - 1);
        block = block << take | piece as u128;
        bit += take;
    }
    block
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{open, outside};
    use super::*;

    #[test]
    fn folds_as_the_rfc_and_mit_say() {
        let vectors = open("rfc3961_nfold").into_iter().chain(outside("rfc3961_nfold"));
        for vector in vectors {
            let mut out = vec![0; vector.number("output_bits") / 8];
            nfold(&vector.bytes("input_hex"), &mut out);
            assert_eq!(out, vector.bytes("output_hex"), "{vector:?}");
        }
    }

    #[test]
    fn the_short_way_for_usages_agrees_with_the_long_one() {
        for usage in (0..2000u32).chain([u32::MAX, 1 << 31, 0x8000_0001]) {
            for which in [0x99, 0xaa, 0x55] {
                let [a, b, c, d] = usage.to_be_bytes();
                let constant = [a, b, c, d, which];
                let mut long = [0; 16];
                nfold(&constant, &mut long);
                assert_eq!(nfold_constant(constant), long, "{constant:?}");
            }
        }
    }
}
