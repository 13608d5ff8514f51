//! Which of the peer's messages came (RFC 2743 1.2.3, RFC 4121 4.2.1). Only numbers that a signature
//! vouches for get here.

use crate::error::{Error, ErrorCode, Result};
use crate::gss::ContextFlags;

/// How far back a message may lag behind the newest.
const WIDTH: u64 = 64;

/// The numbers that were seen.
#[derive(Debug)]
pub(super) struct Window {
    order: Order,
    /// The one after the highest.
    next: u64,
    /// Bit `n` stands for `next - 1 - n`.
    seen: u64,
}

/// What was agreed on.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// Messages may come twice.
    Any,
    /// Each once (REPLAY).
    Once,
    /// Each once, in order and without a gap (SEQUENCE).
    Strict,
}

impl Window {
    /// Begins with the peer's first number: all before it count as seen.
    pub fn new(flags: ContextFlags, first: u64) -> Window {
        let order = match (flags.has(ContextFlags::REPLAY), flags.has(ContextFlags::SEQUENCE)) {
            (_, true) => Order::Strict,
            (true, false) => Order::Once,
            (false, false) => Order::Any,
        };
        Window { order, next: first, seen: u64::MAX }
    }

    /// Takes a number, or refuses it and stays as it was.
    pub fn take(&mut self, number: u64) -> Result<()> {
        let ahead = number.wrapping_sub(self.next);
        let behind = self.next.wrapping_sub(number).wrapping_sub(1);
        match self.order {
            Order::Any => {}
            Order::Once | Order::Strict if ahead == 0 => self.advance(0),
            Order::Once if ahead < u64::MAX / 2 => self.advance(ahead),
            Order::Strict if ahead < u64::MAX / 2 => {
                return Err(Error::protocol(ErrorCode::BADORDER, "a message before this one is missing"));
            }
            _ if behind >= WIDTH => {
                return Err(Error::protocol(ErrorCode::REPEAT, "a message too old to tell whether it is new"));
            }
            _ if self.seen & 1 << behind != 0 => {
                return Err(Error::protocol(ErrorCode::REPEAT, "a message that came before"));
            }
            _ => self.seen |= 1 << behind,
        }
        Ok(())
    }

    fn advance(&mut self, skipped: u64) {
        let kept = u32::try_from(skipped + 1).ok().and_then(|by| self.seen.checked_shl(by)).unwrap_or(0);
        self.seen = kept | 1;
        self.next = self.next.wrapping_add(skipped + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONCE: ContextFlags = ContextFlags::REPLAY;
    const STRICT: ContextFlags = ContextFlags(ContextFlags::REPLAY.0 | ContextFlags::SEQUENCE.0);

    fn code(taken: Result<()>) -> ErrorCode {
        taken.unwrap_err().wire_code()
    }

    #[test]
    fn without_flags_every_number_is_taken() {
        let mut window = Window::new(ContextFlags::NONE, 5);
        for number in [5, 5, 4, 900, 0] {
            window.take(number).unwrap();
        }
    }

    #[test]
    fn each_number_is_taken_once_within_64_of_the_newest() {
        let mut window = Window::new(ONCE, 100);
        assert_eq!(code(window.take(99)), ErrorCode::REPEAT, "before the first");
        for number in [100, 163, 101, 162] {
            window.take(number).unwrap();
            assert_eq!(code(window.take(number)), ErrorCode::REPEAT, "{number} again");
        }
        window.take(164).unwrap();
        assert_eq!(code(window.take(100)), ErrorCode::REPEAT, "too old");
        window.take(102).unwrap();
        window.take(10_000).unwrap();
        assert_eq!(code(window.take(164)), ErrorCode::REPEAT);
        window.take(9_937).unwrap();
        assert_eq!(code(window.take(9_936)), ErrorCode::REPEAT, "never came, but too old to know");
    }

    #[test]
    fn in_strict_order_only_the_next_is_taken_and_a_gap_moves_nothing() {
        let mut window = Window::new(STRICT, 7);
        assert_eq!(code(window.take(8)), ErrorCode::BADORDER);
        window.take(7).unwrap();
        assert_eq!(code(window.take(7)), ErrorCode::REPEAT);
        assert_eq!(code(window.take(6)), ErrorCode::REPEAT);
        assert_eq!(code(window.take(9)), ErrorCode::BADORDER);
        window.take(8).unwrap();
        window.take(9).unwrap();
    }

    #[test]
    fn numbers_go_on_past_the_end_of_their_range() {
        for flags in [ONCE, STRICT] {
            let mut window = Window::new(flags, u64::MAX - 1);
            for number in [u64::MAX - 1, u64::MAX, 0, 1] {
                window.take(number).unwrap();
                assert_eq!(code(window.take(number)), ErrorCode::REPEAT);
            }
        }
    }
}
