//! Client and KDC joined in memory with the clock in hand, against a small model of RFC 4120's
//! rules: random realms and requests, alone and in stories of login, renewal, validation,
//! forwarding, proxies and derived tickets. What the KDC grants is what the model says, to the
//! second and to the flag; what it refuses, the model has a reason for.

mod rules;
mod wishes;

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use kdc::core::{Attributes, Change, Entry, Store};
use libkrb::codes::{AddressType, EncryptionType};
use libkrb::crypto::{Key, KeyUsage};
use libkrb::flags::{KdcOptions as O, TicketFlags as F};
use libkrb::wire::{self, KdcRep};
use libkrb::{ErrorCode, Principal, Time};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use tests::joined::{Asking, Credential, Joined, NOW, REALM, Sequence, as_error, name};

use rules::{Account, Proof, Server, Ticket, Wish};
use wishes::{Step, Story};

const HOST: &str = "host/a.example.org";

type Checked<T> = Result<T, TestCaseError>;

macro_rules! same {
    ($left:expr, $right:expr, $($what:tt)*) => {
        match (&$left, &$right) {
            (left, right) if *left == *right => (),
            (left, right) => {
                let what = format!($($what)*);
                return Err(TestCaseError::fail(format!("{what}: {left:?} instead of {right:?}")));
            }
        }
    };
}

/// A ticket as the client holds it and as the model knows it.
#[derive(Clone)]
struct Held {
    credential: Credential,
    ticket: Ticket,
}

/// A story as it is told.
struct Telling<'a> {
    story: &'a Story,
    joined: Joined,
    keys: BTreeMap<i32, Key>,
    client_gone: bool,
    session_keys: HashSet<Vec<u8>>,
}

fn principal(server: Server) -> Principal {
    match server {
        Server::Tgs => Principal::tgs(REALM),
        Server::Host => name(HOST),
        Server::Changepw => Principal::changepw(REALM),
        Server::User => name("bob"),
        Server::Unknown => name("host/nowhere.example.org"),
    }
}

fn etypes(numbers: &[i32]) -> Vec<EncryptionType> {
    numbers.iter().copied().map(EncryptionType).collect()
}

/// Sets an entry to what the model knows of its principal.
fn apply(account: &Account, entry: &mut Entry) {
    let time = |seconds: i64| NOW + seconds;
    entry.attributes = Attributes(account.attributes);
    entry.expires = account.expires.map(time);
    entry.password_expires = account.password_expires.map(time);
    entry.max_life = account.max_life;
    entry.max_renewable_life = account.max_renewable_life;
    if let Some(stated) = &account.stated_etypes {
        let names = etypes(stated).iter().map(ToString::to_string).collect::<Vec<_>>();
        entry.strings.insert("session_enctypes".into(), names.join(","));
    }
}

impl<'a> Telling<'a> {
    fn new(story: &'a Story) -> Self {
        let mut joined = Joined::new();
        let realm = &story.realm;
        joined.policy.max_life = realm.max_life;
        joined.policy.max_renewable_life = realm.max_renewable_life;
        joined.policy.clock_skew = realm.skew;
        joined.policy.etypes = etypes(&realm.etypes);
        joined.policy.require_preauth = realm.everybody_proves;
        joined.policy.hide_unknown_clients = realm.hides_unknown;
        joined.policy.allow_disable_transited_check = realm.transited_check_may_be_skipped;
        joined.replays = libkrb::replay::MemoryReplayCache::new(realm.skew, 1_000_000);
        joined.change("alice", |entry| apply(&story.client, entry));
        joined.change(&Principal::tgs(REALM).to_string(), |entry| apply(&story.tgs, entry));
        joined.change(HOST, |entry| apply(&story.host, entry));
        let keys = joined.entry("alice").keys[0].keys.iter().map(|key| (key.etype().0, key.key.clone())).collect();
        Telling { story, joined, keys, client_gone: story.unknown_client, session_keys: HashSet::new() }
    }

    fn now(&self) -> i64 {
        self.joined.now.time.seconds()
    }

