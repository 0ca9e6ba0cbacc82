//! A token: a secret that says of itself, to whoever holds it, for whom it is and how long it lives.

use core::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::fault::Fault;

/// The longest token that a gateway takes, in bytes.
pub const LONGEST: usize = 65_536;
/// The longest audience, in bytes.
const LONGEST_AUDIENCE: usize = 1024;
/// By how many seconds this machine's clock may be ahead of the issuer's.
const LEEWAY: i64 = 60;

/// Whom a token is for: what the broker's configuration calls `audience`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    /// Takes an audience as the broker's configuration has it.
    ///
    /// # Errors
    /// If it is empty, longer than 1024 bytes, or has white space or control characters in it.
    pub fn new(text: impl Into<String>) -> Result<Self, Fault> {
        let text = text.into();
        let plain = !text.chars().any(|character| character.is_whitespace() || character.is_control());
        if text.is_empty() || text.len() > LONGEST_AUDIENCE || !plain {
            return Err(Fault::new("the audience is empty, too long, or has white space in it")
                .help("give the `audience` of the broker's configuration, such as `writ`"));
        }
        Ok(Self(text))
    }

    /// The audience.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token. It is overwritten when it is dropped and shown by [`Token::expose`] alone.
pub struct Token(Zeroizing<String>);

/// Why a token is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is for others; whom it names.
    Audience(Vec<String>),
    /// It has ended, so many seconds after the epoch.
    Ended(i64),
}

impl Token {
    /// Takes what a source gave; white space at the ends is dropped.
    ///
    /// # Errors
    /// If it is empty, longer than [`LONGEST`], or has other characters than tokens have.
    pub(crate) fn new(text: &str, source: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Fault::new(format!("{source} gave nothing where a token should be")));
        }
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::new(format!("what {source} gave is no token: it is too long or not on one line")));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The token. Every caller is a place where it can leak: keep them few.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What it claims, unverified; `None` where it is no JWT.
    #[must_use]
    pub fn claims(&self) -> Option<Claims> {
        let mut parts = self.0.split('.');
        let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
        serde_json::from_slice(&bytes).ok().map(Claims)
    }

    /// Whether it is for this audience and has not ended. A token that is no JWT says nothing of that.
    pub(crate) fn fits(&self, audience: &Audience) -> Result<(), Misfit> {
        let Some(claims) = self.claims() else { return Ok(()) };
        let named = claims.audiences();
        if !named.iter().any(|named| named == audience.as_str()) {
            return Err(Misfit::Audience(named));
        }
        claims.lives()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The claims of a token, as it states them: nothing here was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// All of them.
    #[must_use]
    pub const fn all(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A claim that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Whom it is for.
    #[must_use]
    pub fn audiences(&self) -> Vec<String> {
        match self.0.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// Its end, in seconds after the epoch.
    #[must_use]
    pub fn ends(&self) -> Option<i64> {
        let ends = self.0.get("exp")?;
        // It may have a fraction (RFC 7519, section 2).
        ends.as_i64().or_else(|| ends.as_f64().map(|seconds| seconds as i64))
    }

    pub(crate) fn lives(&self) -> Result<(), Misfit> {
        match self.ends() {
            Some(ends) if ends.saturating_add(LEEWAY) < now() => Err(Misfit::Ended(ends)),
            _ => Ok(()),
        }
    }
}

impl Misfit {
    /// What is wrong with a token that `source` gave.
    pub(crate) fn fault(&self, source: &str, audience: &Audience) -> Fault {
        match self {
            Self::Audience(named) if named.is_empty() => {
                Fault::new(format!("the token that {source} gave names no audience, and `{audience}` was asked for"))
            }
            Self::Audience(named) => {
                let named: Vec<String> = named.iter().map(|named| format!("`{named}`")).collect();
                Fault::new(format!("the token that {source} gave is for {}, not for `{audience}`", named.join(", ")))
            }
            Self::Ended(ends) => {
                Fault::new(format!("the token that {source} gave ended {} seconds ago", now().saturating_sub(*ends)))
            }
        }
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
