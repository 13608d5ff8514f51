//! A small model of RFC 4120's rules for what a KDC grants, written from the text of the RFC: whole
//! seconds, sets of flags, no bytes and no keys. It shares no code with the KDC.

use kdc::core::Attributes as A;
use libkrb::ErrorCode as E;
use libkrb::flags::{KdcOptions as O, TicketFlags as F};

/// As late as possible.
const FOR_EVER: i64 = 253_402_300_799;

/// The realm's settings.
#[derive(Clone, Debug)]
pub struct Realm {
    pub max_life: i64,
    pub max_renewable_life: i64,
    pub skew: i64,
    pub etypes: Vec<i32>,
    pub everybody_proves: bool,
    pub hides_unknown: bool,
    pub transited_check_may_be_skipped: bool,
}

/// What the realm knows of a principal.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub attributes: u32,
    pub expires: Option<i64>,
    pub password_expires: Option<i64>,
    pub max_life: Option<i64>,
    pub max_renewable_life: Option<i64>,
    /// The service states which session keys it can use.
    pub stated_etypes: Option<Vec<i32>>,
}

/// The principals that can be asked for a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    Tgs,
    Host,
    Changepw,
    User,
    Unknown,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    pub server: Server,
    pub options: O,
    pub from: Option<i64>,
    pub till: i64,
    pub renew_till: Option<i64>,
    pub etypes: Vec<i32>,
    /// Hosts, by number.
    pub addresses: Vec<u8>,
}

/// How a client proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    None,
    /// A timestamp that is off by so many seconds.
    Timestamp(i64),
    WrongKey,
}

/// A ticket, as far as the model knows one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub server: Server,
    pub flags: F,
    pub auth: i64,
    pub start: i64,
    pub end: i64,
    pub renew_till: Option<i64>,
    pub addresses: Vec<u8>,
    pub session_etype: i32,
}

/// A ticket, or the reasons that speak against one: the RFC seldom says which of them comes first.
pub type Verdict = Result<Ticket, Vec<E>>;

const AES: [i32; 2] = [18, 17];

impl Account {
    fn has(&self, attribute: A) -> bool {
        self.attributes & attribute.0 == attribute.0
    }
}

/// Collects reasons.
#[derive(Default)]
struct Reasons(Vec<E>);

impl Reasons {
    fn when(&mut self, wrong: bool, code: E) {
        if wrong {
            self.0.push(code);
        }
    }

    fn verdict(self, ticket: Option<Ticket>) -> Verdict {
        match ticket {
            Some(ticket) if self.0.is_empty() => Ok(ticket),
            _ => Err(self.0),
        }
    }
}

