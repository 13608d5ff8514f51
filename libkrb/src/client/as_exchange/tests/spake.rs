//! The client's way through SPAKE (RFC 9588), against a KDC of a few lines.

use super::*;
use crate::preauth::Means;
use crate::preauth::spake::kdc::{self, State};
use crate::preauth::spake::{GROUPS, Group, Initial};
use crate::wire::{PaSpake, SpakeChallenge, SpakeSecondFactor};

/// A KDC that offers SPAKE before an encrypted timestamp.
struct Spake {
    key: Key,
    groups: Vec<&'static Group>,
    /// The group of the challenge that nobody asked for.
    optimistic: Option<&'static Group>,
    state: Option<State>,
    /// What it was sent, message by message.
    seen: Vec<Vec<PaType>>,
}

fn initial(key: &Key, group: &'static Group) -> Initial {
    Initial::new(key, group).unwrap()
}

impl Spake {
    fn new() -> Spake {
        Spake { key: user_key(AES256), groups: GROUPS.iter().collect(), optimistic: None, state: None, seen: vec![] }
    }

    fn challenge(&mut self, code: ErrorCode, group: &'static Group, support: Option<&[u8]>) -> Vec<u8> {
        let (message, state) = kdc::challenge(&initial(&self.key, group), support, &mut OsRandom::new()).unwrap();
        self.state = Some(state);
        let mut methods = wanted();
        methods.iter_mut().filter(|(kind, _)| *kind == UNKNOWN).for_each(|it| *it = (PaType::SPAKE, message.clone()));
        Refuse { code, ..Refuse::preauth(&methods) }.encode()
    }

    fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let asked = read(request);
        self.seen.push(asked.padata.iter().map(|element| element.kind).collect());
        let failed = Refuse { code: ErrorCode::PREAUTH_FAILED, ..Refuse::preauth(&wanted()) };
        if asked.padata(PaType::ENC_TIMESTAMP).is_some() {
            return Draft::as_rep(request, &self.key).seal();
        }
        match asked.padata(PaType::SPAKE).map(|element| (wire::decode(element.value).unwrap(), element.value)) {
            None => match self.optimistic {
                Some(group) => self.challenge(ErrorCode::PREAUTH_REQUIRED, group, None),
                None => Refuse::preauth(&offers(vec![])).encode(),
            },
            Some((PaSpake::Support(support), message)) => match kdc::choose(support.groups, &self.groups) {
                Some(group) => self.challenge(ErrorCode::MORE_PREAUTH_DATA_REQUIRED, group, Some(message)),
                None => failed.encode(),
            },
            Some((PaSpake::Response(response), _)) => {
                assert_eq!(asked.padata(PaType::FX_COOKIE).expect("a cookie").value, b"cookie");
                let state = self.state.as_ref().unwrap();
                match state.open(&initial(&self.key, state.group()), &response, asked.body.der) {
                    Ok(keys) => Draft::as_rep(request, &keys.reply().unwrap()).seal(),
                    Err(_) => failed.encode(),
                }
            }
            Some(other) => panic!("{other:?}"),
        }
    }

    fn count(&self, kind: PaType) -> usize {
        self.seen.iter().filter(|kinds| kinds.contains(&kind)).count()
    }
}

/// The offers of a KDC with this value of PA-SPAKE.
fn offers(value: Vec<u8>) -> Vec<(PaType, Vec<u8>)> {
    let offer = |(kind, other)| if kind == UNKNOWN { (PaType::SPAKE, value.clone()) } else { (kind, other) };
    wanted().into_iter().map(offer).collect()
}

fn login(means: Means, password: &str, kdc: &mut Spake) -> Result<Outcome> {
    let mut exchange = AsExchange::with_means(AsRequest::new(user()), Secret::password(password), means);
    drive(&mut exchange, |_, request| kdc.answer(request))
}

fn with_groups(groups: &[usize]) -> Means {
    Means { spake_groups: Some(groups.iter().map(|at| &GROUPS[*at]).collect()), ..Means::default() }
}

#[test]
fn a_password_is_proven_by_spake_where_the_kdc_offers_it() {
    for groups in [&[0][..], &[3], &[2, 1, 0]] {
        let mut kdc = Spake::new();
        let outcome = login(with_groups(groups), "userpw", &mut kdc).unwrap();
        assert_eq!(outcome.preauth, Some(PaType::SPAKE));
        assert_eq!((kdc.seen.len(), kdc.count(PaType::SPAKE), kdc.count(PaType::ENC_TIMESTAMP)), (3, 2, 0));
        assert_eq!(kdc.state.unwrap().group(), &GROUPS[groups[0]], "the client's favourite");
    }
}

#[test]
fn without_a_word_of_it_the_group_is_the_one_that_everybody_has() {
    let mut kdc = Spake::new();
    assert!(login(Means::default(), "userpw", &mut kdc).is_ok());
    assert_eq!(kdc.state.unwrap().group().name, "edwards25519");
}

