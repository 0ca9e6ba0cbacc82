//! The messages before and during a login: what a client begins with, what is said to the gateway on its behalf, what the
//! gateway answers. Nothing else is read.
//!
//! PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats".

use zeroize::Zeroizing;

/// The request for TLS.
pub(super) const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// The longest packet that a client begins with, in bytes.
const LONGEST_FIRST: usize = 10_000;
/// The longest message that a gateway says during a login, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 30_000;
const SSL: u32 = 80_877_103;
const GSSENC: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;
/// Tells the gateway to ask for the token as a password, whatever its listener prefers.
const BY_PASSWORD: &[u8] = b"-c writ.auth=password";
/// The parameter that says why.
const REASON: &[u8] = b"writ.reason";

/// Why bytes are not what they should be.
pub(super) type Malformed = &'static str;

/// What a client begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// It asks for encryption, which a socket of this user's alone does not need.
    Encryption,
    /// It wants to cancel what another connection does: the whole packet.
    Cancel(Vec<u8>),
    /// It wants a session.
    Startup(Startup),
}

/// The request for a session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Startup {
    version: u32,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The packet at the front of `bytes` and its length, once it is whole.
pub(super) fn first(bytes: &[u8]) -> Result<Option<(First, usize)>, Malformed> {
    let Some(length) = u32_at(bytes, 0) else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(8..=LONGEST_FIRST).contains(&length) {
        return Err("the packet's length is out of bounds");
    }
    let Some(packet) = bytes.get(..length) else { return Ok(None) };
    let body = packet.get(8..).unwrap_or_default();
    let first = match u32_at(packet, 4) {
        Some(SSL | GSSENC) if body.is_empty() => First::Encryption,
        Some(CANCEL) if (8..=260).contains(&body.len()) => First::Cancel(packet.to_vec()),
        Some(version) if version >> 16 == 3 => First::Startup(Startup { version, parameters: parameters(body)? }),
        _ => return Err("the packet is none that begins a connection"),
    };
    Ok(Some((first, length)))
}

/// Names and values, in their order.
type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

fn parameters(body: &[u8]) -> Result<Parameters, Malformed> {
    let Some(pairs) = body.strip_suffix(&[0]) else { return Err("the parameters have no end") };
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<&[u8]> =
        pairs.strip_suffix(&[0]).ok_or("a parameter has no end")?.split(|byte| *byte == 0).collect();
    if !texts.len().is_multiple_of(2) || texts.iter().step_by(2).any(|name| name.is_empty()) {
        return Err("a parameter has no value");
    }
    Ok(texts.chunks_exact(2).filter_map(|pair| Some((pair.first()?.to_vec(), pair.get(1)?.to_vec()))).collect())
}

impl Startup {
    /// The same request for this target, whoever the client thought it was, and for this database where it named none; for this
    /// reason, whatever the client's own is.
    pub(super) fn for_target(&self, target: &str, database: &str, reason: Option<&str>) -> Vec<u8> {
        let named =
            |wanted: &[u8]| self.parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_slice());
        let user = named(b"user").unwrap_or_default();
        // A client that was told none names the database as its user.
        let own = named(b"database").filter(|name| !name.is_empty() && *name != user);
        let database = own.unwrap_or(database.as_bytes());
        let mut packet = Vec::from([0; 4]);
        packet.extend_from_slice(&self.version.to_be_bytes());
        let others = self.parameters.iter().filter(|(name, _)| name != b"user" && name != b"database");
        let others = others.map(|(name, value)| (name.as_slice(), value.as_slice()));
        let first: [(&[u8], &[u8]); 2] = [(b"user", target.as_bytes()), (b"database", database)];
        let reason = reason.map(|reason| (REASON, reason.as_bytes()));
        let last: [(&[u8], &[u8]); 1] = [(b"options", BY_PASSWORD)];
        for (name, value) in first.into_iter().chain(others).chain(reason).chain(last) {
            for text in [name, value] {
                packet.extend_from_slice(text);
                packet.push(0);
            }
        }
        packet.push(0);
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        if let Some(head) = packet.first_chunk_mut() {
            *head = length.to_be_bytes();
        }
        packet
    }
}

/// What a gateway says during a login.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It asks for the token.
    Password,
    /// Something that the client is to hear.
    Told,
    /// Why it does not let the client in; that is its last word.
    Refused,
}

/// A message: its tag, its body and its whole length.
type Message<'a> = (u8, &'a [u8], usize);

/// The message at the front of `bytes`, once it is whole.
pub(super) fn message(bytes: &[u8]) -> Result<Option<Message<'_>>, Malformed> {
    let (Some(tag), Some(length)) = (bytes.first(), u32_at(bytes, 1)) else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(4..=LONGEST_MESSAGE).contains(&length) {
        return Err("a message's length is out of bounds");
    }
    Ok(bytes.get(5..=length).map(|body| (*tag, body, length + 1)))
}

/// What the message at the front of `bytes` says, and its length, once it is whole.
pub(super) fn said(bytes: &[u8]) -> Result<Option<(Said, usize)>, Malformed> {
    let Some((tag, body, length)) = message(bytes)? else { return Ok(None) };
    let said = match (tag, u32_at(body, 0)) {
        (b'R', Some(3)) if body.len() == 4 => Said::Password,
        (b'R', _) => return Err("it asks for something else than a token"),
        (b'E', _) => Said::Refused,
        (b'N' | b'v', _) => Said::Told,
        _ => return Err("it says what no gateway says during a login"),
    };
    Ok(Some((said, length)))
}

/// The message that shows the token.
pub(super) fn password(token: &str) -> Zeroizing<Vec<u8>> {
    let mut message = Zeroizing::new(Vec::with_capacity(token.len() + 6));
    message.push(b'p');
    message.extend_from_slice(&u32::try_from(token.len() + 5).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(token.as_bytes());
    message.push(0);
    message
}

/// An error that ends the client's login, in the protocol's own form.
pub(super) fn refusal(code: &str, what: &str, help: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut field = |tag: u8, text: &str| {
        body.push(tag);
        body.extend(
            text.chars().filter(|character| *character == '\n' || !character.is_control()).collect::<String>().bytes(),
        );
        body.push(0);
    };
    for (tag, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', what)] {
        field(tag, text);
    }
    if let Some(help) = help {
        field(b'H', help);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [b"E", length.to_be_bytes().as_slice(), &body].concat()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests;
