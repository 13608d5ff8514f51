use super::super::testing::{AES, Counter, kerberos, opened};
use super::*;

fn wrapped(context: &mut Context, confidential: bool, message: &[u8]) -> Vec<u8> {
    context.wrap(&mut Counter(0), confidential, message).unwrap()
}

#[test]
fn messages_go_both_ways_under_every_enctype() {
    for etype in crypto::SUPPORTED {
        let (mut initiator, mut acceptor, _) = opened(*etype, kerberos());
        for message in [b"".as_slice(), b"a", &[7; 15], &[8; 16], &[9; 70_000]] {
            for confidential in [true, false] {
                let ends = [&mut initiator, &mut acceptor];
                for [from, to] in [[0, 1], [1, 0]] {
                    let token = wrapped(ends[from], confidential, message);
                    let opened = ends[to].unwrap(&token).unwrap();
                    assert_eq!((opened.message.as_slice(), opened.confidential), (message, confidential), "{etype}");
                    assert!(!confidential || message.len() < 15 || !token.windows(15).any(|w| message.starts_with(w)));
                    let mic = ends[from].mic(message).unwrap();
                    ends[to].verify_mic(message, &mic).unwrap();
                }
            }
        }
    }
}
