//! KRB5_TRACE: the one diagnostic that users know must say whom a client asked, what was answered
//! and what was decided.

use tests::{Family, Pair};

#[test]
fn a_trace_says_who_was_asked_what_was_answered_and_what_was_decided() {
    let Some(pair) = Pair::present(Family::Ours, Family::Ours).filter(|pair| pair.client == Family::Ours) else {
        return;
    };
    let realm = pair.realm();
    realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    seat.fetch(&["host/server.example.org"]).succeeds();
    let trace = seat.trace();
    let address = realm.address();
    for words in [
        &format!("Sending initial UDP request to dgram {address}"),
        "Received error from KDC: -1765328359/Additional pre-authentication required",
        "; chosen: ",
        "Selected etype info: etype aes256-cts-hmac-sha1-96, salt \"EXAMPLE.ORGalice\", rounds default",
        "The reply opens with the client's key (aes256-cts-hmac-sha1-96)",
        "Received creds for desired service host/server.example.org@EXAMPLE.ORG",
    ] {
        assert!(trace.contains(words), "{words}\n{trace}");
    }
    assert!(!trace.contains("secret"), "{trace}");
}
