//! A client that says what no ordinary client would, byte by byte.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use writ_world::stack::{Stack, TARGET};

/// The request for TLS, and that for GSSAPI encryption.
pub(crate) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
pub(crate) const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];
/// Protocol 3.0 and 3.2.
pub(crate) const V3_0: u32 = 0x0003_0000;
pub(crate) const V3_2: u32 = 0x0003_0002;

const PATIENCE: Duration = Duration::from_secs(30);

trait Both: Read + Write + Send {}
impl<T: Read + Write + Send> Both for T {}

/// A connection, with or without TLS.
pub(crate) struct Raw(Box<dyn Both>);

/// The error that a server sent, by its fields' letters.
pub(crate) type Refusal = BTreeMap<char, String>;

/// A TCP connection that gives up in the end.
pub(crate) fn dial(port: u16) -> TcpStream {
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// TLS over `socket`, verified, naming these protocols (ALPN).
pub(crate) fn secure(stack: &Stack, mut socket: TcpStream, alpn: &[&[u8]]) -> io::Result<Raw> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(stack.authority()).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(Raw(Box::new(StreamOwned::new(connection, socket))))
}

impl Raw {
    /// A connection in the clear.
    pub(crate) fn plain(port: u16) -> Self {
        Self(Box::new(dial(port)))
    }

    /// A connection that asked for TLS and got it.
    pub(crate) fn secured(stack: &Stack) -> Self {
        let mut socket = dial(stack.gateway_port());
        assert_eq!(asked(&mut socket, &SSL_REQUEST), b'S');
        secure(stack, socket, &[]).unwrap()
    }

    /// A session: logged in, ready for a query.
    pub(crate) fn session(stack: &Stack, token: &str) -> Self {
        let mut raw = Self::secured(stack);
        raw.startup(V3_0, &[("user", TARGET), ("database", TARGET)]);
        raw.password(token);
        assert_eq!(raw.until(b'Z').last().unwrap().1, b"I");
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    pub(crate) fn startup(&mut self, version: u32, parameters: &[(&str, &str)]) {
        let mut body = version.to_be_bytes().to_vec();
        for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
        body.push(0);
        self.send(&[&u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body.as_slice()].concat());
    }

    pub(crate) fn message(&mut self, tag: u8, body: &[u8]) {
        self.send(&[&[tag], u32::try_from(body.len() + 4).unwrap().to_be_bytes().as_slice(), body].concat());
    }

    /// Answers the request for a password, which must have come.
    pub(crate) fn password(&mut self, token: &str) {
        assert_eq!(self.read().unwrap(), (b'R', vec![0, 0, 0, 3]));
        self.message(b'p', &[token.as_bytes(), b"\0"].concat());
    }

    /// The next message.
    pub(crate) fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes(*head.last_chunk().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 4];
        self.0.read_exact(&mut body)?;
        Ok((head[0], body))
    }

    /// All messages to the first with this tag.
    pub(crate) fn until(&mut self, tag: u8) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            let (got, body) = self.read().unwrap();
            let done = got == tag;
            assert!(got != b'E' || done, "{:?}", fields(&body));
            all.push((got, body));
            if done {
                return all;
            }
        }
    }

    /// The error that must be the next message.
    pub(crate) fn refusal(&mut self) -> Refusal {
        let (tag, body) = self.read().unwrap();
        assert_eq!(char::from(tag), 'E', "{body:?}");
        fields(&body)
    }

    /// Whether the server has closed, with nothing more to say.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof),
        }
    }
}

/// What a server answers to a request before the startup: one byte.
pub(crate) fn asked(socket: &mut TcpStream, request: &[u8]) -> u8 {
    socket.write_all(request).unwrap();
    let mut answer = [0];
    socket.read_exact(&mut answer).unwrap();
    answer[0]
}

fn fields(body: &[u8]) -> Refusal {
    let mut all = Refusal::new();
    for field in body.split(|byte| *byte == 0).filter(|field| !field.is_empty()) {
        all.insert(char::from(field[0]), String::from_utf8(field[1..].to_vec()).unwrap());
    }
    all
}