#[test]
fn a_challenge_that_was_not_asked_for_is_answered_at_once_if_its_group_is_known() {
    let mut kdc = Spake { optimistic: Some(&GROUPS[0]), ..Spake::new() };
    assert!(login(Means::default(), "userpw", &mut kdc).is_ok());
    assert_eq!(kdc.seen.len(), 2);
    let mut kdc = Spake { optimistic: Some(&GROUPS[1]), ..Spake::new() };
    assert!(login(Means::default(), "userpw", &mut kdc).is_ok());
    assert_eq!(kdc.seen.len(), 3, "else the client names its own");
}

#[test]
fn after_a_wrong_password_no_timestamp_is_made_of_it() {
    let mut kdc = Spake::new();
    assert_eq!(login(Means::default(), "wrong", &mut kdc).unwrap_err(), Error::PasswordIncorrect);
    assert_eq!((kdc.count(PaType::SPAKE), kdc.count(PaType::ENC_TIMESTAMP)), (2, 0));
}

#[test]
fn where_no_group_is_common_a_timestamp_is_next_unless_it_is_disabled() {
    let none = || Spake { groups: vec![&GROUPS[3]], ..Spake::new() };
    let mut kdc = none();
    assert_eq!(login(Means::default(), "userpw", &mut kdc).unwrap().preauth, Some(PaType::ENC_TIMESTAMP));
    let mut kdc = none();
    let refused = login(Means { no_timestamp: true, ..Means::default() }, "userpw", &mut kdc).unwrap_err();
    assert_eq!(refused.wire_code(), ErrorCode::PREAUTH_REQUIRED);
    assert_eq!(kdc.count(PaType::ENC_TIMESTAMP), 0);
}

#[test]
fn a_kdc_that_does_not_offer_spake_gets_no_timestamp_where_that_is_disabled() {
    let mut sent = 0;
    let means = Means { no_timestamp: true, ..Means::default() };
    let mut exchange = AsExchange::with_means(AsRequest::new(user()), Secret::password("userpw"), means);
    let refused = drive(&mut exchange, |_, request| {
        sent += 1;
        assert!(read(request).padata(PaType::ENC_TIMESTAMP).is_none());
        Refuse::preauth(&wanted()).encode()
    });
    assert_eq!((refused.unwrap_err().wire_code(), sent), (ErrorCode::PREAUTH_REQUIRED, 1));
}

#[test]
fn without_a_group_spake_is_not_used() {
    let mut kdc = Spake::new();
    assert_eq!(login(with_groups(&[]), "userpw", &mut kdc).unwrap().preauth, Some(PaType::ENC_TIMESTAMP));
    assert_eq!(kdc.count(PaType::SPAKE), 0);
}

#[test]
fn a_kdc_that_chooses_another_group_or_wants_more_than_spake_has_is_left() {
    let mut kdc = Spake::new();
    let mut exchange = AsExchange::new(AsRequest::new(user()), Secret::password("userpw"));
    let ended = drive(&mut exchange, |_, request| match kdc.seen.len() {
        0 => kdc.answer(request),
        _ => kdc.challenge(ErrorCode::MORE_PREAUTH_DATA_REQUIRED, &GROUPS[2], None),
    });
    assert_eq!(mismatch(ended), "the KDC chose what was not offered");
    let mut kdc = Spake::new();
    let mut exchange = AsExchange::new(AsRequest::new(user()), Secret::password("userpw"));
    let ended = drive(&mut exchange, |_, request| match kdc.seen.len() {
        0 | 1 => kdc.answer(request),
        _ => kdc.challenge(ErrorCode::MORE_PREAUTH_DATA_REQUIRED, &GROUPS[0], None),
    });
    assert_eq!(mismatch(ended), "the KDC wants more than SPAKE has");
}

#[test]
fn a_second_factor_that_nobody_knows_leaves_it_to_the_next_method() {
    let factors = List::Items(&[SpakeSecondFactor { kind: 7, data: None }]);
    let challenge = SpakeChallenge { group: 1, public: &[1; 32], factors };
    let challenge = wire::encode(&PaSpake::Challenge(challenge));
    let key = user_key(AES256);
    let outcome = drive(&mut exchange(|_| ()), |_, request| {
        assert!(read(request).padata(PaType::SPAKE).is_none());
        match read(request).padata(PaType::ENC_TIMESTAMP) {
            None => Refuse::preauth(&offers(challenge.clone())).encode(),
            Some(_) => Draft::as_rep(request, &key).seal(),
        }
    });
    assert_eq!(outcome.unwrap().preauth, Some(PaType::ENC_TIMESTAMP));
}

#[test]
fn a_reply_under_the_password_alone_is_no_answer_to_spake() {
    let mut kdc = Spake::new();
    let key = user_key(AES256);
    let mut exchange = AsExchange::new(AsRequest::new(user()), Secret::password("userpw"));
    let ended = drive(&mut exchange, |_, request| match kdc.seen.len() {
        0 | 1 => kdc.answer(request),
        _ => Draft::as_rep(request, &key).seal(),
    });
    assert_eq!(ended.unwrap_err(), Error::PasswordIncorrect);
}
