//! `kvno`: gets service tickets and says under which version of the service's key they are.

mod arguments;
mod behalf;
mod proof;

use std::io::Write;
use std::process::ExitCode;

use libkrb::ccache::{CacheName, Ccache, Credential};
use libkrb::client::{ClockOffset, TgsExchange, TgsRequest};
use libkrb::codes::{EncryptionType, NameType};
use libkrb::keytab::KeytabName;
use libkrb::net::{Transport, tgs_request};
use libkrb::wire::{self, Ticket};
use libkrb::{Error, ErrorCode, Principal, Time};
use tokio::runtime::Runtime;

use crate::local;
use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;
use arguments::Arguments;

/// Its command line.
pub(crate) fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kvno", 1, run)
}

/// What all services of one call share.
struct Call {
    arguments: Arguments,
    settings: Settings,
    transport: Transport,
    runtime: Runtime,
    cache: CacheName,
    content: Ccache,
    offset: ClockOffset,
    etype: Option<EncryptionType>,
    keytab: Option<KeytabName>,
    out_cache: Option<CacheName>,
    second: Option<Vec<u8>>,
}

fn run(arguments: Arguments) -> Result<u8> {
    if let Some(words) = arguments.contradiction() {
        return Ok(report::usage("kvno", words, 1));
    }
    let mut call = Call::prepare(arguments, Settings::load_during("while initializing krb5 library")?)?;
    let mut failed = false;
    let mut got = vec![];
    for service in call.arguments.services.clone() {
        match call.service(&service) {
            Ok(ticket) => got.push(ticket),
            Err(failure) => {
                failure.print("kvno");
                failed = true;
            }
        }
    }
    if let Some(out) = call.out_cache.as_ref().filter(|_| !got.is_empty()) {
        let offset = call.content.kdc_offset;
        let content = Ccache { kdc_offset: offset, credentials: got, ..Ccache::new(call.content.principal.clone()) };
        let doing = "while writing output ccache";
        out.replace(&content).map_err(|error| report::while_writing(&error, doing))?;
    }
    Ok(failed.into())
}

/// The ticket-granting ticket of the user who is the service.
fn second_ticket(settings: &Settings, cache: &str, now: impl Fn(&Ccache) -> Time) -> Result<Vec<u8>> {
    let doing = format!("while getting user-to-user ticket from {cache}");
    let name = settings.cache(Some(cache)).during(&doing)?;
    let content = name.load().during(&doing)?;
    let tgt = content.tgt(now(&content)).map(|tgt| tgt.ticket.clone());
    tgt.ok_or_else(|| report::not_in_cache(&name, &doing))
}

impl Call {
    fn prepare(arguments: Arguments, settings: Settings) -> Result<Call> {
        let etype = arguments.etype()?;
        let cache = settings.cache(arguments.cache.as_deref()).during("while opening ccache")?;
        let out_cache = arguments.out_cache.as_deref().map(|name| settings.cache(Some(name))).transpose();
        let out_cache = out_cache.during("while resolving output ccache")?;
        let keytab = arguments.keytab.as_deref();
        let keytab = keytab.map(|name| KeytabName::parse(name).during(&format!("resolving keytab {name}")));
        let keytab = keytab.transpose()?;
        let content = cache.load().during("while getting client principal name")?;
        let kdc_time = |content: &Ccache| settings.offset(content).apply(local::now().into()).time;
        let second = arguments.u2u.as_deref().map(|name| second_ticket(&settings, name, kdc_time)).transpose()?;
        let offset = settings.offset(&content);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let transport = settings.transport();
        let cache = cache.resolve().during("while opening ccache")?;
        Ok(Call { arguments, settings, transport, runtime, cache, content, offset, etype, keytab, out_cache, second })
    }

    /// Gets, shows and keeps one ticket.
    fn service(&mut self, text: &str) -> Result<Credential> {
        let server = self.name(text)?;
        let ticket = match self.user()? {
            Some(user) => self.in_the_name_of(&user, &server)?,
            None => self.ticket(&server).map_err(|error| self.failure(&error, &server))?,
        };
        let doing = format!("while decoding ticket for {server}");
        let sealed = wire::decode::<Ticket<'_>>(&ticket.ticket).during(&doing)?;
        let kvno = sealed.enc_part.kvno.unwrap_or(0);
        let proof = self.keytab.as_ref().map(|keytab| proof::opens(keytab, &sealed, &ticket.server));
        let proven = match proof {
            None => "",
            Some(Ok(())) => ", keytab entry valid",
            Some(Err(_)) => ", keytab entry invalid",
        };
        if !self.arguments.quiet {
            writeln!(report::output(), "{}: kvno = {kvno}{proven}", ticket.server)?;
        }
        proof.transpose()?;
        Ok(ticket)
    }

