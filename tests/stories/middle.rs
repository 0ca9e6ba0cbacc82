//! Somebody between gateway and server: ends the TLS of each with a certificate of his own, and reads everything.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::raw::SSL_REQUEST;

/// What he does to the mechanisms that the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plus {
    /// He passes them on.
    Kept,
    /// He takes SCRAM-SHA-256-PLUS out.
    Taken,
}

/// A running one, gone when dropped.
pub(crate) struct Middle {
    port: u16,
    ca_pem: String,
    target: watch::Sender<u16>,
    _runtime: tokio::runtime::Runtime,
}

impl Middle {
    pub(crate) fn start(plus: Plus) -> io::Result<Self> {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let config = config.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.map_err(io::Error::other)?));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let bound = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = bound.local_addr()?.port();
        let target = watch::Sender::new(0);
        let to = target.subscribe();
        runtime.spawn(async move {
            while let Ok((socket, _)) = bound.accept().await {
                let (acceptor, provider, port) = (acceptor.clone(), Arc::clone(&provider), *to.borrow());
                tokio::spawn(between(socket, acceptor, provider, port, plus));
            }
        });
        Ok(Self { port, ca_pem: pair.cert.pem(), target, _runtime: runtime })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The authority that vouches for his certificate.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Which server he stands before, on 127.0.0.1.
    pub(crate) fn forward_to(&self, port: u16) {
        self.target.send_replace(port);
    }
}

async fn between(
    mut socket: TcpStream,
    acceptor: TlsAcceptor,
    provider: Arc<CryptoProvider>,
    port: u16,
    plus: Plus,
) -> io::Result<()> {
    let mut request = [0; 8];
    socket.read_exact(&mut request).await?;
    socket.write_all(b"S").await?;
    let mut client = acceptor.accept(socket).await?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    server.write_all(&SSL_REQUEST).await?;
    server.read_exact(&mut [0]).await?;
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut server = connector.connect(name, server).await?;
    if plus == Plus::Taken {
        let mut bytes = vec![0; 10_000];
        let count = client.read(&mut bytes).await?;
        server.write_all(bytes.get(..count).unwrap_or_default()).await?;
        // AuthenticationSASL with both mechanisms, then with one.
        let mut offer = vec![0; 1 + 8 + 19 + 14 + 1];
        server.read_exact(&mut offer).await?;
        assert!(offer.ends_with(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), "{offer:?}");
        client.write_all(&[b"R\0\0\0\x17\0\0\0\x0a".as_slice(), b"SCRAM-SHA-256\0\0"].concat()).await?;
        client.flush().await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// He does not mind whom he speaks to.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
