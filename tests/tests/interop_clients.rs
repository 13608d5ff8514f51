//! MIT's clients against our KDC, and ours against MIT's and Heimdal's.

use tests::{Pair, suite};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    mit_tools_heimdal_kdc: Mit, Heimdal;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_heimdal_kdc: Ours, Heimdal;
    => {
        a_password_opens_a_tgt;
    }
}

fn a_password_opens_a_tgt(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert!(tgt.has("I"), "{tgt:?}");
}
