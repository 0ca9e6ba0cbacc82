//! The states of a login.

use std::fmt;
use std::sync::Arc;

use writ_core::fault::{Blame, Fault};
use zeroize::Zeroizing;

use super::oauthbearer::{self, OAuth};
use super::packet::{self, Packet};
use super::parameters::{self, Startup};
use super::{AuthMethod, packet::PROTOCOL_3_2};
use crate::cancel::BackendKey;
use crate::error;
use crate::frame::{self, HEADER};

const LONGEST_TOKEN: usize = 65_536;
const MOST_REQUESTS: u8 = 3;

/// What the connection runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP without TLS. No token is asked for here.
    Plain,
    /// TCP without TLS on loopback, where the listener's configuration allows a token.
    PlainAllowed,
    /// TLS.
    Tls,
}

/// How a listener takes logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginSettings {
    /// Whether TLS can be had.
    pub tls: bool,
    /// How tokens are shown, where the client does not say.
    pub auth: AuthMethod,
    /// What a discovery request is answered with; without it such a request is refused.
    pub oauth: Option<OAuth>,
}

/// A client that is logging in.
#[derive(Debug)]
pub struct ClientLogin {
    settings: Arc<LoginSettings>,
    transport: Transport,
    state: State,
}

#[expect(clippy::enum_variant_names, reason = "states are named for what they await")]
enum State {
    AwaitStartup { requests: u8 },
    AwaitPassword(Box<Startup>),
    AwaitSasl(Box<Startup>),
    AwaitSaslData(Box<Startup>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwaitStartup { .. } => "AwaitStartup",
            Self::AwaitPassword(_) => "AwaitPassword",
            Self::AwaitSasl(_) => "AwaitSasl",
            Self::AwaitSaslData(_) => "AwaitSaslData",
        })
    }
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Write what is in `out`, read more, call [`ClientLogin::handle`] again.
    More(ClientLogin),
    /// Write what is in `out`, do the TLS handshake as server, then call [`ClientLogin::secured`].
    StartTls(ClientLogin),
    /// The connection asks to cancel what another one does. It gets no answer; close it.
    Cancel(BackendKey),
    /// The client has shown its token: open the session, then [`Pending::accept`] or refuse.
    Token(Pending),
    /// The client asked where to get a token, and `out` tells it. Write it, read the client's empty answer for a moment
    /// (RFC 7628, section 3.2.3), then refuse with this fault: the client comes back with a token, on another connection.
    Told(Fault),
}

impl ClientLogin {
    /// A connection from which nothing was read yet. A connection whose first byte is 0x16 begins with TLS at once: do
    /// the handshake (ALPN `postgresql` is required there) and begin with [`Transport::Tls`].
    #[must_use]
    pub const fn new(settings: Arc<LoginSettings>, transport: Transport) -> Self {
        Self { settings, transport, state: State::AwaitStartup { requests: 0 } }
    }

    /// The same login, now inside TLS.
    #[must_use]
    pub fn secured(self) -> Self {
        Self { transport: Transport::Tls, ..self }
    }

