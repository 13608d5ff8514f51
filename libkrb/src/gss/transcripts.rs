//! Dialogues of MIT's gss-client and gss-server, each with one end of ours in the place of theirs:
//! given what they chose at random, ours says what they said. For tests only.

use std::sync::Arc;

use serde_json::Value;

use super::testing::Script;
use super::*;
use crate::ccache::Credential;
use crate::crypto::{Key, KeyUsage};
use crate::flags::TicketFlags;
use crate::keytab::{Keytab, RawKey};
use crate::replay::MemoryReplayCache;
use crate::service::testing::{hex, step_key, step_time, transcripts};
use crate::service::{Acceptor, Options};
use crate::session::DEFAULT_SKEW;
use crate::time::{Instant, Time};
use crate::wire::{self, ApReq, Authenticator, EncApRepPart, InitialToken};

/// One recorded dialogue.
struct Dialogue {
    value: Value,
    keytab: Keytab,
}

fn dialogues() -> Vec<Dialogue> {
    let recorded = transcripts();
    let keytab = Keytab::parse(&hex(recorded["keytab_hex"].as_str().unwrap())).unwrap();
    let values = recorded["gss"].as_array().unwrap().clone();
    values.into_iter().map(|value| Dialogue { value, keytab: keytab.clone() }).collect()
}

impl Dialogue {
    fn name(&self) -> &str {
        self.value["scenario"].as_str().unwrap()
    }

    fn mechanism(&self) -> Mechanism {
        if self.name() == "gss-spnego" { Mechanism::Spnego } else { Mechanism::Kerberos }
    }

    /// The tokens that say something, in their order.
    fn tokens(&self) -> Vec<Vec<u8>> {
        let tokens = self.value["tokens"].as_array().unwrap().iter();
        tokens.map(|token| hex(token["token"].as_str().unwrap())).filter(|token| !token.is_empty()).collect()
    }

    /// What was decrypted with a key of this usage.
    fn step(&self, usage: i64) -> Option<&Value> {
        self.value["steps"].as_array().unwrap().iter().find(|step| step["usage"] == usage)
    }

    fn plain(&self, usage: i64) -> Option<Vec<u8>> {
        self.step(usage).map(|step| hex(step["plaintext"].as_str().unwrap()))
    }

    fn message(&self) -> String {
        let steps = self.value["steps"].as_array().unwrap();
        steps.iter().find_map(|step| step["message_text"].as_str()).unwrap().to_owned()
    }

    fn now(&self) -> Instant {
        step_time(self.step(11).unwrap())
    }

    fn acceptor(&self) -> AcceptorContext {
        let replay = Arc::new(MemoryReplayCache::new(DEFAULT_SKEW, 10));
        let acceptor = Acceptor::new(&self.keytab, Options::default(), replay).unwrap();
        AcceptorContext::new(Arc::new(acceptor), AcceptorOptions::default())
    }

    /// The ticket that the client showed.
    fn ticket(&self) -> Credential {
        let first = &self.tokens()[0];
        let start = first.windows(4).position(|window| window[0] == 0x6e && window[1] == 0x82).unwrap();
        let length = usize::from(u16::from_be_bytes([first[start + 2], first[start + 3]]));
        let request: ApReq<'_> = wire::decode(&first[start..start + 4 + length]).unwrap();
        let ticket = request.ticket;
        let plain = self.plain(11).unwrap();
        let authenticator: Authenticator<'_> = wire::decode(&plain).unwrap();
        Credential {
            client: authenticator.client.principal(authenticator.client_realm).unwrap(),
            server: ticket.value.server.principal(ticket.value.realm).unwrap(),
            key: RawKey::from(&step_key(self.step(11).unwrap())),
            auth_time: Time::EPOCH,
            start_time: Time::EPOCH,
            end_time: self.now().time + 3600,
            renew_till: Time::EPOCH,
            is_skey: false,
            flags: TicketFlags::NONE,
            addresses: vec![],
            authdata: vec![],
            ticket: ticket.der.to_vec(),
            second_ticket: vec![],
        }
    }
}

/// A key and a number as they are drawn.
fn drawn(key: Key, sequence: u32) -> Script {
    Script([key.expose(), &sequence.to_be_bytes()].concat())
}

