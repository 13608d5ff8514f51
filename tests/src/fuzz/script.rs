//! Decisions read from a fuzzer's bytes: when they are used up, every further one is the first
//! choice, so that few bytes tell an ordinary story and more bytes a stranger one.

use libkrb::Time;
use libkrb::codes::{AddressType, AuthDataType, EncryptionType};

use crate::joined::NOW;

/// Bytes that decide.
pub struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// Decisions by these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Script { rest: bytes }
    }

    /// Whether all bytes are used up.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Four bytes as a number.
    pub fn number(&mut self) -> u32 {
        u32::from_be_bytes([(); 4].map(|()| self.byte()))
    }

    /// True seldom: once in `times` values of a byte.
    pub fn seldom(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    /// One of several; the first by default.
    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// At most 255 bytes.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// Everything that is left.
    pub fn remainder(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// A short list.
    pub fn list<T>(&mut self, most: u8, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.byte() % (most + 1);
        (0..count).map(|_| item(self)).collect()
    }

    /// A moment: near to now, or anywhere.
    pub fn time(&mut self) -> Time {
        match self.byte() % 8 {
            0 => NOW + 3600,
            1 => NOW + i64::from(self.byte()),
            2 => NOW - i64::from(self.byte()),
            3 => NOW + i64::from(self.number() % 1_000_000),
            4 => NOW - i64::from(self.number() % 1_000_000),
            5 => Time(i64::from(self.number() as i32)),
            6 => Time::MAX - i64::from(self.byte()),
            _ => Time::EPOCH,
        }
    }

    /// A moment that may be missing.
    pub fn maybe_time(&mut self) -> Option<Time> {
        (self.byte() % 4 == 3).then(|| self.time())
    }

    /// Enctypes, known and unknown.
    pub fn etypes(&mut self) -> Vec<EncryptionType> {
        if !self.seldom(8) {
            return vec![EncryptionType::AES256_SHA1, EncryptionType::AES128_SHA1];
        }
        self.list(6, |script| {
            let known = [18, 17, 20, 19, 26, 25, 23, 16, 3, 1, 0, -1, i32::MIN, i32::MAX];
            EncryptionType(script.choose(&known))
        })
    }

    /// Addresses, well formed or not.
    pub fn addresses(&mut self) -> Vec<(AddressType, Vec<u8>)> {
        if !self.seldom(4) {
            return vec![];
        }
        self.list(3, |script| {
            let kind = script.choose(&[AddressType::IPV4, AddressType(24), AddressType(20), AddressType(-5)]);
            (kind, if script.seldom(4) { script.bytes().to_vec() } else { vec![10, 0, 0, script.byte()] })
        })
    }

    /// Authorization data, of kinds that mean something and of others.
    pub fn authorization_data(&mut self) -> Vec<(AuthDataType, Vec<u8>)> {
        self.list(3, |script| {
            let kind = script.choose(&[1, -9, 4, 5, 8, 71, 96, 97, 128, 512]);
            (AuthDataType(kind), script.bytes().to_vec())
        })
    }

    /// The same bytes, some of them changed.
    pub fn bend(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.byte() % 4 {
            let at = self.number() as usize % bytes.len().max(1);
            let value = self.byte();
            match self.byte() % 4 {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value | 1),
                1 => bytes.insert(at, value),
                2 => bytes.truncate(at),
                _ => drop(bytes.splice(at..bytes.len().min(at + 1), self.bytes().iter().copied())),
            }
        }
    }
}
