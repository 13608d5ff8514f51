//! A service fetches its own keys: an AP-REQ for `kadmin/fetch` comes in on the KDC's port, a KRB-PRIV
//! with a keytab in it goes out, under the subkey that the AP-REQ proposed (RFC 4120 3.2, 3.5). So new
//! keys reach a service by the way its tickets do, before they are in use. That a KRB-PRIV opens with
//! the subkey proves the KDC too, so there is no AP-REP.
//!
//! Only its own keys, only random ones, only with a ticket straight from the AS exchange: who stole a
//! ticket-granting ticket must not end up with a long-term key. Keys that are locked down leave for
//! nobody. Where there are no tickets for `kadmin/fetch`, the door is closed.

use std::sync::Arc;

use libkrb::crypto::{Key, KeyUsage, Random};
use libkrb::flags::{ApOptions, TicketFlags};
use libkrb::keytab::{Keytab, KeytabEntry, RawKey};
use libkrb::replay::{ReplayKey, Verdict};
use libkrb::session::{Role, Session};
use libkrb::ticket::{self, OpenAuthenticator, OpenTicket};
use libkrb::wire::{self, ApReq, Authenticator, EncTicketPart};
use libkrb::{ErrorCode, Principal, Time};

use super::entry::{Attributes, Entry, KeySet};
use super::event::{Event, Exchange};
use super::refuse::{Refusal, because};
use super::{Arrival, Kdc, tgs_req};

/// Who asks, proven.
struct Gathered {
    client: Principal,
    entry: Arc<Entry>,
    subkey: Key,
    /// The number of the client's first message.
    sequence: u32,
    /// When the client showed that it has its key.
    authenticated: Time,
}

/// The keys that the asker may have. Nothing but [`check`] makes one.
struct Granted<'a>(Vec<&'a KeySet>);

/// Answers an AP-REQ.
pub fn answer(
    kdc: &Kdc<'_>,
    at: Arrival,
    random: &mut dyn Random,
    bytes: &[u8],
    event: &mut Event,
) -> Result<Vec<u8>, Refusal> {
    event.exchange = Exchange::Fetch;
    let malformed = because(ErrorCode::GENERIC, "malformed AP-REQ");
    let request = wire::decode::<ApReq<'_>>(bytes).map_err(malformed)?;
    let gathered = gather(kdc, at, &request, event)?;
    let granted = check(at.now.time, gathered.authenticated, &gathered.entry)?;
    seal(at, random, &gathered, &granted)
}

fn gather(kdc: &Kdc<'_>, at: Arrival, request: &ApReq<'_>, event: &mut Event) -> Result<Gathered, Refusal> {
    let plain = !request.options.has(ApOptions::USE_SESSION_KEY);
    Refusal::unless(plain, ErrorCode::BADOPTION, "a user-to-user ticket shows no keys")?;
    let tgs_req::Opened { server_name: server, ticket, .. } = tgs_req::open_ticket(kdc, at.now.time, &request.ticket)?;
    event.server = Some(server.clone());
    let ours = server == Principal::fetch(&kdc.policy.realm);
    Refusal::unless(ours, ErrorCode::NOT_US, "the only service at this port is kadmin/fetch")?;
    let (part, authenticator) = opened(&ticket, request)?;
    let unreadable = because(ErrorCode::GENERIC, "malformed ticket or authenticator");
    let part = part.map_err(&unreadable)?;
    let said = authenticator.read().map_err(&unreadable)?;
    let client = part.client.principal(part.client_realm).map_err(&unreadable)?;
    event.client = Some(client.clone());
    authentic(kdc, at, &part, &said)?;
    let subkey = said.subkey.ok_or(Refusal::new(ErrorCode::GENERIC, "the authenticator proposes no subkey"))?;
    let subkey = subkey.key().map_err(because(ErrorCode::ETYPE_NOSUPP, "the subkey can't be used"))?;
    let sequence = said.sequence.unwrap_or(0);
    let authenticated = part.auth_time;
    let entry = kdc.store.lookup(&client)?;
    let entry = entry.ok_or(Refusal::new(ErrorCode::TGT_REVOKED, "the client is no longer in this realm"))?;
    // Last, so that only what is genuine is remembered.
    let seen = ReplayKey::of_authenticator(part.key, authenticator.plain());
    match kdc.replays.insert(seen, said.time, at.now.time) {
        Verdict::Fresh | Verdict::Full | Verdict::Unavailable => {
            Ok(Gathered { client, entry, subkey, sequence, authenticated })
        }
        Verdict::Replay => Err(Refusal::new(ErrorCode::REPEAT, "this authenticator was used before")),
    }
}