/// RFC 4120 3.1.3.
pub fn login(
    realm: &Realm,
    client: Option<&Account>,
    server: Option<&Account>,
    wish: &Wish,
    proof: Proof,
    now: i64,
) -> Verdict {
    let mut reasons = Reasons::default();
    // 5.4.1: these ask for something to be done with a TGT that is presented.
    let with_tgt = [O::FORWARDED, O::PROXY, O::ENC_TKT_IN_SKEY, O::CNAME_IN_ADDL_TKT, O::RENEW, O::VALIDATE];
    reasons.when(with_tgt.iter().any(|option| wish.options.has(*option)), E::BADOPTION);
    // RFC 8062 3: anonymity that is not offered is a bad option.
    reasons.when(wish.options.has(O::REQUEST_ANONYMOUS), E::BADOPTION);

    reasons.when(server.is_none(), E::S_PRINCIPAL_UNKNOWN);
    let reply_etype = wish.etypes.iter().find(|etype| realm.etypes.contains(etype) && AES.contains(etype));
    match client {
        None if !realm.hides_unknown => reasons.when(true, E::C_PRINCIPAL_UNKNOWN),
        None => {
            reasons.when(proof == Proof::None, E::PREAUTH_REQUIRED);
            reasons.when(proof != Proof::None, E::PREAUTH_FAILED);
            reasons.when(!wish.etypes.iter().any(|etype| realm.etypes.contains(etype)), E::ETYPE_NOSUPP);
        }
        Some(client) => {
            let everywhere = [Some(client), server];
            let asked_of = |attribute| everywhere.iter().flatten().any(|account| account.has(attribute));
            reasons.when(client.has(A::DISALLOW_ALL_TIX), E::CLIENT_REVOKED);
            reasons.when(client.expires.is_some_and(|end| end <= now), E::NAME_EXP);
            let for_a_change = server.is_some_and(|server| server.has(A::PWCHANGE_SERVICE));
            let stale = client.has(A::REQUIRES_PWCHANGE) || client.password_expires.is_some_and(|end| end <= now);
            reasons.when(stale && !for_a_change, E::KEY_EXPIRED);
            reasons.when(reply_etype.is_none(), E::ETYPE_NOSUPP);
            let must = realm.everybody_proves || asked_of(A::REQUIRES_PRE_AUTH);
            match proof {
                Proof::None => reasons.when(must, E::PREAUTH_REQUIRED),
                Proof::WrongKey => reasons.when(true, E::PREAUTH_FAILED),
                Proof::Timestamp(off) => {
                    reasons.when(off.abs() > realm.skew, E::SKEW);
                    reasons.when(reply_etype.is_none(), E::PREAUTH_FAILED);
                }
            }
            // No method here involves hardware.
            reasons.when(asked_of(A::REQUIRES_HW_AUTH), E::PREAUTH_REQUIRED);
        }
    }
    let (Some(client), Some(server)) = (client, server) else { return reasons.verdict(None) };
    reasons.when(server.has(A::DISALLOW_SVR), E::MUST_USE_USER2USER);
    let ticket = fresh(realm, [client, server], wish, None, now, &mut reasons);
    let ticket = ticket.map(|ticket| Ticket {
        flags: ticket.flags | F::INITIAL | if proof == Proof::None { F::NONE } else { F::PRE_AUTHENT },
        addresses: wish.addresses.clone(),
        ..ticket
    });
    reasons.verdict(ticket)
}

/// RFC 4120 3.3.3. The client is one of this realm; `None`: it is there no more.
pub fn further(
    realm: &Realm,
    client: Option<&Account>,
    server: Option<&Account>,
    wish: &Wish,
    presented: &Ticket,
    now: i64,
) -> Verdict {
    let mut reasons = Reasons::default();
    let options = wish.options;
    let (renew, validate) = (options.has(O::RENEW), options.has(O::VALIDATE));
    let same_again = renew || validate;
    reasons.when(presented.end <= now, E::TKT_EXPIRED);
    // 3.3.3: "the KDC will check that the starttime has passed and that the INVALID flag is set".
    reasons.when(presented.start > now + if validate { 0 } else { realm.skew }, E::TKT_NYV);
    reasons.when(presented.flags.has(F::INVALID) && (renew || !validate), E::TKT_NYV);
    // 3.3.1: only renewal, validation and proxies take another ticket than a TGT; a proxy derived
    // from a service ticket would be for that service, and this realm has no use for it.
    reasons.when(same_again && wish.server != presented.server, E::SERVER_NOMATCH);
    reasons.when(!same_again && presented.server != Server::Tgs, E::NOT_US);

    // 5.4.1, option by option.
    for (option, flag) in [
        (O::FORWARDABLE, F::FORWARDABLE),
        (O::FORWARDED, F::FORWARDABLE),
        (O::PROXIABLE, F::PROXIABLE),
        (O::PROXY, F::PROXIABLE),
        (O::ALLOW_POSTDATE, F::MAY_POSTDATE),
        (O::POSTDATED, F::MAY_POSTDATE),
        (O::RENEWABLE, F::RENEWABLE),
        (O::RENEW, F::RENEWABLE),
        (O::VALIDATE, F::INVALID),
    ] {
        reasons.when(options.has(option) && !presented.flags.has(flag), E::BADOPTION);
    }
    reasons.when(options.any(O::REQUEST_ANONYMOUS | O::CNAME_IN_ADDL_TKT), E::BADOPTION);
    // No additional ticket is ever sent here.
    reasons.when(options.has(O::ENC_TKT_IN_SKEY), E::BADOPTION);
    // 3.3.3: "The PROXY option will not be honored on requests for additional TGTs".
    reasons.when(options.has(O::PROXY) && wish.server == Server::Tgs, E::BADOPTION);
    // 2.4: "postdated TGTs can only be obtained by requesting the postdating in the KRB_AS_REQ".
    reasons.when(options.has(O::POSTDATED) && wish.server == Server::Tgs && !same_again, E::CANNOT_POSTDATE);

    match client {
        None => reasons.when(true, E::TGT_REVOKED),
        Some(client) => {
            reasons.when(client.has(A::DISALLOW_ALL_TIX), E::CLIENT_REVOKED);
            reasons.when(client.expires.is_some_and(|end| end <= now), E::NAME_EXP);
        }
    }
    reasons.when(server.is_none(), E::S_PRINCIPAL_UNKNOWN);
    let (Some(client), Some(server)) = (client, server) else { return reasons.verdict(None) };
    reasons.when(server.has(A::DISALLOW_SVR), E::MUST_USE_USER2USER);
    reasons.when(server.has(A::DISALLOW_TGT_BASED) && !same_again, E::POLICY);
    reasons.when(server.has(A::REQUIRES_PRE_AUTH) && !presented.flags.has(F::PRE_AUTHENT), E::POLICY);
    reasons.when(server.has(A::REQUIRES_HW_AUTH) && !presented.flags.has(F::HW_AUTHENT), E::POLICY);

    let fresh = fresh(realm, [client, server], wish, (!same_again).then_some(presented), now, &mut reasons);
    let ticket = fresh.and_then(|fresh| match same_again {
        true => again(wish, presented, fresh.session_etype, now, &mut reasons),
        false => Some(derived(realm, wish, presented, fresh)),
    });
    reasons.verdict(ticket)
}

