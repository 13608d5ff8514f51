//! Every fuzz target over its seeds, and over some thousand bent ones that are the same in every
//! run: what a fuzzer would find in its first seconds is found here. `fuzz/README.md` tells how to
//! let one run longer.

mod mutate;
mod seeds;

use std::path::PathBuf;

use tests::fuzz::{TARGETS, Target};

/// The seeds of a target.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = files.map(|file| file.expect("a file").path());
    let mut seeds =
        paths.map(|path| (path.display().to_string(), std::fs::read(&path).expect("a seed"))).collect::<Vec<_>>();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

/// Runs a target; if it panics, what it was given is left in a file to try again.
fn attempt(name: &str, target: Target, from: &str, data: &[u8]) {
    if std::panic::catch_unwind(|| target(data)).is_err() {
        let path = std::env::temp_dir().join(format!("fuzz-{name}"));
        let _ = std::fs::write(&path, data);
        panic!("{name} fails on {} (from {from})", path.display());
    }
}

/// How often a target is tried: `KRB_FUZZ_RUNS`, or some thousand times.
fn runs(usual: u64) -> u64 {
    std::env::var("KRB_FUZZ_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(usual)
}

fn run(name: &str, usual: u64) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    let seeds = corpus(name);
    for (from, seed) in &seeds {
        attempt(name, target, from, seed);
    }
    let mut mutator = mutate::Mutator::new(name);
    for _ in 0..runs(usual) {
        let (from, bent) = mutator.bend(&seeds);
        attempt(name, target, from, &bent);
    }
}

macro_rules! targets {
    ($($name:ident $runs:literal)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), $runs);
            }
        )*

        #[test]
        fn every_target_is_run_here_and_can_be_run_for_longer() {
            let here = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), here);
            let manifest = std::fs::read_to_string(folder().join("../Cargo.toml")).expect("fuzz/Cargo.toml");
            for name in here {
                let file = folder().join(format!("../fuzz_targets/{name}.rs"));
                let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                assert!(text.contains(&format!("tests::fuzz::{name}(data)")), "{name}");
                assert!(manifest.contains(&format!("fuzz_targets/{name}.rs")), "{name} is not in fuzz/Cargo.toml");
            }
        }
    };
}

targets! {
    kdc_request 3000
    kdc_structured 3000
    kdc_inside 2000
    acceptor 3000
    acceptor_structured 3000
    client_reply 3000
    gss_acceptor 3000
    gss_acceptor_structured 3000
    gss_initiator 3000
    gss_message 3000
    gss_negotiation 3000
    ccache 3000
    keytab 3000
    krb5_conf 1500
    kdc_toml 1500
    master_key 3000
    principal 3000
    transited 3000
    wire 3000
    store_record 2000
    admin_operation 1000
    admin_frame 300
    kadmin_query 3000
    kpasswd_request 300
    mit_dump 1500
    heimdal_dump 2000
    pac 3000
    kkdcp_message 3000
    kcm 3000
    iakerb_token 1000
    spake 400
    radius_answer 3000
    pkinit 1000
}

#[test]
fn every_kind_of_request_is_granted_as_long_as_nobody_bends_it() {
    for (kind, places, granted) in tests::fuzz::honest_kinds() {
        assert!(granted, "{kind}");
        assert!(places <= 16, "{kind}: {places} places, of which some are never bent");
    }
}

#[test]
fn what_is_bent_before_it_is_sealed_is_refused_for_many_reasons() {
    run("kdc_inside", 600);
    let causes = tests::fuzz::causes();
    assert!(causes.len() > 45, "only {} checks were reached: {causes:#?}", causes.len());
}

#[test]
#[ignore = "writes fuzz/corpus anew: after a change of what the seeds are made of"]
fn the_seeds_are_written() {
    for (target, name, bytes) in seeds::all() {
        let folder = folder().join(target);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name), bytes).expect("a seed");
    }
}
