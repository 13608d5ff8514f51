//! A place where a client sits: its configuration, its credential cache, and what `klist` shows of it.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use libkrb::Time;

use crate::family::Program;
use crate::tool::{Said, Tool, tell};
use crate::{Family, Realm};

/// A client's place at a realm, with programs of one family.
pub struct Seat<'a> {
    realm: &'a Realm,
    client: Family,
    folder: PathBuf,
    libdefaults: RefCell<Vec<String>>,
    more: RefCell<String>,
    kdc_prefix: Cell<&'static str>,
    kpasswd_prefix: Cell<&'static str>,
    way: RefCell<Option<Way>>,
}

/// Another way to the realm than its ports.
#[derive(Clone, Debug)]
struct Way {
    kdc: String,
    kpasswd: String,
    more: String,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(realm: &'a Realm, client: Family, folder: &Path) -> Seat<'a> {
        std::fs::create_dir_all(folder).expect("a folder for the client");
        let seat = Seat {
            realm,
            client,
            folder: folder.to_owned(),
            libdefaults: RefCell::default(),
            more: RefCell::default(),
            kdc_prefix: Cell::new(""),
            kpasswd_prefix: Cell::new(""),
            way: RefCell::default(),
        };
        seat.write_configuration();
        seat
    }

    /// Adds a line to the `[libdefaults]` of this client's krb5.conf.
    pub fn set(&self, line: &str) -> &Self {
        self.libdefaults.borrow_mut().push(line.to_owned());
        self.write_configuration();
        self
    }

    /// Adds sections to this client's krb5.conf.
    pub fn append(&self, text: &str) -> &Self {
        self.more.borrow_mut().push_str(text);
        self.write_configuration();
        self
    }

    /// Tells this client where the KDC of another realm is.
    pub fn knows(&self, other: &Realm) -> &Self {
        self.append(&format!("[realms]\n {} = {{\n  kdc = {}\n }}\n", other.name(), other.address()))
    }

    /// What stands before the KDC's address: `tcp/` makes Heimdal's clients use TCP.
    pub fn kdc_prefix(&self, prefix: &'static str) {
        self.kdc_prefix.set(prefix);
        self.write_configuration();
    }

    /// What stands before the address for changing passwords: `tcp/` or `udp/`, for ours and Heimdal's.
    pub fn kpasswd_prefix(&self, prefix: &'static str) {
        self.kpasswd_prefix.set(prefix);
        self.write_configuration();
    }

    /// Another way to the KDC and to who changes passwords than their ports: a URL, or the path of a socket; and a
    /// further line about the realm.
    pub fn reach(&self, kdc: &str, kpasswd: &str, line: &str) {
        let way = Way { kdc: kdc.to_owned(), kpasswd: kpasswd.to_owned(), more: format!("  {line}\n") };
        self.way.replace(Some(way));
        self.write_configuration();
    }

    /// This client's krb5.conf.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("krb5.conf")
    }

    /// This client's credential cache, a file.
    pub fn ccache(&self) -> PathBuf {
        self.folder.join("ccache")
    }

