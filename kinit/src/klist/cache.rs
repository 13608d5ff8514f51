//! Credential caches as klist shows them.

use std::io::Write;

use libkrb::ccache::{CacheName, Ccache, Credential};
use libkrb::keytab::Keytab;
use libkrb::wire::{self, Ticket};
use libkrb::{Principal, Time};

use super::{Arguments, address, etype_text, indicators, json};
use crate::local;
use crate::report::{During, Failure, Result};

/// Shows what the arguments ask for, and says with which code to exit. The keys of `keytab` open tickets.
pub(super) fn run(arguments: &Arguments, name: &CacheName, keytab: Option<&Keytab>, out: &mut dyn Write) -> Result<u8> {
    if arguments.list || arguments.all {
        let members = name.members().during("while listing ccache collection")?;
        return if arguments.list { list(arguments, &members, out) } else { all(arguments, &members, keytab, out) };
    }
    let name = name.resolve().during("while resolving ccache")?;
    let cache = name.load().during("")?;
    if arguments.status {
        return Ok(u8::from(!is_good(&cache, local::now())));
    }
    if arguments.json {
        super::print_json(&json::cache(&name, &cache, keytab), out)?;
    } else {
        show(arguments, &name, &cache, keytab, out)?;
    }
    Ok(0)
}

fn list(arguments: &Arguments, members: &[CacheName], out: &mut dyn Write) -> Result<u8> {
    // A cache that was named but never filled is no reason to fail.
    let caches: Vec<_> = members.iter().filter_map(|name| Some((name, name.load().ok()?))).collect();
    let now = local::now();
    if arguments.json {
        let rows = caches.iter().map(|(name, cache)| json::summary(name, cache, is_good(cache, now)));
        super::print_json(&rows.collect(), out)?;
    } else {
        writeln!(out, "{:<30} Cache name\n{:<30} ----------", "Principal name", "--------------")?;
        for (name, cache) in &caches {
            let expired = if is_good(cache, now) { "" } else { " (Expired)" };
            writeln!(out, "{:<30.30} {name}{expired}", cache.principal.to_string())?;
        }
    }
    Ok(caches.is_empty().into())
}

fn all(arguments: &Arguments, members: &[CacheName], keytab: Option<&Keytab>, out: &mut dyn Write) -> Result<u8> {
    let mut code = 1;
    let mut shown = vec![];
    for (index, name) in members.iter().enumerate() {
        let cache = match name.load().during("") {
            Ok(cache) => cache,
            Err(failure) => {
                separate(arguments, index, out)?;
                complain(arguments, &failure, out)?;
                continue;
            }
        };
        if arguments.status {
            code = if is_good(&cache, local::now()) { 0 } else { code };
        } else if arguments.json {
            shown.push(json::cache(name, &cache, keytab));
            code = 0;
        } else {
            separate(arguments, index, out)?;
            show(arguments, name, &cache, keytab, out)?;
            code = 0;
        }
    }
    if arguments.json && !arguments.status {
        super::print_json(&shown.into(), out)?;
    }
    Ok(code)
}

fn separate(arguments: &Arguments, index: usize, out: &mut dyn Write) -> Result<()> {
    if index > 0 && !arguments.status && !arguments.json {
        writeln!(out)?;
    }
    Ok(())
}

fn complain(arguments: &Arguments, failure: &Failure, out: &mut dyn Write) -> Result<()> {
    out.flush()?;
    if !arguments.status {
        failure.print("klist");
    }
    Ok(())
}

/// Whether the cache is of use at `now`: its local ticket-granting ticket is good or, if it has
/// none, any other ticket.
fn is_good(cache: &Ccache, now: Time) -> bool {
    let tgs = Principal::tgs(cache.principal.realm());
    let (granting, others): (Vec<_>, Vec<_>) = cache.tickets().partition(|ticket| ticket.server == tgs);
    let counting = if granting.is_empty() { others } else { granting };
    counting.iter().any(|ticket| ticket.end_time > now)
}

fn show(
    arguments: &Arguments,
    name: &CacheName,
    cache: &Ccache,
    keytab: Option<&Keytab>,
    out: &mut dyn Write,
) -> Result<()> {
    let width = local::long().width + 2;
    writeln!(out, "Ticket cache: {name}\nDefault principal: {}\n", cache.principal)?;
    writeln!(out, "{:<width$}{:<width$}Service principal", "Valid starting", "Expires")?;
    for credential in &cache.credentials {
        if arguments.config || !credential.is_config() {
            show_credential(arguments, &cache.principal, credential, out)?;
            let indicators = keytab.map(|keytab| indicators::of(credential, keytab)).unwrap_or_default();
            if !indicators.is_empty() {
                writeln!(out, "\tAuthentication indicators: {}", indicators.join(", "))?;
            }
        }
    }
    Ok(())
}