    /// What the model is told of a principal: the same as the KDC.
    fn account(&self, server: Server) -> Option<Account> {
        let absolute = |account: &Account| Account {
            expires: account.expires.map(|seconds| NOW.seconds() + seconds),
            password_expires: account.password_expires.map(|seconds| NOW.seconds() + seconds),
            ..account.clone()
        };
        let fixed = |attributes: Attributes| Account { attributes: attributes.0, ..Account::default() };
        match server {
            Server::Tgs => Some(absolute(&self.story.tgs)),
            Server::Host => Some(absolute(&self.story.host)),
            Server::Changepw => Some(fixed(Attributes::PWCHANGE_SERVICE.with(Attributes::DISALLOW_TGT_BASED, true))),
            Server::User => Some(fixed(Attributes::REQUIRES_PRE_AUTH.with(Attributes::DISALLOW_SVR, true))),
            Server::Unknown => None,
        }
    }

    fn client(&self) -> Option<Account> {
        let client = Account {
            expires: self.story.client.expires.map(|seconds| NOW.seconds() + seconds),
            password_expires: self.story.client.password_expires.map(|seconds| NOW.seconds() + seconds),
            ..self.story.client.clone()
        };
        (!self.client_gone).then_some(client)
    }

    fn asking(&self, wish: &Wish) -> Asking {
        Asking {
            server: Some(principal(wish.server)),
            options: wish.options,
            from: wish.from.map(Time),
            till: Time(wish.till),
            renew_till: wish.renew_till.map(Time),
            etypes: etypes(&wish.etypes),
            addresses: wish.addresses.iter().map(|host| (AddressType::IPV4, vec![10, 0, 0, *host])).collect(),
            ..Asking::login(if self.story.unknown_client { "nobody" } else { "alice" })
        }
    }

    fn login(&mut self) -> Checked<Option<Held>> {
        let wish = self.story.login.at(self.now());
        let mut asking = self.asking(&wish);
        let proof = self.story.proof;
        let fitting =
            wish.etypes.iter().find(|etype| self.keys.contains_key(etype) && self.story.realm.etypes.contains(etype));
        let key = match proof {
            Proof::WrongKey => Key::random(EncryptionType::AES256_SHA1, &mut Sequence(99)).expect("a key"),
            _ => self.keys[fitting.unwrap_or(&18)].clone(),
        };
        let off = if let Proof::Timestamp(off) = proof { off } else { 0 };
        if proof != Proof::None {
            self.joined.tick();
            let stamp = libkrb::time::Instant { time: self.joined.now.time + off, ..self.joined.now };
            let stamp = self.joined.timestamp(&key, stamp);
            asking.padata.push((libkrb::codes::PaType::ENC_TIMESTAMP, stamp));
        }
        let request = self.joined.as_req(&asking, None);
        let server = self.account(wish.server);
        let expected =
            rules::login(&self.story.realm, self.client().as_ref(), server.as_ref(), &wish, proof, self.now());
        let reply = self.joined.send(&request).reply.expect("an answer");
        let opened = as_error(&reply).map_or_else(
            || {
                let sealed = wire::decode::<KdcRep<'_>>(&reply).expect("AS-REP").enc_part.etype;
                Credential::open(&reply, &self.keys[&sealed.0], KeyUsage::AS_REP_ENC_PART)
            },
            Err,
        );
        self.compare("login", &wish, expected, opened)
    }

    /// The ticket that a step presents.
    fn presented(&self, held: &[Held], step: &Step) -> Held {
        let fits = |held: &&Held| {
            let (ticket, options) = (&held.ticket, step.wish.options);
            let invalid = ticket.flags.has(F::INVALID);
            let kind = match (options.has(O::VALIDATE), options.has(O::RENEW)) {
                (true, _) => invalid,
                (_, true) => !invalid && ticket.flags.has(F::RENEWABLE),
                _ => !invalid && ticket.server == Server::Tgs,
            };
            kind && ticket.end > self.now()
        };
        let newest_first = || held.iter().rev();
        let chosen = match step.with {
            Some(index) => newest_first().nth(index),
            None => newest_first().find(fits),
        };
        chosen.or(held.last()).expect("a ticket").clone()
    }

