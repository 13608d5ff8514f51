//! The market's KDC, in a process of its own as any other. Its clients are told where it is.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::realm::Realm;
use crate::chassis::{Error, end_with_stdin};

/// The KDC's command line.
#[derive(Args, Clone, Debug)]
pub struct ServeKdc {
    /// The market's folder
    #[arg(long)]
    dir: PathBuf,
    /// Where to serve; port 0 takes one that is free
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// End when the standard input does
    #[arg(long)]
    end_with_stdin: bool,
}

impl ServeKdc {
    /// Serves the realm until told to end.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn run(self) -> Result<(), Error> {
        let realm = Realm::find(&self.dir)?;
        let mut config = realm.config().clone();
        config.listen = vec![self.listen];
        config.kpasswd_listen = None;
        kdc::observe::start_log(config.log.as_str(), true);
        if self.end_with_stdin {
            end_with_stdin();
        }
        kdc::run::serve(&config, |daemon| {
            let failed = |error: &dyn std::fmt::Display| kdc::Error::Other(error.to_string());
            let address = daemon.addresses().kdc.first().copied().ok_or_else(|| failed(&"no address to serve at"))?;
            realm.tell_clients(address).map_err(|error| failed(&error))?;
            writeln!(std::io::stdout(), "listening on {address}").map_err(|error| failed(&error))?;
            Ok(true)
        })?;
        Ok(())
    }
}
