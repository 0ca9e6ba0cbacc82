//! From a fresh connection to two peers that are logged in.
//!
//! Never: ask for a token in the clear; dial before the session was admitted; tell the client what the target said.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use writ_core::fault::{Blame, Fault};
use writ_core::target::{Address, UpstreamTls};
use writ_plugin::client::TOKEN_REFUSED;
use writ_policy::OwnFunctions;
use writ_wire_postgres::ask::{self, Answer, Row};
use writ_wire_postgres::cancel::BackendKey;
use writ_wire_postgres::error::{self, When};
use writ_wire_postgres::startup::{ClientLogin, LoginSettings, Pending, Step, Transport};
use writ_wire_postgres::upstream::{self, Login, ServerLogin, Upstream};
use zeroize::Zeroize as _;

use crate::evidence::ServerFacts;
use crate::proxy::SIGNATURE;
use crate::stream::Stream;
use crate::tls::{self, ALPN};

/// How long a dial of a target may take.
const DIAL: Duration = Duration::from_secs(10);
/// How long a client may take to hear that it is refused, or where to get a token. libpq keeps a connection on which it was
/// told the latter open, without a word, until its user has logged in.
pub(crate) const TELL: Duration = Duration::from_secs(2);
/// The most bytes of a client that was refused that are read to no end.
const MOST_FORGOTTEN: usize = 1 << 20;
/// The most bytes that are read ahead in a login.
const READ: usize = 16 << 10;

/// How one listener takes connections.
pub struct Door {
    /// The login's settings.
    pub login: Arc<LoginSettings>,
    /// TLS, where it can be had.
    pub tls: Option<TlsAcceptor>,
    /// Whether loopback clients may show a token in the clear.
    pub allow_plain_loopback: bool,
    /// What its connections may take. A session keeps what was in force when its client connected.
    pub limits: Limits,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("tls", &self.tls.is_some()).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What one connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long its login may take.
    pub login_timeout: Duration,
    /// How long its session may be idle.
    pub idle_timeout: Duration,
    /// The most sessions that there may be, this one among them.
    pub max_sessions: u32,
}

/// What a connection turned out to be.
pub enum Arrival {
    /// It wants to cancel something. It gets no answer.
    Cancel(BackendKey, Stream),
    /// It has shown its token.
    Token(Box<Pending>, Stream),
}

fn broken(error: &io::Error) -> Fault {
    Fault::new("login.connection", Blame::Peer, "the connection broke during the login").detail(error.to_string())
}

/// The client showed a certificate that proves no key. TLS has told it so, in its own words.
fn unproved(error: &io::Error) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(error, rustls::Error::InvalidCertificate(_)).then(|| {
        Fault::new("login.client_key", Blame::Peer, "the client's certificate proves no key").detail(error.to_string())
    })
}

fn unreachable(error: &dyn std::fmt::Display) -> Fault {
    Fault::new("login.target", Blame::Target, "the target cannot be reached")
        .help("ask whoever runs the target whether it is up and takes connections from the gateway")
        .detail(error.to_string())
}

/// Hears a client until it has shown its token.
///
/// # Errors
/// The login is refused; where the stream still stands, the client was told.
pub async fn hear(door: &Door, socket: TcpStream, peer: SocketAddr) -> Result<Arrival, Fault> {
    let mut first = [0; 1];
    if socket.peek(&mut first).await.map_err(|error| broken(&error))? == 0 {
        return Err(broken(&io::ErrorKind::UnexpectedEof.into()));
    }
    let plain =
        if door.allow_plain_loopback && peer.ip().is_loopback() { Transport::PlainAllowed } else { Transport::Plain };
    let mut stream = Stream::Plain(socket);
    if Some(&first[0]) == SIGNATURE.first() {
        let fault = Fault::new("login.proxy", Blame::Peer, "invalid startup packet")
            .detail("the connection begins with a PROXY header, and its peer is not in proxy_protocol_from");
        refuse(&mut stream, &fault).await;
        return Err(fault);
    }
    let mut transport = plain;
    if first == [0x16] {
        (stream, transport) = (secure(door, stream, true).await?, Transport::Tls);
    }
    let mut bytes = Vec::with_capacity(1024);
    let heard = converse(door, &mut stream, ClientLogin::new(Arc::clone(&door.login), transport), &mut bytes).await;
    bytes.zeroize();
    match heard {
        Ok(Heard::Cancel(key)) => Ok(Arrival::Cancel(key, stream)),
        Ok(Heard::Token(pending)) => Ok(Arrival::Token(pending, stream)),
        Err(fault) => {
            refuse(&mut stream, &fault).await;
            Err(fault)
        }
    }
}

