//! A realm that is administered over TLS, and certificates for it.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, date_time_ymd,
};
use tests::{Family, Port, Realm, Seat, Tool};

pub const BOSS: &str = "boss/admin";
pub const PASSWORD: &str = "correct horse battery staple";

/// An authority, and what it has signed.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        parameters.distinguished_name.push(DnType::CommonName, "an authority");
        let pem = parameters.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(parameters, key), pem }
    }

    pub fn sign(&self, name: &str) -> Identity {
        self.sign_as(name, 1)
    }

    /// With a serial number by which it can be revoked.
    pub fn sign_as(&self, name: &str, serial: u64) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new([name.to_owned()]).expect("parameters");
        parameters.serial_number = Some(serial.into());
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

impl Authority {
    /// The list of what it has revoked, good until a year.
    pub fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: (*serial).into(),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }
}

/// A realm that is administered over TLS.
pub struct Place {
    pub realm: Realm,
    pub port: Port,
    pub authority: Authority,
}

impl Place {
    /// With further lines of `[admin]`.
    pub fn new(lines: &str) -> Place {
        let mut realm = Realm::start(Family::Ours);
        realm.add(BOSS, PASSWORD, &[]);
        realm.add("alice", "secret", &[]);
        realm.query(&["addprinc", "-randkey", "HTTP/localhost"]);
        realm.query(&["addprinc", "-nokey", "ci/admin"]);
        let (port, authority) = (Port::claim(), Authority::new());
        let own = authority.sign("localhost");
        let folder = realm.folder().join("kdc");
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
        write("admin.pem", &own.certificate);
        write("admin-key.pem", &own.key);
        write("ca.pem", &authority.pem);
        let settings = std::fs::read_to_string(folder.join("kdc.toml")).expect("settings");
        let section = format!(
            "[admin]\nlisten = [\"127.0.0.1:{}\"]\ncertificate = 'admin.pem'\nkey = 'admin-key.pem'
             services = ['HTTP/localhost']\nclient_ca = 'ca.pem'\n{lines}
             [[admin.clients]]\ncertificate = 'dns:ci.example.org'\nprincipal = 'ci/admin'
             [[admin.acl]]\nwho = '*/admin'\nmay = ['all', 'extract']\n",
            port.number()
        );
        write("kdc.toml", &settings.replace("[admin]\n", &section));
        realm.restart();
        Place { realm, port, authority }
    }

    /// Has new keys made at little cost, for who makes many.
    pub fn cheap_keys(&self) {
        let (file, seat) = (self.file("kdc.toml"), self.seat());
        let settings = std::fs::read_to_string(&file).expect("settings");
        let cheap = "[keys]\netypes = ['aes128-cts-hmac-sha1-96']\n";
        std::fs::write(&file, settings.replace("[keys]\n", cheap)).expect("written");
        seat.tool("kdc").args(["reload", "--config"]).args([file]).run().succeeds();
    }

    /// One that lets in who does not bind to the connection, as Debian's curl.
    pub fn lenient() -> Place {
        Place::new("require_channel_bindings = false")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.realm.folder().join("kdc").join(name)
    }

    pub fn seat(&self) -> Seat<'_> {
        self.realm.seat(Family::Ours)
    }

    /// kadmin at the socket.
    pub fn here(&self, seat: &Seat<'_>) -> Tool {
        seat.tool("kadmin").args(["--config"]).args([self.file("kdc.toml")])
    }

    /// kadmin over TLS, at some port.
    pub fn at(&self, port: u16, seat: &Seat<'_>) -> Tool {
        seat.tool("kadmin").args(["-s", &format!("localhost:{port}"), "--ca"]).args([self.file("ca.pem")])
    }

    /// kadmin over TLS.
    pub fn away(&self, seat: &Seat<'_>) -> Tool {
        self.at(self.port.number(), seat)
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port.number())
    }
}
