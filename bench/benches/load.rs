//! Server CPU per request over UDP on loopback: our KDC, MIT's and Heimdal's in one run.
//!
//! Every KDC runs at its quickest: no log, no lockout, no last-success. Requests are made before
//! the clock starts. `cargo bench -p bench --bench load [-- REQUESTS]`
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark")]

use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use bench::{Load, await_server, load};
use libkrb::codes::EncryptionType;
use libkrb::crypto::{Key, KeyUsage};
use libkrb::time::Instant;
use tests::joined::{Asking, Credential, Joined};
use tests::{AES256_SHA1, AES256_SHA2, Etype, Family, Plan, Realm};

const PASSWORD: &str = "correct horse";
const SERVICE: &str = "host/a.example.org";

fn main() {
    let requests = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(20_000);
    println!("{requests} requests of each kind, 32 on their way at a time; server CPU per request");
    for etype in [AES256_SHA1, AES256_SHA2] {
        println!("\n{}", etype.name);
        println!("  {:<10} {:>12} {:>10} {:>12} {:>10}", "KDC", "AS us", "AS/s", "TGS us", "TGS/s");
        let rows: Vec<_> = [Family::Ours, Family::Mit, Family::Heimdal]
            .into_iter()
            // Heimdal makes passwords to keys of RFC 8009 with parameters of its own.
            .filter(|family| (*family != Family::Heimdal || etype == AES256_SHA1) && family.present())
            .map(|family| (family, measure(family, etype, requests)))
            .collect();
        for (family, [login, service]) in &rows {
            let Load { cpu_micros, per_second, .. } = login;
            println!(
                "  {:<10} {cpu_micros:>12.1} {per_second:>10.0} {:>12.1} {:>10.0}{}",
                family.name(),
                service.cpu_micros,
                service.per_second,
                failures(login.failed + service.failed),
            );
        }
        let [ours, peers @ ..] = rows.as_slice() else { continue };
        for (family, [login, service]) in peers {
            println!(
                "  against {:<10} {:>4.1} times less CPU per AS, {:>4.1} times less per TGS",
                family.name(),
                login.cpu_micros / ours.1[0].cpu_micros,
                service.cpu_micros / ours.1[1].cpu_micros,
            );
        }
    }
}

fn failures(count: usize) -> String {
    if count == 0 { String::new() } else { format!("   {count} FAILED") }
}

/// A KDC that was started again with everything off that costs time.
struct Quiet {
    realm: Realm,
    child: Child,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(family: Family, etype: Etype, requests: usize) -> [Load; 2] {
    let mut client = Joined::new();
    client.now = now();
    let kind = EncryptionType(etype.number);
    let key = Key::from_password(kind, PASSWORD.as_bytes(), b"EXAMPLE.ORGalice", None).expect("a key");
    let login = Asking { etypes: vec![kind], ..Asking::login("alice") };
    let service = Asking { etypes: vec![kind], ..Asking::service(SERVICE) };
    let quiet = start(family, etype, &client.as_req(&login, Some(&key)));
    let address = quiet.realm.address();

    client.now = now();
    let batch: Vec<_> = (0..requests).map(|_| client.as_req(&login, Some(&key))).collect();
    let logins = load(address, quiet.child.id(), &batch, 0x6b);
    client.now = now();
    let tgt = tgt(address, &client.as_req(&login, Some(&key)), &key);
    let batch: Vec<_> = (0..requests).map(|_| client.tgs_req(&tgt, &service)).collect();
    let services = load(address, quiet.child.id(), &batch, 0x6d);
    [logins, services]
}

fn now() -> Instant {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    Instant::from_micros(since.as_micros() as i64)
}

fn tgt(server: std::net::SocketAddr, request: &[u8], key: &Key) -> Credential {
    let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a UDP socket");
    socket.send_to(request, server).expect("a sent request");
    let mut buffer = vec![0; 65536];
    let length = socket.recv(&mut buffer).expect("a reply");
    Credential::open(&buffer[..length], key, KeyUsage::AS_REP_ENC_PART).expect("a TGT")
}

fn start(family: Family, etype: Etype, probe: &[u8]) -> Quiet {
    let mut realm = Plan::default().with_etypes(&[etype]).start(family);
    realm.add("alice", PASSWORD, &["+requires_preauth"]);
    realm.add_service(SERVICE);
    realm.stop();
    let mut command = quiet_command(family, &realm);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a KDC");
    await_server(realm.address(), probe);
    Quiet { realm, child }
}

fn quiet_command(family: Family, realm: &Realm) -> Command {
    let folder = realm.folder();
    let edit = |file: &str, change: &dyn Fn(String) -> String| {
        let path = folder.join(file);
        let text = change(std::fs::read_to_string(&path).expect("a configuration"));
        std::fs::write(path, text).expect("a changed configuration");
    };
    let program = |name| {
        let program = family.program(name);
        let mut command = Command::new(&program.path);
        command.args(&program.arguments);
        if let Some(libraries) = &program.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    };
    match family {
        Family::Ours => {
            let mut command = program("kdc");
            command.args(["run", "--config"]).arg(folder.join("kdc/kdc.toml"));
            command
        }
        Family::Mit => {
            let modules = format!(
                "[dbmodules]\n {} = {{\n  db_library = db2\n  database_name = {}/principal\n  \
                 disable_last_success = true\n  disable_lockout = true\n }}\n",
                realm.name(),
                folder.display(),
            );
            edit("kdc.conf", &|text| text + &modules);
            edit("kdc-krb5.conf", &|text| text.replace("STDERR", "FILE:/dev/null"));
            let mut command = program("krb5kdc");
            command.env("KRB5_CONFIG", folder.join("kdc-krb5.conf"));
            command.env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
            command.args(["-n", "-r", realm.name()]);
            command
        }
        Family::Heimdal => {
            edit("kdc-krb5.conf", &|text| text.replace("0-/STDERR", "0-0/FILE:/dev/null"));
            let mut command = program("kdc");
            command.arg(format!("--config-file={}", folder.join("kdc-krb5.conf").display()));
            command
        }
    }
}
