use super::super::testing::{AES, kerberos, opened};
use super::super::{ContextFlags, InitiatorOptions};
use crate::session::Role;

#[test]
fn an_initiator_and_an_acceptor_open_a_context() {
    let (initiator, acceptor, caller) = opened(AES, kerberos());
    assert_eq!(caller.accepted.client.to_string(), "alice@EXAMPLE.ORG");
    assert!(initiator.key().same_as(acceptor.key()));
    assert_eq!((initiator.flags(), acceptor.flags()), (ContextFlags::DEFAULT, ContextFlags::DEFAULT));
    assert_eq!((initiator.role(), acceptor.role()), (Role::Initiator, Role::Acceptor));
    assert!(caller.delegated.is_none() && !caller.bound);
}

#[test]
fn an_initiator_that_trusts_the_service_is_done_at_once() {
    let flags = ContextFlags::DEFAULT.with(ContextFlags::MUTUAL, false);
    let (mut initiator, mut acceptor, caller) = opened(AES, InitiatorOptions { flags, ..kerberos() });
    assert!(caller.accepted.acceptor_subkey.is_none() && caller.accepted.reply.is_none());
    let token = acceptor.mic(b"from the acceptor").unwrap();
    initiator.verify_mic(b"from the acceptor", &token).unwrap();
    let token = initiator.mic(b"from the initiator").unwrap();
    acceptor.verify_mic(b"from the initiator", &token).unwrap();
}
