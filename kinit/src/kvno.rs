//! `kvno`: gets service tickets and says under which version of the service's key they are.

use std::process::ExitCode;

use clap::Parser;
use libkrb::ccache::{CacheName, Ccache, Credential};
use libkrb::client::{ClockOffset, TgsExchange, TgsRequest};
use libkrb::codes::{EncryptionType, NameType};
use libkrb::crypto::KeyUsage;
use libkrb::keytab::KeytabName;
use libkrb::net::{Transport, tgs_request};
use libkrb::wire::{self, Ticket};
use libkrb::{Error, ErrorCode, Principal};

use crate::local;
use crate::report::{self, During, Failure, Result};
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  kvno HTTP/www.example.org                  get a ticket, print its key version
  kvno -S host a.example.org b.example.org   the arguments are hosts
  kvno -k /etc/krb5.keytab host/a.example.org  does this keytab open the tickets?
  kvno --u2u FILE:/tmp/krb5cc_bob bob        a user-to-user ticket for bob

Exit code: 0 if every ticket was got, 1 if one was not, 2 for a wrong command line.";

/// Get service tickets and print the versions of the services' keys.
#[derive(Parser)]
#[command(name = "kvno", after_help = EXAMPLES, disable_version_flag = true)]
struct Arguments {
    /// The services, or with -S their hosts
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
    /// The credential cache to use
    #[arg(short = 'c', long, value_name = "CACHE")]
    cache: Option<String>,
    /// The encryption type of the session key
    #[arg(short = 'e', long, value_name = "ETYPE")]
    etype: Option<String>,
    /// Open the tickets with this keytab, to prove that it fits
    #[arg(short = 'k', long, value_name = "KEYTAB")]
    keytab: Option<String>,
    /// Print only errors
    #[arg(short = 'q', long)]
    quiet: bool,
    /// The names are of unknown type
    #[arg(short = 'u', long)]
    unknown: bool,
    /// The arguments are hosts, and this is the service on them
    #[arg(short = 'S', long, value_name = "SERVICE", conflicts_with = "unknown")]
    sname: Option<String>,
    /// A ticket on behalf of this user (S4U2Self)
    #[arg(short = 'I', value_name = "USER")]
    for_user: Option<String>,
    /// The same, by enterprise name
    #[arg(short = 'U', value_name = "USER")]
    for_enterprise: Option<String>,
    /// The same, by certificate
    #[arg(short = 'F', value_name = "FILE")]
    for_certificate: Option<String>,
    /// Then constrained delegation (S4U2Proxy)
    #[arg(short = 'P')]
    proxy: bool,
    /// Take tickets from the cache only
    #[arg(long)]
    cached_only: bool,
    /// Do not store new tickets
    #[arg(long)]
    no_store: bool,
    /// Store the tickets in this new cache instead
    #[arg(long, value_name = "CACHE", conflicts_with = "no_store")]
    out_cache: Option<String>,
    /// User-to-user: the service's ticket-granting ticket is in this cache
    #[arg(long, value_name = "CACHE")]
    u2u: Option<String>,
}

/// Runs it.
pub fn main() -> ExitCode {
    report::run("kvno", 2, run)
}

/// What all services of one call share.
struct Call {
    arguments: Arguments,
    transport: Transport,
    cache: CacheName,
    content: Ccache,
    etype: Option<EncryptionType>,
    second: Option<Vec<u8>>,
}

fn run(arguments: Arguments) -> Result<u8> {
    let delegation = [&arguments.for_user, &arguments.for_enterprise, &arguments.for_certificate];
    if arguments.proxy || delegation.iter().any(|user| user.is_some()) {
        return Err(Failure::new("delegation (-I, -U, -F, -P) is not supported yet"));
    }
    let settings = Settings::load()?;
    let etype = match &arguments.etype {
        Some(name) => {
            let etype = EncryptionType::parse(name).or_else(|| name.parse().ok().map(EncryptionType));
            Some(etype.ok_or_else(|| Failure::new("Bad encryption type while converting etype"))?)
        }
        None => None,
    };
    let cache = settings.cache(arguments.cache.as_deref()).during("while opening ccache")?;
    let content = cache.load().during("while getting client principal name")?;
    let second = arguments.u2u.as_deref().map(second_ticket).transpose()?;
    let transport = settings.transport();
    let mut call = Call { arguments, transport, cache, content, etype, second };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut failed = false;
    let mut got = vec![];
    for service in call.arguments.services.clone() {
        match runtime.block_on(call.service(&settings, &service)) {
            Ok(ticket) => got.push(ticket),
            Err(failure) => {
                failure.print("kvno");
                failed = true;
            }
        }
    }
    if let Some(name) = &call.arguments.out_cache {
        let out = CacheName::parse(name).during("while resolving the output cache")?;
        let mut content = Ccache::new(call.content.principal.clone());
        content.kdc_offset = call.content.kdc_offset;
        content.credentials = got;
        out.replace(&content).during("while writing the output cache")?;
    }
    Ok(failed.into())
}

