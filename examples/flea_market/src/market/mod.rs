//! The whole market by one command: a realm in a folder, a KDC and three services as processes, and
//! what to type to try it. Not here: anything that a real deployment has; there each service is a
//! container, and the realm has been there before.

mod check;
mod process;
pub mod realm;
mod screen;
pub mod serve_kdc;
mod tell;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use kdc::dev::{quoted, tool};
use tokio::signal::unix::{SignalKind, signal};

use crate::chassis::Error;
use crate::chassis::replays::RedisAway;
use process::Process;
use realm::{ADS, GATEWAY, REALM, Realm, Service, USERS};
use screen::Screen;

const LOOPBACK: &str = "127.0.0.1:0";

/// What can be wished of a market.
#[derive(Args, Clone, Debug)]
pub struct Market {
    /// Keep realm, databases and logs here, and find them here the next time [default: a folder that
    /// goes at the end]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The realm, when it is made
    #[arg(long, default_value = REALM)]
    realm: String,
    /// Where users find the market; port 0, here and below, takes one that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    gateway: SocketAddr,
    /// Where the ads are
    #[arg(long, value_name = "ADDR:PORT", default_value = LOOPBACK)]
    ad_service: SocketAddr,
    /// Where the users' profiles are
    #[arg(long, value_name = "ADDR:PORT", default_value = LOOPBACK)]
    user_service: SocketAddr,
    /// Where the KDC is
    #[arg(long, value_name = "ADDR:PORT", default_value = LOOPBACK)]
    kdc: SocketAddr,
    /// Remember authenticators in this Redis instead of each service's memory
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// What the services do while that Redis does not answer
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = RedisAway::Refuse)]
    when_redis_is_away: RedisAway,
    /// Remember authenticators in a file of each service, over restarts
    #[arg(long, conflicts_with = "redis")]
    replay_files: bool,
    /// Seconds until a caller has to show a ticket again
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    session_life: u32,
    /// How much the services log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// Try everything, end, and say by the exit code whether it went as it must
    #[arg(long)]
    once: bool,
}

impl Market {
    /// Opens the market, and keeps it open until told to end.
    ///
    /// # Errors
    /// What keeps it from opening; a check that failed.
    pub async fn run(self) -> Result<(), Error> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let temporary = match &self.dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("flea-market-").tempdir()?),
        };
        let dir = self.dir.clone().or_else(|| Some(temporary.as_ref()?.path().to_owned())).unwrap_or_default();
        realm::folder(&dir)?;
        let dir = std::fs::canonicalize(dir)?;
        let mut screen = Screen::stdout();
        let mut open = Open::begin(&self, &dir).await?;
        let outcome = tokio::select! {
            outcome = open.show(&self, &mut screen) => outcome,
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        open.close().await;
        outcome
    }
}

/// A market that is open.
struct Open {
    realm: Realm,
    dir: PathBuf,
    kdc: Process,
    services: Vec<Process>,
}

impl Open {
    /// Starts all, each as soon as those that it calls are there.
    async fn begin(market: &Market, dir: &Path) -> Result<Open, Error> {
        let logs = dir.join("logs");
        realm::folder(&logs)?;
        let realm = Realm::prepare(dir, &market.realm)?;
        let files = (logs.as_path(), realm.client_config());
        let loud = !market.once;
        let arguments = words(["--listen", &market.kdc.to_string(), "--end-with-stdin", "--dir"]);
        let kdc = Process::start("kdc", [arguments, vec![dir.into()]].concat(), files, false).await?;
        let users = market.arguments(&realm, &USERS, market.user_service);
        let users = Process::start(USERS.command, users, files, loud).await?;
        let ads = market.arguments(&realm, &ADS, market.ad_service);
        let upstream = callee("--user-service", &users, &USERS);
        let ads = Process::start(ADS.command, [ads, upstream].concat(), files, loud).await?;
        let gateway = market.arguments(&realm, &GATEWAY, market.gateway);
        let badges = vec!["--badges".into(), realm.badges().into()];
        let upstream = [callee("--ad-service", &ads, &ADS), callee("--user-service", &users, &USERS), badges].concat();
        let gateway = Process::start(GATEWAY.command, [gateway, upstream].concat(), files, loud).await?;
        let dir = dir.to_owned();
        let open = Open { realm, dir, kdc, services: vec![users, ads, gateway] };
        open.note_processes()?;
        Ok(open)
    }

    /// Writes down which process is which, and where it can be asked how it is, for those who want to
    /// disturb one.
    fn note_processes(&self) -> Result<(), Error> {
        let note = |process: &Process| {
            let id = process.id().map(|id| id.to_string()).unwrap_or_default();
            let operations = process.operations().map(|address| format!(" {address}")).unwrap_or_default();
            format!("{} {id} {}{operations}\n", process.name(), process.address())
        };
        let notes = std::iter::once(&self.kdc).chain(&self.services).map(note).collect::<String>();
        Ok(std::fs::write(self.dir.join("processes"), notes)?)
    }

    async fn show(&mut self, market: &Market, screen: &mut Screen) -> Result<(), Error> {
        self.introduce(screen)?;
        if market.once {
            return check::check(screen, &self.realm, &self.services).await;
        }
        self.invite(screen)?;
        self.watch().await
    }

