//! `kdestroy`, see [`kinit::kdestroy`].

fn main() -> std::process::ExitCode {
    kinit::kdestroy::main()
}
