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

/// [`nfold`] of a key usage and the byte that says which key (RFC 3961 5.3) to one block.
pub(super) fn nfold_constant(constant: [u8; 5]) -> [u8; 16] {
    // The 16 copies of 40 bits make 5 blocks: words are cheaper than octets on the hot path.
    let [a, b, c, d, e] = constant;
    let value = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
    let mut copies = [[0u8; 5]; 16];
    for (round, copy) in copies.iter_mut().enumerate() {
        let turn = 13 * round % 40;
        let turned = (value >> turn) | (value << (40 - turn));
        let [_, _, _, bytes @ ..] = turned.to_be_bytes();
        *copy = bytes;
    }
    let mut sum = 0u128;
    for block in copies.as_flattened().as_chunks::<16>().0 {
        let (added, overflow) = sum.overflowing_add(u128::from_be_bytes(*block));
        // Cannot overflow twice: a sum that did is at most 2^128 - 2.
        sum = added + u128::from(overflow);
    }
    sum.to_be_bytes()
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
