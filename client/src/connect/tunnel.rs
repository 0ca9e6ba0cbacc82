//! One connection: heard, logged in with a token of its own, then carried as it is.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::client::TlsStream;

use super::Passage;
use super::hearing::{Hearing, refusal_of};
use super::serve::Client;
use super::startup::{self, First, Said, Startup};
use super::watch::Event;
use crate::fault::Fault;

/// How long a client may take to say what it wants.
const HEAR: Duration = Duration::from_secs(30);
/// How long a source may take to give a token, all that it asks together.
const TOKEN: Duration = Duration::from_secs(60);
/// How long the gateway may take to ask for it, or to take a request to cancel.
const ASK: Duration = Duration::from_secs(15);
/// How long the rest may take that a gateway says to a client which has said its last word.
const REST: Duration = Duration::from_secs(10);
/// How many requests for encryption are answered before the one for a session.
const MOST_REQUESTS: usize = 3;

const CANNOT_CONNECT: &str = "08001";
const NOT_AUTHENTICATED: &str = "28000";
const TOO_MANY: &str = "53300";
const PROTOCOL: &str = "08P01";

/// Serves one client to its end. `sessions` bounds how many there are; requests to cancel are not counted there.
pub(super) async fn serve(mut client: impl Client, passage: &Passage, sessions: &Semaphore) {
    let heard = tokio::time::timeout(HEAR, hear(&mut client)).await;
    match heard {
        Ok(Ok(First::Startup(startup))) => {
            let number = passage.number();
            let Ok(_session) = sessions.try_acquire() else {
                let what = format!("more than {} connections at the same time", passage.most);
                passage.watch.saw(number, Event::Refused(TOO_MANY, &what));
                return refuse(client, &startup::refusal(TOO_MANY, &what, Some("raise `--max-connections`"))).await;
            };
            session(client, &startup, passage, number).await;
        }
        Ok(Ok(First::Cancel(packet))) => {
            // Whatever comes of it, the client hears nothing but the end of the connection.
            drop(tokio::time::timeout(ASK, cancel(passage, &packet)).await);
        }
        Ok(Err(Unheard::Malformed(why))) => refuse(client, &startup::refusal(PROTOCOL, why, None)).await,
        Ok(Ok(First::Encryption) | Err(Unheard::Gone)) | Err(_) => {}
    }
}