type Opened<'a> = (libkrb::Result<EncTicketPart<'a>>, OpenAuthenticator);

fn opened<'a>(ticket: &'a OpenTicket, request: &ApReq<'_>) -> Result<Opened<'a>, Refusal> {
    let unusable = because(ErrorCode::ETYPE_NOSUPP, "the presented ticket's session key can't be used");
    let part = ticket.read();
    let session = part.as_ref().map_err(Clone::clone).and_then(|part| part.key.key()).map_err(unusable)?;
    let shut = because(ErrorCode::BAD_INTEGRITY, "the authenticator does not open with the ticket's session key");
    let session = session.prepare(KeyUsage::AP_REQ_AUTHENTICATOR);
    let authenticator = ticket::open_authenticator(&request.authenticator, &session).map_err(shut)?;
    Ok((part, authenticator))
}

/// The checks of RFC 4120 3.2.3, and that the ticket is one that only the owner of the keys can have.
fn authentic(kdc: &Kdc<'_>, at: Arrival, part: &EncTicketPart<'_>, said: &Authenticator<'_>) -> Result<(), Refusal> {
    let now = at.now.time;
    let same = said.client_realm == part.client_realm && said.client.same_as(&part.client);
    Refusal::unless(same, ErrorCode::BADMATCH, "the authenticator names another client than the ticket")?;
    let near = said.time.distance(now) <= kdc.policy.clock_skew;
    Refusal::unless(near, ErrorCode::SKEW, "the client's clock differs too much from the KDC's")?;
    Refusal::unless(now < part.end_time, ErrorCode::TKT_EXPIRED, "the presented ticket has expired")?;
    let begun = part.start_time.unwrap_or(part.auth_time) <= now + kdc.policy.clock_skew;
    let valid = begun && !part.flags.has(TicketFlags::INVALID);
    Refusal::unless(valid, ErrorCode::TKT_NYV, "the presented ticket is not valid yet")?;
    let own = part.flags.has(TicketFlags::INITIAL);
    Refusal::unless(own, ErrorCode::POLICY, "keys are shown only for a ticket from an AS exchange")?;
    let at_home = part.client_realm == kdc.policy.realm;
    Refusal::unless(at_home, ErrorCode::POLICY, "keys are shown only to principals of this realm")?;
    tgs_req::check_addresses(kdc, at, part)
}

fn check(now: Time, authenticated: Time, entry: &Entry) -> Result<Granted<'_>, Refusal> {
    // Who has stolen keys must not be given those that take their place, nor the next owner's of the name.
    let since = entry.password_changed.is_none_or(|changed| changed <= authenticated);
    Refusal::unless(since, ErrorCode::TGT_REVOKED, "the client's keys were changed since the ticket was issued")?;
    let open = !entry.attributes.has(Attributes::DISALLOW_ALL_TIX);
    Refusal::unless(open, ErrorCode::CLIENT_REVOKED, "the client is locked or disabled")?;
    let alive = entry.expires.is_none_or(|expires| now < expires);
    Refusal::unless(alive, ErrorCode::NAME_EXP, "the client's account has expired")?;
    let free = !entry.attributes.has(Attributes::LOCKDOWN_KEYS);
    Refusal::unless(free, ErrorCode::POLICY, "the client's keys are locked down")?;
    // A password's keys are known to who knows the password, and to nobody else.
    let random = |set: &&KeySet| set.keys.iter().all(|key| key.salt.is_none());
    let sets: Vec<_> = entry.living(now).filter(random).collect();
    Refusal::unless(!sets.is_empty(), ErrorCode::POLICY, "the client has no random keys")?;
    Ok(Granted(sets))
}

fn seal(at: Arrival, random: &mut dyn Random, who: &Gathered, granted: &Granted<'_>) -> Result<Vec<u8>, Refusal> {
    let unable = because(ErrorCode::GENERIC, "the keys can't be written down");
    let entry = |kvno, timestamp, key| KeytabEntry { principal: who.client.clone(), timestamp, kvno, key };
    let of_set = |set: &KeySet| {
        let made = set.created;
        set.keys.iter().map(|key| entry(set.kvno, made, RawKey::from(&key.key))).collect::<Vec<_>>()
    };
    let keytab = Keytab { entries: granted.0.iter().copied().flat_map(of_set).collect() };
    let content = keytab.encode().map_err(&unable)?;
    Session::new(&who.subkey, Role::Acceptor, 0, who.sequence).make_priv(at.now, random, &content).map_err(unable)
}
