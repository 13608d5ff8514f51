//! GSS-API libraries of others at one end of a context and us at the other: MIT's, Heimdal's, the
//! Python module over MIT's, and Java's; each as initiator and as acceptor, by the Kerberos mechanism
//! and by SPNEGO. The KDC is ours.

mod place;

use std::sync::Arc;

use libkrb::crypto::OsRandom;
use libkrb::error::Error;
use libkrb::gss::{
    AcceptStep, ChannelBindings, Context, ContextFlags, InitiatorContext, InitiatorOptions, InitiatorStep, Mechanism,
    PrfKey,
};
use libkrb::service::Acceptor;
use libkrb::time::Instant;
use libkrb::{ErrorCode, wire};
use tests::library::{forwarded, now, ticket, ticket_with};
use tests::remote::{Library, Remote, Stepped};
use tests::{AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, CAMELLIA128, CAMELLIA256, Etype, Seat};

use place::{BACKEND, Both, HOSTBASED, Place, SERVICE, bound, talk, they_call, unbound, we_call};

macro_rules! libraries {
    ($($name:ident: $library:ident;)+ => $tests:tt) => {
        $(libraries!(@library $name $library $tests);)+
    };
    (@library $name:ident $library:ident { $($test:ident;)+ }) => {
        mod $name {
            $(#[test]
            fn $test() {
                super::$test(tests::remote::Library::$library);
            })+
        }
    };
}

libraries! {
    mit: Mit;
    heimdal: Heimdal;
    python: Python;
    java: Java;
    => {
        its_initiator_and_our_acceptor_talk_under_every_etype;
        our_initiator_and_its_acceptor_talk_under_every_etype;
        each_flag_is_heard_by_our_acceptor;
        each_flag_is_heard_by_its_acceptor;
        a_mebibyte_goes_both_ways;
        messages_out_of_order_are_told_on_both_sides;
        our_acceptor_holds_its_initiator_to_the_channel;
        its_acceptor_holds_our_initiator_to_the_channel;
        our_acceptor_can_use_the_ticket_that_its_initiator_hands_over;
        its_acceptor_can_use_the_ticket_that_our_initiator_hands_over;
        a_token_that_comes_twice_is_refused_by_both;
        a_wrong_clock_is_told_in_its_own_words;
    }
}

const BOTH: [Mechanism; 2] = [Mechanism::Kerberos, Mechanism::Spnego];

/// What the library knows of what we have.
fn etypes(library: Library) -> &'static [Etype] {
    const ALL: &[Etype] = &[AES128_SHA1, AES256_SHA1, AES128_SHA2, AES256_SHA2, CAMELLIA128, CAMELLIA256];
    match library {
        Library::Mit | Library::MitWithNtlm | Library::Python => ALL,
        Library::Heimdal | Library::Java => &ALL[..4],
    }
}

fn options(mechanism: Mechanism) -> InitiatorOptions {
    InitiatorOptions { mechanism, ..InitiatorOptions::default() }
}

/// An initiator of ours with alice's ticket.
fn initiator(seat: &Seat<'_>, options: InitiatorOptions) -> InitiatorContext {
    InitiatorContext::new(&ticket(seat, "alice", "secret", SERVICE), options).expect("a context")
}

/// Both ends make the same octets of the same input.
fn same_random(remote: &mut Remote, ours: &Context) {
    for (key, full) in [(PrfKey::Full, true), (PrfKey::Partial, false)] {
        match remote.prf(full, b"an input", 100) {
            Ok(theirs) => assert_eq!(ours.prf(key, b"an input", 100).expect("octets").as_slice(), theirs),
            Err(refused) => assert_eq!(refused.reason, "unavailable"),
        }
    }
}

/// No message is longer than it may be, and one more octet would not fit.
fn same_limits(remote: &mut Remote, ours: &mut Context) {
    for (confidential, most) in [(true, 1000), (false, 1000), (true, 65536)] {
        let theirs = remote.limit(confidential, most).unwrap_or_else(|refused| panic!("{refused}"));
        let limit = ours.wrap_size_limit(confidential, most);
        assert!(limit >= theirs, "{limit} and {theirs}");
        let wrap = |ours: &mut Context, length| ours.wrap(&mut OsRandom::new(), confidential, &vec![7; length]);
        assert_eq!(wrap(ours, limit).expect("a message").len(), most);
    }
}

