//! Names that are sealed in etcd: the realm is as any other, and no principal, alias, policy or administrator can be
//! read there, nor in what a backup of it has.

use crate::place::{Cluster, REALM, until};

const PASSWORD: &str = "a good secret";

#[test]
fn with_sealed_names_all_goes_on_as_without_and_etcd_keeps_no_name_of_anybody() {
    let seals = |_: usize, endpoints: &[String]| (endpoints.to_vec(), "seal_names = true\n".to_owned());
    let Some(mut cluster) = Cluster::start_as(3, 1, seals) else { return };
    let [one, two, three] = &mut cluster.kdcs[..] else { unreachable!() };
    one.kadmin(&["addpol", "-maxfailure", "5", "watchful"]).succeeds();
    one.kadmin(&["addprinc", "-policy", "watchful", "-pw", PASSWORD, "alice"]).succeeds();
    one.kadmin(&["addprinc", "-pw", PASSWORD, "bob"]).succeeds();
    one.kadmin(&["addprinc", "-randkey", "host/server.example.org"]).succeeds();
    until("alice is known", || two.kinit("alice", PASSWORD).is_success());
    two.kinit("alice", "wrong").fails();
    two.kadmin(&["renprinc", "bob", "robert"]).succeeds();
    until("the name has changed", || three.kinit("robert", PASSWORD).is_success());
    three.kinit("bob", PASSWORD).fails().saying("not found");
    two.kadmin(&["delprinc", "robert"]).succeeds();
    until("he is gone", || !three.kinit("robert", PASSWORD).is_success());
    // Keys turn over as they do otherwise.
    one.kadmin(&["cpw", "-randkey", "-keepold", &format!("krbtgt/{REALM}")]).succeeds();
    until("all live", || one.kdc(&["status", "--realm"]).run().stdout.contains("3 KDCs live"));
    three.kill();
    three.start();
    one.kdc(&["master-key", "rotate"]).run().succeeds();
    for kdc in [&*one, two, three] {
        until("the master key is another", || {
            let text = std::fs::read_to_string(kdc.path("master.key")).expect("a master key");
            !text.contains("\n1 ") && text.contains("\n2 ")
        });
        kdc.kdc(&["store", "verify"]).run().succeeds();
    }
    // With nothing but that key and the settings a KDC makes its copy.
    two.stop();
    std::fs::remove_file(two.path("principals.redb")).expect("removed");
    two.start();
    two.kinit("alice", PASSWORD).succeeds();
    one.kdc(&["store", "fence"]).run().succeeds();
    until("changes can be made in the new epoch", || two.kadmin(&["modprinc", "-maxlife", "1h", "alice"]).is_success());
    // Whose settings differ says so.
    two.stop();
    let (settings, text) = (two.path("kdc.toml"), std::fs::read_to_string(two.path("kdc.toml")).expect("settings"));
    std::fs::write(&settings, text.replace("seal_names = true", "")).expect("written");
    two.kdc(&["run"]).run().fails().saying("put `seal_names = true` under [store]");
    let kept = cluster.etcd.kept();
    for name in ["alice", "bob", "robert", "watchful", "krbtgt", "server.example", "kadmin/", "root/admin"] {
        assert!(!kept.contains(name), "{name}");
    }
    assert!(kept.contains("/r/head"), "it is looked for where it would be");
}
