//! Random realms, principals, requests and stories of several requests.

use kdc::core::Attributes as A;
use libkrb::flags::KdcOptions as O;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::rules::{Account, Proof, Realm, Server, Wish};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// One request of a story, with times relative to the moment of the request.
#[derive(Clone, Debug)]
pub struct Step {
    /// What passes before it.
    pub pause: i64,
    /// Which of the tickets held is presented, the newest being 0; `None`: one that fits.
    pub with: Option<usize>,
    pub wish: Wish,
    /// The client disappears before it.
    pub client_gone: bool,
}

/// A realm, its principals, a login, and what is done with the tickets.
#[derive(Clone, Debug)]
pub struct Story {
    pub realm: Realm,
    pub client: Account,
    pub unknown_client: bool,
    pub tgs: Account,
    pub host: Account,
    pub login: Wish,
    pub proof: Proof,
    pub steps: Vec<Step>,
}

/// Lives that matter: around a second, the skew, an hour, a day, a week.
fn life() -> impl Strategy<Value = i64> {
    prop_oneof![
        1 => select(vec![1, 2, 299, 300, 301]),
        2 => 60..2 * HOUR,
        4 => HOUR..3 * DAY,
        2 => DAY..30 * DAY,
    ]
}

/// A time near now, after it more often than before; 0 where that means something.
fn moment() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => life(),
        1 => life().prop_map(|seconds| -seconds),
        2 => select(vec![-1, 0, 1, 299, 300, 301]),
    ]
}

pub fn realm() -> impl Strategy<Value = Realm> {
    let etypes = prop_oneof![
        6 => Just(vec![18, 17, 20, 19, 26, 25]),
        2 => subsequence(vec![18, 17, 20, 19, 26, 25], 1..=6),
    ];
    let rare = prop::bool::weighted(0.2);
    (life(), life(), select(vec![300, 300, 1, 3600]), etypes, rare, rare, prop::bool::ANY).prop_map(
        |(life, renewable, skew, etypes, everybody_proves, hides_unknown, skippable)| Realm {
            max_life: if life < HOUR { life * 60 } else { life },
            max_renewable_life: renewable * 4,
            skew,
            etypes,
            everybody_proves,
            hides_unknown,
            transited_check_may_be_skipped: skippable,
        },
    )
}

const CLIENT_ATTRIBUTES: [A; 10] = [
    A::DISALLOW_POSTDATED,
    A::DISALLOW_FORWARDABLE,
    A::DISALLOW_RENEWABLE,
    A::DISALLOW_PROXIABLE,
    A::DISALLOW_TGT_BASED,
    A::DISALLOW_ALL_TIX,
    A::REQUIRES_HW_AUTH,
    A::REQUIRES_PWCHANGE,
    A::OK_AS_DELEGATE,
    A::REQUIRES_PRE_AUTH,
];

/// Most accounts have nothing special; some have one or two things.
fn account() -> impl Strategy<Value = Account> {
    let attributes = prop_oneof![
        12 => Just(0),
        2 => select(CLIENT_ATTRIBUTES.to_vec()).prop_map(|bit| bit.0),
        1 => subsequence(CLIENT_ATTRIBUTES.to_vec(), 1..4)
            .prop_map(|bits| bits.iter().fold(0, |all, bit| all | bit.0)),
    ];
    let seldom = || option::weighted(0.05, moment());
    let stated = option::weighted(0.05, subsequence(vec![18, 17, 20, 25], 1..=3));
    (attributes, seldom(), seldom(), option::weighted(0.3, life()), option::weighted(0.3, life()), stated).prop_map(
        |(attributes, expires, password_expires, max_life, max_renewable_life, stated_etypes)| Account {
            attributes,
            expires,
            password_expires,
            max_life,
            max_renewable_life,
            stated_etypes,
        },
    )
}

const OPTIONS: [O; 16] = [
    O::FORWARDABLE,
    O::FORWARDED,
    O::PROXIABLE,
    O::PROXY,
    O::ALLOW_POSTDATE,
    O::POSTDATED,
    O::RENEWABLE,
    O::CNAME_IN_ADDL_TKT,
    O::CANONICALIZE,
    O::REQUEST_ANONYMOUS,
    O::DISABLE_TRANSITED_CHECK,
    O::RENEWABLE_OK,
    O::ENC_TKT_IN_SKEY,
    O::RENEW,
    O::VALIDATE,
    // Unknown ones are ignored (RFC 4120 2).
    O(0x0020_0040),
];

fn any_of(options: Vec<O>) -> impl Strategy<Value = O> {
    let most = options.len();
    subsequence(options, 0..=most).prop_map(|some| some.into_iter().fold(O::NONE, |all, option| all | option))
}

