//! `kvno` in the name of users of another realm, with real KDCs on both sides: MIT's client and ours. The
//! users' realm is ours: MIT's database (DB2) leads nobody back, as it knows no enterprise names of services.

use std::path::{Path, PathBuf};

use tests::{Family, Realm, Seat};

use crate::interop::{Trio, seat, trust};

const GATEWAY: &str = "HTTP/gateway.home.test";

fn trio(client: Family, home: Family) -> Option<Trio> {
    Trio::present(client, home, Family::Ours).filter(|trio| trio.away == Family::Ours)
}

/// The gateway's keytab; users and services of the two realms find one another.
fn gateway(home: &Realm, away: &Realm) -> PathBuf {
    trust(home, away);
    trust(away, home);
    home.add_service(GATEWAY)
}

/// The gateway asks for a ticket to itself in somebody's name.
fn kvno(seat: &Seat<'_>, keytab: &Path, who: &[&str]) -> tests::Said {
    seat.tool("kvno").args(["-k"]).args([keytab]).args(who).args([GATEWAY]).run()
}

fn a_service_acts_for_users_of_another_realm(client: Family, home: Family) {
    let Some(trio) = trio(client, home) else { return };
    let (home, away) = trio.realms();
    let keytab = gateway(&home, &away);
    let seat = seat(trio.client, &home, &[&away]);
    seat.kinit_with(&keytab, &["-f", GATEWAY]).succeeds();
    kvno(&seat, &keytab, &["-I", "bob@AWAY.TEST"]).succeeds().saying("keytab entry valid");
    let listed = seat.program(Family::Mit.program("klist")).run().succeeds();
    let _ = listed.saying("for client bob@AWAY.TEST");
    kvno(&seat, &keytab, &["-I", "nobody@AWAY.TEST"]).fails_with(1).saying("not found");
    away.says("on_behalf_of=\"bob@AWAY.TEST\"");
    if trio.home == Family::Ours {
        home.add_service("HTTP/users.home.test");
        home.modify(GATEWAY, &["+ok_to_auth_as_delegate"]);
        home.query(&["setstr", GATEWAY, "allowed_to_delegate_to", "HTTP/users.home.test"]);
        seat.kinit_with(&keytab, &["-f", GATEWAY]).succeeds();
        let further = seat.tool("kvno").args(["-I", "bob@AWAY.TEST", "-P", "HTTP/users.home.test"]);
        further.run().succeeds().saying("HTTP/users.home.test@HOME.TEST: kvno = 1");
    }
}

#[test]
fn mits_kvno_between_two_of_ours() {
    a_service_acts_for_users_of_another_realm(Family::Mit, Family::Ours);
}

#[test]
fn our_kvno_between_two_of_ours() {
    a_service_acts_for_users_of_another_realm(Family::Ours, Family::Ours);
}

#[test]
fn mits_kvno_between_mits_kdc_and_ours() {
    a_service_acts_for_users_of_another_realm(Family::Mit, Family::Mit);
}

#[test]
fn our_kvno_between_mits_kdc_and_ours() {
    a_service_acts_for_users_of_another_realm(Family::Ours, Family::Mit);
}

#[test]
fn a_user_who_is_known_by_an_enterprise_name_is_found_in_the_other_realm() {
    for client in [Family::Mit, Family::Ours] {
        let Some((home, away)) = trio(client, Family::Ours).and_then(Trio::referring) else { return };
        let keytab = gateway(&home, &away);
        let seat = seat(client.or_subject(), &home, &[&away]);
        seat.kinit_with(&keytab, &["-f", GATEWAY]).succeeds();
        kvno(&seat, &keytab, &["-U", "robert@mail.test"]).succeeds().saying("keytab entry valid");
        let listed = seat.program(Family::Mit.program("klist")).run().succeeds();
        let _ = listed.saying("for client bob@AWAY.TEST");
        kvno(&seat, &keytab, &["-U", "nobody@mail.test"]).fails_with(1).saying("not found");
    }
}
