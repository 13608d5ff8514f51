//! The realm of these requests, with everything switched on, and the tickets that they begin with.

use std::collections::BTreeSet;
use std::sync::Arc;

use kdc::core::entry::{Token, TokenKind};
use kdc::core::{Attributes, Pkinit, Trust};
use libkrb::Principal;
use libkrb::codes::PaType;
use libkrb::crypto::OtpHash;
use libkrb::flags::KdcOptions;
use libkrb::preauth::pkinit::{Identity, Trust as Authority};
use libkrb::preauth::s4u;
use libkrb::preauth::spake::{GROUPS, Group};
use libkrb::wire::{KdcProxyMessage, is_for_kdc};
use zeroize::Zeroizing;

use super::super::script::Script;
use super::judge::{self, Sent};
use crate::certificates::{self, identity};
use crate::joined::{Asking, Credential, Joined, NOW, REALM, name};

/// A service that may act for users.
pub const GATE: &str = "host/gate";
/// Where it may.
pub const BEHIND: &str = "host/behind";
/// What counts in the token of "olga".
pub const SECRET: &[u8] = b"12345678901234567890";

/// The realm, and who is in it.
pub struct Place {
    /// The realm.
    pub realm: Joined,
    pkinit: Arc<Pkinit>,
    /// Alice's certificate.
    pub identity: Identity,
    /// Whom clients believe.
    pub trust: Authority,
    /// Alice's ticket-granting ticket, good for everything.
    pub alice: Credential,
    /// Bob's.
    pub bob: Credential,
    /// That of a host, for armor.
    pub host: Credential,
    /// That of the service that acts for users.
    pub gate: Credential,
    /// A ticket of alice to that service.
    pub evidence: Credential,
    /// A ticket-granting ticket for this realm, that another one issued.
    pub visitor: Credential,
    /// A ticket of that service for fetching its keys.
    pub fetching: Credential,
    /// Why requests were refused so far.
    pub causes: BTreeSet<&'static str>,
    /// What the ticket of a user says that is shown in the request being made.
    pub shown: Option<Vec<u8>>,
}

