//! Logging in at the target with the minted credential.
//!
//! Never: send a password in the clear, answer an authentication request that was not expected, tell the client what
//! the target said about the credential.

use core::fmt;

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use writ_core::fault::{Blame, Fault};
use zeroize::Zeroizing;

use crate::cancel::{BackendKey, CancelKey};
use crate::frame::{self, HEADER, Reader};

const PROTOCOL_3_0: u32 = 196_608;
const SSL_CODE: u32 = 80_877_103;
const LONGEST_FRAME: usize = 64 * 1024;
const MOST_PARAMETERS: usize = 128;
const LONGEST_APPLICATION_NAME: usize = 63;
const LONGEST_SCRAM_ITERATIONS: u32 = 1_000_000;

/// Whom to log in as, and with which settings.
pub struct Login {
    /// The role: the credential's principal.
    pub user: String,
    /// Its password.
    pub password: Zeroizing<Vec<u8>>,
    /// The database.
    pub database: String,
    /// The writ's id and, behind it, the client's own name: see [`application_name`].
    pub application_name: String,
    /// The client's settings, as [`crate::startup::Startup::parameters`] has them.
    pub parameters: Vec<(String, String)>,
    /// Whether TLS is demanded. Without it the connection must be loopback or a Unix socket.
    pub tls: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("database", &self.database).finish_non_exhaustive()
    }
}

/// The writ's id, then the client's own name, cut to the 63 bytes that the server keeps.
#[must_use]
pub fn application_name(writ: impl fmt::Display, client: Option<&str>) -> String {
    let full = match client {
        Some(client) => format!("{writ} {client}"),
        None => writ.to_string(),
    };
    let end = full.floor_char_boundary(LONGEST_APPLICATION_NAME);
    full.get(..end).unwrap_or_default().to_owned()
}

/// A login at the target.
pub struct ServerLogin {
    login: Login,
    binding: Option<Vec<u8>>,
    gathered: Upstream,
    key_seen: bool,
    state: State,
}

#[expect(clippy::enum_variant_names, reason = "states are named for what they await")]
enum State {
    AwaitTlsAnswer,
    AwaitHandshake,
    AwaitRequest,
    AwaitScramChallenge(Box<ScramSha256>),
    AwaitScramProof(Box<ScramSha256>),
    AwaitOk,
    AwaitReady,
}

impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLogin").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A target that is logged in.
#[derive(Debug, Default)]
pub struct Upstream {
    /// Its parameters, in the order reported.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// What cancels this session there; some poolers give none.
    pub key: Option<BackendKey>,
}

impl Upstream {
    /// The parameters, as [`crate::startup::Pending::accept`] takes them.
    pub fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.parameters.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Write what is in `out`, read more, call [`ServerLogin::handle`] again.
    More(ServerLogin),
    /// Do the TLS handshake as client, then call [`ServerLogin::secured`].
    StartTls(ServerLogin),
    /// Logged in. What was not consumed belongs to the relay.
    Ready(Upstream),
}

impl ServerLogin {
    /// Begins a login; `out` gets what to send first.
    #[must_use]
    pub fn start(login: Login, out: &mut Vec<u8>) -> Self {
        let tls = login.tls;
        let state = if tls { State::AwaitTlsAnswer } else { State::AwaitRequest };
        let this = Self { login, binding: None, gathered: Upstream::default(), key_seen: false, state };
        if tls {
            frame::write_untagged(out, |out| out.extend_from_slice(&SSL_CODE.to_be_bytes()));
        } else {
            this.write_startup(out);
        }
        this
    }

    /// Goes on inside TLS. `end_point` is the hash of the server's certificate for `tls-server-end-point` (RFC 5929,
    /// section 4.1); without it SCRAM goes without channel binding.
    #[must_use]
    pub fn secured(mut self, end_point: Option<Vec<u8>>, out: &mut Vec<u8>) -> Self {
        self.binding = end_point;
        self.write_startup(out);
        self.state = State::AwaitRequest;
        self
    }

