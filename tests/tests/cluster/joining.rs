//! A further KDC by one command and one secret, and one that leaves.

use std::path::Path;

use tests::{Family, Port, Tool};

use crate::place::{Cluster, Kdc, REALM, until};

const PASSWORD: &str = "a good secret";

#[test]
fn a_further_kdc_joins_by_a_secret_that_is_good_once_and_one_that_ends_or_leaves_is_known_to_be_gone() {
    let Some(mut cluster) = Cluster::start(1, 1) else { return };
    let one = &mut cluster.kdcs[0];
    one.kdc(&["invite"]).run().fails().saying("no door");
    let (door, own) = (Port::claim(), rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made"));
    let authority = one.path("admin.pem");
    std::fs::write(&authority, own.cert.pem()).expect("written");
    std::fs::write(one.path("admin.key"), own.signing_key.serialize_pem()).expect("written");
    let settings = std::fs::read_to_string(one.path("kdc.toml")).expect("settings");
    let more = format!(
        "\n[admin]\nlisten = [\"127.0.0.1:{}\"]\ncertificate = \"admin.pem\"\nkey = \"admin.key\"\n\
         services = [\"HTTP/localhost\"]\n[policy]\nmax_life = \"8h\"\n",
        door.number()
    );
    std::fs::write(one.path("kdc.toml"), settings + &more).expect("written");
    one.kill();
    one.start();
    one.kadmin(&["addprinc", "-pw", PASSWORD, "alice"]).succeeds();

    let invited = one.kdc(&["invite"]).run().succeeds().stdout().to_owned();
    let (port, folder) = (Port::claim(), one.path("joined"));
    let join = |folder: &Path, secret: &str| {
        let from = format!("https://localhost:{}", door.number());
        let tool = Tool::new(Family::Ours.program("kdc")).args(["join", "--from", &from, "--listen"]);
        tool.args([port.address().to_string()])
            .args(["--ca"])
            .args([&authority])
            .args(["--dir"])
            .args([folder])
            .stdin(secret.to_owned())
            .run()
    };
    let (kind, digits) = invited.trim().split_once(':').expect("a secret");
    let other: String = digits.chars().rev().collect();
    join(&one.path("nobody"), &format!("{kind}:{other}\n")).fails().saying("has no such invitation");
    join(&folder, &invited).succeeds().saying("4 principals").saying("bring these over: admin");
    join(&one.path("again"), &invited).fails().saying("has no such invitation");
    assert!(!one.path("again").exists(), "nothing is begun without an invitation");
    let settings = std::fs::read_to_string(folder.join("kdc.toml")).expect("settings");
    assert!(settings.contains("max_life = \"8h\"") && !settings.contains("[admin]"), "{settings}");

    let mut two = Kdc::joined(folder, port);
    two.start();
    two.kinit("alice", PASSWORD).succeeds();
    let living = || one.kdc(&["status", "--realm"]).run().succeeds().stdout().to_owned();
    until("both say that they live", || living().contains(&format!("{REALM}: 2 KDCs live")));
    two.kdc(&["leave"]).run().fails().saying("in use by another process");
    two.stop();
    assert!(living().contains(&format!("{REALM}: 1 KDCs live")), "it said goodbye");
    two.kdc(&["leave"]).run().succeeds().saying("1 KDCs of EXAMPLE.ORG live");
    assert!(!two.path("principals.redb").exists());
    one.kinit("alice", PASSWORD).succeeds();
}
