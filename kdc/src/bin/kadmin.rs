//! kadmin's program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    kdc::kadmin::main()
}
