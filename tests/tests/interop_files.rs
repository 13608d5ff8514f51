//! Credential caches and keytabs that one family writes and another reads: the writer is the family
//! of the KDC, with its own `kinit` and `kadmin`, the reader is the client.

use tests::{Family, Pair, suite};

const SERVICE: &str = "host/server.example.org";

suite! {
    mit_reads_ours: Mit, Ours;
    heimdal_reads_ours: Heimdal, Ours;
    we_read_mits: Ours, Mit;
    we_read_heimdals: Ours, Heimdal;
    => {
        a_cache_is_listed_by_the_reader;
        a_cache_is_used_and_added_to_by_the_reader;
        a_keytab_is_listed_by_the_reader;
        a_keytab_of_a_changed_password_is_used_by_the_reader;
    }
}

fn a_cache_is_listed_by_the_reader(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let (writer, reader) = (realm.seat(pair.kdc), pair.seat(&realm));
    writer.kinit(&["-f", "-r", "2d", "alice"], "secret").succeeds();
    writer.fetch(&[SERVICE]).succeeds();
    let cache = format!("FILE:{}", writer.ccache().display());
    let listing = reader.tool("klist").args(["-c", &cache, "-f"]).run().succeeds();
    listing
        .saying("alice@EXAMPLE.ORG")
        .saying("krbtgt/EXAMPLE.ORG@EXAMPLE.ORG")
        .saying("host/server.example.org@EXAMPLE.ORG");
    if pair.client != Family::Heimdal && Family::Mit.has_clients() {
        let reads = |seat: &tests::Seat<'_>| seat.tool("klist").args(["-c", &cache, "-f", "-e", "-a"]).run().succeeds();
        let own = realm.seat(Family::Mit);
        assert_eq!(reads(&reader).stdout(), reads(&own).stdout(), "the same tickets, told in the same words");
    }
}

fn a_cache_is_used_and_added_to_by_the_reader(pair: Pair) {
    let realm = pair.realm();
    realm.add_service(SERVICE);
    let (writer, reader) = (realm.seat(pair.kdc), pair.seat(&realm));
    writer.kinit(&["alice"], "secret").succeeds();
    let cache = format!("FILE:{}", writer.ccache().display());
    reader.fetch(&["-c", &cache, SERVICE]).succeeds();
    assert!(!writer.ticket(SERVICE).has("I"));
    writer.fetch(&[SERVICE]).succeeds();
    assert_eq!(writer.tickets().len(), 2, "the ticket that the reader added is the one that is used");
}

fn a_keytab_is_listed_by_the_reader(pair: Pair) {
    let realm = pair.realm();
    let keytab = realm.add_service(SERVICE);
    let reader = pair.seat(&realm);
    let listing = match pair.client {
        Family::Heimdal => reader.tool("ktutil").args(["-k"]).args([&keytab]).args(["list"]).run(),
        _ => reader.tool("klist").args(["-k", "-t", "-e", "-K"]).args([&keytab]).run(),
    };
    listing.succeeds().saying("host/server.example.org@EXAMPLE.ORG").saying("aes256-cts-hmac-sha1-96");
}

fn a_keytab_of_a_changed_password_is_used_by_the_reader(pair: Pair) {
    let realm = pair.realm();
    realm.change("alice", "newer");
    let reader = pair.seat(&realm);
    reader.kinit_with(&realm.keytab("alice"), &["alice"]).succeeds();
    assert!(reader.tgt().has("IA"));
}
