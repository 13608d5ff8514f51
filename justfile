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

# Ten minutes of the flea market under load while keys change, the KDC is killed and Redis restarts.
soak-services seconds="600" callers="64":
    cargo build --release --workspace --bins
    KRB_SOAK_SECONDS={{seconds}} KRB_SOAK_CALLERS={{callers}} cargo test --release -p tests --test soak_services -- --nocapture

# Changes killed at random points, and restarts and reloads under load: longer than a test run has time for.
soak writes="10000" restarts="100":
    cargo build --release --workspace --bins
    KRB_SOAK_WRITES={{writes}} KRB_SOAK_RESTARTS={{restarts}} cargo test --release -p tests --test running -- --nocapture
    @just soak-services

# Several KDCs over etcd, long: kills, ten minutes without a majority, a join of a million principals, and the rest of the
# table of goals, which it prints at the end; in less time with other numbers: just chaos 10 5 60 100000
chaos kills="50" seconds="30" outage="600" principals="1000000" rate="2000":
    cargo build --release --workspace --bins
    rm -f target/cluster-figures
    mkdir -p target
    KRB_FIGURES={{justfile_directory()}}/target/cluster-figures KRB_CHAOS_KILLS={{kills}} KRB_CLUSTER_SECONDS={{seconds}} \
        KRB_CHAOS_OUTAGE={{outage}} KRB_CLUSTER_PRINCIPALS={{principals}} KRB_CHAOS_RATE={{rate}} \
        cargo test --release --workspace --test cluster -- --nocapture --test-threads 1
    @echo "| what | goal | measured | |"
    @cat target/cluster-figures

# Thousands of stories of a realm with several KDCs, in virtual time; KRB_SEED=n tells one again, with all that happened.
simulate seeds="2000":
    KRB_SEEDS={{seeds}} cargo test --release --workspace --test simulation -- --nocapture whatever

# Format, then the lints that CI denies.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# Manual pages and shell completions of every program, into a folder.
man folder="target/papers":
    cargo run -p tests --example papers -- {{folder}}

# A realm on loopback to play with.
dev *arguments:
    cargo run --bin kdc -- dev {{arguments}}

# The KDC as it is to be shipped, laid out by what it does; the last line says where it is. Needs llvm-bolt.
release:
    bench/release

# The table of speeds with goals and figures, of what is shipped, in under ten minutes once built; makes docs/benchmarks.
# Sections by name are of cargo's own build, quicker with --short: just bench --short floods
bench *arguments:
    cargo build --release --workspace --bins
    {{ if arguments == "" { "bench/whole" } else { "KRB_BENCH_DOCS=target/benchmarks cargo bench -p bench --bench load -- " + arguments } }}

# The parts by themselves: codec and core, stores, replay caches, cryptography.
bench-parts:
    cargo bench -p bench --bench core
    cargo bench -p bench --bench instructions
    cargo bench -p bench --bench store
    cargo bench -p bench --bench replay
    cargo bench -p libkrb

# What knowing the caller costs: tickets, sessions, JWT, mTLS, and MIT; makes the page in docs/guide.
bench-services:
    cargo build --release --workspace --bins
    KRB_BENCH_DOCS={{justfile_directory()}}/docs/guide cargo bench -p bench --bench services

# A flea market of services that prove themselves to each other, with a realm of its own.
flea-market *arguments:
    cargo run -p flea_market -- {{arguments}}
