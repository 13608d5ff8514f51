//! Writes the fields of a file one after the other, big-endian, leaving no copy of a key behind.

use zeroize::Zeroizing;

/// The bytes of a file in the making.
pub(crate) struct Writer {
    bytes: Zeroizing<Vec<u8>>,
}

impl Writer {
    /// No bytes yet.
    pub(crate) fn new() -> Self {
        Writer { bytes: Zeroizing::new(Vec::with_capacity(2048)) }
    }

    /// These bytes as they are.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let needed = self.bytes.len().saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            // A vector that grows by itself leaves its old bytes in freed memory.
            let mut bigger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
            bigger.extend_from_slice(&self.bytes);
            self.bytes = bigger;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// A byte.
    pub(crate) fn u8(&mut self, number: u8) {
        self.put(&[number]);
    }

    /// Two bytes.
    pub(crate) fn u16(&mut self, number: u16) {
        self.put(&number.to_be_bytes());
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self, number: u32) {
        self.put(&number.to_be_bytes());
    }

    /// A 32-bit count and that many bytes.
    pub(crate) fn counted32(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.put(bytes);
    }

    /// All of it.
    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }
}

/// The 32 bits that files keep of a time: seconds since 1970, unsigned, 0 for none.
pub(crate) fn seconds32(time: crate::time::Time) -> u32 {
    u32::try_from(time.seconds().max(0)).unwrap_or(u32::MAX)
}
