//! Manual pages and completions: every program has them, and every flag says what it is for.

use std::path::Path;

use clap::Command;
use tests::papers;

/// The programs that the workspace has.
fn binaries() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names = vec!["kdc".to_owned()];
    for folder in ["kdc/src/bin", "kinit/src/bin"] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder").flatten() {
            names.push(entry.path().file_stem().expect("a name").to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

#[test]
fn every_program_has_a_manual_page_and_completions() {
    let folder = tempfile::tempdir().expect("a folder");
    papers::write(folder.path()).expect("written");
    let text = |path: String| std::fs::read_to_string(folder.path().join(&path)).expect(&path);
    for name in binaries() {
        let section = if ["kdc", "kadmin"].contains(&&*name) { 8 } else { 1 };
        let page = text(format!("man/{name}.{section}"));
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS") && page.contains(".SH OPTIONS"), "{name}");
        for file in [format!("{name}.bash"), format!("_{name}"), format!("{name}.fish")] {
            assert!(text(format!("completions/{file}")).contains(&name), "{file}");
        }
    }
    assert!(text("man/kdc-run.8".to_owned()).contains("config"));
}

#[test]
fn every_program_command_and_flag_says_what_it_is_for() {
    fn look(command: &Command, name: &str, silent: &mut Vec<String>) {
        if command.get_about().is_none() {
            silent.push(name.to_owned());
        }
        // Those of MIT that do nothing any more are taken and not shown.
        let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
        let arguments = shown.filter(|argument| argument.get_help().is_none());
        silent.extend(arguments.map(|argument| format!("{name} {}", argument.get_id())));
        for sub in command.get_subcommands() {
            look(sub, &format!("{name} {}", sub.get_name()), silent);
        }
    }
    let mut silent = vec![];
    for (command, _) in papers::programs() {
        look(&command, command.get_name(), &mut silent);
    }
    assert!(silent.is_empty(), "{silent:#?}");
    let mut named: Vec<_> = papers::programs().iter().map(|(command, _)| command.get_name().to_owned()).collect();
    named.sort();
    assert_eq!(named, binaries());
}
