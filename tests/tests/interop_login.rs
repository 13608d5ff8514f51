//! Logging in: passwords, keytabs, encryption types and the ways in which a login is refused.
//! MIT's clients against our KDC, and ours against MIT's and Heimdal's.

use tests::{
    AES128_SHA1, AES128_SHA2, AES256_SHA1, AES256_SHA2, CAMELLIA128, CAMELLIA256, Etype, Family, Pair, Plan, suite,
};

suite! {
    mit_tools_our_kdc: Mit, Ours;
    mit_tools_heimdal_kdc: Mit, Heimdal;
    our_tools_our_kdc: Ours, Ours;
    our_tools_mit_kdc: Ours, Mit;
    our_tools_heimdal_kdc: Ours, Heimdal;
    => {
        a_password_opens_a_preauthenticated_tgt;
        a_keytab_opens_a_tgt_without_a_password;
        a_client_without_preauthentication_logs_in_and_its_ticket_says_so;
        a_new_password_counts_at_once_and_the_old_one_no_more;
        a_wrong_password_is_refused;
        an_unknown_client_is_refused;
        a_deleted_client_is_refused;
        an_expired_client_is_refused;
        a_locked_client_is_refused_until_unlocked;
        an_expired_password_opens_the_password_service_only;
        a_password_that_must_be_changed_opens_no_tgt;
        the_lifetime_is_as_asked;
        the_lifetime_is_clipped_by_the_client;
        a_service_ticket_can_be_had_with_the_password;
        keys_of_aes128_sha1_alone_suffice;
        keys_of_aes256_sha1_alone_suffice;
        keys_of_aes128_sha2_alone_suffice;
        keys_of_aes256_sha2_alone_suffice;
        a_kdc_and_a_client_without_a_common_etype_part_with_an_error;
    }
}

/// Heimdal has no Camellia (RFC 6803).
mod camellia {
    use super::{keys_of_camellia128_alone_suffice, keys_of_camellia256_alone_suffice, suite};

    suite! {
        mit_tools_our_kdc: Mit, Ours;
        our_tools_our_kdc: Ours, Ours;
        our_tools_mit_kdc: Ours, Mit;
        => {
            keys_of_camellia128_alone_suffice;
            keys_of_camellia256_alone_suffice;
        }
    }
}

fn a_password_opens_a_preauthenticated_tgt(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert!(tgt.has("IA"), "initial and preauthenticated: {tgt:?}");
    assert_eq!(tgt.addresses, [""; 0]);
}

fn a_keytab_opens_a_tgt_without_a_password(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.keytab("alice");
    let seat = pair.seat(&realm);
    seat.kinit_with(&keytab, &["alice"]).succeeds();
    assert!(seat.tgt().has("IA"));
}

fn a_client_without_preauthentication_logs_in_and_its_ticket_says_so(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-requires_preauth"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    let tgt = seat.tgt();
    assert!(tgt.has("I"), "{tgt:?}");
    // Heimdal's kdc asks every client for it, whatever its attributes say.
    assert_eq!(tgt.has("A"), pair.kdc == Family::Heimdal, "{tgt:?}");
}

fn a_new_password_counts_at_once_and_the_old_one_no_more(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    realm.change("alice", "newer");
    seat.kinit(&["alice"], "newer").succeeds();
    seat.kinit(&["alice"], "secret").fails_with(1).saying("Password incorrect");
}

fn a_wrong_password_is_refused(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "wrong").fails_with(1).saying("Password incorrect while getting initial credentials");
    assert!(!seat.ccache().exists(), "no cache without a ticket");
}

fn an_unknown_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    pair.seat(&realm)
        .kinit(&["nobody"], "secret")
        .fails_with(1)
        .saying("Client 'nobody@EXAMPLE.ORG' not found in Kerberos database while getting initial credentials");
}

fn a_deleted_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["alice"], "secret").succeeds();
    realm.delete("alice");
    seat.kinit(&["alice"], "secret").fails_with(1).saying("not found in Kerberos database");
}

fn an_expired_client_is_refused(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-expire", "2001-01-01"]);
    pair.seat(&realm)
        .kinit(&["alice"], "secret")
        .fails_with(1)
        .saying("Client's entry in database has expired while getting initial credentials");
}

