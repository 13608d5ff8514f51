//! The KDC daemon's program.
#![forbid(unsafe_code)]

/// What a request asks of the allocator is a tenth of what it costs (docs/decisions/0016).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    kdc::cli::main()
}