/// A wish with these options for this server; times are relative.
fn wish(server: impl Strategy<Value = Server>, options: impl Strategy<Value = O>) -> impl Strategy<Value = Wish> {
    let etypes = prop_oneof![
        8 => Just(vec![18, 17]),
        2 => vec(select(vec![18, 17, 20, 19, 25, 26, 23, 3, -1, 0]), 1..5),
    ];
    let till = prop_oneof![1 => Just(None), 2 => moment().prop_map(Some)];
    let renew_till = option::of(prop_oneof![1 => Just(None), 4 => moment().prop_map(Some)]);
    let from = (prop::bool::weighted(0.1), moment());
    (server, options, from, till, renew_till, etypes, vec(0..4_u8, 0..3)).prop_map(
        |(server, options, from, till, renew_till, etypes, addresses)| Wish {
            server,
            options,
            from: (from.0 || options.has(O::POSTDATED)).then_some(from.1),
            // i64::MIN stands for "no time named"; `Wish::at` makes 0 of it.
            till: till.unwrap_or(i64::MIN),
            renew_till: renew_till.map(|till| till.unwrap_or(i64::MIN)),
            etypes,
            addresses,
        },
    )
}

impl Wish {
    /// The same with its times counted from `now`.
    pub fn at(&self, now: i64) -> Wish {
        let absolute = |time: i64| if time == i64::MIN { 0 } else { now + time };
        Wish {
            from: self.from.map(absolute),
            till: absolute(self.till),
            renew_till: self.renew_till.map(absolute),
            ..self.clone()
        }
    }
}

fn login() -> impl Strategy<Value = Wish> {
    let good = vec![O::FORWARDABLE, O::PROXIABLE, O::ALLOW_POSTDATE, O::RENEWABLE, O::RENEWABLE_OK, O::CANONICALIZE];
    let server = prop_oneof![
        12 => Just(Server::Tgs),
        1 => select(vec![Server::Host, Server::Changepw, Server::User, Server::Unknown]),
    ];
    let options = prop_oneof![
        3 => any_of(good.clone()),
        9 => any_of(good).prop_map(|options| options | O::RENEWABLE | O::FORWARDABLE | O::PROXIABLE | O::ALLOW_POSTDATE),
        1 => any_of(vec![O::POSTDATED, O::RENEWABLE, O::FORWARDABLE]).prop_map(|options| options | O::POSTDATED),
        1 => any_of(OPTIONS.to_vec()),
        1 => select(OPTIONS.to_vec()),
    ];
    wish(server, options)
}

fn step() -> impl Strategy<Value = Step> {
    let servers = || {
        prop_oneof![
            3 => Just(Server::Tgs),
            6 => Just(Server::Host),
            1 => select(vec![Server::Changepw, Server::User, Server::Unknown]),
        ]
    };
    let derive = any_of(vec![O::FORWARDABLE, O::PROXIABLE, O::RENEWABLE, O::RENEWABLE_OK, O::CANONICALIZE]);
    let wishes = prop_oneof![
        3 => wish(servers(), prop_oneof![Just(O::NONE), derive]),
        2 => wish(servers(), any_of(vec![O::RENEW, O::FORWARDABLE, O::PROXIABLE]).prop_map(|some| some | O::RENEW)),
        2 => wish(Just(Server::Tgs), Just(O::RENEW)),
        2 => wish(Just(Server::Tgs), Just(O::VALIDATE)),
        1 => wish(servers(), Just(O::VALIDATE)),
        1 => wish(Just(Server::Tgs), Just(O::VALIDATE | O::RENEW)),
        2 => wish(servers(), any_of(vec![O::FORWARDABLE, O::RENEWABLE]).prop_map(|some| some | O::FORWARDED)),
        2 => wish(servers(), any_of(vec![O::PROXIABLE]).prop_map(|some| some | O::PROXY)),
        2 => wish(servers(), any_of(vec![O::ALLOW_POSTDATE, O::RENEWABLE]).prop_map(|some| some | O::POSTDATED)),
        3 => wish(servers(), any_of(vec![O::RENEW, O::VALIDATE, O::FORWARDED, O::PROXY])),
        1 => wish(servers(), any_of(OPTIONS.to_vec())),
        1 => wish(servers(), select(OPTIONS.to_vec())),
    ];
    let pause = prop_oneof![6 => Just(0), 8 => 0..600_i64, 2 => 0..2 * HOUR, 1 => life()];
    let with = prop_oneof![5 => Just(None), 1 => (0..6_usize).prop_map(Some)];
    (pause, with, wishes, prop::bool::weighted(0.01)).prop_map(|(pause, with, wish, client_gone)| Step {
        pause,
        with,
        wish,
        client_gone,
    })
}

pub fn story() -> impl Strategy<Value = Story> {
    let proof = prop_oneof![
        30 => Just(Proof::Timestamp(0)),
        2 => select(vec![-3601, -301, -300, -2, 1, 299, 300, 301]).prop_map(Proof::Timestamp),
        2 => Just(Proof::None),
        1 => Just(Proof::WrongKey),
    ];
    let unknown_client = prop::bool::weighted(0.03);
    (realm(), account(), unknown_client, account(), account(), login(), proof, vec(step(), 4..16)).prop_map(
        |(realm, client, unknown_client, tgs, host, login, proof, steps)| Story {
            realm,
            client,
            unknown_client,
            tgs,
            host,
            login,
            proof,
            steps,
        },
    )
}