    fn introduce(&self, screen: &mut Screen) -> Result<(), Error> {
        let realm = &self.realm.config().realm;
        screen.title(&format!("The flea market of {realm}, kept in {}", self.dir.display()))?;
        for user in realm::PEOPLE {
            screen.fact("user", user, &format!("password {}", *self.realm.password_of(user)?))?;
        }
        screen.fact("kdc", &self.kdc.address().to_string(), realm)?;
        for (process, service) in self.services.iter().zip([USERS, ADS, GATEWAY]) {
            screen.fact("service", &process.address().to_string(), service.principal)?;
        }
        Ok(())
    }

    /// Lines to paste into another shell.
    fn invite(&self, screen: &mut Screen) -> Result<(), Error> {
        let (url, kinit) = (self.url(), tool("kinit"));
        let (conf, cache) = (quoted(self.realm.client_config()), quoted(&self.dir.join("ccache")));
        let curl = "curl --negotiate -u :";
        screen.title("Your turn, in another shell")?;
        for line in [
            format!("export KRB5_CONFIG={conf} KRB5CCNAME={cache}"),
            format!("{kinit} alice    # {}", *self.realm.password_of("alice")?),
            format!("{curl} {url}/ads"),
            format!("{curl} --delegation always {url}/ads/mine"),
            format!("curl -H \"Authorization: Badge {}\" {url}/badge/me", *self.realm.badge_of("alice")?),
            format!("{curl} --delegation always --json '{{\"title\":\"Teapot\",\"price\":12}}' {url}/ads"),
            format!(
                "chromium --user-data-dir={} --auth-server-allowlist='*.localhost' {url}/",
                quoted(&self.profile()?)
            ),
        ] {
            screen.command(&line)?;
        }
        screen.title("What must not go")?;
        for line in [
            format!("curl -i {url}/ads    # no ticket"),
            format!("{curl} {url}/ads/mine    # a ticket, but none that is handed on"),
            format!("{} --config {} modprinc -allow_tix bob", tool("kadmin"), quoted(self.realm.kdc_config())),
            format!("{kinit} bob    # {}: locked out", *self.realm.password_of("bob")?),
        ] {
            screen.command(&line)?;
        }
        let logs = quoted(&self.dir.join("logs"));
        screen.title(&format!("Requests are told here, by the beginning of their trace id; the whole is in {logs}"))?;
        screen.title("Ctrl-C ends it all")
    }

    /// A profile of Chromium that hands tickets on, for which it has no flag; and that speaks
    /// Negotiate at the first visit, where a new one lets the first challenge pass.
    fn profile(&self) -> Result<PathBuf, Error> {
        let folder = self.dir.join("chromium");
        let state = r#"{
            "net": { "received_http_auth_negotiate_headers": true },
            "auth": { "disable_negotiate_cname_lookup": true, "negotiate_delegate_whitelist": "*.localhost" }
        }"#;
        if !folder.exists() {
            realm::folder(&folder)?;
            std::fs::write(folder.join("Local State"), state)?;
        }
        Ok(folder)
    }

    fn url(&self) -> String {
        let port = self.services.last().map_or(0, |gateway| gateway.address().port());
        format!("http://{}:{port}", GATEWAY.principal.trim_start_matches("HTTP/"))
    }

    /// Waits for an end that nobody has asked for. Services live on without a KDC while their
    /// tickets do.
    async fn watch(&mut self) -> Result<(), Error> {
        let Open { kdc, services, dir, .. } = self;
        let mut services = services.iter_mut();
        let (Some(users), Some(ads), Some(gateway)) = (services.next(), services.next(), services.next()) else {
            return Err("a service is missing".into());
        };
        let mut kdc_lives = true;
        loop {
            let (name, status) = tokio::select! {
                status = users.ended() => (USERS.command, status?),
                status = ads.ended() => (ADS.command, status?),
                status = gateway.ended() => (GATEWAY.command, status?),
                status = kdc.ended(), if kdc_lives => {
                    let command = format!("flea_market kdc --dir {} --listen {}", quoted(dir), kdc.address());
                    tell::problem("kdc", &format!("has ended ({}); start it again: {command}", status?));
                    kdc_lives = false;
                    continue;
                }
            };
            return Err(format!("{name} has ended ({status}); its log says why").into());
        }
    }

    /// Ends all, those first who call others.
    async fn close(self) {
        for process in self.services.into_iter().rev().chain([self.kdc]) {
            process.stop().await;
        }
    }
}

impl Market {
    /// What a service is told.
    fn arguments(&self, realm: &Realm, service: &Service, listen: SocketAddr) -> Vec<OsString> {
        let folder = realm.folder_of(service);
        let principal = format!("{}@{}", service.principal, realm.config().realm);
        let mut arguments =
            words(["--listen", &listen.to_string(), "--principal", &principal, "--log", &self.log, "--end-with-stdin"]);
        arguments.extend(words(["--session-life", &self.session_life.to_string(), "--plain-http"]));
        arguments.extend(["--keytab".into(), realm.keytab_of(service).into()]);
        arguments.extend(["--data".into(), folder.clone().into()]);
        if let Some(url) = &self.redis {
            let away = if self.when_redis_is_away == RedisAway::Local { "local" } else { "refuse" };
            arguments.extend(words(["--redis", url, "--when-redis-is-away", away]));
        }
        if self.replay_files {
            arguments.extend(["--replay-file".into(), folder.join("replays").into()]);
        }
        arguments
    }
}

/// Where a service is that another one calls, and who it has to be.
fn callee(flag: &str, process: &Process, service: &Service) -> Vec<OsString> {
    let address = process.address();
    words([flag, &format!("http://{address}"), "--spn-rule", &format!("{address} -> {}", service.principal)])
}

fn words<const N: usize>(words: [&str; N]) -> Vec<OsString> {
    words.map(OsString::from).to_vec()
}