/// 2.3 and 2.2: the same ticket with a new key; renewed also with new times, validated also valid.
fn again(wish: &Wish, old: &Ticket, session_etype: i32, now: i64, reasons: &mut Reasons) -> Option<Ticket> {
    // 2.1: what is based on a ticket is not initial.
    let ticket = Ticket { flags: old.flags & !(F::INVALID | F::INITIAL) | F::ENC_PA_REP, session_etype, ..old.clone() };
    if wish.options.has(O::VALIDATE) {
        return Some(ticket);
    }
    let last = old.renew_till?;
    reasons.when(last <= now, E::TKT_EXPIRED);
    Some(Ticket { start: now, end: last.min(now + (old.end - old.start)), ..ticket })
}

/// What a derived ticket has of the TGT.
fn derived(realm: &Realm, wish: &Wish, tgt: &Ticket, fresh: Ticket) -> Ticket {
    let options = wish.options;
    let mut flags = fresh.flags;
    // 2.1, 2.6: carried forward.
    flags |= tgt.flags & (F::PRE_AUTHENT | F::HW_AUTHENT | F::FORWARDED);
    for (option, flag) in [(O::FORWARDED, F::FORWARDED), (O::PROXY, F::PROXY)] {
        flags |= if options.has(option) { flag } else { F::NONE };
    }
    // 2.7: a client of this realm has crossed no other.
    if !(options.has(O::DISABLE_TRANSITED_CHECK) && realm.transited_check_may_be_skipped) {
        flags |= F::TRANSITED_POLICY_CHECKED;
    }
    let elsewhere = options.any(O::FORWARDED | O::PROXY);
    let addresses = if elsewhere { &wish.addresses } else { &tgt.addresses };
    Ticket { flags, auth: tgt.auth, addresses: addresses.clone(), ..fresh }
}