fn a_locked_client_is_refused_until_unlocked(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    realm.modify("alice", &["-allow_tix"]);
    let why = match pair.kdc {
        Family::Heimdal => "KDC policy rejects request",
        _ => "Client's credentials have been revoked while getting initial credentials",
    };
    seat.kinit(&["alice"], "secret").fails_with(1).saying(why);
    realm.modify("alice", &["+allow_tix"]);
    seat.kinit(&["alice"], "secret").succeeds();
}

fn an_expired_password_opens_the_password_service_only(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-pwexpire", "2001-01-01"]);
    let keytab = realm.keytab("alice");
    let seat = pair.seat(&realm);
    // With a keytab there is nobody to ask for a new password.
    seat.kinit_with(&keytab, &["alice"]).fails_with(1).saying("Password has expired");
    seat.kinit(&["-S", "kadmin/changepw", "alice"], "secret").succeeds();
    assert!(seat.ticket("kadmin/changepw").has("I"));
}

fn a_password_that_must_be_changed_opens_no_tgt(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["+needchange"]);
    let keytab = realm.keytab("alice");
    pair.seat(&realm).kinit_with(&keytab, &["alice"]).fails_with(1).saying("Password has expired");
}

fn the_lifetime_is_as_asked(pair: Pair) {
    let realm = pair.realm();
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "1h", "alice"], "secret").succeeds();
    let tgt = seat.tgt();
    // The client asks for an end; the KDC starts the ticket when it answers, perhaps a second later.
    assert!((3595..=3600).contains(&tgt.life()), "{tgt:?}");
}

fn the_lifetime_is_clipped_by_the_client(pair: Pair) {
    let realm = pair.realm();
    realm.modify("alice", &["-maxlife", "2h"]);
    let seat = pair.seat(&realm);
    seat.kinit(&["-l", "10h", "alice"], "secret").succeeds();
    assert_eq!(seat.tgt().life(), 7200);
}

fn a_service_ticket_can_be_had_with_the_password(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.kinit(&["-S", "host/server.example.org", "alice"], "secret").succeeds();
    assert!(seat.ticket("host/server.example.org").has("IA"));
    seat.tool("kvno")
        .args(["-k"])
        .args([&keytab])
        .args(["host/server.example.org"])
        .run()
        .succeeds()
        .saying("keytab entry valid");
}

/// A realm whose keys are all of one encryption type, and a client that permits only that.
fn keys_of_one_etype_suffice(pair: Pair, etype: Etype) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[etype]));
    let keytab = realm.add_service("host/server.example.org");
    let seat = pair.seat(&realm);
    seat.set(&format!("permitted_enctypes = {}", etype.name));
    seat.kinit(&["alice"], "secret").succeeds();
    seat.tool("kvno")
        .args(["-k"])
        .args([&keytab])
        .args(["host/server.example.org"])
        .run()
        .succeeds()
        .saying("keytab entry valid");
    for ticket in seat.tickets() {
        assert_eq!((ticket.session_etype.as_str(), ticket.ticket_etype.as_str()), (etype.name, etype.name));
    }
    assert_eq!(seat.tickets().len(), 2);
}

fn keys_of_aes128_sha1_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES128_SHA1);
}

fn keys_of_aes256_sha1_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES256_SHA1);
}

fn keys_of_aes128_sha2_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES128_SHA2);
}

fn keys_of_aes256_sha2_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, AES256_SHA2);
}

fn keys_of_camellia128_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, CAMELLIA128);
}

fn keys_of_camellia256_alone_suffice(pair: Pair) {
    keys_of_one_etype_suffice(pair, CAMELLIA256);
}

fn a_kdc_and_a_client_without_a_common_etype_part_with_an_error(pair: Pair) {
    let realm = pair.realm_of(Plan::default().with_etypes(&[AES256_SHA1]));
    let seat = pair.seat(&realm);
    seat.set(&format!("permitted_enctypes = {}", AES128_SHA2.name));
    seat.kinit(&["alice"], "secret").fails_with(1);
}
