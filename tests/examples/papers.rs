//! Writes manual pages and shell completions of every program into a folder.

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "papers".into());
    tests::papers::write(folder.as_ref())
}
