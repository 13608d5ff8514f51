//! Live exchanges of MIT's and Heimdal's programs, recorded with all long-term keys: we open every
//! part of them, and our KDC answers their requests in the place of theirs.

#![allow(clippy::print_stdout, reason = "a failure names its exchange")]

mod answers;
mod envelope;
mod recording;
mod spake;
mod steps;

use recording::Recording;

#[test]
fn recorded_exchanges_open_step_by_step() {
    let mut opened = 0;
    for kdc in ["mit", "heimdal"] {
        let recording = Recording::of(kdc);
        for exchange in recording.exchanges() {
            println!("{kdc} {} {}", exchange.number(), exchange.scenario);
            opened += steps::open(&recording, &exchange);
        }
    }
    assert!(opened > 150, "{opened}");
}

#[test]
fn recorded_logins_by_spake_open_step_by_step_in_every_group() {
    assert_eq!(spake::open_all(&Recording::of("mit")), 6, "one of them in FAST");
}

#[test]
fn our_kdc_answers_mits_clients_as_mits_kdc_did() {
    assert_eq!(answers::answer_all("mit"), 63);
}

#[test]
fn our_kdc_answers_heimdals_clients_as_heimdals_kdc_did() {
    assert_eq!(answers::answer_all("heimdal"), 15);
}