    /// A step that means well asks for the ticket that it presents, and in time.
    fn meant(&mut self, wish: &Wish, held: &Held, step: &Step) -> Wish {
        if step.with.is_some() || !wish.options.any(O::RENEW | O::VALIDATE) {
            return wish.clone();
        }
        let early = held.ticket.start - self.now();
        if early > 0 {
            self.joined.wait(early);
        }
        Wish { server: held.ticket.server, ..wish.clone() }
    }

    fn further(&mut self, wish: &Wish, held: &Held) -> Checked<Option<Held>> {
        let wish = wish.at(self.now());
        let server = self.account(wish.server);
        let client = self.client();
        let expected =
            rules::further(&self.story.realm, client.as_ref(), server.as_ref(), &wish, &held.ticket, self.now());
        let asking = self.asking(&wish);
        let opened = self.joined.tgs(&held.credential, &asking);
        let got = self.compare("further ticket", &wish, expected, opened)?;
        if let Some(got) = &got {
            invariants(&wish, &held.ticket, &got.ticket)?;
        }
        Ok(got)
    }

    fn compare(
        &mut self,
        what: &str,
        wish: &Wish,
        expected: rules::Verdict,
        got: Result<Credential, ErrorCode>,
    ) -> Checked<Option<Held>> {
        let at = self.now() - NOW.seconds();
        let (expected, credential) = match (expected, got) {
            (Err(reasons), Err(code)) if reasons.contains(&code) => return Ok(None),
            (Ok(expected), Ok(credential)) => (expected, credential),
            (expected, got) => {
                let got = got.map(|credential| (credential.flags, credential.start_time, credential.end_time));
                let told = format!("{what} at {at}: {got:?} instead of {expected:?} for {wish:?}");
                return Err(TestCaseError::fail(told));
            }
        };
        let ticket = self.read(wish, &credential)?;
        same!(ticket, expected, "{what} at {at} for {wish:?}");
        let fresh = self.session_keys.insert(credential.key.expose().to_vec());
        same!(fresh, true, "{what}: a fresh session key");
        Ok(Some(Held { credential, ticket }))
    }

    /// What the reply says, which is what the ticket says.
    fn read(&self, wish: &Wish, credential: &Credential) -> Checked<Ticket> {
        same!(credential.server, principal(wish.server), "server");
        same!(credential.client, name("alice"), "client");
        let ticket = Ticket {
            server: wish.server,
            flags: credential.flags,
            auth: credential.auth_time.seconds(),
            start: credential.start_time.seconds(),
            end: credential.end_time.seconds(),
            renew_till: credential.renew_till.map(Time::seconds),
            addresses: vec![],
            session_etype: credential.key.etype().0,
        };
        self.joined.open(&credential.ticket, |part| {
            same!(part.key.value, credential.key.expose(), "session key inside");
            same!(part.client.names(&name("alice")), true, "client inside");
            same!(part.client_realm, REALM, "client's realm inside");
            same!(part.transited.contents.is_empty(), true, "no realm was crossed");
            let hosts =
                part.addresses.iter().flat_map(|list| list.iter()).filter_map(|host| host.address.last().copied());
            let inside = Ticket {
                flags: part.flags,
                auth: part.auth_time.seconds(),
                start: part.start_time.unwrap_or(part.auth_time).seconds(),
                end: part.end_time.seconds(),
                renew_till: part.renew_till.map(Time::seconds),
                ..ticket.clone()
            };
            same!(inside, ticket, "inside the ticket");
            Ok(Ticket { addresses: hosts.collect(), ..ticket })
        })
    }
}

