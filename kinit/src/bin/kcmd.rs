//! `kcmd`: see [`kinit::kcmd`].

fn main() -> std::process::ExitCode {
    kinit::kcmd::main()
}