/// What both exchanges grant alike: flags that were wished for and are allowed, times that were
/// wished for within all bounds, the session key's kind.
fn fresh(
    realm: &Realm,
    [client, server]: [&Account; 2],
    wish: &Wish,
    tgt: Option<&Ticket>,
    now: i64,
    reasons: &mut Reasons,
) -> Option<Ticket> {
    reasons.when(server.expires.is_some_and(|end| end <= now), E::SERVICE_EXP);
    reasons.when(server.has(A::DISALLOW_ALL_TIX), E::SERVICE_REVOKED);
    reasons.when(!realm.etypes.iter().any(|etype| AES.contains(etype)), E::ETYPE_NOSUPP);
    let usable = |etype: i32| match &server.stated_etypes {
        Some(stated) => stated.contains(&etype),
        None => wish.server == Server::Tgs || AES.contains(&etype),
    };
    let session_etype = wish.etypes.iter().find(|etype| realm.etypes.contains(etype) && usable(**etype));
    reasons.when(session_etype.is_none(), E::ETYPE_NOSUPP);
    let nowhere = |attribute| !client.has(attribute) && !server.has(attribute);
    let shortest = |realm: i64, of: fn(&Account) -> Option<i64>| {
        [client, server].into_iter().filter_map(of).chain([realm]).min().unwrap_or(realm)
    };
    let mut ticket = Ticket {
        server: wish.server,
        flags: F::ENC_PA_REP | if server.has(A::OK_AS_DELEGATE) { F::OK_AS_DELEGATE } else { F::NONE },
        auth: now,
        start: now,
        end: 0,
        renew_till: None,
        addresses: vec![],
        session_etype: session_etype.copied().unwrap_or_default(),
    };
    // A renewal or validation asks for nothing further, and its times are the old ticket's affair.
    if wish.options.any(O::RENEW | O::VALIDATE) {
        return Some(ticket);
    }
    for (option, flag, forbidden) in [
        (O::FORWARDABLE, F::FORWARDABLE, A::DISALLOW_FORWARDABLE),
        (O::PROXIABLE, F::PROXIABLE, A::DISALLOW_PROXIABLE),
        (O::ALLOW_POSTDATE, F::MAY_POSTDATE, A::DISALLOW_POSTDATED),
    ] {
        if wish.options.has(option) && nowhere(forbidden) {
            ticket.flags |= flag;
        }
    }

    let from = wish.from.unwrap_or(now);
    if wish.options.has(O::POSTDATED) {
        reasons.when(!nowhere(A::DISALLOW_POSTDATED), E::CANNOT_POSTDATE);
        ticket.start = from.max(now);
        ticket.flags |= F::POSTDATED | F::INVALID;
    } else {
        reasons.when(from > now + realm.skew, E::CANNOT_POSTDATE);
    }
    let till = if wish.till == 0 { FOR_EVER } else { wish.till };
    let allowed = ticket.start + shortest(realm.max_life, |account| account.max_life);
    ticket.end = till.min(allowed).min(tgt.map_or(FOR_EVER, |tgt| tgt.end));
    reasons.when(ticket.end <= ticket.start, E::NEVER_VALID);

    // RFC 1510 A.2 and A.6, where no time means any time; RFC 4120 left the pseudocode out.
    let wanted = wish.renew_till.filter(|till| *till != 0).unwrap_or(FOR_EVER);
    let wanted = if wish.options.has(O::RENEWABLE) {
        Some(wanted)
    } else {
        // 5.4.1: "a renewable ticket may be issued with a renew-till equal to the requested endtime".
        (wish.options.has(O::RENEWABLE_OK) && till > ticket.end).then_some(till)
    };
    let allowed = ticket.start + shortest(realm.max_renewable_life, |account| account.max_renewable_life);
    let of_tgt = tgt.map_or(Some(FOR_EVER), |tgt| tgt.renew_till);
    let renew_till = wanted.and_then(|wanted| Some(wanted.min(allowed).min(of_tgt?)));
    // Renewing must be of use, and allowed.
    ticket.renew_till = renew_till.filter(|till| *till > ticket.end && nowhere(A::DISALLOW_RENEWABLE));
    ticket.flags |= if ticket.renew_till.is_some() { F::RENEWABLE } else { F::NONE };
    Some(ticket)
}