    fn name(&self, text: &str) -> Result<Principal> {
        let Some(service) = &self.arguments.sname else {
            let name = self.settings.principal(text).during(&format!("while parsing principal name {text}"))?;
            return Ok(if self.arguments.unknown { name.with_kind(NameType::UNKNOWN) } else { name });
        };
        let host = text.trim_end_matches('.').to_ascii_lowercase();
        let realm = self.runtime.block_on(self.transport.realm_of_host(&host));
        let realm = realm.unwrap_or_else(|| self.content.principal.realm().to_owned());
        Ok(Principal::service(service, &host, &realm))
    }

    /// From the cache, else from a KDC.
    fn ticket(&mut self, server: &Principal) -> libkrb::Result<Credential> {
        let now = self.offset.apply(local::now().into()).time;
        let fits = |ticket: &&Credential| {
            ticket.server == *server
                && ticket.client == self.content.principal
                && ticket.end_time > now
                && ticket.is_skey == self.second.is_some()
                && self.second.as_ref().is_none_or(|second| ticket.second_ticket == *second)
                && self.etype.is_none_or(|etype| ticket.key.etype == etype)
        };
        if let Some(ticket) = self.content.tickets().find(fits) {
            return Ok(ticket.clone());
        }
        if self.arguments.cached_only {
            return Err(Error::NoCredential);
        }
        let tgt = self.tgt()?;
        self.fetch(tgt, server.clone())
    }

    fn tgt(&self) -> libkrb::Result<Credential> {
        let now = self.offset.apply(local::now().into()).time;
        let any = || self.content.tickets().any(|ticket| ticket.server.is_local_tgs());
        let missing = || if any() { Error::code(ErrorCode::TKT_EXPIRED) } else { Error::NoCredential };
        self.content.tgt(now).cloned().ok_or_else(missing)
    }

    fn fetch(&mut self, tgt: Credential, server: Principal) -> libkrb::Result<Credential> {
        let mut request = tgs_request(self.transport.config(), tgt.clone(), server.clone());
        if let Some(second) = &self.second {
            let TgsRequest { options, second_ticket, .. } = TgsRequest::user_to_user(tgt, server, second.clone());
            request = TgsRequest { options, second_ticket, ..request };
        }
        self.exchange(request)
    }

    fn exchange(&mut self, mut request: TgsRequest) -> libkrb::Result<Credential> {
        if let Some(etype) = self.etype {
            request.etypes = vec![etype];
        }
        request.armored = self.content.fast_known(&request.tgt);
        let mut exchange = TgsExchange::new(request)?;
        let outcome = self.runtime.block_on(self.transport.drive(&mut exchange, self.offset))?;
        if !self.arguments.no_store && self.out_cache.is_none() {
            let mut tickets = outcome.hops.iter().chain([&outcome.credential]);
            if let Err(error) = tickets.try_for_each(|ticket| self.cache.store(ticket)) {
                // Who may read a cache but not write it has the ticket all the same, as with MIT.
                self.transport.trace().line(format_args!("Could not store the ticket: {error}"));
            }
        }
        self.content.credentials.push(outcome.credential.clone());
        Ok(outcome.credential)
    }

    fn failure(&self, error: &Error, server: &Principal) -> Failure {
        let doing = format!("while getting credentials for {server}");
        let home = self.content.principal.realm();
        match error {
            Error::NoCredential => report::not_in_cache(&self.cache, &doing),
            Error::Unreachable(_) => report::while_doing(error, &doing)
                .next("Check that the KDC runs and that krb5.conf names it; KRB5_TRACE=/dev/stderr shows more."),
            Error::NoKdc(_) => report::while_doing(error, &doing).next("Name one in [realms] of krb5.conf, or in DNS."),
            Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. } => {
                let next = match server.realm() {
                    realm if realm == home => {
                        "Check the spelling of service and host; an administrator can list the services.".to_owned()
                    }
                    realm => format!("Check its spelling; and whether realm {realm} is trusted by {home}."),
                };
                Failure::new(format!("Server {server} not found in Kerberos database {doing}")).next(next)
            }
            Error::Protocol { code, .. } => Failure::new(format!("{code} {doing}")).next(next_step(*code)),
            error => report::while_doing(error, &doing),
        }
    }
}

fn next_step(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::TKT_EXPIRED => "Get a new ticket with kinit.",
        ErrorCode::TKT_NYV => "klist shows from when it is good; kinit -v validates a postdated one.",
        ErrorCode::MUST_USE_USER2USER => "A user is no service: name a cache of that user's with --u2u.",
        ErrorCode::ETYPE_NOSUPP => "The KDC, the service and krb5.conf have no encryption type in common; see -e.",
        ErrorCode::C_PRINCIPAL_UNKNOWN => "Check the user's name and realm; names are case-sensitive.",
        ErrorCode::BADOPTION => {
            "For -P a service needs +ok_to_auth_as_delegate, the other one on its list allowed_to_delegate_to, and a \
             forwardable ticket of its own, got after that: kinit -f -kt KEYTAB. The KDC's log says which is missing (cause)."
        }
        code => report::refused(code),
    }
}
