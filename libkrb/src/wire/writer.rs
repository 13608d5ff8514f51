//! Writing DER elements, last to first, so that no length has to be computed before.

use std::cell::RefCell;

use super::der::{APPLICATION, CONSTRUCTED, CONTEXT, Encode};
use crate::crypto::{PreparedKey, Random, wipe};

/// How much room a buffer has at first: enough for any ordinary message.
const ROOM: usize = 4096;

/// How many buffers a thread keeps for its next writers.
const KEPT: usize = 8;

thread_local! {
    /// The buffers of this thread's former writers, so that writing a message asks the allocator for
    /// nothing. What was secret in them is wiped.
    static STOCK: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that is written from its end to its start.
pub struct Writer {
    buffer: Vec<u8>,
    start: usize,
    secret: bool,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}

impl Writer {
    /// An empty buffer with room for an ordinary message.
    pub fn new() -> Self {
        let kept = STOCK.try_with(|stock| stock.borrow_mut().pop());
        let buffer = kept.ok().flatten().unwrap_or_else(|| vec![0; ROOM]);
        Writer { start: buffer.len(), buffer, secret: false }
    }

    /// An empty buffer with room for `capacity` bytes; it grows when needed.
    pub fn with_capacity(capacity: usize) -> Self {
        Writer { buffer: vec![0; capacity], start: capacity, secret: false }
    }

    /// An empty buffer for secrets: what is written to it is wiped when it is dropped or outgrown.
    pub fn secret() -> Self {
        let mut writer = Writer::new();
        writer.secret = true;
        writer
    }

    fn wipe(&mut self) {
        // Only what was written: wiping is slow, and the rest was never anything but zero.
        if let (true, Some(written)) = (self.secret, self.buffer.get_mut(self.start..)) {
            wipe(written);
        }
    }

    /// What was written so far.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Writes what `contents` writes, encrypted where it stands.
    pub fn encrypted(&mut self, key: &PreparedKey, random: &mut dyn Random, contents: impl FnOnce(&mut Writer)) {
        let (before, after) = key.room();
        let (secret, end) = (std::mem::replace(&mut self.secret, true), self.len());
        self.zeros(after);
        contents(self);
        self.zeros(before);
        self.secret = secret;
        let written = self.len() - end;
        let start = self.start;
        let room = self.buffer.get_mut(start..start + written).unwrap_or_default();
        // It has the room that the key wants.
        let sealed = key.encrypt_in_place(random, room);
        debug_assert!(sealed.is_ok());
    }

    /// Puts zeros in front of what was written so far.
    fn zeros(&mut self, mut count: usize) {
        const ZEROS: [u8; 32] = [0; 32];
        while count > 0 {
            let some = ZEROS.get(..count).unwrap_or(&ZEROS);
            self.prepend(some);
            count -= some.len();
        }
    }

    /// How much was written so far.
    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts bytes in front of what was written so far.
    pub fn prepend(&mut self, bytes: &[u8]) {
        let end = self.start;
        match end.checked_sub(bytes.len()).and_then(|start| Some((start, self.buffer.get_mut(start..end)?))) {
            Some((start, room)) => {
                self.start = start;
                copy(room, bytes);
            }
            None => self.prepend_grown(bytes),
        }
    }

    #[cold]
    fn prepend_grown(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        let end = self.start;
        self.start -= bytes.len();
        if let Some(room) = self.buffer.get_mut(self.start..end) {
            room.copy_from_slice(bytes);
        }
    }

    /// As [`Writer::prepend`], for so few bytes that asking the system to copy them would cost more.
    #[inline]
    pub(super) fn prepend_few<const N: usize>(&mut self, bytes: [u8; N]) {
        match self.buffer.get_mut(..self.start).and_then(<[u8]>::last_chunk_mut) {
            Some(room) => {
                *room = bytes;
                self.start -= N;
            }
            None => self.prepend(&bytes),
        }
    }

    fn grow(&mut self, more: usize) {
        let written = self.len();
        let capacity = (self.buffer.len() * 2).max(written + more);
        let mut buffer = vec![0; capacity];
        let start = capacity - written;
        if let Some(room) = buffer.get_mut(start..) {
            room.copy_from_slice(self.bytes());
        }
        self.wipe();
        self.buffer = buffer;
        self.start = start;
    }

    /// Writes an element whose contents `contents` writes.
    #[inline]
    pub fn element(&mut self, tag: u8, contents: impl FnOnce(&mut Writer)) {
        let end = self.len();
        contents(self);
        self.header(tag, self.len() - end);
    }

    #[inline]
    fn header(&mut self, tag: u8, length: usize) {
        match length {
            0..=0x7f => self.prepend_few([tag, length as u8]),
            _ => self.long_header(tag, length),
        }
    }

    fn long_header(&mut self, tag: u8, length: usize) {
        let [_, _, c, d] = (length as u32).to_be_bytes();
        let short = length <= 0xff;
        // Before what is written anything may stand.
        let header = if short { [0, tag, 0x81, d] } else { [tag, 0x82, c, d] };
        match self.buffer.get_mut(..self.start).and_then(<[u8]>::last_chunk_mut) {
            Some(room) if length <= 0xffff => {
                *room = header;
                self.start -= if short { 3 } else { 4 };
            }
            _ => self.any_header(tag, length),
        }
    }

    #[cold]
    fn any_header(&mut self, tag: u8, length: usize) {
        let digits = (length as u32).to_be_bytes();
        let digits = digits.get(digits.iter().take_while(|digit| **digit == 0).count()..).unwrap_or_default();
        self.prepend(digits);
        self.prepend_few([tag, 0x80 | digits.len() as u8]);
    }

    /// Writes a primitive element.
    pub fn primitive(&mut self, tag: u8, contents: &[u8]) {
        self.prepend(contents);
        self.header(tag, contents.len());
    }

    /// The same inside of an element with the tag `outer`.
    pub(super) fn primitive_within(&mut self, outer: u8, tag: u8, contents: &[u8]) {
        match contents.len() {
            length @ 0..=0x7d => {
                self.prepend(contents);
                self.prepend_few([outer, length as u8 + 2, tag, length as u8]);
            }
            _ => self.element(outer, |writer| writer.primitive(tag, contents)),
        }
    }

    pub(super) fn required(&mut self, number: u8, value: &impl Encode) {
        value.encode_within(CONTEXT | number, self);
    }

    pub(super) fn optional<T: Encode>(&mut self, number: u8, value: &Option<T>) {
        if let Some(value) = value {
            self.required(number, value);
        }
    }

    pub(super) fn implicit(&mut self, number: u8, value: &impl Encode) {
        value.encode(self);
        if let Some(tag) = self.buffer.get_mut(self.start) {
            *tag = (CONTEXT & !CONSTRUCTED) | *tag & CONSTRUCTED | number;
        }
    }

    pub(super) fn implicit_optional<T: Encode>(&mut self, number: u8, value: &Option<T>) {
        if let Some(value) = value {
            self.implicit(number, value);
        }
    }

    pub(super) fn application(&mut self, number: u8, contents: impl FnOnce(&mut Writer)) {
        self.element(APPLICATION | number, contents);
    }
}

/// Copies octets to as many. Most of what a message is made of is short, a name or a checksum, and asking the system for
/// that costs more than copying it: from both ends, in two pieces that may overlap.
fn copy(to: &mut [u8], from: &[u8]) {
    let copied = match from.len() {
        16..=32 => ends::<16>(to, from),
        8..=15 => ends::<8>(to, from),
        4..=7 => ends::<4>(to, from),
        _ => None,
    };
    if copied.is_none() {
        to.copy_from_slice(from);
    }
}

#[inline]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
    let (first, last) = (*from.first_chunk::<N>()?, *from.last_chunk::<N>()?);
    *to.first_chunk_mut()? = first;
    *to.last_chunk_mut()? = last;
    Some(())
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.wipe();
        // Others, of messages longer than ordinary ones, would only take room.
        if self.buffer.len() == ROOM {
            let buffer = std::mem::take(&mut self.buffer);
            let _ = STOCK.try_with(|stock| {
                let mut stock = stock.borrow_mut();
                if stock.len() < KEPT {
                    stock.push(buffer);
                }
            });
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer({} bytes)", self.len())
    }
}