fn show_credential(
    arguments: &Arguments,
    owner: &Principal,
    credential: &Credential,
    out: &mut dyn Write,
) -> Result<()> {
    let format = local::long();
    let ticket = if credential.is_config() { None } else { wire::decode::<Ticket<'_>>(&credential.ticket).ok() };
    let column = if credential.is_config() {
        show_config_name(credential, out)?
    } else {
        let (start, end) = (format.show(start(credential)), format.show(credential.end_time));
        writeln!(out, "{start}  {end}  {}", credential.server)?;
        0
    };
    let mut line = Line::default();
    if credential.client != *owner {
        line.add(format!("for client {}", credential.client), 1);
    }
    if credential.is_config() {
        line.print_unended(out)?;
        show_value(column, &credential.ticket, out)?;
    }
    if credential.renew_till != Time::EPOCH {
        line.add(format!("renew until {}", format.show(credential.renew_till)), 2);
    }
    if arguments.flags && !credential.flags.letters().is_empty() {
        line.add(format!("Flags: {}", credential.flags.letters()), 1);
    }
    if line.weight > 2 {
        line.end(out)?;
    }
    if let Some(ticket) = ticket.filter(|_| arguments.etypes) {
        let (session, sealed) = (etype_text(credential.key.etype), etype_text(ticket.enc_part.etype));
        line.add(format!("Etype (skey, tkt): {session}, {sealed} "), 1);
    }
    if arguments.authdata {
        let types: Vec<_> = credential.authdata.iter().map(|data| data.kind.0.to_string()).collect();
        line.add(format!("AD types: {}", types.join(", ")), 1);
    }
    line.end(out)?;
    if arguments.addresses {
        writeln!(out, "\tAddresses: {}", address::list(&credential.addresses, arguments.numeric))?;
    }
    if let Some(server) = ticket_server(credential).filter(|server| *server != credential.server) {
        writeln!(out, "\tTicket server: {server}")?;
    }
    Ok(())
}

/// From when a ticket is good.
pub(super) fn start(credential: &Credential) -> Time {
    if credential.start_time == Time::EPOCH { credential.auth_time } else { credential.start_time }
}

/// Whom the ticket itself names: after a referral not the name it was asked for by.
pub(super) fn ticket_server(credential: &Credential) -> Option<Principal> {
    let ticket = wire::decode::<Ticket<'_>>(&credential.ticket).ok().filter(|_| !credential.is_config())?;
    ticket.server.principal(ticket.realm).ok()
}

/// Further facts of a credential, indented and separated by commas.
#[derive(Default)]
struct Line {
    facts: Vec<String>,
    /// MIT breaks the line when this is more than 2.
    weight: u32,
    unended: bool,
}

impl Line {
    fn add(&mut self, fact: String, weight: u32) {
        self.facts.push(fact);
        self.weight += weight;
    }

    fn print_unended(&mut self, out: &mut dyn Write) -> Result<()> {
        if !self.facts.is_empty() {
            write!(out, "\t{}", self.facts.join(", "))?;
            self.facts.clear();
            self.unended = true;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<()> {
        let lead = if self.unended { ", " } else { "\t" };
        if !self.facts.is_empty() {
            writeln!(out, "{lead}{}", self.facts.join(", "))?;
        } else if self.unended {
            writeln!(out)?;
        }
        *self = Line::default();
        Ok(())
    }
}

/// Prints the name of a configuration entry and says in which column that ended.
fn show_config_name(credential: &Credential, out: &mut dyn Write) -> Result<usize> {
    let mut name = "config: ".to_owned();
    for (index, part) in credential.server.components().iter().enumerate().skip(1) {
        name.push_str(&if index == 1 { part.to_string() } else { format!("({part})") });
    }
    name.push_str(" = ");
    write!(out, "{name}")?;
    Ok(name.len())
}

/// Prints the value of a configuration entry, broken into lines and with what is not printable in
/// octal.
fn show_value(mut column: usize, value: &[u8], out: &mut dyn Write) -> Result<()> {
    for byte in value {
        if column < 8 {
            write!(out, "{:1$}", "", 8 - column)?;
            column = 8;
        }
        match byte {
            0x21..0x7f => {
                write!(out, "{}", char::from(*byte))?;
                column += 1;
            }
            _ => {
                write!(out, "\\{byte:03o}")?;
                column += 4;
            }
        }
        if column > 72 {
            writeln!(out)?;
            column = 0;
        }
    }
    if column > 0 {
        writeln!(out)?;
    }
    Ok(())
}