    /// A path for a file of this client's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file of this client's; its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file of the client's");
        path
    }

    /// What the client has traced (`KRB5_TRACE`) so far.
    pub fn trace(&self) -> String {
        std::fs::read_to_string(self.path("trace")).unwrap_or_default()
    }

    /// A program of this client's family, ready to run here.
    pub fn tool(&self, name: &'static str) -> Tool {
        self.program(self.client.program(name))
    }

    /// Any program, ready to run here.
    pub fn program(&self, program: Program) -> Tool {
        Tool::new(program)
            .env("KRB5_CONFIG", self.configuration())
            .env("KRB5CCNAME", format!("FILE:{}", self.ccache().display()))
            .env("KRB5_TRACE", self.path("trace"))
            .env("HOME", &self.folder)
            .folder(&self.folder)
    }

    /// Runs `kinit`, which reads the password from its standard input.
    pub fn kinit(&self, arguments: &[&str], password: &str) -> Said {
        let heimdal: &[&str] = if self.client == Family::Heimdal { &["--password-file=STDIN"] } else { &[] };
        self.tool("kinit").args(heimdal).args(arguments).stdin(format!("{password}\n")).run()
    }

    /// Runs a program that asks for passwords, each a line of its standard input. Heimdal's read from
    /// the terminal as long as they have one.
    pub fn asked(&self, name: &'static str, arguments: &[&str], answers: &[&str]) -> Said {
        let program = self.client.program(name);
        let tool = match self.client {
            Family::Heimdal => {
                let path = program.path.clone();
                let apart = Program { path: "/usr/bin/setsid".into(), arguments: vec!["--wait"], ..program };
                self.program(apart).args([path])
            }
            _ => self.program(program),
        };
        let lines: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
        tool.args(arguments).stdin(lines).run()
    }

    /// Runs `kinit` with a keytab.
    pub fn kinit_with(&self, keytab: &Path, arguments: &[&str]) -> Said {
        self.tool("kinit").args(["-k", "-t"]).args([keytab]).args(arguments).run()
    }

    /// Fetches a ticket for a service: `kvno`, or Heimdal's `kgetcred`.
    pub fn fetch(&self, arguments: &[&str]) -> Said {
        self.tool(if self.client == Family::Heimdal { "kgetcred" } else { "kvno" }).args(arguments).run()
    }

    /// The tickets of the cache in the order of `klist`, read by MIT's for Heimdal's clients.
    pub fn tickets(&self) -> Vec<Ticket> {
        let reader = if self.client == Family::Heimdal { Family::Mit } else { self.client };
        let listing = self.program(reader.program("klist")).args(["-f", "-e", "-a", "-n"]).run().succeeds();
        parse(listing.stdout())
    }

    /// The only ticket for this service in the cache.
    #[track_caller]
    pub fn ticket(&self, service: &str) -> Ticket {
        let tickets = self.tickets();
        let name = format!("{service}@{}", self.realm.name());
        let mut matching = tickets.iter().filter(|ticket| ticket.service == name);
        match (matching.next(), matching.next()) {
            (Some(ticket), None) => ticket.clone(),
            _ => panic!("one ticket for {name} was expected: {tickets:#?}"),
        }
    }

    /// The ticket-granting ticket of the realm.
    #[track_caller]
    pub fn tgt(&self) -> Ticket {
        self.ticket(&format!("krbtgt/{}", self.realm.name()))
    }

    fn write_configuration(&self) {
        let realm = self.realm.name();
        let more: String = self.libdefaults.borrow().iter().map(|line| format!(" {line}\n")).collect();
        let ports = || Way {
            kdc: format!("{}{}", self.kdc_prefix.get(), self.realm.address()),
            kpasswd: format!("{}{}", self.kpasswd_prefix.get(), self.realm.kpasswd_address()),
            more: String::new(),
        };
        let Way { kdc, kpasswd, more: of_realm } = self.way.borrow().clone().unwrap_or_else(ports);
        let text = format!(
            "[libdefaults]\n default_realm = {realm}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             dns_canonicalize_hostname = false\n rdns = false\n{more}\
             [realms]\n {realm} = {{\n  kdc = {kdc}\n  kpasswd_server = {kpasswd}\n{of_realm} }}\n\
             [domain_realm]\n localhost = {realm}\n .example.org = {realm}\n{sections}",
            sections = self.more.borrow(),
        );
        std::fs::write(self.configuration(), text).expect("the client's krb5.conf");
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("---- what the client traced:\n{}", self.trace()));
        }
    }
}

/// A line of `klist -fea`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The service's name with its realm.
    pub service: String,
    /// When it becomes valid.
    pub start: Time,
    /// When it ends.
    pub end: Time,
    /// Until when it can be renewed.
    pub renew_until: Option<Time>,
    /// Its flags, one letter each.
    pub flags: String,
    /// The encryption type of the session key.
    pub session_etype: String,
    /// The encryption type of the ticket.
    pub ticket_etype: String,
    /// The addresses it is bound to.
    pub addresses: Vec<String>,
}

