//! Answers of a RADIUS server, or of whoever is quicker.

use kdc::radius::packet::Request;

/// Any bytes, taken for an answer: none that we have not signed ourselves is believed.
pub fn radius_answer(data: &[u8]) {
    let request =
        Request::new((7, [9; 16]), b"secret", "kdc", ("alice", b"123456"), Some(b"state")).expect("a request");
    assert_eq!(request.verdict(b"secret", data), None);
}
