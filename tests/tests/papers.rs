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

#[test]
fn every_test_that_the_tables_of_requirements_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut code = String::new();
    for folder in ["libkrb", "kdc", "kinit", "examples", "tests"] {
        read_rust(&root.join(folder), &mut code);
    }
    let mut missing = vec![];
    for entry in std::fs::read_dir(root.join("docs/rfc")).expect("a folder").flatten() {
        let table = std::fs::read_to_string(entry.path()).expect("a table");
        for row in table.lines().filter(|line| line.starts_with("| ")) {
            let shown = row.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap_or_default();
            // A test's name is a sentence: shorter names stand for settings, types and files.
            let names = shown.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3);
            let names = names.filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'));
            let absent = names.filter(|name| !code.contains(&format!("fn {name}(")));
            missing.extend(absent.map(|name| format!("{}: {name}", entry.path().display())));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

fn read_rust(folder: &Path, code: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_rust(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}