/// What holds for every ticket that is got with another one, whatever the rules are.
fn invariants(wish: &Wish, old: &Ticket, new: &Ticket) -> Checked<()> {
    const RIGHTS: F = F(F::FORWARDABLE.0 | F::PROXIABLE.0 | F::MAY_POSTDATE.0 | F::RENEWABLE.0);
    const PROOFS: F = F(F::PRE_AUTHENT.0 | F::HW_AUTHENT.0);
    const MARKS: F = F(F::FORWARDED.0 | F::PROXY.0);
    same!(new.flags.has(F::INITIAL), false, "never INITIAL from a TGS");
    same!(new.flags & (RIGHTS | PROOFS) & !old.flags, F::NONE, "never more than the old ticket allows");
    same!(old.flags & PROOFS & !new.flags, F::NONE, "proofs are carried on");
    same!(new.auth, old.auth, "the client was authenticated when it was");
    let renewed = wish.options.has(O::RENEW);
    let last = if renewed { old.renew_till.unwrap_or(old.end) } else { old.end };
    same!(new.end <= last, true, "no ticket outlives the one it comes from");
    let growth = new.renew_till.is_some_and(|new| old.renew_till.is_none_or(|old| new > old));
    same!(growth, false, "renew-till never grows");
    same!(new.renew_till.is_some(), new.flags.has(F::RENEWABLE), "renewable is who has a renew-till");
    same!(new.start < new.end, true, "a ticket has a life");
    same!(new.start >= old.start.min(new.auth), true, "no ticket begins before its client was there");
    let moved = new.addresses != old.addresses;
    same!(moved && !new.flags.any(MARKS), false, "who moves to other addresses is marked");
    same!(old.flags & MARKS & !new.flags, F::NONE, "marks stay");
    Ok(())
}

/// How often tickets were granted and refused: the stories must be about both.
#[derive(Default)]
struct Tally {
    granted: Cell<usize>,
    refused: Cell<usize>,
    flags: Cell<u32>,
}

impl Tally {
    fn count(&self, got: Option<&Held>) {
        let counter = if got.is_some() { &self.granted } else { &self.refused };
        counter.set(counter.get() + 1);
        self.flags.set(self.flags.get() | got.map_or(0, |held| held.ticket.flags.0));
    }
}

fn tell(story: &Story, tally: &Tally) -> Checked<()> {
    let mut telling = Telling::new(story);
    let mut held = telling.login()?.into_iter().collect::<Vec<_>>();
    tally.count(held.first());
    for step in &story.steps {
        // One try with what has expired is enough.
        if held.iter().all(|held| held.ticket.end <= telling.now()) {
            break;
        }
        telling.joined.wait(step.pause);
        if step.client_gone && !telling.client_gone {
            telling.client_gone = true;
            telling.joined.store.commit(&[Change::Delete(name("alice"))]).expect("a deleted client");
        }
        let with = telling.presented(&held, step);
        let wish = telling.meant(&step.wish, &with, step);
        let got = telling.further(&wish, &with)?;
        tally.count(got.as_ref());
        held.extend(got);
    }
    Ok(())
}

/// `PROPTEST_CASES` and `PROPTEST_RNG_SEED` ask for other stories than the usual ones.
fn runner(cases: u32) -> TestRunner {
    let set = Config { failure_persistence: None, ..Config::default() };
    let given = |name: &str| std::env::var_os(name).is_some();
    TestRunner::new(Config {
        cases: if given("PROPTEST_CASES") { set.cases } else { cases },
        rng_seed: if given("PROPTEST_RNG_SEED") { set.rng_seed } else { RngSeed::Fixed(4120) },
        ..set
    })
}

#[test]
fn the_kdc_grants_what_rfc_4120_says_and_nothing_else() {
    let tally = Tally::default();
    match runner(1000).run(&wishes::story(), |story| tell(&story, &tally)) {
        Ok(()) => (),
        Err(TestError::Fail(reason, story)) => panic!("{reason}\nin {story:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    let (granted, refused) = (tally.granted.get(), tally.refused.get());
    assert!(granted > 500 && refused > 500, "{granted} granted and {refused} refused: too few to say anything");
    // Every flag that this realm can set was in some ticket.
    let never = [F::HW_AUTHENT, F::ANONYMOUS];
    for (flag, name) in F::TABLE {
        assert_eq!(F(tally.flags.get()).has(*flag), !never.contains(flag), "{name}");
    }
}
