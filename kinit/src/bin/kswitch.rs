//! `kswitch`, see [`kinit::kswitch`].

fn main() -> std::process::ExitCode {
    kinit::kswitch::main()
}