enum Unheard {
    Gone,
    Malformed(&'static str),
}

impl From<io::Error> for Unheard {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

async fn hear(client: &mut impl Client) -> Result<First, Unheard> {
    let mut bytes = Vec::with_capacity(1024);
    for _ in 0..=MOST_REQUESTS {
        let (first, length) = loop {
            match startup::first(&bytes).map_err(Unheard::Malformed)? {
                Some(whole) => break whole,
                None => more(client, &mut bytes).await?,
            }
        };
        if bytes.len() > length {
            return Err(Unheard::Malformed("bytes behind the packet that begins the connection"));
        }
        if first != First::Encryption {
            return Ok(first);
        }
        bytes.clear();
        client.write_all(b"N").await?;
    }
    Err(Unheard::Malformed("too many requests for encryption"))
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.reserve(1024);
    if stream.read_buf(bytes).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

async fn session(mut client: impl Client, startup: &Startup, passage: &Passage, number: u64) {
    match open(&mut client, startup, passage).await {
        Ok(Opened::Shown(gateway)) => carry(client, *gateway, Hearing::new(&*passage.watch, number)).await,
        Ok(Opened::Refused(code, words)) => passage.watch.saw(number, Event::Refused(&code, &words)),
        Err((code, fault)) => {
            passage.watch.saw(number, Event::Refused(code, fault.what()));
            refuse(client, &startup::refusal(code, fault.what(), fault.remedy())).await;
        }
    }
}

/// Says why and closes.
async fn refuse(mut client: impl Client, refusal: &[u8]) {
    let said = async {
        client.write_all(refusal).await?;
        client.shutdown().await
    };
    // A client that does not listen any more misses nothing.
    drop(tokio::time::timeout(REST, said).await);
}

/// How far a login came.
enum Opened {
    /// The token was shown; what the gateway says to that is carried.
    Shown(Box<TlsStream<TcpStream>>),
    /// The gateway refused before it asked for one: the SQLSTATE and the words that the client was told.
    Refused(String, String),
}

/// Logs a client in up to the token.
async fn open(client: &mut impl Client, startup: &Startup, passage: &Passage) -> Result<Opened, (&'static str, Fault)> {
    let fetched = async {
        let token = tokio::time::timeout(TOKEN, passage.found.token(&passage.audience)).await;
        let late = |_| Err(Fault::new(format!("{} gave no token in time", passage.found.name())));
        token.unwrap_or_else(late).map_err(|fault| (NOT_AUTHENTICATED, fault))
    };
    let dialled = async { passage.gateway.dial().await.map_err(|fault| (CANNOT_CONNECT, fault)) };
    let (token, mut gateway) = tokio::try_join!(fetched, dialled)?;
    let asked = tokio::time::timeout(ASK, ask(client, &mut gateway, startup, passage)).await;
    let late = |_| Err(Fault::new("the gateway does not ask for the token"));
    if let Some((code, words)) = asked.unwrap_or_else(late).map_err(|fault| (CANNOT_CONNECT, fault))? {
        return Ok(Opened::Refused(code, words));
    }
    let shown = async {
        gateway.write_all(&startup::password(token.expose())).await?;
        gateway.flush().await
    };
    let shown = tokio::time::timeout(ASK, shown).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    shown.map_err(|error| (CANNOT_CONNECT, broken(&error)))?;
    Ok(Opened::Shown(Box::new(gateway)))
}

/// Waits until the gateway asks for the token; where it refuses instead, gives what the client was told.
async fn ask(
    client: &mut impl Client,
    gateway: &mut TlsStream<TcpStream>,
    startup: &Startup,
    passage: &Passage,
) -> Result<Option<(String, String)>, Fault> {
    let request = startup.for_target(&passage.target, &passage.database, passage.reason.as_deref());
    gateway.write_all(&request).await.map_err(|error| broken(&error))?;
    gateway.flush().await.map_err(|error| broken(&error))?;
    let mut bytes = Vec::with_capacity(1024);
    loop {
        let strange = |why: &str| Fault::new(format!("what answers is no gateway: {why}"));
        let Some((said, length)) = startup::said(&bytes).map_err(strange)? else {
            more(gateway, &mut bytes).await.map_err(|error| broken(&error))?;
            continue;
        };
        if said == Said::Password {
            return if bytes.len() == length { Ok(None) } else { Err(strange("it does not wait for the token")) };
        }
        let told = bytes.get(..length).unwrap_or_default();
        client.write_all(told).await.map_err(|error| broken(&error))?;
        if said == Said::Refused {
            let refusal = refusal_of(told.get(5..).unwrap_or_default());
            let _ = client.shutdown().await;
            return Ok(Some(refusal));
        }
        bytes.drain(..length);
    }
}

fn broken(error: &io::Error) -> Fault {
    Fault::new(format!("the connection broke during the login: {error}"))
}

/// Carries bytes both ways until one side has said its last word, and overhears how the login ends.
async fn carry(client: impl Client, gateway: TlsStream<TcpStream>, mut hearing: Hearing<'_>) {
    let (from_client, to_client) = client.ends();
    let (from_gateway, to_gateway) = tokio::io::split(gateway);
    let up = one_way(from_client, to_gateway);
    let down = overheard(from_gateway, to_client, &mut hearing);
    tokio::pin!(up, down);
    tokio::select! {
        () = &mut up => drop(tokio::time::timeout(REST, down).await),
        () = &mut down => {}
    }
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    // A side that breaks has said its last word.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

async fn overheard(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, hearing: &mut Hearing<'_>) {
    let mut bytes = Vec::with_capacity(4096);
    while hearing.listens() {
        bytes.clear();
        let read = from.read_buf(&mut bytes).await;
        if !read.is_ok_and(|count| count > 0) || to.write_all(&bytes).await.is_err() {
            let _ = to.shutdown().await;
            return;
        }
        hearing.hear(&bytes);
    }
    drop(bytes);
    one_way(from, to).await;
}

async fn cancel(passage: &Passage, packet: &[u8]) -> Result<(), Fault> {
    let mut gateway = passage.gateway.dial().await?;
    gateway.write_all(packet).await.map_err(|error| broken(&error))?;
    gateway.flush().await.map_err(|error| broken(&error))?;
    // It closes once it has acted.
    drop(gateway.read(&mut [0; 1]).await);
    Ok(())
}