/// The ticket-granting ticket of the user who is the service.
fn second_ticket(cache: &str) -> Result<Vec<u8>> {
    let content = CacheName::parse(cache).and_then(|cache| cache.load()).during("while getting user-to-user ticket")?;
    let tgt = content.tgt(local::now()).map(|tgt| tgt.ticket.clone());
    tgt.ok_or(Error::NoCredential).during("while getting user-to-user ticket")
}

impl Call {
    /// Gets, shows and keeps one ticket.
    async fn service(&mut self, settings: &Settings, text: &str) -> Result<Credential> {
        let server = self.name(settings, text).await?;
        let shown = server.clone();
        let ticket = self.ticket(server).await.map_err(|error| failure(&error, &shown))?;
        let sealed = wire::decode::<Ticket<'_>>(&ticket.ticket).during("while decoding ticket")?;
        let kvno = sealed.enc_part.kvno.unwrap_or(0);
        let name = if ticket.server.realm().is_empty() { &shown } else { &ticket.server };
        let mut line = format!("{name}: kvno = {kvno}");
        if let Some(keytab) = &self.arguments.keytab {
            match opens(keytab, &sealed) {
                Ok(()) => line.push_str(", keytab entry valid"),
                Err(failure) => {
                    self.say(&format!("{line}, keytab entry invalid\n"))?;
                    return Err(failure);
                }
            }
        }
        self.say(&format!("{line}\n"))?;
        Ok(ticket)
    }

    fn say(&self, line: &str) -> Result<()> {
        use std::io::Write;
        if !self.arguments.quiet {
            report::output().write_all(line.as_bytes())?;
        }
        Ok(())
    }

    async fn name(&self, settings: &Settings, text: &str) -> Result<Principal> {
        let doing = format!("while parsing principal name '{text}'");
        let Some(service) = &self.arguments.sname else {
            let name = settings.principal(text).during(&doing)?;
            return Ok(if self.arguments.unknown { name.with_kind(NameType::UNKNOWN) } else { name });
        };
        let host = text.trim_end_matches('.').to_ascii_lowercase();
        let realm = self.transport.realm_of_host(&host).await;
        let realm = realm.unwrap_or_else(|| self.content.principal.realm().to_owned());
        Ok(Principal::service(service, &host, &realm))
    }

    /// From the cache, else from a KDC.
    async fn ticket(&mut self, server: Principal) -> libkrb::Result<Credential> {
        let now = local::now();
        let fits = |ticket: &&Credential| {
            ticket.server == server
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
        let tgt = self.content.tgt(now).cloned();
        let any = || self.content.tickets().any(|ticket| ticket.server.is_local_tgs());
        let tgt = tgt.ok_or_else(|| if any() { Error::code(ErrorCode::TKT_EXPIRED) } else { Error::NoCredential })?;
        self.fetch(tgt, server).await
    }

    async fn fetch(&mut self, tgt: Credential, server: Principal) -> libkrb::Result<Credential> {
        let mut request = tgs_request(self.transport.config(), tgt.clone(), server.clone());
        if let Some(second) = &self.second {
            let TgsRequest { options, second_ticket, .. } = TgsRequest::user_to_user(tgt, server, second.clone());
            request = TgsRequest { options, second_ticket, ..request };
        }
        if let Some(etype) = self.etype {
            request.etypes = vec![etype];
        }
        let mut exchange = TgsExchange::new(request)?;
        let (seconds, micros) = self.content.kdc_offset.unwrap_or_default();
        let outcome = self.transport.drive(&mut exchange, ClockOffset::new(seconds, micros)).await?;
        if !self.arguments.no_store && self.arguments.out_cache.is_none() {
            outcome.hops.iter().chain([&outcome.credential]).try_for_each(|ticket| self.cache.store(ticket))?;
        }
        self.content.credentials.push(outcome.credential.clone());
        Ok(outcome.credential)
    }
}

/// Opens a ticket with the keytab's key.
fn opens(keytab: &str, ticket: &Ticket<'_>) -> Result<()> {
    let doing = "while decrypting credentials with keytab";
    let keytab = KeytabName::parse(keytab).and_then(|name| name.load()).during("resolving keytab")?;
    let name = ticket.server.principal(ticket.realm).during(doing)?;
    let entry = keytab.lookup(&name, ticket.enc_part.kvno, Some(ticket.enc_part.etype)).during(doing)?;
    let opened = entry.key.key().and_then(|key| key.decrypt(KeyUsage::TICKET, ticket.enc_part.cipher));
    opened.map(|_| ()).during(doing)
}

fn failure(error: &Error, server: &Principal) -> Failure {
    let doing = format!("while getting credentials for {server}");
    match error {
        Error::Protocol { code: ErrorCode::S_PRINCIPAL_UNKNOWN, .. } => {
            Failure::new(format!("Server {server} not found in Kerberos database {doing}"))
                .next("Check the spelling of service and host; an administrator can list the services.")
        }
        Error::Protocol { code: ErrorCode::TKT_EXPIRED, .. } => {
            Failure::new(format!("Ticket expired {doing}")).next("Get a new ticket with kinit.")
        }
        Error::Protocol { code, .. } => Failure::new(format!("{} {doing}", code.text()))
            .next("KRB5_TRACE=/dev/stderr shows what the KDC was asked."),
        error => report::while_doing(error, &doing),
    }
}