enum Heard {
    Cancel(BackendKey),
    Token(Box<Pending>),
}

async fn converse(door: &Door, stream: &mut Stream, login: ClientLogin, bytes: &mut Vec<u8>) -> Result<Heard, Fault> {
    let mut login = login;
    let mut out = Vec::new();
    loop {
        out.clear();
        let stepped = login.handle(bytes, &mut out);
        if !out.is_empty() {
            send(stream, &out).await.map_err(|error| broken(&error))?;
        }
        let (consumed, step) = stepped?;
        if let Some(done) = bytes.get_mut(..consumed) {
            done.zeroize();
        }
        bytes.drain(..consumed.min(bytes.len()));
        login = match step {
            Step::More(login) => login,
            Step::StartTls(login) => {
                let plain = std::mem::replace(stream, Stream::Gone);
                *stream = secure(door, plain, false).await?;
                login.secured()
            }
            Step::Cancel(key) => return Ok(Heard::Cancel(key)),
            Step::Told(fault) => {
                // Whatever it answers, if it does, the refusal follows.
                drop(tokio::time::timeout(TELL, read_more(stream, bytes)).await);
                return Err(fault);
            }
            Step::Token(pending) => {
                if !bytes.is_empty() {
                    return Err(Fault::new(
                        "login.early",
                        Blame::Peer,
                        "the client sent commands before it was let in",
                    ));
                }
                return Ok(Heard::Token(Box::new(pending)));
            }
        };
        read_more(stream, bytes).await.map_err(|error| broken(&error))?;
    }
}

async fn read_more(stream: &mut Stream, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.reserve(READ.min(bytes.len().max(1024)));
    if stream.read_buf(bytes).await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn secure(door: &Door, stream: Stream, direct: bool) -> Result<Stream, Fault> {
    let (Some(acceptor), Stream::Plain(socket)) = (&door.tls, stream) else {
        return Err(Fault::new("login.tls", Blame::Peer, "this listener has no TLS"));
    };
    let stream = acceptor.accept(socket).await.map_err(|error| unproved(&error).unwrap_or_else(|| broken(&error)))?;
    if direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Fault::new(
            "login.alpn",
            Blame::Peer,
            "a connection that begins with TLS must name the protocol `postgresql`",
        ));
    }
    Ok(Stream::Accepted(Box::new(stream)))
}