    /// Takes one step with everything that was read and not consumed. The number is how many of `bytes` are consumed;
    /// they may hold a token, so that the driver should wipe them.
    ///
    /// # Errors
    /// The login is refused; see the module's documentation for what to do then.
    pub fn handle(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(usize, Step), Fault> {
        let Self { settings, transport, state } = self;
        let again = |state| Step::More(Self { settings: Arc::clone(&settings), transport, state });
        match state {
            State::AwaitStartup { requests } => match packet::parse(bytes)? {
                None => Ok((0, again(State::AwaitStartup { requests }))),
                Some((packet, length)) => {
                    let step = Self { settings, transport, state: State::AwaitStartup { requests } }.packet(
                        packet,
                        requests,
                        bytes.len() > length,
                        out,
                    )?;
                    Ok((length, step))
                }
            },
            State::AwaitPassword(startup) => match response(bytes)? {
                None => Ok((0, again(State::AwaitPassword(startup)))),
                Some((body, length)) => Ok((length, Step::Token(Pending::by_password(*startup, body)?))),
            },
            State::AwaitSasl(startup) => match response(bytes)? {
                None => Ok((0, again(State::AwaitSasl(startup)))),
                Some((body, length)) => match oauthbearer::initial(body)? {
                    Some(data) => Ok((length, shown(*startup, data, settings.oauth.as_ref(), out)?)),
                    None => {
                        frame::write(out, b'R', |out| out.extend_from_slice(&11_u32.to_be_bytes()));
                        Ok((length, again(State::AwaitSaslData(startup))))
                    }
                },
            },
            State::AwaitSaslData(startup) => match response(bytes)? {
                None => Ok((0, again(State::AwaitSaslData(startup)))),
                Some((data, length)) => Ok((length, shown(*startup, data, settings.oauth.as_ref(), out)?)),
            },
        }
    }

    fn packet(mut self, packet: Packet<'_>, requests: u8, more: bool, out: &mut Vec<u8>) -> Result<Step, Fault> {
        self.state = State::AwaitStartup { requests: requests + 1 };
        if requests >= MOST_REQUESTS {
            return Err(packet::invalid("too many encryption requests"));
        }
        match packet {
            Packet::Ssl if self.settings.tls && self.transport != Transport::Tls => {
                if more {
                    return Err(packet::invalid("bytes in the clear behind the request for TLS"));
                }
                out.push(b'S');
                Ok(Step::StartTls(self))
            }
            Packet::Ssl | Packet::Gssenc => {
                out.push(b'N');
                Ok(Step::More(self))
            }
            Packet::Cancel(key) => Ok(Step::Cancel(key)),
            Packet::Startup(version, body) => self.startup(version, body, out),
        }
    }

    fn startup(mut self, version: u32, body: &[u8], out: &mut Vec<u8>) -> Result<Step, Fault> {
        let parsed = parameters::parse(version, body)?;
        if self.transport == Transport::Plain {
            return Err(Fault::new("postgres.plain", Blame::NotAllowed, "a token is not taken without TLS")
                .help("connect with sslmode=verify-full"));
        }
        if parsed.newer_minor || !parsed.unknown_options.is_empty() {
            negotiate(version, &parsed.unknown_options, out);
        }
        let startup = Box::new(parsed.startup);
        match startup.auth.unwrap_or(self.settings.auth) {
            // RFC 7628, section 4: the mechanism is for connections inside TLS alone, on loopback too.
            AuthMethod::OAuthBearer if self.transport != Transport::Tls => {
                return Err(Fault::new(
                    "postgres.oauth_plain",
                    Blame::NotAllowed,
                    "oauthbearer is not taken without TLS",
                )
                .help("connect with sslmode=verify-full"));
            }
            AuthMethod::Password => {
                frame::write(out, b'R', |out| out.extend_from_slice(&3_u32.to_be_bytes()));
                self.state = State::AwaitPassword(startup);
            }
            AuthMethod::OAuthBearer => {
                frame::write(out, b'R', |out| {
                    out.extend_from_slice(&10_u32.to_be_bytes());
                    frame::write_text(out, oauthbearer::MECHANISM);
                    out.push(0);
                });
                self.state = State::AwaitSasl(startup);
            }
        }
        Ok(Step::More(self))
    }
}

/// `NegotiateProtocolVersion`: the newest version that both speak, and the options that are not understood.
fn negotiate(version: u32, unknown: &[String], out: &mut Vec<u8>) {
    frame::write(out, b'v', |out| {
        out.extend_from_slice(&version.min(PROTOCOL_3_2).to_be_bytes());
        out.extend_from_slice(&u32::try_from(unknown.len()).unwrap_or(u32::MAX).to_be_bytes());
        for name in unknown {
            frame::write_text(out, name.as_bytes());
        }
    });
}

/// The body of a `p` message and the message's length, once it is whole.
fn response(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Fault> {
    let Some(head) = frame::peek(bytes, 0, Blame::Peer)? else { return Ok(None) };
    if head.tag != b'p' || head.total > LONGEST_TOKEN + HEADER + 256 {
        return Err(Fault::new("postgres.no_password", Blame::Peer, "expected a password message of at most 64 KiB"));
    }
    Ok(bytes.get(HEADER..head.total).map(|body| (body, head.total)))
}

/// What the client has shown: a token, or that it has none.
fn shown(startup: Startup, data: &[u8], oauth: Option<&OAuth>, out: &mut Vec<u8>) -> Result<Step, Fault> {
    if let Some(token) = oauthbearer::bearer(data)? {
        return Ok(Step::Token(Pending { startup, token, by: By::Bearer(oauth.cloned()), waits: false }));
    }
    discovery(oauth, out)?;
    Ok(Step::Told(oauthbearer::no_token("get one from the issuer that was named, then connect again")))
}

fn discovery(oauth: Option<&OAuth>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let oauth = oauth.ok_or_else(|| {
        oauthbearer::no_token("give the client a token: this gateway names no issuer to get one from")
    })?;
    oauthbearer::failure(oauth, out);
    Ok(())
}

/// A client that has shown its token and waits for the answer. Drop it to refuse.
pub struct Pending {
    startup: Startup,
    token: Zeroizing<Vec<u8>>,
    by: By,
    /// Whether the client was told already that its token is good.
    waits: bool,
}

/// How the token was shown.
enum By {
    Password,
    Bearer(Option<OAuth>),
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("startup", &self.startup).finish_non_exhaustive()
    }
}

impl Pending {
    fn by_password(startup: Startup, body: &[u8]) -> Result<Self, Fault> {
        match body.strip_suffix(b"\0") {
            Some(token) if !token.is_empty() && !token.contains(&0) => {
                Ok(Self { startup, token: Zeroizing::new(token.to_vec()), by: By::Password, waits: false })
            }
            _ => Err(Fault::new("postgres.no_token", Blame::NotAllowed, "no token was shown")
                .help("give the token where the client asks for a password, such as PGPASSWORD")),
        }
    }