fn realm() -> Joined {
    let realm = certificates::realm();
    realm.change("alice", |entry| {
        entry.strings.insert("memberof".into(), "staff".into());
        entry.strings.insert("role:host/*".into(), "reader writer".into());
    });
    realm.change("bob", |entry| {
        entry.strings.insert("pkinit_cert_match".into(), "<SUBJECT>^CN=bob.*$<EKU>clientAuth".into());
        entry.aliases = vec![name("robert")];
    });
    realm.add(name("group/staff"), |entry| {
        entry.attributes = Attributes::REQUIRES_PRE_AUTH;
        entry.strings.insert("role:*".into(), "employee".into());
    });
    realm.add_user("olga", |entry| {
        let secret = Zeroizing::new(SECRET.to_vec());
        let kind = TokenKind::Counting;
        let (name, indicators) = ("phone".to_owned(), vec!["phone".to_owned()]);
        let hash = OtpHash::Sha1;
        entry.tokens = vec![Token {
            name,
            kind,
            hash,
            digits: 6,
            secret,
            next: 0,
            with_password: false,
            indicators,
            created: NOW,
        }];
    });
    realm.add_user("armored", |entry| drop(entry.strings.insert("require_armor".into(), "true".into())));
    realm.add(name(GATE), |entry| {
        entry.attributes = Attributes::OK_TO_AUTH_AS_DELEGATE;
        entry.strings.insert("allowed_to_delegate_to".into(), BEHIND.into());
    });
    realm.add(name(BEHIND), |entry| drop(entry.strings.insert("require_auth".into(), "pw otp spake pkinit".into())));
    realm.add(name("host/list"), |entry| {
        entry.strings.insert("allowed_to_delegate_from".into(), format!("{GATE}@{REALM}"));
        entry.strings.insert("pac_privsvr_enctype".into(), "aes256-sha2".into());
    });
    for other in ["OTHER.ORG", "ORG"] {
        realm.add(Principal::cross_tgs(other, REALM), |_| {});
        realm.add(Principal::cross_tgs(REALM, other), |_| {});
    }
    realm
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        let mut realm = realm();
        let pkinit = Arc::new(Pkinit { allow_upn: true, ..certificates::pkinit() });
        rules(&mut realm, &pkinit);
        let everything = KdcOptions::FORWARDABLE | KdcOptions::PROXIABLE | KdcOptions::RENEWABLE;
        let everything = everything | KdcOptions::ALLOW_POSTDATE;
        let mut login = |asking: Asking| realm.login(&asking.with(everything)).expect("an ordinary login");
        let [alice, bob, host, gate] =
            ["alice", "bob", "host/a.example.org", GATE].map(|who| login(Asking::login(who)));
        let fetching = login(Asking { server: Some(Principal::fetch(REALM)), ..Asking::login(GATE) });
        let padata = vec![(PaType::FOR_USER, s4u::for_user(&gate.key, &name("alice")))];
        let asking = Asking { padata, ..Asking::service(GATE) }.with(KdcOptions::FORWARDABLE);
        let evidence = realm.tgs(&gate, &asking).expect("a ticket in alice's name");
        let there = Credential { client: name("wendy").in_realm("OTHER.ORG"), ..alice.clone() };
        let trust = Principal::cross_tgs(REALM, "OTHER.ORG").to_string();
        let visitor = realm.forge(&there, &trust, |_| ());
        let visitor = Credential { client: there.client.clone(), ..visitor };
        Place {
            realm,
            pkinit,
            identity: identity("alice-p256"),
            trust: certificates::trust(),
            alice,
            bob,
            host,
            gate,
            evidence,
            visitor,
            fetching,
            causes: BTreeSet::new(),
            shown: None,
        }
    }

    /// As at first.
    pub fn reset(&mut self) {
        self.realm.reset();
        self.shown = None;
        rules(&mut self.realm, &self.pkinit);
    }

    /// Some of the rules otherwise.
    pub fn bend_policy(&mut self, script: &mut Script<'_>) {
        let bits = script.byte();
        let policy = &mut self.realm.policy;
        policy.hide_unknown_clients = bits & 1 != 0;
        policy.require_armor = bits & 2 != 0;
        policy.spake.challenge = (bits & 4 != 0).then(|| Group::of(1)).flatten();
        policy.restrict_anonymous_to_tgt = bits & 8 != 0;
        policy.abroad.reject_bad_transit = bits & 16 == 0;
        policy.disable_pac = bits & 32 != 0;
        policy.allow_disable_transited_check = bits & 64 != 0;
    }

    /// Sends a request and looks at what comes of it: whether what was asked for.
    pub fn deliver(&mut self, sent: &Sent) -> bool {
        let outcome = self.realm.send(&sent.request);
        judge::look(sent, &outcome);
        self.causes.extend(outcome.event.refusal.map(|(_, cause)| cause));
        outcome.event.refusal.is_none()
    }

    /// The same by a proxy (MS-KKDCP), in a frame that somebody bends.
    pub fn deliver_by_proxy(&mut self, script: &mut Script<'_>, sent: &Sent) {
        let mut frame = KdcProxyMessage::wrap(&sent.request, Some(REALM)).expect("a frame");
        script.bend(&mut frame);
        let Ok(Ok(message)) = KdcProxyMessage::read(&frame).map(|read| read.message()) else { return };
        if message == sent.request {
            self.deliver(sent);
        } else if is_for_kdc(message) {
            judge::look_at_stranger(&self.realm.send(message));
        }
    }

    /// A ticket as its server reads it.
    pub fn plain(&self, ticket: &Credential) -> Vec<u8> {
        self.realm.open(&ticket.ticket, |part| libkrb::wire::encode(part))
    }
}

/// What the realm asks and gives, beyond the defaults.
fn rules(realm: &mut Joined, pkinit: &Arc<Pkinit>) {
    let policy = &mut realm.policy;
    policy.pkinit = Some(Arc::clone(pkinit));
    policy.spake.groups = GROUPS.iter().collect();
    policy.indicators.of_proof.insert("encrypted-timestamp".into(), vec!["pw".into()]);
    policy.indicators.max_life.insert("pkinit".into(), 600);
    let abroad = &mut policy.abroad;
    abroad.paths.set("OTHER.ORG", REALM, vec!["ORG".into()]);
    let said = BTreeSet::from(["pkinit".to_owned()]);
    let realm = "OTHER.ORG".to_owned();
    abroad.trusts = vec![Trust { realm, clients: None, services: None, max_life: Some(1200), indicators: said }];
    abroad.referrals.hosts.insert(".other.org".into(), "OTHER.ORG".into());
    abroad.referrals.clients.insert("other.org".into(), "OTHER.ORG".into());
}
