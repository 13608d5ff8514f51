//! The command line: without a command the whole market, with one a single process of it, as a
//! container would run it.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use flea_market::ad_service::AdService;
use flea_market::chassis::Error;
use flea_market::gateway::Gateway;
use flea_market::market::Market;
use flea_market::market::serve_kdc::ServeKdc;
use flea_market::user_service::UserService;

/// A flea market of services that do not trust the network
///
/// Without a command: all of it on this machine, with a realm of its own, until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "flea_market", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    market: Market,
    #[command(subcommand)]
    one: Option<One>,
}

#[derive(Debug, Subcommand)]
enum One {
    /// Only the edge, which users call
    Gateway(Gateway),
    /// Only the service with the ads
    AdService(AdService),
    /// Only the service with the users' profiles
    UserService(UserService),
    /// Only the KDC of a market that was kept
    Kdc(ServeKdc),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "flea_market: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    // The KDC has a runtime of its own.
    let runtime = || tokio::runtime::Runtime::new();
    match cli.one {
        None => runtime()?.block_on(cli.market.run()),
        Some(One::Gateway(gateway)) => runtime()?.block_on(gateway.run()),
        Some(One::AdService(ads)) => runtime()?.block_on(ads.run()),
        Some(One::UserService(users)) => runtime()?.block_on(users.run()),
        Some(One::Kdc(kdc)) => kdc.run(),
    }
}
