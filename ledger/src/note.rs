//! Signed notes with Ed25519 (C2SP signed-note): a text, a blank line, signatures.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const ED25519_TYPE: u8 = 0x01;
/// The longest note that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The most signatures that are read.
const MAX_SIGNATURES: usize = 64;

/// Why a note or a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// It is no note.
    #[error("the signed note is malformed")]
    Malformed,
    /// The signature of the key that was asked for is wrong.
    #[error("the signature of `{0}` is wrong: the note was changed, or signed by another key of this name")]
    BadSignature(String),
    /// It is not signed by the key that was asked for.
    #[error("the note is not signed by `{0}`")]
    NotSigned(String),
    /// It is no key.
    #[error("the verifier key is malformed: it has the form `name+id+key`")]
    MalformedKey,
}

/// Signs notes.
pub struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl core::fmt::Debug for Signer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

impl Signer {
    /// A signer named `name` whose key is made from 32 secret bytes.
    ///
    /// # Errors
    /// [`NoteFault::MalformedKey`] if the name is empty or holds a plus sign or white space.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteFault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteFault::MalformedKey)?;
        if valid_name(name) { Ok(Self { name: name.to_owned(), pair }) } else { Err(NoteFault::MalformedKey) }
    }

    /// The key that verifies what this signs.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), public: self.pair.public_key().as_ref().to_vec() }
    }

    /// The note that `text` makes, signed. `text` ends with a line end.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        self.verifier().note(text, self.pair.sign(text.as_bytes()).as_ref())
    }
}

/// Verifies notes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: Vec<u8>,
}

impl core::fmt::Display for Verifier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let key = STANDARD.encode([&[ED25519_TYPE], self.public.as_slice()].concat());
        write!(f, "{}+{:08x}+{key}", self.name, u32::from_be_bytes(key_id(&self.name, &self.public)))
    }
}

impl core::str::FromStr for Verifier {
    type Err = NoteFault;

    fn from_str(text: &str) -> Result<Self, NoteFault> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteFault::MalformedKey);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteFault::MalformedKey)?;
        let (kind, public) = key.split_first().ok_or(NoteFault::MalformedKey)?;
        let verifier = Self { name: name.to_owned(), public: public.to_vec() };
        let right = *kind == ED25519_TYPE && public.len() == 32 && valid_name(name);
        let id_matches = id == format!("{:08x}", u32::from_be_bytes(key_id(name, public)));
        if right && id_matches { Ok(verifier) } else { Err(NoteFault::MalformedKey) }
    }
}

impl Verifier {
    /// The key of a signer that is elsewhere: 32 bytes of Ed25519.
    ///
    /// # Errors
    /// [`NoteFault::MalformedKey`] if the key is of another length, or the name is empty or holds a plus sign or white space.
    pub fn from_public(name: &str, public: &[u8]) -> Result<Self, NoteFault> {
        let right = public.len() == 32 && valid_name(name);
        if right { Ok(Self { name: name.to_owned(), public: public.to_vec() }) } else { Err(NoteFault::MalformedKey) }
    }

    /// The note that `text` makes with this key's signature over its bytes. `text` ends with a line end. The signature is not
    /// checked: [`Self::open`] does that.
    #[must_use]
    pub fn note(&self, text: &str, signature: &[u8]) -> String {
        let id = key_id(&self.name, &self.public);
        let line = STANDARD.encode([id.as_slice(), signature].concat());
        format!("{text}\n\u{2014} {} {line}\n", self.name)
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The note's text, once this key's signature on it was checked. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteFault`] if the note is malformed, not signed by this key, or signed wrongly.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteFault> {
        let (text, signatures) = split(note)?;
        let id = key_id(&self.name, &self.public);
        let mut signed = false;
        for (name, bytes) in signatures {
            let (key, signature) = bytes.split_first_chunk::<4>().ok_or(NoteFault::Malformed)?;
            if name != self.name || *key != id {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(text.as_bytes(), signature)
                .map_err(|_| NoteFault::BadSignature(self.name.clone()))?;
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteFault::NotSigned(self.name.clone())) }
    }
}

type Signatures<'a> = Vec<(&'a str, Vec<u8>)>;

fn split(note: &str) -> Result<(&str, Signatures<'_>), NoteFault> {
    let controls = note.chars().any(|character| character < ' ' && character != '\n');
    if note.len() > MAX_BYTES || controls || !note.ends_with('\n') {
        return Err(NoteFault::Malformed);
    }
    let at = note.rfind("\n\n").ok_or(NoteFault::Malformed)?;
    let (text, rest) = note.split_at_checked(at + 1).ok_or(NoteFault::Malformed)?;
    let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n')).ok_or(NoteFault::Malformed)?;
    let signatures = lines.split('\n').map(signature_line).collect::<Option<Signatures<'_>>>();
    match signatures {
        Some(signatures) if signatures.len() <= MAX_SIGNATURES => Ok((text, signatures)),
        _ => Err(NoteFault::Malformed),
    }
}

fn signature_line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    (valid_name(name) && bytes.len() > 4).then_some((name, bytes))
}

fn valid_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control())
}

fn key_id(name: &str, public: &[u8]) -> [u8; 4] {
    let mut context = Context::new(&SHA256);
    for part in [name.as_bytes(), b"\n", &[ED25519_TYPE], public] {
        context.update(part);
    }
    let mut id = [0; 4];
    id.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    id
}
