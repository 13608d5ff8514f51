//! The whole KDC with everything switched on, sent requests of every kind that somebody changed before
//! they were sealed: as a client can who has a key and no good will. Whatever they hold, nobody gets
//! more than is his.

mod bend;
mod judge;
mod login;
mod realm;
mod ticket;

use std::cell::RefCell;

use super::script::Script;
use bend::Bender;
use judge::Sent;
use realm::Place;

/// A kind of request: makes one, of places that may be changed.
type Make = fn(&mut Place, &mut Bender<'_, '_>) -> Sent;

/// The kinds.
const KINDS: [(&str, Make); 21] = [
    ("timestamp", login::timestamp),
    ("challenge", login::challenge),
    ("spake", login::spake),
    ("spake in fast", login::spake_in_fast),
    ("certificate", login::certificate),
    ("nobody", login::nobody),
    ("certificate in fast", login::certificate_in_fast),
    ("one-time password", login::one_time_password),
    ("service", ticket::service),
    ("service in fast", ticket::service_in_fast),
    ("explicit armor", ticket::explicit_armor),
    ("renew", ticket::renew),
    ("forward", ticket::forward),
    ("user to user", ticket::user_to_user),
    ("for user", ticket::for_user),
    ("for user by x509", ticket::for_user_by_x509),
    ("for user in fast", ticket::for_user_in_fast),
    ("through", ticket::through),
    ("visitor", ticket::visitor),
    ("referral", ticket::referral),
    ("fetch", ticket::fetch),
];

thread_local! {
    /// One place a thread: making it costs more than asking it.
    static PLACE: RefCell<Place> = RefCell::new(Place::new());
}

/// Requests whose contents are bent inside of what seals them.
pub fn kdc_inside(data: &[u8]) {
    PLACE.with_borrow_mut(|place| {
        place.reset();
        let mut script = Script::new(data);
        place.bend_policy(&mut script);
        for _ in 0..4 {
            let (_, make) = script.choose(&KINDS);
            let mut bender = Bender::new(&mut script);
            let sent = make(place, &mut bender);
            if script.seldom(8) {
                place.deliver_by_proxy(&mut script, &sent);
            } else {
                place.deliver(&sent);
            }
            if script.is_empty() {
                break;
            }
        }
    });
}

/// Sends an honest request of every kind. The kinds, with the number of places that can be changed and
/// whether a ticket came back.
pub fn honest_kinds() -> Vec<(&'static str, u8, bool)> {
    PLACE.with_borrow_mut(|place| {
        let sent = KINDS.iter().map(|(name, make)| {
            place.reset();
            let mut script = Script::new(&[]);
            let mut bender = Bender::new(&mut script);
            let sent = make(place, &mut bender);
            assert!(bender.is_honest());
            (*name, bender.passed(), place.deliver(&sent))
        });
        sent.collect()
    })
}

/// Why this thread's requests were refused so far.
pub fn causes() -> Vec<&'static str> {
    PLACE.with_borrow(|place| place.causes.iter().copied().collect())
}