    fn write_startup(&self, out: &mut Vec<u8>) {
        let login = &self.login;
        frame::write_untagged(out, |out| {
            out.extend_from_slice(&PROTOCOL_3_0.to_be_bytes());
            let own =
                [("user", &login.user), ("database", &login.database), ("application_name", &login.application_name)];
            let clients = login.parameters.iter().map(|(name, value)| (name.as_str(), value));
            for (name, value) in own.into_iter().chain(clients) {
                frame::write_text(out, name.as_bytes());
                frame::write_text(out, value.as_bytes());
            }
            out.push(0);
        });
    }

    /// Takes every whole message in what was read and not consumed. The number is how many of `bytes` are consumed.
    ///
    /// # Errors
    /// The login failed. The public part is neutral, what the target said is in the detail.
    pub fn handle(mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(usize, Step), Fault> {
        let mut at = 0;
        match self.state {
            State::AwaitTlsAnswer => return self.tls_answer(bytes),
            State::AwaitHandshake => return Err(failed("bytes in the clear before the TLS handshake")),
            _ => {}
        }
        while let Some(head) = frame::peek(bytes, at, Blame::Target)? {
            if head.total > LONGEST_FRAME {
                return Err(failed("a message during login is too long"));
            }
            let Some(body) = bytes.get(at + HEADER..at + head.total) else { break };
            at += head.total;
            if self.message(head.tag, body, out)? {
                return Ok((at, Step::Ready(self.gathered)));
            }
        }
        Ok((at, Step::More(self)))
    }

    fn tls_answer(mut self, bytes: &[u8]) -> Result<(usize, Step), Fault> {
        match bytes {
            [] => Ok((0, Step::More(self))),
            [b'S'] => {
                self.state = State::AwaitHandshake;
                Ok((1, Step::StartTls(self)))
            }
            [b'S', ..] => Err(failed("bytes in the clear behind the answer to the request for TLS")),
            [b'N', ..] => Err(failed("the target offers no TLS; turn it on there")),
            _ => Err(failed("the target did not answer the request for TLS as PostgreSQL does")),
        }
    }

    /// Whether the login is complete.
    fn message(&mut self, tag: u8, body: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        match tag {
            b'R' => self.authentication(body, out)?,
            b'E' => return Err(refused(body)),
            b'N' | b'v' => {}
            b'S' if matches!(self.state, State::AwaitReady) => self.parameter(body)?,
            b'K' if matches!(self.state, State::AwaitReady) && !self.key_seen => self.backend_key(body)?,
            b'Z' if matches!(self.state, State::AwaitReady) && body == b"I" => return Ok(true),
            _ => return Err(unexpected(tag)),
        }
        Ok(false)
    }

    fn parameter(&mut self, body: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::new(body, 0);
        let (Some(name), Some(value)) = (reader.text(), reader.text()) else { return Err(unexpected(b'S')) };
        if self.gathered.parameters.len() >= MOST_PARAMETERS {
            return Err(failed("the target reports too many parameters"));
        }
        self.gathered.parameters.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn backend_key(&mut self, body: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::new(body, 0);
        let pid = reader.u32().ok_or_else(|| unexpected(b'K'))?;
        let key = CancelKey::new(reader.rest()).ok_or_else(|| unexpected(b'K'))?;
        self.key_seen = true;
        self.gathered.key = Some(BackendKey { pid, key });
        Ok(())
    }

    fn authentication(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut reader = Reader::new(body, 0);
        let code = reader.u32().ok_or_else(|| unexpected(b'R'))?;
        let state = core::mem::replace(&mut self.state, State::AwaitOk);
        match (state, code) {
            (State::AwaitRequest | State::AwaitOk, 0) => self.state = State::AwaitReady,
            (State::AwaitRequest, 3) => self.cleartext(out)?,
            (State::AwaitRequest, 5) => self.md5(&mut reader, out)?,
            (State::AwaitRequest, 10) => self.scram_begin(&mut reader, out)?,
            (State::AwaitScramChallenge(scram), 11) => self.scram_answer(scram, reader.rest(), out)?,
            (State::AwaitScramProof(mut scram), 12) => {
                scram.finish(reader.rest()).map_err(|_| failed("the target does not know the password's verifier"))?;
            }
            _ => return Err(failed("the target asks for a login that the gateway does not do")),
        }
        Ok(())
    }

    fn cleartext(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        if !self.login.tls {
            return Err(failed("the target asks for the password in the clear on a connection without TLS"));
        }
        frame::write(out, b'p', |out| frame::write_text(out, &self.login.password));
        Ok(())
    }

    fn md5(&self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let salt = reader.take(4).and_then(<[u8]>::first_chunk::<4>).ok_or_else(|| unexpected(b'R'))?;
        let hash = Zeroizing::new(md5_hash(self.login.user.as_bytes(), &self.login.password, *salt));
        frame::write(out, b'p', |out| frame::write_text(out, hash.as_bytes()));
        Ok(())
    }

    fn scram_begin(&mut self, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (mut plain, mut plus) = (false, false);
        while let Some(mechanism) = reader.text().filter(|name| !name.is_empty()) {
            plain |= mechanism == SCRAM_SHA_256.as_bytes();
            plus |= mechanism == SCRAM_SHA_256_PLUS.as_bytes();
        }
        let (mechanism, binding) = match self.binding.take() {
            Some(hash) if plus => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash)),
            Some(_) if plain => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if plain => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => return Err(failed("the target offers no SASL mechanism that the gateway does")),
        };
        let scram = ScramSha256::new(&self.login.password, binding);
        frame::write(out, b'p', |out| {
            frame::write_text(out, mechanism.as_bytes());
            let first = scram.message();
            out.extend_from_slice(&u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(first);
        });
        self.state = State::AwaitScramChallenge(Box::new(scram));
        Ok(())
    }

    fn scram_answer(&mut self, mut scram: Box<ScramSha256>, challenge: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        if iterations(challenge).is_none_or(|count| count > LONGEST_SCRAM_ITERATIONS) {
            return Err(failed("the target asks for too many SCRAM iterations"));
        }
        scram.update(challenge).map_err(|_| failed("malformed SCRAM challenge from the target"))?;
        frame::write(out, b'p', |out| out.extend_from_slice(scram.message()));
        self.state = State::AwaitScramProof(scram);
        Ok(())
    }
}

/// The iteration count of a server-first message (RFC 5802, section 7). A count without bound would hold a worker.
fn iterations(challenge: &[u8]) -> Option<u32> {
    let field = challenge.split(|byte| *byte == b',').find_map(|field| field.strip_prefix(b"i="))?;
    core::str::from_utf8(field).ok()?.parse().ok()
}

fn failed(detail: &'static str) -> Fault {
    Fault::new("postgres.upstream_login", Blame::Target, "the target cannot be logged in to")
        .help("try again; if it stays so, ask the operator, who finds the reason in the log")
        .detail(detail)
}

fn unexpected(tag: u8) -> Fault {
    failed("").detail(format!("unexpected message `{}` during login", char::from(tag).escape_default()))
}

fn refused(body: &[u8]) -> Fault {
    let mut reader = Reader::new(body, 0);
    let (mut code, mut message) = (String::new(), String::new());
    while let Some(kind) = reader.u8().filter(|kind| *kind != 0) {
        let Some(text) = reader.text() else { break };
        let text: String = String::from_utf8_lossy(text).chars().take(500).flat_map(char::escape_debug).collect();
        match kind {
            b'C' => code = text,
            b'M' => message = text,
            _ => {}
        }
    }
    failed("").detail(format!("the target refused the login: {code} `{message}`"))
}
