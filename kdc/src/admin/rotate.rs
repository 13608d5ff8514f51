//! New keys that are announced before they are used, and old ones that end by themselves: what
//! [`super::Operation::Rotate`] makes of an entry. Not here: when and whose ([`crate::rotation`]).

use libkrb::{Principal, Time};

use super::keys::random_keys;
use super::operation::{Answer, Reason, Refusal};
use super::registry::{MAX_VERSIONS, Registry, Step, now};
use crate::core::{Attributes, Entry, KeySet, Policy};

/// How keys are to be turned over; times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// How long the new keys are announced before tickets are sealed in them.
    pub announce: i64,
    /// How long the old ones stay good after that; `None`: as long as needed.
    pub overlap: Option<i64>,
    /// The highest version that whoever asks has seen; another one is a refusal, so that nobody turns
    /// keys over twice.
    pub newest: Option<u32>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turned {
    pub kvno: u32,
    pub from: Time,
    pub until: Time,
}

impl Registry {
    pub(super) fn rotate(&self, by: &str, name: &Principal, wish: Turn) -> Step<Answer> {
        let mut turned = None;
        self.change(by, name, |entry| {
            turned = Some(turn(&self.policy, entry, wish, now())?);
            Ok(())
        })?;
        let Turned { kvno, from, until } = turned.ok_or_else(Refusal::missing)?;
        Ok(Answer::Rotated { kvno, from: from.seconds(), until: until.seconds() })
    }
}

/// How long old keys of a principal must stay good at least, in seconds: as long as the longest ticket
/// that may be sealed in them, by a clock that may be off. Ticket-granting tickets are renewed, and each
/// renewal presents one that was sealed before.
pub fn least_overlap(policy: &Policy, entry: &Entry) -> i64 {
    let (bound, own) = match entry.principal.is_local_tgs() {
        true => (policy.max_life.max(policy.max_renewable_life), None),
        false => (policy.max_life, entry.max_life),
    };
    own.unwrap_or(bound).min(bound).saturating_add(policy.clock_skew)
}

/// Whether a principal's keys can be turned over by the clock at all.
///
/// # Errors
/// Why not, and what to do.
pub fn can_turn(policy: &Policy, entry: &Entry) -> Result<(), Refusal> {
    let Some(newest) = entry.newest() else { return Err(Refusal::invalid("it has no keys to turn over")) };
    if newest.keys.iter().any(|key| key.salt.is_some()) {
        return Err(Refusal::invalid("its keys are those of a password; only random keys can be turned over"));
    }
    if entry.principal.tgs_target().is_some() && !entry.principal.is_local_tgs() {
        let text = "its keys are shared with another realm; change them in both with cpw -keepold";
        return Err(Refusal::invalid(text));
    }
    // Nobody but the KDC has the keys of these, so nobody has to fetch them.
    let ours = entry.principal.is_local_tgs() || is_of_the_kdc(&entry.principal, &policy.realm);
    if entry.attributes.has(Attributes::LOCKDOWN_KEYS) && !ours {
        let text = "Principal keys are locked down, so it could not fetch new ones; change them by hand";
        return Err(Refusal::new(Reason::LockedDown, text));
    }
    Ok(())
}

fn is_of_the_kdc(principal: &Principal, realm: &str) -> bool {
    principal.realm() == realm && principal.components().first().is_some_and(|first| **first == *"kadmin")
}

/// Gives an entry keys of the next version, in use after `turn.announce`, and has the others end.
fn turn(policy: &Policy, entry: &mut Entry, turn: Turn, now: Time) -> Step<Turned> {
    can_turn(policy, entry)?;
    let newest = entry.newest().ok_or_else(Refusal::missing)?;
    if turn.newest.is_some_and(|seen| seen != newest.kvno) {
        return Err(Refusal::invalid(format!("its newest keys are of version {} by now", newest.kvno)));
    }
    if newest.from > now {
        let text = format!("keys of version {} are announced already, in use from {}", newest.kvno, newest.from);
        return Err(Refusal::invalid(text));
    }
    if turn.announce < 0 {
        return Err(Refusal::invalid("the time of the announcement can't be negative"));
    }
    let least = least_overlap(policy, entry);
    let overlap = turn.overlap.unwrap_or(least);
    if overlap < least {
        return Err(Refusal::invalid(format!(
            "an overlap of {overlap} seconds is too short: tickets under the old keys may live {least} seconds, the \
             clock skew included; give as much or leave it out"
        )));
    }
    let kvno = newest.kvno.checked_add(1).ok_or_else(|| Refusal::invalid("there is no higher key version number"))?;
    let etypes: Vec<_> =
        newest.keys.iter().map(|key| key.etype()).filter(|it| libkrb::crypto::supported(*it)).collect();
    let etypes = if etypes.is_empty() { policy.key_etypes.clone() } else { etypes };
    let keys = random_keys(etypes).map_err(|error| Refusal::new(Reason::Failed, error.to_string()))?;
    let from = now + turn.announce;
    let until = from + overlap;
    entry.keys.retain(|set| set.living(now));
    if entry.keys.len() >= MAX_VERSIONS {
        return Err(Refusal::invalid(format!("it has keys of {MAX_VERSIONS} versions; purgekeys first")));
    }
    for set in &mut entry.keys {
        set.until = Some(set.until.map_or(until, |sooner| sooner.min(until)));
    }
    entry.keys.insert(0, KeySet { from, ..KeySet::new(kvno, keys).made(now) });
    entry.password_changed = Some(now);
    Ok(Turned { kvno, from, until })
}

