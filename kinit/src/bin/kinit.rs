//! `kinit`, see [`kinit::kinit`].

fn main() -> std::process::ExitCode {
    kinit::kinit::main()
}
