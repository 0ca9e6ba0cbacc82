//! One connection to the server, as the broker's own login or as a writ's user: TLS 1.2 or later with the certificate's chain
//! and name verified, always.
//!
//! What the client crate would do by itself and must not: trust the web's authorities beside the target's own, go over to a
//! Unix socket where the server is near, send a password in clear because the server asks for one. It advertises LOCAL INFILE
//! and has no handler for it: a server that asks for a file gets an error.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use tokio::task::JoinSet;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::target::{Address, UpstreamTls};
use writ_provider_source::ConfigFault;

use super::config::MysqlConfig;
use super::dialect::Server;
use super::{fault, rights, rows};
use crate::roots::authorities;

/// Answers are short: names, numbers, grants.
const PACKET_LIMIT: usize = 4 << 20;

/// How often to log in where the server denies it. The client crate cuts a zero byte off the end of MariaDB's `ed25519`
/// challenge, so that one login of 256 is denied for no reason: with three, one of 16 million.
const LOGIN_ATTEMPTS: usize = 3;

/// How long a statement of our own may be in stopping.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// What it takes to make connections.
pub(crate) struct Connector {
    opts: Opts,
    place: String,
    limit: Duration,
}

/// A connection as the broker's own login, and what it is connected to.
pub(crate) struct Session {
    pub(crate) conn: Conn,
    pub(crate) server: Server,
}

impl Connector {
    /// Checks address and authorities.
    pub(crate) fn new(own: &MysqlConfig, address: &Address, password: &Secret) -> Result<Self, ConfigFault> {
        if address.tls == UpstreamTls::Disable {
            let text = "`tls = \"disable\"`: the users that are made here log in over TLS alone: leave it out, and let the \
                        server have a certificate";
            return Err(ConfigFault::new(text));
        }
        // The client crate asks for the process's own; whoever runs first sets it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let host = own.host.as_deref().unwrap_or(&address.host);
        let port = own.port.unwrap_or(address.port);
        let password = std::str::from_utf8(password.expose())
            .map_err(|_| ConfigFault::new("the login's password is not UTF-8: set one of letters and digits"))?;
        let roots = authorities(address.ca_pem.as_deref())?;
        let roots = roots.into_iter().map(|root| root.as_ref().to_vec().into()).collect();
        let tls = SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true);
        let opts = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(port)
            .user(Some(own.user.as_str()))
            .pass(Some(password))
            .ssl_opts(tls)
            .prefer_socket(false)
            .enable_cleartext_plugin(false)
            .secure_auth(true)
            .stmt_cache_size(0)
            .tcp_keepalive(Some(Duration::from_secs(10)))
            .max_allowed_packet(Some(PACKET_LIMIT))
            // Known here, so that the client does not ask for it with each connection; the server's own is what holds.
            .wait_timeout(Some(28_800))
            .connect_attribute("program_name", "writ-broker");
        Ok(Self { opts: opts.into(), place: format!("`{host}:{port}`"), limit: own.call_timeout() })
    }

    /// Connects as the broker's own login, which must be able to end what it makes: a session, and an account.
    pub(crate) async fn connect(&self) -> Result<Session, ProviderFault> {
        let doing = format!("connecting to {}", self.place);
        let mut conn = self.open(self.opts.clone(), &doing).await?;
        let version: Vec<String> = rows::asked(&mut conn, &doing, "SELECT VERSION()").await?;
        let server = Server::of_version(version.first().map_or("", String::as_str))?;
        let seconds = self.limit.as_secs().max(1);
        let limits = match server {
            Server::Mysql => format!("SET SESSION lock_wait_timeout = {seconds}"),
            Server::Mariadb => {
                format!("SET SESSION lock_wait_timeout = {seconds}, max_statement_time = {}", self.limit.as_secs_f64())
            }
        };
        conn.query_drop(limits).await.map_err(|error| fault::of(&doing, &error))?;
        let grants: Vec<String> = rows::asked(&mut conn, &doing, "SHOW GRANTS").await?;
        rights::suffice(server, &grants, self.opts.user().unwrap_or_default())?;
        Ok(Session { conn, server })
    }

    /// Connects as a writ's user.
    pub(crate) async fn connect_as(&self, user: &str, password: &Secret) -> Result<Conn, ProviderFault> {
        let doing = format!("logging in to {} as `{}`", self.place, fault::plain(user));
        let password = std::str::from_utf8(password.expose())
            .map_err(|_| ProviderFault::Refused(format!("{doing}: the password is not text")))?;
        let opts = OptsBuilder::from_opts(self.opts.clone()).user(Some(user)).pass(Some(password));
        self.open(opts.into(), &doing).await
    }

    /// In a task of its own, which ends with the caller: the client panics where a server asks for an authentication that it
    /// was built without.
    async fn open(&self, opts: Opts, doing: &str) -> Result<Conn, ProviderFault> {
        let mut attempt = 1;
        loop {
            let mut opening = JoinSet::new();
            opening.spawn(Conn::new(opts.clone()));
            match opening.join_next().await {
                Some(Ok(Err(error))) if fault::code(&error) == Some(fault::DENIED) && attempt < LOGIN_ATTEMPTS => {}
                Some(Ok(opened)) => return opened.map_err(|error| fault::of(doing, &error)),
                _ => return Err(fault::unknown_authentication(doing)),
            }
            attempt += 1;
        }
    }

    /// Asks the server to end the connection `id` of our own and what it is doing: its caller has given up.
    pub(crate) async fn kill(&self, id: u32) {
        let call = async {
            let doing = format!("stopping a late statement at {}", self.place);
            let mut conn = self.open(self.opts.clone(), &doing).await?;
            conn.query_drop(format!("KILL {id}")).await.map_err(|error| fault::of(&doing, &error))?;
            conn.disconnect().await.map_err(|error| fault::of(&doing, &error))
        };
        let stopped = tokio::time::timeout(STOP_LIMIT, call).await;
        if let Ok(Err(fault)) = stopped {
            tracing::debug!(detail = fault.detail(), "could not stop a late statement");
        }
    }
}