fn its_initiator_and_our_acceptor_talk_under_every_etype(library: Library) {
    for etype in etypes(library) {
        let place = Place::under(*etype);
        let (seat, acceptor) = (place.seat(), place.acceptor());
        Remote::with(library, &seat, |remote| {
            for mechanism in BOTH {
                remote.initiate(mechanism, HOSTBASED, ContextFlags::DEFAULT, None);
                let mut both = they_call(remote, &mut unbound(&acceptor)).expect("a context");
                let caller = both.caller.expect("a caller");
                assert_eq!(caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
                assert_eq!(both.ours.key().etype().0, etype.number);
                assert!(both.peer.contains("localhost"), "{}", both.peer);
                talk(remote, &mut both.ours, b"a message");
                same_random(remote, &both.ours);
                same_limits(remote, &mut both.ours);
            }
        });
    }
}

fn our_initiator_and_its_acceptor_talk_under_every_etype(library: Library) {
    for etype in etypes(library) {
        let place = Place::under(*etype);
        let seat = place.seat();
        let initiators = BOTH.map(|mechanism| initiator(&seat, options(mechanism)));
        Remote::with(library, &seat, |remote| {
            for mut ours in initiators {
                remote.accept(None);
                let mut both = we_call(remote, &mut ours).expect("a context");
                assert_eq!(both.peer, "alice@EXAMPLE.ORG");
                assert_eq!(both.ours.key().etype().0, etype.number);
                talk(remote, &mut both.ours, b"a message");
                same_random(remote, &both.ours);
                same_limits(remote, &mut both.ours);
            }
        });
    }
}

/// Sets of flags, of which each is asked for in one and not in another.
const FLAGS: [ContextFlags; 5] = [
    ContextFlags::DEFAULT,
    ContextFlags(ContextFlags::MUTUAL.0 | ContextFlags::INTEGRITY.0),
    ContextFlags(ContextFlags::REPLAY.0 | ContextFlags::CONFIDENTIALITY.0 | ContextFlags::INTEGRITY.0),
    ContextFlags(ContextFlags::SEQUENCE.0 | ContextFlags::MUTUAL.0 | ContextFlags::INTEGRITY.0),
    ContextFlags(ContextFlags::INTEGRITY.0),
];

/// The flags of the exchange, as a library passes them on; that messages are encrypted and signed is
/// offered by some in any case.
fn told(library: Library, flags: ContextFlags) -> ContextFlags {
    const ORDER: ContextFlags = ContextFlags(ContextFlags::REPLAY.0 | ContextFlags::SEQUENCE.0);
    // To Java these two are one.
    let order = if library == Library::Java && flags.any(ORDER) { ORDER } else { flags & ORDER };
    order | flags & ContextFlags::MUTUAL
}

fn sign(remote: &mut Remote, both: &mut Both) {
    let mic = remote.mic(b"a message").unwrap_or_else(|refused| panic!("{refused}"));
    both.ours.verify_mic(b"a message", &mic).expect("their signature");
    let mic = both.ours.mic(b"a message").expect("a signature");
    assert_eq!(remote.verify(b"a message", &mic).unwrap_or_else(|refused| panic!("{refused}")), "");
}

fn each_flag_is_heard_by_our_acceptor(library: Library) {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    Remote::with(library, &seat, |remote| {
        for (mechanism, flags) in BOTH.into_iter().flat_map(|mechanism| FLAGS.map(|flags| (mechanism, flags))) {
            remote.initiate(mechanism, HOSTBASED, flags, None);
            let mut both = they_call(remote, &mut unbound(&acceptor)).expect("a context");
            assert_eq!(told(library, both.ours.flags()), told(library, flags), "{mechanism:?}");
            assert_eq!(told(library, both.flags), told(library, flags), "{mechanism:?}");
            sign(remote, &mut both);
        }
    });
}

fn each_flag_is_heard_by_its_acceptor(library: Library) {
    let place = Place::new();
    let seat = place.seat();
    let flagged = |mechanism, flags| InitiatorOptions { flags, ..options(mechanism) };
    let initiators: Vec<_> = BOTH
        .into_iter()
        .flat_map(|mechanism| FLAGS.map(|flags| (flags, initiator(&seat, flagged(mechanism, flags)))))
        .collect();
    Remote::with(library, &seat, |remote| {
        for (flags, mut ours) in initiators {
            remote.accept(None);
            let mut both = we_call(remote, &mut ours).expect("a context");
            assert_eq!(told(library, both.ours.flags()), told(library, flags));
            assert_eq!(told(library, both.flags), told(library, flags));
            sign(remote, &mut both);
        }
    });
}

fn a_mebibyte_goes_both_ways(library: Library) {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    let message: Vec<u8> = (0..1u32 << 20).map(|place| (place % 251) as u8).collect();
    Remote::with(library, &seat, |remote| {
        remote.initiate(Mechanism::Spnego, HOSTBASED, ContextFlags::DEFAULT, None);
        let mut both = they_call(remote, &mut unbound(&acceptor)).expect("a context");
        for message in [message.as_slice(), b"", &message[..1]] {
            talk(remote, &mut both.ours, message);
        }
    });
}

fn messages_out_of_order_are_told_on_both_sides(library: Library) {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    Remote::with(library, &seat, |remote| {
        remote.initiate(Mechanism::Spnego, HOSTBASED, ContextFlags::DEFAULT, None);
        let mut ours = they_call(remote, &mut unbound(&acceptor)).expect("a context").ours;
        let [first, second] = [b"1", b"2"].map(|text| ours.wrap(&mut OsRandom::new(), true, text).expect("a message"));
        // It tells, and lets the message pass: RFC 2743 has it so.
        let told = |read: Result<tests::remote::Message, _>| read.map_or("refused".to_owned(), |read| read.notes);
        assert_ne!(told(remote.unwrap(&second)), "", "a gap");
        assert_ne!(told(remote.unwrap(&first)), "", "an old message");
        assert_ne!(told(remote.unwrap(&first)), "", "a message that came before");

        let [first, second] = [b"1", b"2"].map(|text| remote.wrap(true, text).expect("a message"));
        assert!(ours.unwrap(&second).is_err(), "a gap");
        assert_eq!(ours.unwrap(&first).expect("the next one").message.as_slice(), b"1");
        assert!(ours.unwrap(&first).is_err(), "it came before");
        assert_eq!(ours.unwrap(&second).expect("the next one").message.as_slice(), b"2");
    });
}

/// Bindings to a channel as this library hashes them: Java gives addresses that it does not have
/// a kind of their own.
fn channel(library: Library, name: &[u8]) -> ChannelBindings {
    let none = (if library == Library::Java { 255 } else { 0 }, vec![]);
    ChannelBindings { initiator: none.clone(), acceptor: none, application: name.to_vec() }
}

fn our_acceptor_holds_its_initiator_to_the_channel(library: Library) {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    let ours = Some(channel(library, b"a channel"));
    Remote::with(library, &seat, |remote| {
        for mechanism in BOTH {
            for (theirs, require, known) in [
                (None, false, Some(false)),
                (None, true, None),
                (Some(b"a channel".as_slice()), false, Some(true)),
                (Some(b"a channel"), true, Some(true)),
                (Some(b"another"), false, None),
                (Some(b"another"), true, None),
            ] {
                remote.initiate(mechanism, HOSTBASED, ContextFlags::DEFAULT, theirs);
                let came = they_call(remote, &mut bound(&acceptor, ours.clone(), require));
                match came {
                    Ok(both) => assert_eq!(Some(both.caller.expect("a caller").bound), known, "{theirs:?} {require}"),
                    Err(failure) => {
                        assert_eq!(known, None, "{theirs:?} {require} {failure:?}");
                        assert!(matches!(failure.ours, Some(Error::ChannelBindings(_))), "{failure:?}");
                        assert!(failure.theirs.is_some(), "it was told");
                    }
                }
            }
            // Without a channel of our own theirs is of no concern.
            remote.initiate(mechanism, HOSTBASED, ContextFlags::DEFAULT, Some(b"a channel"));
            let both = they_call(remote, &mut unbound(&acceptor)).expect("a context");
            assert!(!both.caller.expect("a caller").bound);
        }
    });
}

fn its_acceptor_holds_our_initiator_to_the_channel(library: Library) {
    let place = Place::new();
    let seat = place.seat();
    let with = |mechanism, name: Option<&[u8]>| {
        let bindings = name.map(|name| channel(library, name));
        initiator(&seat, InitiatorOptions { bindings, ..options(mechanism) })
    };
    let initiators = BOTH.map(|mechanism| {
        [with(mechanism, Some(b"a channel")), with(mechanism, Some(b"another")), with(mechanism, None)]
    });
    Remote::with(library, &seat, |remote| {
        for [mut same, mut other, mut none] in initiators {
            remote.accept(Some(b"a channel"));
            let mut both = we_call(remote, &mut same).expect("a context");
            talk(remote, &mut both.ours, b"a message");
            remote.accept(Some(b"a channel"));
            let failure = we_call(remote, &mut other).err().expect("another channel");
            let theirs = failure.theirs.expect("a refusal");
            assert_eq!(theirs.reason, "bad bindings", "{theirs}");
            // MIT and Heimdal let an initiator without a channel pass, and Java does not.
            remote.accept(Some(b"a channel"));
            assert_eq!(we_call(remote, &mut none).is_ok(), library != Library::Java);
        }
    });
}

fn our_acceptor_can_use_the_ticket_that_its_initiator_hands_over(library: Library) {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    let handed = Remote::with(library, &seat, |remote| {
        BOTH.map(|mechanism| {
            remote.initiate(mechanism, HOSTBASED, ContextFlags::DEFAULT | ContextFlags::DELEGATE, None);
            let both = they_call(remote, &mut unbound(&acceptor)).expect("a context");
            assert!(both.ours.flags().has(ContextFlags::DELEGATE) && both.flags.has(ContextFlags::DELEGATE));
            both.caller.expect("a caller").delegated.expect("a ticket")
        })
    });
    for handed in handed.into_iter().flatten() {
        let [tgt] = handed.tickets.as_slice() else { panic!("one ticket: {handed:?}") };
        let onward = ticket_with(&seat, tgt, BACKEND);
        let mut onward = InitiatorContext::new(&onward, options(Mechanism::Kerberos)).expect("a context");
        let InitiatorStep::Continue(token) = onward.step(now(), &mut OsRandom::new(), None).expect("a token") else {
            panic!("it waits for an answer")
        };
        assert_eq!(caller_of(&place, &token), "alice@EXAMPLE.ORG");
    }
}

/// Who calls the service behind the service.
fn caller_of(place: &Place, token: &[u8]) -> String {
    match unbound(&place.backend()).step(now(), &mut OsRandom::new(), token, None) {
        Ok(AcceptStep::Done(_, caller, _)) => caller.accepted.client.to_string(),
        other => panic!("no caller: {other:?}"),
    }
}

fn its_acceptor_can_use_the_ticket_that_our_initiator_hands_over(library: Library) {
    let place = Place::new();
    let seat = place.seat();
    let initiators = BOTH.map(|mechanism| {
        let delegated = Some(forwarded(&seat, "alice", "secret"));
        initiator(&seat, InitiatorOptions { delegated, ..options(mechanism) })
    });
    let tokens = Remote::with(library, &seat, |remote| {
        initiators.map(|mut ours| {
            remote.accept(None);
            let both = we_call(remote, &mut ours).expect("a context");
            assert!(both.flags.has(ContextFlags::DELEGATE));
            match remote.hop("HTTP@backend.example.org").unwrap_or_else(|refused| panic!("{refused}")) {
                Stepped::Continue(token) | Stepped::Open { token, .. } => token,
            }
        })
    });
    for token in tokens.into_iter().flatten() {
        assert_eq!(caller_of(&place, &token), "alice@EXAMPLE.ORG");
    }
}

fn a_token_that_comes_twice_is_refused_by_both(library: Library) {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    let initiators = BOTH.map(|mechanism| initiator(&seat, options(mechanism)));
    Remote::with(library, &seat, |remote| {
        for (mechanism, mut ours) in BOTH.into_iter().zip(initiators) {
            remote.initiate(mechanism, HOSTBASED, ContextFlags::DEFAULT, None);
            let Ok(Stepped::Continue(token)) = remote.step(b"") else { panic!("it waits for an answer") };
            let accept = || unbound(&acceptor).step(now(), &mut OsRandom::new(), &token, None);
            accept().expect("the first time");
            assert_eq!(accept().expect_err("the second time").cause.wire_code(), ErrorCode::REPEAT);

            let InitiatorStep::Continue(token) = ours.step(now(), &mut OsRandom::new(), None).expect("a token") else {
                panic!("it waits for an answer")
            };
            remote.accept(None);
            remote.step(&token).unwrap_or_else(|refused| panic!("{refused}"));
            // Heimdal's library remembers no tokens.
            if library == Library::Heimdal {
                continue;
            }
            remote.accept(None);
            let refused = remote.step(&token).expect_err("the second time");
            assert!(refused.text.to_lowercase().contains("repl"), "{refused}");
            if !refused.token.is_empty() {
                let error = ours.step(now(), &mut OsRandom::new(), Some(&refused.token)).expect_err("refused");
                assert_eq!(error.wire_code(), ErrorCode::REPEAT);
            }
        }
    });
}

fn a_wrong_clock_is_told_in_its_own_words(library: Library) {
    let place = Place::new();
    let acceptor = place.acceptor();
    for mechanism in BOTH {
        // Heimdal keeps with its tickets what it learns of clocks.
        let seat = place.seat();
        let mut ours = initiator(&seat, options(mechanism));
        Remote::with(library, &seat, |remote| {
            its_initiator_hears_that_its_clock_is_wrong(library, remote, mechanism, &acceptor);
            our_initiator_hears_that_its_clock_is_wrong(remote, &mut ours);
        });
    }
}

fn late() -> Instant {
    Instant { time: now().time + 4000, ..now() }
}

fn its_initiator_hears_that_its_clock_is_wrong(
    library: Library,
    remote: &mut Remote,
    mechanism: Mechanism,
    acceptor: &Arc<Acceptor>,
) {
    remote.initiate(mechanism, HOSTBASED, ContextFlags::DEFAULT, None);
    let Ok(Stepped::Continue(token)) = remote.step(b"") else { panic!("it waits for an answer") };
    let refusal = unbound(acceptor).step(late(), &mut OsRandom::new(), &token, None).expect_err("late");
    assert_eq!(refusal.cause.wire_code(), ErrorCode::SKEW);
    match remote.step(&refusal.token.expect("a token")) {
        // Heimdal tries once more, by the clock that it was told.
        Ok(Stepped::Continue(token)) => {
            assert_eq!(library, Library::Heimdal);
            let step = unbound(acceptor).step(late(), &mut OsRandom::new(), &token, None);
            assert!(matches!(step, Ok(AcceptStep::Done(..))), "{step:?}");
        }
        Ok(step) => panic!("{step:?}"),
        // Java cannot read what refuses it, nor Heimdal what stands in a rejection of SPNEGO.
        Err(refused) => {
            let words = refused.text.to_lowercase();
            let mute = library == Library::Java || (library, mechanism) == (Library::Heimdal, Mechanism::Spnego);
            assert!(words.contains("clock skew") || mute, "{mechanism:?} {refused}");
        }
    }
}

fn our_initiator_hears_that_its_clock_is_wrong(remote: &mut Remote, ours: &mut InitiatorContext) {
    let Ok(InitiatorStep::Continue(token)) = ours.step(late(), &mut OsRandom::new(), None) else {
        panic!("it waits for an answer")
    };
    remote.accept(None);
    let token = match remote.step(&token) {
        // Heimdal lets others try once more, too.
        Ok(Stepped::Continue(token)) => token,
        Ok(step) => panic!("{step:?}"),
        Err(refused) => {
            assert!(refused.text.to_lowercase().contains("clock skew"), "{refused}");
            refused.token
        }
    };
    // Java gives no token that tells.
    if !token.is_empty() {
        let error = ours.step(late(), &mut OsRandom::new(), Some(&token)).expect_err("refused");
        assert_eq!(error.wire_code(), ErrorCode::SKEW);
        assert!(ours.clock_offset().is_some());
    }
}

#[test]
fn mits_initiator_that_prefers_another_mechanism_signs_its_offer() {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    Remote::with(Library::MitWithNtlm, &seat, |remote| {
        for flags in [ContextFlags::DEFAULT, ContextFlags::INTEGRITY] {
            remote.initiate(Mechanism::Spnego, HOSTBASED, flags, None);
            remote.prefer(&[wire::Oid::NTLM.0, wire::Oid::KERBEROS.0]).unwrap_or_else(|refused| panic!("{refused}"));
            let mut both = they_call(remote, &mut unbound(&acceptor)).expect("a context");
            // The offer, our choice, the tokens of Kerberos, and signatures with them or after them.
            assert_eq!(both.tokens, if flags.has(ContextFlags::MUTUAL) { 5 } else { 4 });
            sign(remote, &mut both);
        }
    });
}

#[test]
fn an_initiator_without_a_ticket_that_falls_back_to_ntlm_is_told_so() {
    let place = Place::new();
    let (seat, acceptor) = (place.seat(), place.acceptor());
    std::fs::remove_file(seat.ccache()).expect("the tickets");
    Remote::with(Library::MitWithNtlm, &seat, |remote| {
        remote.initiate(Mechanism::Spnego, HOSTBASED, ContextFlags::DEFAULT, None);
        let failure = they_call(remote, &mut unbound(&acceptor)).err().expect("no context");
        let ours = failure.ours.as_ref().unwrap_or_else(|| panic!("{failure:?}")).to_string();
        assert!(ours.starts_with("the client offers NTLM, which is not Kerberos"), "{ours}");
        assert!(failure.theirs.is_some(), "it was told");
    });
}
