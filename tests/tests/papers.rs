//! Manual pages and completions: every program has them, and every flag says what it is for; manifests
//! for Kubernetes that fit to each other and to what the KDC takes.

use std::path::Path;

use clap::Command;
use serde_json::Value;
use tests::{Tool, optional_peer, papers};

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

/// The documents of docs/deploy/kubernetes.yaml, as another program reads them.
fn manifests() -> Option<Vec<Value>> {
    let (python, _) = (
        optional_peer("python3", "/usr/bin/python3")?,
        optional_peer("python3-yaml", "/usr/lib/python3/dist-packages/yaml")?,
    );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/kubernetes.yaml");
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let said = Tool::new(python).args(["-c", script]).args([file]).run().succeeds();
    let documents: Vec<Value> = serde_json::from_str(said.stdout()).expect("JSON");
    Some(documents.into_iter().filter(|document| !document.is_null()).collect())
}

#[test]
fn the_manifests_are_objects_as_kubernetes_describes_them() {
    let home = tests::peers_home().join("kubernetes");
    let (Some(python), Some(_)) = (
        optional_peer("python3", "/usr/bin/python3"),
        optional_peer("kubernetes-validate", &home.join("kubernetes_validate").to_string_lossy()),
    ) else {
        return;
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/kubernetes.yaml");
    let script = r#"
import sys, yaml, kubernetes_validate
objects = [it for it in yaml.safe_load_all(open(sys.argv[1])) if it]
for version in ["1.27", kubernetes_validate.latest_version()]:
    for it in objects:
        kubernetes_validate.validate(it, version, strict=True)
objects[-1]["spec"]["template"]["spec"]["securityContext"]["runAsNonRot"] = True
try:
    kubernetes_validate.validate(objects[-1], "1.27", strict=True)
except kubernetes_validate.ValidationError:
    print("a misspelt field is found")
"#;
    let tool = Tool::new(python).env("PYTHONPATH", home.display().to_string());
    tool.args(["-c", script]).args([file]).run().succeeds().saying("a misspelt field is found");
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_else(|| panic!("{path}: {value}"))
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{path}: {value}"))
}

#[test]
fn the_manifests_fit_to_each_other_and_to_the_settings_and_flags_that_the_kdc_takes() {
    let Some(documents) = manifests() else { return };
    let of = |kind: &'static str| documents.iter().filter(move |document| document["kind"] == kind);
    let [set, settings] = ["StatefulSet", "ConfigMap"].map(|kind| of(kind).next().expect("one"));
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    assert_eq!(of("PodDisruptionBudget").next().expect("one")["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(set["spec"]["selector"]["matchLabels"], *labels);

    let arguments: Vec<_> = list(container, "/args").iter().map(|word| word.as_str().expect("a word")).collect();
    let kdc = papers::programs().into_iter().find(|(command, _)| command.get_name() == "kdc").expect("kdc").0;
    kdc.try_get_matches_from([&["kdc"], &*arguments].concat()).expect("flags that the KDC takes");
    let mounts: Vec<(&str, bool)> = list(container, "/volumeMounts")
        .iter()
        .map(|mount| (text(mount, "/mountPath"), mount["readOnly"] == true))
        .collect();
    let file = Path::new(arguments.last().expect("a file"));
    assert_eq!(file.file_name().and_then(|name| name.to_str()), Some("kdc.toml"));
    let config = kdc::config::parse(file, text(settings, "/data/kdc.toml")).expect("sound settings");
    let writable = |path: &Path| {
        let mount = mounts.iter().find(|(mount, _)| path.starts_with(mount));
        !mount.unwrap_or_else(|| panic!("{} is mounted nowhere", path.display())).1
    };
    let etcd = config.store.etcd.as_ref().expect("a realm in etcd");
    let (certificate, key) = etcd.identity.as_ref().expect("a certificate for etcd");
    assert!(writable(&config.store.file) && writable(&config.admin_socket));
    let master_key = config.master_key.path().expect("a file");
    for path in [file, master_key, certificate, key, etcd.ca.as_ref().expect("an authority")] {
        assert!(!writable(path), "{}", path.display());
    }
    assert!(etcd.endpoints.iter().all(|url| url.starts_with("https://")));

    let port = |name: &str| {
        let port = list(container, "/ports").iter().find(|port| port["name"] == name);
        port.unwrap_or_else(|| panic!("no port {name}"))["containerPort"].as_u64().expect("a number")
    };
    let passwords = config.kpasswd_listen.as_ref().expect("somewhere");
    let doors = [
        (&config.listen, "kerberos-udp"),
        (&config.listen, "kerberos-tcp"),
        (passwords, "kpasswd-udp"),
        (passwords, "kpasswd-tcp"),
        (&config.management.listen, "management"),
    ];
    for (addresses, name) in doors {
        assert!(addresses.iter().all(|address| u64::from(address.port()) == port(name)), "{name}");
        assert!(addresses.iter().all(|address| address.port() >= 1024), "who is not root listens there");
    }
    for service in of("Service") {
        assert_eq!(service["spec"]["selector"], *labels);
        for target in list(service, "/spec/ports").iter().filter_map(|port| port["targetPort"].as_str()) {
            port(target);
        }
    }
    let headless = of("Service").find(|service| service["spec"]["clusterIP"] == "None").expect("one");
    assert_eq!(headless["metadata"]["name"], set["spec"]["serviceName"]);
    let listener = include_str!("../../kdc/src/manage/listener.rs");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert!(listener.contains(&format!("{:?} =>", text(get, "/path"))), "{probe}");
        port(text(get, "/port"));
    }
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");

    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    let volumes = list(pod, "/volumes").iter().chain(list(set, "/spec/volumeClaimTemplates"));
    let named: Vec<_> = volumes.map(|it| it.get("name").unwrap_or(&it["metadata"]["name"]).clone()).collect();
    assert!(list(container, "/volumeMounts").iter().all(|mount| named.contains(&mount["name"])), "{named:?}");
    // What everybody can read is no master key: 0440 is 288.
    let guide = include_str!("../../docs/guide/cluster.md");
    for secret in list(pod, "/volumes").iter().filter_map(|volume| volume.get("secret")) {
        assert_eq!(secret["defaultMode"], 288);
        assert!(guide.contains(text(secret, "/secretName")), "the guide says how it is made");
    }
    assert!(guide.contains(text(container, "/image")));
    assert!(text(container, "/image").ends_with(env!("CARGO_PKG_VERSION")));
}
