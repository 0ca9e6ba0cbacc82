//! A gateway that can be told to misbehave: what a stranger in its place would do to get at a token.

use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As a gateway does; then it says back what it hears.
    Good,
    /// It has no TLS.
    NoTls,
    /// It closes without a word.
    Silent,
    /// It asks for a password by SCRAM.
    AsksScram,
    /// It lets the client in without asking for anything.
    LetsIn,
    /// It goes on before it has heard a token.
    AsksTwice,
    /// It refuses before it asks.
    Refuses,
}

/// What it has heard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The last packet that began something.
    pub(crate) startup: Vec<u8>,
    /// The last token.
    pub(crate) token: String,
}

/// A gateway on loopback, by the name `localhost`.
pub(crate) struct FakeGateway {
    pub(crate) port: u16,
    /// Its own certificate: it vouches for itself.
    pub(crate) ca_pem: String,
    seen: Arc<Mutex<Seen>>,
}

impl FakeGateway {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move { drop(serve(behaviour, socket, &acceptor, &seen).await) });
            }
        });
        Self { port, ca_pem: made.cert.pem(), seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    behaviour: Behaviour,
    mut socket: TcpStream,
    acceptor: &TlsAcceptor,
    seen: &Mutex<Seen>,
) -> std::io::Result<()> {
    let mut request = [0; 8];
    socket.read_exact(&mut request).await?;
    assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
    match behaviour {
        Behaviour::Silent => return Ok(()),
        Behaviour::NoTls => return socket.write_all(b"N").await,
        _ => socket.write_all(b"S").await?,
    }
    let mut stream = acceptor.accept(socket).await?;
    let length = stream.read_u32().await?;
    let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut rest).await?;
    seen.lock().unwrap().startup = [length.to_be_bytes().as_slice(), &rest].concat();
    if rest.starts_with(&[4, 210, 22, 46]) {
        return stream.shutdown().await;
    }
    let asks = b"R\0\0\0\x08\0\0\0\x03";
    match behaviour {
        Behaviour::AsksScram => stream.write_all(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0").await?,
        Behaviour::LetsIn => stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?,
        Behaviour::AsksTwice => stream.write_all(&[asks.as_slice(), asks].concat()).await?,
        Behaviour::Refuses => {
            stream.write_all(b"E\0\0\0\x0dMno way\0\0").await?;
            return stream.shutdown().await;
        }
        _ => stream.write_all(asks).await?,
    }
    if stream.read_u8().await? != b'p' {
        return Ok(());
    }
    let mut token = vec![0; usize::try_from(stream.read_u32().await?).unwrap() - 4];
    stream.read_exact(&mut token).await?;
    assert_eq!(token.pop(), Some(0));
    seen.lock().unwrap().token = String::from_utf8(token).unwrap();
    stream.write_all(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").await?;
    let (mut read, mut write) = tokio::io::split(stream);
    tokio::io::copy(&mut read, &mut write).await?;
    write.shutdown().await
}
