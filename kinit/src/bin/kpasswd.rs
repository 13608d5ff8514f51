//! `kpasswd`, see [`kinit::kpasswd`].

fn main() -> std::process::ExitCode {
    kinit::kpasswd::main()
}
