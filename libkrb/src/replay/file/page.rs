//! One page of the file: 170 slots for authenticators. Not here: which page an authenticator goes to.
//!
//! All numbers are little-endian. A page begins with its head: `since` and `spill`, 32 bits each, 32
//! bits of check, 32 bits of zeros. Then 24 octets a slot: the digest, 32 bits of time, 32 bits of
//! check. Times count from the file's base. Zeros are a page without a head, or a free slot.

/// Octets of a page.
pub(super) const PAGE: usize = 4096;
const HEAD: usize = 16;
const SLOT: usize = 24;
/// Slots of a page.
pub(super) const SLOTS: usize = (PAGE - HEAD) / SLOT;

/// A time, in seconds after the file's base.
pub(super) type Stamp = u32;

/// The head of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// What was made before this may have been here, and was lost.
    pub(super) since: Stamp,
    /// The latest time of those that found no room here and went on to the next page.
    pub(super) spill: Stamp,
}

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) key: u128,
    pub(super) time: Stamp,
}

/// What a page says of an authenticator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is here.
    Known,
    /// It is not. Which slot may be written to, if any.
    Unknown(Head, Option<usize>),
    /// A slot, or the head, is not as somebody has written it.
    Damaged,
}

/// A page, as it was read.
pub(super) struct Page(pub(super) [u8; PAGE]);

impl Page {
    fn head(&self) -> Option<Head> {
        Head::decode(self.0.first_chunk()?)
    }

    fn slots(&self) -> &[[u8; SLOT]] {
        self.0.split_at(HEAD).1.as_chunks().0
    }

    /// Looks for a digest. A slot whose time is before `oldest` is free.
    pub(super) fn look(&self, key: u128, oldest: Stamp) -> Look {
        let mut free = None;
        for (place, bytes) in self.slots().iter().enumerate() {
            let is_free = match Slot::decode(bytes) {
                Ok(Some(slot)) if slot.key == key => return Look::Known,
                Ok(slot) => slot.is_none_or(|slot| slot.time < oldest),
                Err(Torn) => return Look::Damaged,
            };
            if is_free && free.is_none() {
                free = Some(place);
            }
        }
        self.head().map_or(Look::Damaged, |head| Look::Unknown(head, free))
    }

    /// Clears what is damaged, and with it goes what stood there, or was said to be on the next page:
    /// so what was made before `since` is refused from now on.
    pub(super) fn heal(&mut self, since: Stamp) {
        let head = self.head().unwrap_or_default();
        let head = Head { since: head.since.max(since), ..head }.encode();
        let (old, slots) = self.0.split_at_mut(HEAD);
        old.copy_from_slice(&head);
        let torn = |slot: &&mut [u8; SLOT]| Slot::decode(slot).is_err();
        slots.as_chunks_mut().0.iter_mut().filter(torn).for_each(|slot| *slot = [0; SLOT]);
    }
}

impl Head {
    pub(super) fn encode(self) -> [u8; HEAD] {
        let word = u64::from(self.since) | u64::from(self.spill) << 32;
        (u128::from(word) | u128::from(check(word, 0, 0)) << 64).to_le_bytes()
    }

    fn decode(bytes: &[u8; HEAD]) -> Option<Head> {
        let number = u128::from_le_bytes(*bytes);
        let head = Head { since: number as Stamp, spill: (number >> 32) as Stamp };
        (number == 0 || head.encode() == *bytes).then_some(head)
    }
}

/// Words that were not written together.
struct Torn;

impl Slot {
    pub(super) fn encode(self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        let (key, rest) = bytes.split_at_mut(16);
        let (time, sum) = rest.split_at_mut(4);
        key.copy_from_slice(&self.key.to_le_bytes());
        time.copy_from_slice(&self.time.to_le_bytes());
        sum.copy_from_slice(&self.check().to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; SLOT]) -> Result<Option<Slot>, Torn> {
        let &[low, high, stamp] = bytes.as_chunks().0 else { return Err(Torn) };
        let [low, high, stamp] = [low, high, stamp].map(u64::from_le_bytes);
        let slot = Slot { key: u128::from(low) | u128::from(high) << 64, time: stamp as Stamp };
        match stamp >> 32 {
            sum if sum == u64::from(slot.check()) => Ok(Some(slot)),
            0 if *bytes == [0; SLOT] => Ok(None),
            _ => Err(Torn),
        }
    }

    fn check(self) -> u32 {
        check(self.key as u64, (self.key >> 64) as u64, self.time)
    }

    /// Where a slot stands in its page.
    pub(super) fn offset(place: usize) -> usize {
        HEAD + place * SLOT
    }
}

/// Never 0, so that nothing written is all zeros.
fn check(low: u64, high: u64, time: Stamp) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (low ^ high.rotate_left(29) ^ u64::from(time).rotate_left(47)).wrapping_mul(ODD);
    (mixed >> 32) as u32 | 1
}
