//! One connection to the server as the broker's own login: TLS 1.2 or later with the certificate's chain and name
//! verified, or none where the target's address says so.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::target::{Address, UpstreamTls};

use super::config::{ConfigFault, DatabaseConfig};
use super::fault;
use crate::roots::authorities;

/// What it takes to make connections.
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    place: String,
}

impl Connector {
    /// Checks address and authorities.
    pub(crate) fn new(own: &DatabaseConfig, address: &Address, password: &Secret) -> Result<Self, ConfigFault> {
        let host = own.host.as_deref().unwrap_or(&address.host);
        let port = own.port.unwrap_or(address.port);
        let tls = match address.tls {
            UpstreamTls::Disable => None,
            UpstreamTls::VerifyFull => Some(MakeRustlsConnect::new(tls(address.ca_pem.as_deref())?)),
        };
        let mut config = Config::new();
        config.host(host).port(port).user(&own.user).dbname(&own.database).password(password.expose());
        config.application_name("writ-broker").connect_timeout(own.call_timeout()).tcp_user_timeout(own.call_timeout());
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config.options(format!(
            "-c statement_timeout={0} -c lock_timeout={0} -c client_min_messages=error",
            own.call_timeout_ms
        ));
        Ok(Self { config, tls, place: format!("`{host}:{port}`") })
    }

    /// Connects to the provider's own database.
    pub(crate) async fn connect(&self) -> Result<Client, ProviderFault> {
        self.connect_with(&self.config).await
    }

    /// Connects to another database of the same server.
    pub(crate) async fn connect_to(&self, database: &str) -> Result<Client, ProviderFault> {
        let mut config = self.config.clone();
        config.dbname(database);
        self.connect_with(&config).await
    }

    /// Connects as another user, whose password is tried.
    pub(crate) async fn connect_as(&self, user: &str, password: &Secret) -> Result<Client, ProviderFault> {
        let mut config = self.config.clone();
        config.user(user).password(password.expose());
        self.connect_with(&config).await.map_err(|fault| match fault {
            ProviderFault::Misconfigured(text) => {
                let said = text.split_once(": set `").map_or(text.as_str(), |(said, _)| said);
                ProviderFault::Refused(format!(
                    "as `{}`: {said}: let it log in to `database` from where the broker is",
                    fault::plain(user)
                ))
            }
            other => other,
        })
    }

    async fn connect_with(&self, config: &Config) -> Result<Client, ProviderFault> {
        let said = |error| fault::of(&format!("connecting to {}", self.place), &error);
        match &self.tls {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await.map_err(said)?;
                tokio::spawn(drive(connection));
                Ok(client)
            }
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(said)?;
                tokio::spawn(drive(connection));
                Ok(client)
            }
        }
    }

    /// Asks the server to stop what `client` is doing: its caller has given up.
    pub(crate) async fn cancel(&self, client: &Client) {
        let token = client.cancel_token();
        let result = match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()).await,
            None => token.cancel_query(NoTls).await,
        };
        if let Err(error) = result {
            tracing::debug!(place = self.place, %error, "could not cancel a late statement");
        }
    }
}

/// Moves a connection's bytes until its client is dropped.
async fn drive(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the target ended");
    }
}

fn tls(ca_pem: Option<&str>) -> Result<ClientConfig, ConfigFault> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities(ca_pem)?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigFault::new(format!("no TLS: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
