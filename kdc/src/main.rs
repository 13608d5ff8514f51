//! The KDC daemon's program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    kdc::cli::main()
}
