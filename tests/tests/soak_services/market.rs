//! A market with two gateways behind one name, which share their memory of tokens, and what an
//! administrator does to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use tests::{AES256_SHA1, Daemon, Family, Port, Program, Tool, optional_peer};

pub const REALM: &str = "SHOP.EXAMPLE";
pub const GATEWAY: &str = "HTTP/gateway.localhost";
pub const ADS: &str = "HTTP/ad-service.shop";
pub const USERS: &str = "HTTP/user-service.shop";
/// What tickets for the gateways are for.
pub const HOST: &str = "gateway.localhost";

/// Callers come with a ticket now and then even where they have a session.
const SESSION_LIFE: &str = "5";

/// Of every other user's tickets: these users log in again and again, also when there is no KDC.
const SHORT_LIFE: &str = "30s";

pub struct Market {
    // Dropped in this order: those first who call others.
    second: Daemon,
    daemon: Daemon,
    kdc: Mutex<Option<Daemon>>,
    redis: Mutex<Redis>,
    gateways: [SocketAddr; 2],
    folder: TempDir,
}

impl Market {
    /// Opens it, with these users, whose passwords are their names; `None` where there is no Redis.
    pub fn open(users: &[String]) -> Option<Market> {
        let redis = Redis::start(optional_peer("redis", "/usr/bin/redis-server")?);
        let folder = tempfile::Builder::new().prefix("krb-soak-").tempdir().expect("a temporary folder");
        let market = Tool::new(Family::Ours.program("flea_market"));
        let market = market.args(["--gateway", "127.0.0.1:0", "--log", "warn", "--session-life", SESSION_LIFE]);
        let market = market.args(["--redis", &redis.url(), "--dir"]).args([folder.path()]);
        let daemon = Daemon::start(market.command(), "Ctrl-C ends it all");
        let second = second_gateway(&folder, &redis);
        let address = |daemon: &Daemon| listening(&daemon.log()).expect("where the gateway listens");
        let gateways = [process(&folder, "gateway").0, address(&second)];
        let market = Market { second, daemon, kdc: Mutex::default(), redis: Mutex::new(redis), gateways, folder };
        for (user, life) in users.iter().zip(["1d", SHORT_LIFE].iter().cycle()) {
            // One key is made of a password quickly.
            market.kadmin(&["addprinc", "-e", AES256_SHA1.name, "-maxlife", life, "-pw", user, user]);
        }
        Some(market)
    }

    /// Where the replicas of the gateway listen.
    pub fn gateways(&self) -> [SocketAddr; 2] {
        self.gateways
    }

    /// The clients' krb5.conf.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("realm/krb5.conf")
    }

    pub fn kadmin(&self, query: &[&str]) {
        kadmin(&self.folder, query);
    }

    /// Gives a service a new key and puts it beside the old ones into the keytab that it runs with.
    pub fn change_key(&self, folder: &str, service: &str) {
        let keytab = self.folder.path().join(folder).join("krb5.keytab");
        self.kadmin(&["ktadd", "-k", &keytab.to_string_lossy(), service]);
    }

    /// Kills the KDC, and starts it again when `meanwhile` has ended.
    pub fn restart_kdc(&self, meanwhile: impl FnOnce()) {
        let (address, id) = process(&self.folder, "kdc");
        let mut kdc = self.kdc.lock().expect("the KDC");
        match kdc.as_mut() {
            Some(kdc) => kdc.kill(),
            None => kill_process(pid(id), Signal::KILL).expect("a KDC that runs"),
        }
        meanwhile();
        let tool = Tool::new(Family::Ours.program("flea_market")).args(["kdc", "--listen", &address.to_string()]);
        *kdc = Some(Daemon::start(tool.args(["--dir"]).args([self.folder.path()]).command(), "listening on"));
    }

    pub fn restart_redis(&self, meanwhile: impl FnOnce()) {
        self.redis.lock().expect("Redis").restart(meanwhile);
    }

    /// What each service takes of the machine's memory, in kilobytes: now, and at most.
    pub fn memory(&self) -> String {
        let own = ["gateway", "ad-service", "user-service"].map(|name| (name, process(&self.folder, name).1));
        let second = ("second gateway", self.second.pid() as i32);
        let lines = own.into_iter().chain([second]).map(|(name, id)| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let field = |field| status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default().trim();
            format!("{name}: {} now, {} at most\n", field("VmRSS:"), field("VmHWM:"))
        });
        lines.collect()
    }

    /// Every service still runs that nobody has killed.
    pub fn assert_alive(&self) {
        for name in ["gateway", "ad-service", "user-service"] {
            assert!(test_kill_process(pid(process(&self.folder, name).1)).is_ok(), "{name} has ended");
        }
        assert!(test_kill_process(pid(self.second.pid() as i32)).is_ok(), "the second gateway has ended");
        assert!(test_kill_process(pid(self.daemon.pid() as i32)).is_ok(), "the market has ended");
    }
}