impl Ticket {
    /// Whether every one of these flags is set.
    pub fn has(&self, flags: &str) -> bool {
        flags.chars().all(|flag| self.flags.contains(flag))
    }

    /// Seconds from its start to its end.
    pub fn life(&self) -> i64 {
        self.end - self.start
    }
}

/// Reads MIT's layout: a line with times and name, then indented lines with the rest.
fn parse(listing: &str) -> Vec<Ticket> {
    let mut tickets: Vec<Ticket> = Vec::new();
    let rows = listing.lines().skip_while(|line| !line.starts_with("Valid starting")).skip(1);
    for row in rows {
        match (row.strip_prefix('\t'), tickets.last_mut()) {
            (Some(details), Some(ticket)) => detail(ticket, details.trim()),
            _ => tickets.extend(headline(row)),
        }
    }
    tickets
}

fn headline(row: &str) -> Option<Ticket> {
    let words: Vec<_> = row.split_whitespace().collect();
    let [start_day, start, end_day, end, service] = words.as_slice() else { return None };
    Some(Ticket {
        service: (*service).to_owned(),
        start: time(start_day, start),
        end: time(end_day, end),
        ..Ticket::default()
    })
}

fn detail(ticket: &mut Ticket, details: &str) {
    if let Some(addresses) = details.strip_prefix("Addresses:") {
        let addresses = addresses.split(',').map(|address| address.trim().to_owned());
        ticket.addresses = addresses.filter(|address| address != "(none)").collect();
        return;
    }
    if let Some((_, etypes)) = details.split_once("Etype (skey, tkt): ") {
        let (session, of_ticket) = etypes.split_once(", ").unwrap_or((etypes, ""));
        ticket.session_etype = session.trim().to_owned();
        ticket.ticket_etype = of_ticket.trim().to_owned();
    }
    if let Some((_, flags)) = details.split_once("Flags: ") {
        ticket.flags = flags.split(',').next().unwrap_or_default().trim().to_owned();
    }
    if let Some(until) = details.strip_prefix("renew until ") {
        let until = until.split(',').next().unwrap_or_default();
        ticket.renew_until = until.split_once(' ').map(|(day, clock)| time(day, clock));
    }
}

/// `11/21/26 23:58:57`, in UTC.
fn time(day: &str, clock: &str) -> Time {
    let numbers: Vec<u8> = day.split('/').chain(clock.split(':')).filter_map(|word| word.parse().ok()).collect();
    let [month, day, year, hour, minute, second] = numbers.as_slice() else { panic!("not a time: {day} {clock}") };
    let time = Time::from_civil(2000 + i64::from(*year), *month, *day, *hour, *minute, *second);
    time.expect("a time that exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_mits_klist_is_read() {
        let listing = "Ticket cache: FILE:/tmp/x\nDefault principal: alice@EXAMPLE.ORG\n\n\
            Valid starting     Expires            Service principal\n\
            11/21/26 23:58:57  11/22/26 23:58:57  krbtgt/EXAMPLE.ORG@EXAMPLE.ORG\n\
            \trenew until 11/28/26 23:58:57, Flags: FRIA, Etype (skey, tkt): aes256-cts-hmac-sha1-96, camellia128-cts-cmac \n\
            \tAddresses: 127.0.0.1, 10.0.0.1\n";
        let ticket = Ticket {
            service: "krbtgt/EXAMPLE.ORG@EXAMPLE.ORG".to_owned(),
            start: Time(1_795_305_537),
            end: Time(1_795_305_537 + 86_400),
            renew_until: Some(Time(1_795_305_537 + 7 * 86_400)),
            flags: "FRIA".to_owned(),
            session_etype: "aes256-cts-hmac-sha1-96".to_owned(),
            ticket_etype: "camellia128-cts-cmac".to_owned(),
            addresses: vec!["127.0.0.1".to_owned(), "10.0.0.1".to_owned()],
        };
        assert_eq!(parse(listing), [ticket]);
    }
}
