//! The first page of the file: what it is, and what all who use it have to agree on. Not here: how
//! the file is opened.
//!
//! Twelve numbers of 64 bits, little-endian: the magic, the version, the window in seconds, how many
//! pages follow, whether every entry is synced (1 or 0), two halves of the secret that scatters the
//! digests over the pages, the base of all times, the time before which authenticators are refused,
//! two halves of the id of the machine's boot, and a check of all before it.

use super::page::PAGE;
use crate::replay::ReplayKey;
use crate::time::{Seconds, Time};

const MAGIC: u64 = u64::from_le_bytes(*b"KRBREPLY");
const VERSION: u64 = 1;
const NUMBERS: usize = 12;

/// What the users of a file have to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) window: Seconds,
    pub(super) pages: u64,
    pub(super) synced: bool,
}

/// The first page, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) shape: Shape,
    pub(super) secret: [u64; 2],
    /// From here times are counted: when the file was made.
    pub(super) base: Time,
    /// Authenticators made before are refused.
    pub(super) since: Time,
    /// The machine's boot in which the file was last opened; 0 where there is no telling.
    pub(super) boot: [u64; 2],
}

impl Header {
    pub(super) fn encode(&self) -> [u8; PAGE] {
        let Header { shape: Shape { window, pages, synced }, secret, base, since, boot } = *self;
        let numbers = [
            MAGIC,
            VERSION,
            window as u64,
            pages,
            u64::from(synced),
            secret[0],
            secret[1],
            base.seconds() as u64,
            since.seconds() as u64,
            boot[0],
            boot[1],
        ];
        let mut page = [0; PAGE];
        let sum = check(&numbers);
        let octets = numbers.into_iter().chain([sum]).flat_map(u64::to_le_bytes);
        page.iter_mut().zip(octets).for_each(|(to, from)| *to = from);
        page
    }

    /// None for a page of zeros: the file was never made ready.
    pub(super) fn decode(page: &[u8; PAGE]) -> Result<Option<Header>, String> {
        if page.iter().all(|octet| *octet == 0) {
            return Ok(None);
        }
        let numbers = page.first_chunk::<{ NUMBERS * 8 }>().map_or([0; NUMBERS], |octets| {
            let mut numbers = octets.as_chunks().0.iter().map(|number| u64::from_le_bytes(*number));
            std::array::from_fn(|_| numbers.next().unwrap_or(0))
        });
        let [magic, version, window, pages, synced, s0, s1, base, since, b0, b1, sum] = numbers;
        if magic != MAGIC {
            return Err("not a replay cache".to_owned());
        }
        if version != VERSION {
            return Err(format!("a replay cache of version {version}, and only version {VERSION} is known here"));
        }
        if sum != check(&[magic, version, window, pages, synced, s0, s1, base, since, b0, b1]) {
            return Err("the replay cache is damaged; remove it while no service runs".to_owned());
        }
        Ok(Some(Header {
            shape: Shape { window: window as Seconds, pages, synced: synced != 0 },
            secret: [s0, s1],
            base: Time(base as i64),
            since: Time(since as i64),
            boot: [b0, b1],
        }))
    }
}

fn check(numbers: &[u64]) -> u64 {
    let octets: Vec<_> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    ReplayKey::new([octets.as_slice()]).number() as u64
}
