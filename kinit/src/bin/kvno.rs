//! `kvno`, see [`kinit::kvno`].

fn main() -> std::process::ExitCode {
    kinit::kvno::main()
}
