//! Changes passwords at a realm's server (RFC 3244): a ticket for `kadmin/changepw`, then one
//! request to whoever krb5.conf or DNS name for it. Not here: what the messages say
//! ([`crate::client::PasswordExchange`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use super::drive::Login;
use super::locate::Service;
use super::requests::changepw_request;
use super::transport::Transport;
use crate::client::{NewSecret, PasswordExchange, Secret};
use crate::config::Server;
use crate::crypto::OsRandom;
use crate::error::Result;
use crate::name::Principal;
use crate::session::Address;

impl Transport {
    /// Changes the password of `client`, who proves itself with the one that it has. It may have
    /// expired.
    ///
    /// ```
    /// # use libkrb::{Error, Principal, client::Secret, net::Transport};
    /// # async fn example(transport: Transport) -> libkrb::Result<()> {
    /// let alice = Principal::parse("alice@EXAMPLE.ORG", None)?;
    /// match transport.change_password(alice, Secret::password("old"), "new").await {
    ///     Err(Error::PasswordRefused { code, text }) => println!("{code}: {}", text.unwrap_or_default()),
    ///     other => other?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Transport::login`] and [`Transport::set_password`].
    pub async fn change_password(&self, client: Principal, secret: Secret, password: &str) -> Result<()> {
        let login = self.login_to_change_password(client, secret).await?;
        self.set_password(&login, &NewSecret { password, target: None }).await
    }

    /// A ticket to change passwords with.
    ///
    /// # Errors
    /// As [`Transport::login`].
    pub async fn login_to_change_password(&self, client: Principal, secret: Secret) -> Result<Login> {
        self.login(changepw_request(self.config(), client), secret).await
    }

    /// Sets the password of the ticket's client, or of another principal if the realm lets the
    /// client do so. The ticket is one of [`Transport::login_to_change_password`].
    ///
    /// # Errors
    /// [`crate::Error::PasswordRefused`] when the server does not take the password, and the errors
    /// of [`Transport::send`].
    pub async fn set_password(&self, login: &Login, new: &NewSecret<'_>) -> Result<()> {
        let ticket = &login.outcome.credential;
        let realm = ticket.server.realm();
        let servers = self.servers(Service::Kpasswd, realm).await?;
        let now = login.offset.unwrap_or_default().apply(self.now());
        let local = Address::ip(self.local_address(&servers).await);
        let (exchange, message) = PasswordExchange::new(ticket, new, local, now, &mut OsRandom::new())?;
        let reply = self.send_to(Service::Kpasswd, realm, &message).await?;
        let now = login.offset.unwrap_or_default().apply(self.now());
        let done = exchange.finish(now, &reply);
        match &done {
            Ok(()) => self.trace().line(format_args!("The password was changed")),
            Err(error) => self.trace().line(format_args!("The password was not changed: {error}")),
        }
        done
    }

    /// The address from which the first server is reached; Heimdal's compares it with the one that it
    /// sees.
    async fn local_address(&self, servers: &[Server]) -> IpAddr {
        for server in servers {
            for address in self.addresses(server).await.unwrap_or_default() {
                if let Some(local) = towards(address).await {
                    return local;
                }
            }
        }
        Ipv4Addr::LOCALHOST.into()
    }
}

/// Our end of the way to an address. Nothing is sent.
async fn towards(address: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.ok()?;
    socket.connect(address).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}
