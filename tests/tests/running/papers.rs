//! What the operator's guide promises of what is cached.

use std::path::Path;

/// The text of every file of Rust below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &std::fs::read_to_string(&path).expect("text");
        }
    }
}

#[test]
fn what_is_said_to_be_bounded_names_a_test_that_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = std::fs::read_to_string(root.join("docs/guide/operator.md")).expect("the guide");
    let (_, table) = guide.split_once("### What is cached").expect("the table");
    let mut text = String::new();
    ["kdc", "libkrb", "tests"].iter().for_each(|name| sources(&root.join(name), &mut text));
    let tests = table.lines().filter_map(|line| line.strip_suffix("` |")?.rsplit('`').next()).collect::<Vec<_>>();
    assert!(tests.len() >= 7, "{tests:?}");
    for test in tests {
        assert!(text.contains(&format!("fn {test}(")), "no test is called {test}");
    }
}
