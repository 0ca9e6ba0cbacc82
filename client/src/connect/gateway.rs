//! The gateway that is dialled: verified by name and authority before anything is said.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::key::ClientKey;
use super::startup::SSL_REQUEST;
use crate::fault::{Fault, chain};

/// How long a dial may take, its handshake included.
const DIAL: Duration = Duration::from_secs(10);

/// Where the gateway is, and who vouches for it.
pub struct Gateway {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway at `host:port`; its certificate must be for this host, and by an authority of `ca_pem`, else of the system's. Where
    /// there is a key, it is proved on each connection.
    ///
    /// # Errors
    /// If the address has another form, or there is no authority to trust.
    pub fn new(address: &str, ca_pem: Option<&[u8]>, key: Option<&ClientKey>) -> Result<Self, Fault> {
        let form = || {
            Fault::new(format!("`{address}` is no address of a gateway"))
                .help("write `HOST:PORT`, as `gateway.example:5432`")
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(form)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().map_err(|_| form())?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| form())?;
        Ok(Self { host: host.to_owned(), port, name, tls: Arc::new(config(roots(ca_pem)?, key)?) })
    }

    /// Looks whether it answers and is the one that it should be. It is told nothing.
    ///
    /// # Errors
    /// Why it cannot be reached, or is another.
    pub async fn verify(&self) -> Result<(), Fault> {
        self.dial().await.map(drop)
    }

    /// Dials and verifies.
    pub(super) async fn dial(&self) -> Result<TlsStream<TcpStream>, Fault> {
        let at = format!("the gateway at `{}:{}`", self.host, self.port);
        let within = tokio::time::timeout(DIAL, self.reach(&at)).await;
        within.map_err(|_| Fault::new(format!("{at} does not answer within {} seconds", DIAL.as_secs())))?
    }

    async fn reach(&self, at: &str) -> Result<TlsStream<TcpStream>, Fault> {
        let broken = |error: std::io::Error| Fault::new(format!("{at} cannot be reached: {}", chain(&error)));
        let mut socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(broken)?;
        // Neither keeps a connection from working.
        let _ = socket.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
        socket.write_all(&SSL_REQUEST).await.map_err(broken)?;
        // One byte and no more: what stands behind it in the clear would be taken for what the gateway said inside TLS.
        let mut answer = [0; 1];
        socket.read_exact(&mut answer).await.map_err(broken)?;
        if answer != *b"S" {
            return Err(Fault::new(format!("{at} has no TLS")).help("a token is shown inside TLS alone"));
        }
        TlsConnector::from(Arc::clone(&self.tls)).connect(self.name.clone(), socket).await.map_err(|error| {
            Fault::new(format!("{at} is not the one that it should be: {}", chain(&error)))
                .help("name its authority with `--ca-file`, and the gateway as its certificate does")
        })
    }
}

fn roots(ca_pem: Option<&[u8]>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    let certificates = match ca_pem {
        Some(pem) => CertificateDer::pem_slice_iter(pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Fault::new(format!("the gateway's authority is no certificate: {error}")))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(
            Fault::new("there is no authority that could vouch for the gateway").help("name one with `--ca-file FILE`")
        );
    }
    Ok(roots)
}

fn config(roots: RootCertStore, key: Option<&ClientKey>) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots);
    let mut config = match key {
        Some(key) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key.certified()))),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}
