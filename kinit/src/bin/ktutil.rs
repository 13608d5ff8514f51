//! `ktutil`, see [`kinit::ktutil`].

fn main() -> std::process::ExitCode {
    kinit::ktutil::main()
}