#[test]
fn our_acceptor_says_what_mits_said() {
    for dialogue in dialogues() {
        let (name, tokens) = (dialogue.name().to_owned(), dialogue.tokens());
        let part = dialogue.plain(12);
        let part = part.as_ref().map(|part| wire::decode::<EncApRepPart<'_>>(part).unwrap());
        let mut random =
            part.map_or(Script(vec![]), |part| drawn(part.subkey.unwrap().key().unwrap(), part.sequence.unwrap()));
        let step = dialogue.acceptor().step(dialogue.now(), &mut random, &tokens[0], None).unwrap();
        let AcceptStep::Done(mut context, caller, token) = step else { panic!("{name}: one token is enough") };
        assert_eq!(caller.accepted.client.to_string(), "user@KRBTEST.COM");
        assert_eq!(token.is_some(), tokens.len() == 4, "{name}");
        if let (Some(token), Mechanism::Kerberos) = (token, dialogue.mechanism()) {
            let said = |token: &[u8]| {
                let token: InitialToken<'_> = wire::decode(token).unwrap();
                let rep: wire::ApRep<'_> = wire::decode(&token.inner[2..]).unwrap();
                caller.accepted.session_key.decrypt(KeyUsage::AP_REP, rep.enc_part.cipher).unwrap()
            };
            assert_eq!(said(&token), said(&tokens[1]), "{name}");
        }
        let delegated = caller.delegated.as_ref().map(|cred| cred.tickets[0].server.to_string());
        assert_eq!(delegated.as_deref(), (name == "gss-krb5-deleg").then_some("krbtgt/KRBTEST.COM@KRBTEST.COM"));

        let [.., wrapped, signature] = tokens.as_slice() else { panic!("{name}: two messages") };
        let opened = context.unwrap(wrapped).unwrap();
        assert_eq!(opened.message.as_slice(), dialogue.message().as_bytes(), "{name}");
        assert_eq!(opened.confidential, name != "gss-krb5-nowrap-integ");
        assert_eq!(context.mic(&opened.message).unwrap(), *signature, "{name}");
        assert_eq!(context.unwrap(wrapped).unwrap_err().wire_code(), crate::ErrorCode::REPEAT, "{name}");
    }
}

#[test]
fn our_initiator_says_what_mits_said() {
    for dialogue in dialogues() {
        let (name, tokens) = (dialogue.name().to_owned(), dialogue.tokens());
        let plain = dialogue.plain(11).unwrap();
        let shown: Authenticator<'_> = wire::decode(&plain).unwrap();
        let flags = ContextFlags(u32::from_le_bytes(shown.checksum.unwrap().checksum[20..24].try_into().unwrap()));
        let options = InitiatorOptions { flags, mechanism: dialogue.mechanism(), ..InitiatorOptions::default() };
        let mut random = drawn(shown.subkey.unwrap().key().unwrap(), shown.sequence.unwrap());
        let mut initiator = InitiatorContext::new(&dialogue.ticket(), options).unwrap();
        let mut context = match initiator.step(dialogue.now(), &mut random, None).unwrap() {
            InitiatorStep::Done(context, _) => context,
            InitiatorStep::Continue(_) => {
                match initiator.step(dialogue.now(), &mut random, Some(&tokens[1])).unwrap() {
                    InitiatorStep::Done(context, None) => context,
                    other => panic!("{name}: {other:?}"),
                }
            }
        };

        let [.., wrapped, signature] = tokens.as_slice() else { panic!("{name}: two messages") };
        let sealed = name != "gss-krb5-nowrap-integ";
        let mut confounder = wrapped[16..].to_vec();
        if sealed {
            context.key().decrypt_in_place(KeyUsage::GSS_INITIATOR_SEAL, &mut confounder).unwrap();
        }
        let message = dialogue.message();
        let said = context.wrap(&mut Script(confounder), sealed, message.as_bytes()).unwrap();
        assert_eq!(said, *wrapped, "{name}");
        context.verify_mic(message.as_bytes(), signature).unwrap();
        assert!(context.verify_mic(message.as_bytes(), signature).is_err(), "{name}: twice");
    }
}