    /// What the client asked for.
    #[must_use]
    pub const fn startup(&self) -> &Startup {
        &self.startup
    }

    /// The token as shown, unverified.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// Takes the token out; it is wiped when it is dropped.
    pub fn take_token(&mut self) -> Zeroizing<Vec<u8>> {
        core::mem::take(&mut self.token)
    }

    /// What a client whose token was refused is told first: by OAUTHBEARER, where it may get another one. The driver writes
    /// it, reads the client's empty answer for a moment (RFC 7628, section 3.2.3), then writes the error. `None` where the
    /// error alone is the answer.
    #[must_use]
    pub fn rejection(&self) -> Option<Vec<u8>> {
        let By::Bearer(Some(oauth)) = &self.by else { return None };
        if self.waits {
            return None;
        }
        let mut out = Vec::new();
        oauthbearer::failure(oauth, &mut out);
        Some(out)
    }

    /// How many bytes the cancel key must have that this client is given: 32 in protocol 3.2, else 4.
    #[must_use]
    pub const fn key_length(&self) -> usize {
        if self.startup.long_keys { 32 } else { 4 }
    }

    /// Appends what a client is told whose token is good and whose session waits: `AuthenticationOk`, since libpq takes no notice before
    /// it, then a `NoticeResponse` with `text`. It may still be refused by an `ErrorResponse` alone.
    pub fn wait(&mut self, text: &str, out: &mut Vec<u8>) {
        if !self.waits {
            write_ok(out);
        }
        self.waits = true;
        error::write_notice(out, text);
    }

    /// Appends the end of a login: `AuthenticationOk`, unless [`Self::wait`] has said that, the target's parameters, our own cancel key,
    /// `ReadyForQuery`.
    pub fn accept<'a>(
        self,
        parameters: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        key: &BackendKey,
        out: &mut Vec<u8>,
    ) -> Startup {
        if !self.waits {
            write_ok(out);
        }
        for (name, value) in parameters {
            frame::write(out, b'S', |out| {
                frame::write_text(out, name);
                frame::write_text(out, value);
            });
        }
        frame::write(out, b'K', |out| {
            out.extend_from_slice(&key.pid.to_be_bytes());
            out.extend_from_slice(key.key.expose());
        });
        frame::write(out, b'Z', |out| out.push(b'I'));
        self.startup
    }
}

fn write_ok(out: &mut Vec<u8>) {
    frame::write(out, b'R', |out| out.extend_from_slice(&[0; 4]));
}
