//! `klist`, see [`kinit::klist`].

fn main() -> std::process::ExitCode {
    kinit::klist::main()
}
