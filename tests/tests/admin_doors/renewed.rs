//! Doors that stay open while what is behind them changes: certificates that were renewed or revoked, a
//! new KDC in the place of the old one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tests::caller::{curl, curls_answer};
use tests::{Port, Said, Seat, Tool};

use crate::place::*;

impl Place {
    fn kdc(&self, command: &str) -> Said {
        self.seat().tool("kdc").args([command, "--config"]).args([self.file("kdc.toml")]).run()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("written");
    }

    /// Asks with a certificate, believing an authority; `None`: there is no curl.
    fn ask(&self, seat: &Seat<'_>, identity: &Identity, authority: &Authority) -> Option<Said> {
        self.asking(seat, identity, authority).map(Tool::run)
    }

    fn asking(&self, seat: &Seat<'_>, identity: &Identity, authority: &Authority) -> Option<Tool> {
        let certificate = seat.write("client.pem", &identity.certificate);
        let key = seat.write("client-key.pem", &identity.key);
        let believed = seat.write("believed.pem", &authority.pem);
        let tool = curl(seat)?.args(["--cacert"]).args([believed]).args(["--cert"]).args([certificate]);
        Some(tool.args(["--key"]).args([key]).args([self.url("/v1/principals?limit=1")]))
    }
}

fn status(said: Said) -> Option<u16> {
    curls_answer(&said.succeeds()).status
}

#[test]
fn certificates_that_were_renewed_are_shown_from_the_next_reload_on() {
    let place = Place::new("");
    let seat = place.seat();
    let (mine, other) = (place.authority.sign("ci.example.org"), Authority::new());
    let ask = |authority: &Authority| place.ask(&seat, &mine, authority);
    let Some(before) = ask(&place.authority) else { return };
    assert_eq!(status(before), Some(200));
    let renewed = other.sign("localhost");
    place.write("admin.pem", &renewed.certificate);
    let refused = place.kdc("reload").fails_with(1);
    assert!(refused.stderr().contains("nothing was changed"), "the key is not that of the certificate: {refused:?}");
    assert_eq!(ask(&place.authority).and_then(status), Some(200), "as it was");
    place.write("admin-key.pem", &renewed.key);
    place.kdc("reload").succeeds();
    assert_eq!(ask(&other).and_then(status), Some(200));
    ask(&place.authority).expect("curl").fails();
}

#[test]
fn who_has_a_certificate_that_was_revoked_is_nobody_and_a_list_that_is_out_of_date_trusts_none() {
    let place = Place::new("");
    let settings = std::fs::read_to_string(place.file("kdc.toml")).expect("settings");
    place.write(
        "kdc.toml",
        &settings.replace("client_ca = 'ca.pem'", "client_ca = 'ca.pem'\nclient_crl = 'revoked.pem'"),
    );
    let seat = place.seat();
    let [kept, revoked] = [7, 8].map(|serial| place.authority.sign_as("ci.example.org", serial));
    let ask = |identity| place.ask(&seat, identity, &place.authority);
    for (serials, until, kept_is_let_in) in [(&[8][..], 2999, true), (&[7, 8], 2999, false), (&[8], 2026, false)] {
        place.write("revoked.pem", &place.authority.revoke(serials, until));
        place.kdc("reload").succeeds();
        let Some(answer) = ask(&kept) else { return };
        match kept_is_let_in {
            true => assert_eq!(status(answer), Some(200)),
            false => drop(answer.fails()),
        }
        ask(&revoked).expect("curl").fails();
    }
    place.write("revoked.pem", "no list");
    place.kdc("reload").fails_with(1).saying("revoked.pem");
}

/// A page of the management listener, as text.
fn page(address: SocketAddr, host: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn nobody_who_administers_or_watches_is_turned_away_while_the_kdc_is_restarted() {
    let place = Place::new("");
    let watched = Port::claim();
    let settings = std::fs::read_to_string(place.file("kdc.toml")).expect("settings");
    let section = format!("[management]\nlisten = [\"{}\"]\nhosts = ['kdc.example.org']\n", watched.address());
    place.write("kdc.toml", &settings.replace("[management]\n", &section));
    // Sockets that are new come with a restart as well.
    place.kdc("restart").succeeds();
    let seat = place.seat();
    let mine = place.authority.sign("ci.example.org");
    let Some(asking) = place.asking(&seat, &mine, &place.authority) else { return };
    let address = watched.address();
    let (over, failed) = (AtomicBool::new(false), Mutex::new(vec![]));
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let go_on = |who: usize, ask: &mut dyn FnMut() -> Result<(), String>| {
        while !over.load(Ordering::Relaxed) {
            if let Err(why) = ask() {
                failed.lock().expect("a list").push(why);
            }
            done[who].fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let (go_on, asking) = (&go_on, &asking);
        scope.spawn(move || {
            go_on(0, &mut || match page(address, "127.0.0.1") {
                Ok(text) if text.starts_with("HTTP/1.1 200") => Ok(()),
                other => Err(format!("{other:?}")),
            });
        });
        scope.spawn(move || {
            go_on(1, &mut || {
                let said = asking.clone().run();
                if said.is_success() && said.stdout.ends_with("200") { Ok(()) } else { Err(said.to_string()) }
            });
        });
        for _ in 0..4 {
            let before = done.each_ref().map(|count| count.load(Ordering::Relaxed));
            while done.iter().zip(before).any(|(now, before)| now.load(Ordering::Relaxed) < before + 2) {
                std::thread::yield_now();
            }
            let said = place.kdc("restart");
            if !said.is_success() {
                over.store(true, Ordering::Relaxed);
            }
            said.succeeds();
        }
        over.store(true, Ordering::Relaxed);
    });
    let failed = failed.into_inner().expect("a list");
    assert!(failed.is_empty(), "{failed:#?}\n{}", place.realm.log());
    // A page of another site, in a browser that was made to believe that its name is this address.
    for (host, answer) in
        [("kdc.example.org:9088", "200"), ("[::1]:9088", "200"), ("localhost", "200"), ("evil.example:9088", "421")]
    {
        let text = page(watched.address(), host).expect("an answer");
        assert!(text.starts_with(&format!("HTTP/1.1 {answer}")), "{host}: {text}");
    }
}
