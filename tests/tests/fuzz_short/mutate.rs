//! Bent copies of seeds, the same in every run.

use libkrb::crypto::Random;
use tests::joined::Sequence;

/// A source of bent copies.
pub struct Mutator {
    random: Sequence,
}

/// Numbers at which lengths and counts go wrong.
const EDGES: [u8; 12] = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, 0x30, 0xa0, b'\n', b'"'];

impl Mutator {
    /// A target's own.
    pub fn new(target: &str) -> Self {
        Mutator { random: Sequence(target.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte))) }
    }

    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        u32::from_be_bytes(bytes) as usize % bound.max(1)
    }

    /// A bent copy of a seed, and which seed it was.
    pub fn bend<'a>(&mut self, seeds: &'a [(String, Vec<u8>)]) -> (&'a str, Vec<u8>) {
        let (name, seed) = &seeds[self.below(seeds.len())];
        let mut bytes = seed.clone();
        for _ in 0..=self.below(5) {
            self.once(&mut bytes, seeds);
        }
        (name, bytes)
    }

    fn once(&mut self, bytes: &mut Vec<u8>, seeds: &[(String, Vec<u8>)]) {
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(16)).min(bytes.len());
        let edge = EDGES[self.below(EDGES.len())];
        let any = self.below(256) as u8;
        match self.below(9) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (any & 7)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = any),
            2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = edge),
            3 => bytes.insert(at, edge),
            4 if !bytes.is_empty() => drop(bytes.drain(at..end)),
            5 if !bytes.is_empty() => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
            6 => bytes.truncate(at),
            7 => {
                let other = &seeds[self.below(seeds.len())].1;
                let from = self.below(other.len());
                let to = (from + 1 + self.below(64)).min(other.len());
                drop(bytes.splice(at..end.min(bytes.len()), other[from..to].iter().copied()));
            }
            _ => {
                let mut fresh = vec![0; self.below(24)];
                self.random.fill(&mut fresh);
                drop(bytes.splice(at..at, fresh));
            }
        }
    }
}