#[cfg(test)]
mod tests {
    use libkrb::codes::EncryptionType;
    use libkrb::crypto::Key;

    use super::*;
    use crate::core::LongTermKey;

    const NOW: Time = Time(1_000_000);
    const AT_ONCE: Turn = Turn { announce: 0, overlap: None, newest: None };

    fn service(text: &str) -> Entry {
        let mut entry = Entry::new(Principal::parse(text, Some("R")).expect("a name"), [0; 16], NOW, "");
        entry.keys = vec![KeySet::new(1, random_keys([EncryptionType::AES128_SHA256]).expect("random"))];
        entry
    }

    fn turned(entry: &mut Entry, wish: Turn) -> Result<Turned, String> {
        turn(&Policy::new("R"), entry, wish, NOW).map_err(|refusal| refusal.text)
    }

    #[test]
    fn new_keys_are_of_the_old_kinds_and_announced_and_the_old_ones_end_after_the_longest_ticket() {
        let mut entry = service("host/a");
        let got = turned(&mut entry, Turn { announce: 3600, ..AT_ONCE }).expect("turned");
        let until = NOW + 3600 + 24 * 3600 + 300;
        assert_eq!(got, Turned { kvno: 2, from: NOW + 3600, until });
        let [new, old] = &entry.keys[..] else { panic!("two versions") };
        assert_eq!((new.kvno, new.created, new.from, new.until), (2, NOW, NOW + 3600, None));
        assert_eq!((old.kvno, old.until), (1, Some(until)));
        assert_eq!(new.keys[0].etype(), EncryptionType::AES128_SHA256);
        assert_ne!(new.keys[0].key.expose(), old.keys[0].key.expose());
        assert_eq!(entry.current(NOW).map(|set| set.kvno), Some(1));
    }

    #[test]
    fn old_ticket_granting_keys_stay_as_long_as_a_ticket_can_be_renewed() {
        let mut krbtgt = service("krbtgt/R");
        let got = turned(&mut krbtgt, AT_ONCE).expect("turned");
        assert_eq!(got.until, NOW + 7 * 24 * 3600 + 300);
        assert_eq!(krbtgt.current(NOW).map(|set| set.kvno), Some(2));
    }

    #[test]
    fn an_overlap_that_is_shorter_than_a_ticket_is_refused_with_the_least() {
        let mut entry = service("host/a");
        let error = turned(&mut entry, Turn { overlap: Some(86_699), ..AT_ONCE }).expect_err("refused");
        assert!(error.contains("86699 seconds is too short") && error.contains("86700 seconds"), "{error}");
        assert_eq!(entry.keys.len(), 1);
        entry.max_life = Some(600);
        turned(&mut entry, Turn { overlap: Some(900), ..AT_ONCE }).expect("its own tickets are short");
    }

    #[test]
    fn keys_are_turned_over_once_and_not_while_others_are_announced() {
        let mut entry = service("host/a");
        let wish = Turn { announce: 60, newest: Some(1), ..AT_ONCE };
        turned(&mut entry, wish).expect("turned");
        assert_eq!(turned(&mut entry, wish).expect_err("refused"), "its newest keys are of version 2 by now");
        let error = turned(&mut entry, AT_ONCE).expect_err("refused");
        assert!(error.starts_with("keys of version 2 are announced already"), "{error}");
    }

    #[test]
    fn an_end_that_was_settled_before_is_not_put_off_and_what_is_over_goes() {
        let mut entry = service("host/a");
        entry.keys.push(KeySet { until: Some(NOW), ..KeySet::new(0, vec![]) });
        entry.keys[0].until = Some(NOW + 5);
        turned(&mut entry, AT_ONCE).expect("turned");
        assert_eq!(
            entry.keys.iter().map(|set| (set.kvno, set.until)).collect::<Vec<_>>(),
            [(2, None), (1, Some(NOW + 5))]
        );
    }

    #[test]
    fn passwords_shared_keys_and_keys_that_nobody_could_fetch_are_left_alone() {
        let mut user = service("alice");
        let key = Key::from_password(EncryptionType::AES128_SHA1, b"x", b"y", None).expect("a key");
        user.keys[0].keys = vec![LongTermKey::new(key, Some("y".into()))];
        assert!(turned(&mut user, AT_ONCE).expect_err("refused").contains("those of a password"));
        assert!(turned(&mut service("krbtgt/OTHER"), AT_ONCE).expect_err("refused").contains("another realm"));
        let mut locked = service("host/a");
        locked.attributes = Attributes::LOCKDOWN_KEYS;
        assert!(turned(&mut locked, AT_ONCE).expect_err("refused").contains("locked down"));
        let mut own = service("kadmin/changepw");
        own.attributes = Attributes::LOCKDOWN_KEYS;
        turned(&mut own, AT_ONCE).expect("the KDC has them itself");
        assert!(turned(&mut Entry::new(Principal::tgs("R"), [0; 16], NOW, ""), AT_ONCE).is_err());
    }
}