/// Tells a client that it is not let in, and closes; gives up on a client that does not take it in time.
///
/// What the client is still sending, such as the rest of a token that is too long, is read and forgotten: a socket that is
/// closed over unread bytes is reset, and the client would never see the reason.
pub async fn refuse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), fault: &Fault) {
    let mut out = Vec::new();
    error::write(&mut out, fault, When::Login);
    let told = async {
        send(stream, &out).await?;
        stream.shutdown().await?;
        let mut forgotten = zeroize::Zeroizing::new(vec![0; READ]);
        let mut left = MOST_FORGOTTEN;
        while left > 0 {
            match stream.read(&mut forgotten).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        io::Result::Ok(())
    };
    // A client that does not listen any more misses nothing.
    drop(tokio::time::timeout(TELL, told).await);
}

/// Tells a client that its token is refused: by `rejection` first, where there is one, then by the error.
pub async fn reject(stream: &mut Stream, rejection: Option<Vec<u8>>, fault: &Fault) {
    if let Some(told) = rejection.filter(|_| fault.code == TOKEN_REFUSED) {
        let mut answer = Vec::new();
        let heard = async { send(stream, &told).await.and(read_more(stream, &mut answer).await) };
        // Whatever the answer says, if there is one, the error follows.
        drop(tokio::time::timeout(TELL, heard).await);
    }
    refuse(stream, fault).await;
}

/// Tells a client something during its login.
///
/// # Errors
/// It is gone.
pub async fn tell(stream: &mut Stream, told: &[u8]) -> Result<(), Fault> {
    send(stream, told).await.map_err(|error| broken(&error))
}

/// Resolves when a client that waits to be let in leaves, or says what it may not say yet.
pub async fn left(stream: &mut Stream) -> Fault {
    let mut first = [0; 1];
    match stream.read(&mut first).await {
        Ok(0) => broken(&io::ErrorKind::UnexpectedEof.into()),
        Ok(_) if first == *b"X" => broken(&io::ErrorKind::ConnectionAborted.into()),
        Ok(_) => Fault::new("login.early", Blame::Peer, "the client sent commands before it was let in"),
        Err(error) => broken(&error),
    }
}

/// Closes a connection in its own way.
pub async fn close(mut stream: Stream) {
    drop(stream.shutdown().await);
}

/// Connects to a target, without TLS yet.
///
/// # Errors
/// It cannot be reached in time.
pub async fn dial(address: &Address) -> Result<TcpStream, Fault> {
    let dialled = tokio::time::timeout(DIAL, TcpStream::connect((address.host.as_str(), address.port))).await;
    let socket = dialled.map_err(|error| unreachable(&error))?.map_err(|error| unreachable(&error))?;
    crate::listener::tune(&socket);
    Ok(socket)
}

async fn secure_target(address: &Address, socket: TcpStream) -> Result<(Stream, Option<Vec<u8>>), Fault> {
    let config = tls::client_cached(address.ca_pem.as_deref())?;
    let name = ServerName::try_from(address.host.clone()).map_err(|error| unreachable(&error))?;
    let stream = TlsConnector::from(config).connect(name, socket).await.map_err(|error| unreachable(&error))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let end_point = certificate.and_then(|certificate| tls::end_point(certificate));
    Ok((Stream::Dialled(Box::new(stream)), end_point))
}

/// Logs in at a target. The bytes are what was read behind the login.
///
/// # Errors
/// The target cannot be reached, is not who it should be, or refuses.
pub async fn log_in(address: &Address, login: Login) -> Result<(Stream, Upstream, Vec<u8>), Fault> {
    let socket = dial(address).await?;
    let (mut stream, mut bytes, mut out) = (Stream::Plain(socket), Vec::new(), Vec::new());
    let mut state = ServerLogin::start(login, &mut out);
    loop {
        if !out.is_empty() {
            send(&mut stream, &out).await.map_err(|error| unreachable(&error))?;
            out.zeroize();
        }
        read_more(&mut stream, &mut bytes).await.map_err(|error| unreachable(&error))?;
        let (consumed, step) = state.handle(&bytes, &mut out)?;
        bytes.drain(..consumed.min(bytes.len()));
        state = match step {
            upstream::Step::More(state) => state,
            upstream::Step::StartTls(state) => {
                let Stream::Plain(socket) = std::mem::replace(&mut stream, Stream::Gone) else {
                    return Err(unreachable(&"TLS within TLS"));
                };
                let end_point;
                (stream, end_point) = secure_target(address, socket).await?;
                state.secured(end_point, &mut out)
            }
            upstream::Step::Ready(upstream) => return Ok((stream, upstream, bytes)),
        };
    }
}

/// The most bytes that a server may say of a session.
const MOST_FACTS: usize = 1 << 20;
/// How many functions of a database's own are told apart: of more, any name may be one. A name takes 63 bytes at most.
const MOST_FUNCTIONS: usize = 8192;
/// What a target is asked of a session: names are qualified, so that no `search_path` leads them astray. Of functions those that
/// did not come with the server, and whether one takes a row of a relation, or anything, alone.
const FACTS: &str = "SELECT pg_catalog.current_setting('search_path'), \
     EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) CURRENT_USER), CURRENT_USER, \
     pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('server_encoding'), \
     pg_catalog.current_setting('client_encoding'); \
     SELECT n.nspname, f.proname, \
     pg_catalog.bool_or((f.pronargs OPERATOR(pg_catalog.-) f.pronargdefaults) OPERATOR(pg_catalog.<=) 1 \
     AND f.pronargs OPERATOR(pg_catalog.>=) 1 \
     AND COALESCE(b.typtype, t.typtype) OPERATOR(pg_catalog.=) ANY ('{c,d,p}'::pg_catalog.\"char\"[])) \
     FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) f.pronamespace \
     LEFT JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) f.proargtypes[0] \
     LEFT JOIN pg_catalog.pg_type b ON b.oid OPERATOR(pg_catalog.=) t.typbasetype \
     WHERE f.oid OPERATOR(pg_catalog.>=) 16384 GROUP BY n.nspname, f.proname LIMIT 8193";

/// Asks a target what it says of a session that is logged in. `left` is what was read behind the login.
///
/// # Errors
/// It does not answer, or reads texts in another way than they are understood here.
pub async fn facts(stream: &mut Stream, left: &mut Vec<u8>) -> Result<ServerFacts, Fault> {
    let mut rows = ask(stream, left, FACTS, MOST_FACTS).await?.into_iter();
    let unreadable = || unreachable(&"it says nothing of the session that can be read");
    let row: Option<Vec<String>> = rows.next().and_then(|row| row.into_iter().collect());
    let row: [String; 6] = row.and_then(|row| row.try_into().ok()).ok_or_else(unreadable)?;
    let functions = functions(rows).ok_or_else(unreadable)?;
    let [search_path, user_schema, role, strings, server_encoding, client_encoding] = row;
    let plain = |encoding: &str| encoding.eq_ignore_ascii_case("utf8");
    if strings != "on" || !plain(&client_encoding) || !(plain(&server_encoding) || server_encoding == "SQL_ASCII") {
        return Err(Fault::new("login.dialect", Blame::NotAllowed, "statements of this session could be misread")
            .help("use a database in UTF8, client_encoding UTF8 and standard_conforming_strings on")
            .detail(format!("{strings}, {server_encoding}, {client_encoding}")));
    }
    Ok(ServerFacts { search_path, user_schema: user_schema == "t", role, functions })
}

fn functions(rows: std::vec::IntoIter<Row>) -> Option<OwnFunctions> {
    if rows.len() > MOST_FUNCTIONS {
        return Some(OwnFunctions::any());
    }
    let one = |row: Row| match row.as_slice() {
        [Some(schema), Some(name), of_row] => Some((schema.clone(), name.clone(), of_row.as_deref() == Some("t"))),
        _ => None,
    };
    rows.map(one).collect::<Option<Vec<_>>>().map(OwnFunctions::of)
}

/// Asks a target something of the gateway's own, before the client's first command; at most so many bytes of answer.
///
/// # Errors
/// The target does not answer, refuses, or says too much.
pub(crate) async fn ask(stream: &mut Stream, left: &mut Vec<u8>, sql: &str, most: usize) -> Result<Vec<Row>, Fault> {
    let (mut out, mut answer) = (Vec::new(), Answer::up_to(most));
    ask::write(&mut out, sql);
    send(stream, &out).await.map_err(|error| unreachable(&error))?;
    loop {
        let (done, ready) = answer.handle(left)?;
        left.drain(..done);
        if ready {
            return Ok(answer.into_rows());
        }
        read_more(stream, left).await.map_err(|error| unreachable(&error))?;
    }
}

/// Asks a target to cancel what one of its sessions does.
///
/// # Errors
/// It cannot be reached.
pub async fn cancel(address: &Address, key: &BackendKey) -> Result<(), Fault> {
    let socket = dial(address).await?;
    let mut stream = Stream::Plain(socket);
    if address.tls == UpstreamTls::VerifyFull {
        let mut answer = [0; 1];
        send(&mut stream, &[0, 0, 0, 8, 4, 210, 22, 47]).await.map_err(|error| unreachable(&error))?;
        stream.read_exact(&mut answer).await.map_err(|error| unreachable(&error))?;
        let (b"S", Stream::Plain(socket)) = (&answer, stream) else {
            return Err(unreachable(&"it has no TLS"));
        };
        (stream, _) = secure_target(address, socket).await?;
    }
    let mut out = Vec::new();
    key.write_cancel_request(&mut out);
    send(&mut stream, &out).await.map_err(|error| unreachable(&error))?;
    // The target closes once it has acted; its answer is nothing.
    drop(stream.read(&mut [0; 1]).await);
    Ok(())
}

/// Whom to log in as, from what was admitted and what the client asked for.
#[must_use]
pub fn login_for<T, M>(opened: &crate::evidence::Opened<T, M>, pending: &Pending) -> Login {
    let startup = pending.startup();
    Login {
        user: opened.principal.clone(),
        password: zeroize::Zeroizing::new(opened.secret.expose().to_vec()),
        database: startup.database.clone(),
        application_name: upstream::application_name(opened.writ, startup.application_name.as_deref()),
        parameters: parameters(&startup.parameters, &opened.settings),
        tls: opened.target.address.tls == UpstreamTls::VerifyFull,
    }
}

/// What the client asked for; what the grant sets, it cannot.
fn parameters(asked: &[(String, String)], set: &[(String, String)]) -> Vec<(String, String)> {
    let free = |(name, _): &&(String, String)| !set.iter().any(|(of, _)| of.eq_ignore_ascii_case(name));
    asked.iter().filter(free).chain(set).cloned().collect()
}
