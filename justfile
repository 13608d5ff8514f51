# What people type. `just` lists it; every recipe works without just as well.

_default:
    @just --list

# Everything that has to hold before a change lands.
ci:
    .ci/run

# Every test, peers included; arguments go to nextest: just test -E 'test(renew)'
test *arguments:
    tests/run {{arguments}}

# The interop suite with MIT's programs in the place of ours: is the suite itself right?
test-mit *arguments:
    KRB_SUBJECT=mit tests/run -p tests {{arguments}}

# Format, then the lints that CI denies.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# A realm on loopback to play with.
dev *arguments:
    cargo run --release --bin kdc -- dev {{arguments}}