fn second_gateway(folder: &TempDir, redis: &Redis) -> Daemon {
    let (ads, _) = process(folder, "ad-service");
    let data = folder.path().join("gateway2");
    std::fs::create_dir(&data).expect("a folder for the second gateway");
    let gateway =
        Tool::new(Family::Ours.program("flea_market")).env("KRB5_CONFIG", folder.path().join("realm/krb5.conf"));
    let gateway = gateway.args(["gateway", "--plain-http", "--log", "warn", "--session-life", SESSION_LIFE]);
    let gateway = gateway.args(["--principal", &format!("{GATEWAY}@{REALM}"), "--redis", &redis.url()]);
    let gateway = gateway.args(["--ad-service", &format!("http://{ads}"), "--spn-rule", &format!("{ads} -> {ADS}")]);
    let gateway = gateway.args(["--keytab"]).args([folder.path().join("gateway/krb5.keytab")]);
    Daemon::start(gateway.args(["--data"]).args([data]).command(), "listening on")
}

fn kadmin(folder: &TempDir, query: &[&str]) {
    let config = folder.path().join("realm/kdc.toml");
    Tool::new(Family::Ours.program("kadmin")).args(["--config"]).args([config]).args(query).run().succeeds();
}

/// Where a process of the market listens, and its id.
fn process(folder: &TempDir, name: &str) -> (SocketAddr, i32) {
    let notes = std::fs::read_to_string(folder.path().join("processes")).expect("the market's notes");
    let line = notes.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("a process");
    let mut words = line.split(' ');
    let (id, address) = words.next().zip(words.next()).expect("an id and an address");
    (address.parse().expect("an address"), id.parse().expect("an id"))
}

fn listening(log: &str) -> Option<SocketAddr> {
    log.lines().find_map(|line| line.strip_prefix("listening on ")?.parse().ok())
}

fn pid(id: i32) -> Pid {
    Pid::from_raw(id).expect("a process id")
}

/// A Redis that writes all down before it says yes.
struct Redis {
    daemon: Daemon,
    program: Program,
    port: Port,
    folder: TempDir,
}

impl Redis {
    fn start(program: Program) -> Redis {
        let folder = tempfile::Builder::new().prefix("krb-redis-").tempdir().expect("a temporary folder");
        let port = Port::claim();
        Redis { daemon: Redis::daemon(&program, &port, &folder), program, port, folder }
    }

    fn daemon(program: &Program, port: &Port, folder: &TempDir) -> Daemon {
        let tool = Tool::new(program.clone()).folder(folder.path()).args(["--bind", "127.0.0.1", "--save", ""]);
        let tool = tool.args(["--port", &port.number().to_string(), "--appendonly", "yes", "--appendfsync", "always"]);
        Daemon::start(tool.command(), "Ready to accept connections")
    }

    fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }

    fn restart(&mut self, meanwhile: impl FnOnce()) {
        self.daemon.stop();
        meanwhile();
        self.daemon = Redis::daemon(&self.program, &self.port, &self.folder);
    }
}
