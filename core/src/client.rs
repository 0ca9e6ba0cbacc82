//! What a client's connection says of it beside its token: the key that it proved, and why it connects.
//!
//! Neither says who the client is: a key is anybody's who made one, a reason is whatever was written. A token that came with a key
//! is taken with that key alone from then on.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The length of a thumbprint: 32 bytes in base64url.
const THUMBPRINT: usize = 43;
/// The last letters that 32 bytes can have in base64url: of the six bits the last two are zero.
const LAST: &[u8] = b"AEIMQUYcgkosw048";
/// The longest reason, in bytes.
pub const LONGEST_REASON: usize = 256;

/// The key that a client proved in its handshake: the JWK thumbprint by SHA-256 (RFC 7638), in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientKey(Box<str>);

/// A text that is no thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's thumbprint is SHA-256 in base64url: 43 letters, digits, `-` and `_`")]
pub struct NoThumbprint;

impl ClientKey {
    /// The thumbprint.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientKey {
    type Err = NoThumbprint;

    fn from_str(text: &str) -> Result<Self, NoThumbprint> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let ends = text.as_bytes().last().is_some_and(|last| LAST.contains(last));
        if text.len() == THUMBPRINT && text.bytes().all(letter) && ends {
            Ok(Self(text.into()))
        } else {
            Err(NoThumbprint)
        }
    }
}

impl TryFrom<String> for ClientKey {
    type Error = NoThumbprint;

    fn try_from(text: String) -> Result<Self, NoThumbprint> {
        text.parse()
    }
}

impl From<ClientKey> for String {
    fn from(key: ClientKey) -> Self {
        key.0.into()
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a client connects, in its own words: one line of plain text. Nobody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(Box<str>);

/// A text that is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReason {
    /// There is nothing in it.
    #[error("the reason is empty")]
    Empty,
    /// There is nothing in it to be read.
    #[error("the reason is blank: there is nothing in it to be read")]
    Blank,
    /// It is too long.
    #[error("the reason has {0} bytes, more than the {LONGEST_REASON} that it may have")]
    TooLong(usize),
    /// It holds what steers a terminal, ends a line, or is not seen.
    #[error(
        "the reason holds a character that is not seen: a line's end, a control character, or one that is empty or turns the writing around"
    )]
    Unseen,
}

impl Reason {
    /// The reason.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = NoReason;

    fn from_str(text: &str) -> Result<Self, NoReason> {
        match text {
            "" => Err(NoReason::Empty),
            text if text.len() > LONGEST_REASON => Err(NoReason::TooLong(text.len())),
            text if text.contains(unseen) => Err(NoReason::Unseen),
            text if text.trim().is_empty() => Err(NoReason::Blank),
            text => Ok(Self(text.into())),
        }
    }
}

/// What ends a line, steers a terminal, turns the writing around, or leaves no mark: Unicode's `Cc`, `Default_Ignorable_Code_Point`,
/// both separators of lines and paragraphs, interlinear annotation, and Braille's empty cell.
fn unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}')
        || matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}')
        || matches!(letter, '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

impl TryFrom<String> for Reason {
    type Error = NoReason;

    fn try_from(text: String) -> Result<Self, NoReason> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0.into()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_what_sha256_gives() {
        // RFC 7638, 3.1.
        let example = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        assert_eq!(example.parse::<ClientKey>().unwrap().as_str(), example);
        let (short, long) = (example.trim_start_matches('N'), format!("{example}A"));
        let (strange, loose) = (example.replace('n', "/"), example.replace("C9Xs", "C9Xt"));
        for wrong in ["", short, &long, &strange, &loose] {
            assert_eq!(wrong.parse::<ClientKey>(), Err(NoThumbprint), "{wrong}");
        }
    }

    #[test]
    fn a_reason_is_one_line_of_plain_text() {
        for right in ["deploy 42", "Köln: \"nachts\"; 'ja'", &"x".repeat(LONGEST_REASON)] {
            assert_eq!(right.parse::<Reason>().unwrap().as_str(), right);
        }
        assert_eq!("".parse::<Reason>(), Err(NoReason::Empty));
        assert_eq!("é".repeat(129).parse::<Reason>(), Err(NoReason::TooLong(258)), "bytes are counted");
        for wrong in ["a\nb", "a\0", "\u{1b}[2J", "a\u{202e}b", "a\u{2028}b", "\u{85}", "a\u{200b}"] {
            assert_eq!(wrong.parse::<Reason>(), Err(NoReason::Unseen), "{wrong:?}");
        }
    }

    #[test]
    fn a_reason_can_be_seen() {
        let ranges = [
            0xad..=0xad,
            0x34f..=0x34f,
            0x115f..=0x1160,
            0x180b..=0x180f,
            0x2060..=0x206f,
            0x2800..=0x2800,
            0x3164..=0x3164,
            0xfe00..=0xfe0f,
            0xffa0..=0xffa0,
            0xfff9..=0xfffb,
            0xe0000..=0xe007f,
            0xe0100..=0xe01ef,
        ];
        for letter in ranges.into_iter().flatten().filter_map(char::from_u32) {
            let wrong = format!("deploy{letter}42");
            assert_eq!(wrong.parse::<Reason>(), Err(NoReason::Unseen), "{wrong:?}");
        }
        for blank in [" ", "   ", "\u{a0}\u{3000}", "\u{2003}"] {
            assert_eq!(blank.parse::<Reason>(), Err(NoReason::Blank), "{blank:?}");
        }
        for right in [" deploy 42 ", "\u{3000}\u{914d}\u{5099}", "\u{1f680}", "\u{fffd}"] {
            assert_eq!(right.parse::<Reason>().unwrap().as_str(), right);
        }
    }

    #[test]
    fn what_is_read_back_is_held_to_the_same() {
        let stored = serde_json::to_string(&"deploy".parse::<Reason>().unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Reason>(&stored).unwrap().as_str(), "deploy");
        assert!(serde_json::from_str::<Reason>(r#""a\nb""#).is_err());
        assert!(serde_json::from_str::<ClientKey>(r#""AAAA""#).is_err());
    }
}
