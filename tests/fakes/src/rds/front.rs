//! PostgreSQL's start-up as clouds have it for tokens: TLS first, then the token as a cleartext password, then the real server.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::backend::{Backend, log_in};

const TLS: i32 = 80_877_103;
const GSS: i32 = 80_877_104;
const CANCEL: i32 = 80_877_102;
/// Of a start-up packet, as PostgreSQL has it.
const STARTUP_LIMIT: usize = 10_000;
/// Of a password message where the authentication is PAM, as PostgreSQL has it.
const PASSWORD_LIMIT: usize = 65_535;
const LOGIN_LIMIT: Duration = Duration::from_secs(60);

/// How one cloud takes tokens.
pub(crate) trait Rules: Send + Sync {
    /// Whether the token opens a login of the user; else why not, in words for the log.
    fn admit(&self, user: &str, token: &str) -> Result<(), String>;

    /// What the client hears where it does not.
    fn refusal(&self, user: &str) -> String;
}

/// What the connections share.
pub(crate) struct Door {
    pub(crate) rules: Box<dyn Rules>,
    pub(crate) refusals: Mutex<Vec<String>>,
    pub(crate) tls: tokio_rustls::TlsAcceptor,
    pub(crate) backend: Backend,
}

impl Door {
    /// Why logins were refused, oldest first.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Door>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A client that goes away is no concern of the server's.
            let _ = connection(stream, &shared).await;
        });
    }
}

async fn connection(mut stream: TcpStream, shared: &Door) -> io::Result<()> {
    loop {
        let packet = tokio::time::timeout(LOGIN_LIMIT, startup(&mut stream)).await??;
        match code(&packet) {
            TLS => {
                stream.write_all(b"S").await?;
                let mut stream = tokio::time::timeout(LOGIN_LIMIT, shared.tls.accept(stream)).await??;
                let packet = tokio::time::timeout(LOGIN_LIMIT, startup(&mut stream)).await??;
                return match code(&packet) {
                    CANCEL => shared.backend.connect().await?.write_all(&packet).await,
                    _ => session(stream, shared, &packet).await,
                };
            }
            GSS => stream.write_all(b"N").await?,
            CANCEL => return shared.backend.connect().await?.write_all(&packet).await,
            _ => {
                let (user, database) = (parameter(&packet, "user"), parameter(&packet, "database"));
                let (user, database) = (user.unwrap_or_default(), database.unwrap_or_default());
                let words = format!(
                    "no pg_hba.conf entry for host \"127.0.0.1\", user \"{user}\", database \"{database}\", no encryption"
                );
                return stream.write_all(&fatal("28000", &words)).await;
            }
        }
    }
}

/// A packet without a tag: length, code, and the rest.
async fn startup(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let announced = stream.read_i32().await?;
    let length = usize::try_from(announced).map_err(io::Error::other)?;
    if !(8..=STARTUP_LIMIT).contains(&length) {
        return Err(io::Error::other("a start-up packet of no possible length"));
    }
    let mut packet = announced.to_be_bytes().to_vec();
    packet.resize(length, 0);
    if let Some(rest) = packet.get_mut(4..) {
        stream.read_exact(rest).await?;
    }
    Ok(packet)
}

fn code(packet: &[u8]) -> i32 {
    packet.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes)
}

fn parameter(packet: &[u8], name: &str) -> Option<String> {
    let mut texts = packet.get(8..)?.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    while let (Some(key), Some(value)) = (texts.next(), texts.next()) {
        if key == name {
            return Some(value);
        }
    }
    None
}

async fn session<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, shared: &Door, packet: &[u8]) -> io::Result<()> {
    let user = parameter(packet, "user").unwrap_or_default();
    let opened = tokio::time::timeout(LOGIN_LIMIT, open(&mut stream, shared, packet, &user)).await?;
    let mut server = match opened? {
        Ok(server) => server,
        Err(refusal) => {
            stream.write_all(&refusal).await?;
            return stream.shutdown().await;
        }
    };
    copy_bidirectional(&mut stream, &mut server).await.map(drop)
}

/// Asks for the token and logs in with it; or the error to send.
async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    shared: &Door,
    packet: &[u8],
    user: &str,
) -> io::Result<Result<TcpStream, Vec<u8>>> {
    if parameter(packet, "replication").is_some() {
        return Ok(Err(fatal("28000", "IAM authentication is not for replication connections")));
    }
    stream.write_all(&message(b'R', &3_i32.to_be_bytes())).await?;
    let token = password(stream).await?;
    let known = shared.backend.password(user).await.map_err(io::Error::other)?;
    let verified = match &known {
        None => Err(format!("a user without {}", shared.backend.role())),
        Some(_) => shared.rules.admit(user, &token),
    };
    let (Ok(()), Some(password)) = (&verified, known) else {
        let why = verified.err().unwrap_or_default();
        shared.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(why);
        return Ok(Err(fatal("28000", &shared.rules.refusal(user))));
    };
    let mut server = shared.backend.connect().await?;
    match log_in(&mut server, packet, &password).await? {
        Ok(heard) => stream.write_all(&heard).await.map(|()| Ok(server)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

async fn password(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let (tag, length) = (stream.read_u8().await?, stream.read_i32().await?);
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let length = length.filter(|length| tag == b'p' && *length <= PASSWORD_LIMIT);
    let mut bytes = vec![0; length.ok_or_else(|| io::Error::other("not a password message"))?];
    stream.read_exact(&mut bytes).await?;
    if bytes.pop() != Some(0) || bytes.contains(&0) {
        return Err(io::Error::other("a password message that does not end with its only zero"));
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// A message with its tag and length.
pub(super) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn fatal(state: &str, words: &str) -> Vec<u8> {
    let body = format!("SFATAL\0VFATAL\0C{state}\0M{words}\0\0");
    message(b'E', body.as_bytes())
}
