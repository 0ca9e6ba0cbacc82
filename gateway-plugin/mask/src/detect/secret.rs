//! Secrets that can be told by how they look: by a literal that begins them, by the name of the field that holds them, or by nothing but
//! their disorder.
//!
//! | detector | source | matched | not matched, deliberately |
//! |---|---|---|---|
//! | JWT | RFC 7519, RFC 7515, RFC 7516 | three to five parts of base64url, the first a JSON object | a header that does not begin with `{"` |
//! | private key | RFC 7468, RFC 4880 6.2 | from `-----BEGIN ... PRIVATE KEY` to its `-----END` line, or to the end of the value | certificates, public keys |
//! | AWS | IAM user guide, unique identifiers | `AKIA`, `ASIA`, `ABIA`, `ACCA` and 16 of base32 | secret access keys by themselves: disorder finds them |
//! | GCP | Google Cloud, API keys | `AIza` and 35, `ya29.` and 20 or more, `GOCSPX-` and 28 | service accounts' addresses |
//! | Azure | Azure Storage and Service Bus connection strings, Entra client secrets | `AccountKey=`, `SharedAccessKey=` and base64, `xxx8Q~` and 31 or more | shared access signatures |
//! | GitHub | GitHub, token prefixes | `ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_` and 36, `github_pat_` and 50 or more | forty hexadecimal digits |
//! | Slack | Slack, token types | `xoxb-` and its kin, `xapp-`, `hooks.slack.com/services/` | |
//! | Stripe | Stripe, API keys | `sk_live_`, `sk_test_`, `rk_live_`, `rk_test_`, `whsec_` and 16 or more | publishable keys |

use super::text::{before, byte, opens, run};
use super::{Detector, Hit, Set};

/// What follows a literal: which bytes, and how many of them at least.
type Body = (&'static [u8], Detector, fn(u8) -> bool, usize);

const fn base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const fn base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

const fn base32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7')
}

const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'/'
}

const fn dotted(byte: u8) -> bool {
    base64url(byte) || byte == b'.'
}

const fn tilde(byte: u8) -> bool {
    base64url(byte) || matches!(byte, b'.' | b'~')
}

/// The keys with a literal at their front. The longest of those that share a front stands first.
pub(crate) const BODIES: &[Body] = &[
    (b"AKIA", Detector::AwsKey, base32, 16),
    (b"ASIA", Detector::AwsKey, base32, 16),
    (b"ABIA", Detector::AwsKey, base32, 16),
    (b"ACCA", Detector::AwsKey, base32, 16),
    (b"AIza", Detector::GcpKey, base64url, 35),
    (b"ya29.", Detector::GcpKey, dotted, 20),
    (b"GOCSPX-", Detector::GcpKey, base64url, 28),
    (b"AccountKey=", Detector::AzureKey, base64, 40),
    (b"SharedAccessKey=", Detector::AzureKey, base64, 40),
    (b"github_pat_", Detector::GithubKey, word, 50),
    (b"ghp_", Detector::GithubKey, word, 36),
    (b"gho_", Detector::GithubKey, word, 36),
    (b"ghu_", Detector::GithubKey, word, 36),
    (b"ghs_", Detector::GithubKey, word, 36),
    (b"ghr_", Detector::GithubKey, word, 36),
    (b"xoxb-", Detector::SlackKey, base64url, 10),
    (b"xoxp-", Detector::SlackKey, base64url, 10),
    (b"xoxa-", Detector::SlackKey, base64url, 10),
    (b"xoxr-", Detector::SlackKey, base64url, 10),
    (b"xoxs-", Detector::SlackKey, base64url, 10),
    (b"xoxe.", Detector::SlackKey, dotted, 10),
    (b"xoxe-", Detector::SlackKey, base64url, 10),
    (b"xapp-", Detector::SlackKey, base64url, 10),
    (b"hooks.slack.com/services/", Detector::SlackKey, path, 20),
    (b"sk_live_", Detector::StripeKey, word, 16),
    (b"sk_test_", Detector::StripeKey, word, 16),
    (b"rk_live_", Detector::StripeKey, word, 16),
    (b"rk_test_", Detector::StripeKey, word, 16),
    (b"whsec_", Detector::StripeKey, base64, 16),
];

/// The front of an Entra client secret behind its first three characters.
pub(crate) const ENTRA: &[u8] = b"8Q~";
/// The most bytes of an Entra client secret from there on.
const ENTRA_MOST: usize = 64;
/// The front of a JWT: `{"` in base64url.
pub(crate) const TOKEN: &[u8] = b"eyJ";
/// The front of armour.
pub(crate) const ARMOUR: &[u8] = b"-----BEGIN ";

/// Appends the secret that begins with the literal here.
pub(crate) fn literals(text: &[u8], at: usize, wanted: Set, hits: &mut Vec<Hit>) {
    let Some(rest) = text.get(at..) else { return };
    let found = match rest {
        [b'e', b'y', b'J', ..] => jwt(text, at),
        _ if rest.starts_with(ARMOUR) => armour(text, at),
        _ if rest.starts_with(ENTRA) => entra(text, at),
        _ => key(text, at, rest, wanted),
    };
    hits.extend(found.filter(|hit| wanted.has(hit.detector)));
}

fn key(text: &[u8], start: usize, rest: &[u8], wanted: Set) -> Option<Hit> {
    let (literal, detector, body, least) = BODIES.iter().find(|(literal, ..)| rest.starts_with(literal))?;
    let named = literal.last() == Some(&b'=') || literal.contains(&b'/');
    if !wanted.has(*detector) || !named && !opens(text, start) {
        return None;
    }
    let length = run(rest, literal.len(), body);
    let from = if literal.last() == Some(&b'=') { start + literal.len() } else { start };
    (length >= *least).then_some(Hit { start: from, end: start + literal.len() + length, detector: *detector })
}

fn entra(text: &[u8], at: usize) -> Option<Hit> {
    let start = at.checked_sub(3)?;
    let reach = text.get(..text.len().min(at + ENTRA_MOST))?;
    let end = at + run(reach, at, tilde);
    let front = run(text, start, base64url) >= 3;
    (front && opens(text, start) && end - at >= 34).then_some(Hit { start, end, detector: Detector::AzureKey })
}

fn jwt(text: &[u8], start: usize) -> Option<Hit> {
    if base64url(before(text, start)) || before(text, start) == b'.' {
        return None;
    }
    let header = run(text, start, base64url);
    let (mut parts, mut end) = (1, start + header);
    while parts < 5 && byte(text, end) == b'.' {
        end += 1 + run(text, end + 1, base64url);
        parts += 1;
    }
    let payload = run(text, start + header + 1, base64url);
    (header >= 12 && payload >= 4 && parts >= 3).then_some(Hit { start, end, detector: Detector::Jwt })
}

fn armour(text: &[u8], start: usize) -> Option<Hit> {
    let rest = text.get(start + ARMOUR.len()..)?;
    let line = rest.iter().take(64).take_while(|byte| byte.is_ascii_uppercase() || **byte == b' ').count();
    let label = rest.get(..line)?;
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let end = find(text, start + ARMOUR.len(), b"-----END ")
        .and_then(|end| find(text, end + 9, b"-----"))
        .map_or(text.len(), |end| end + 5);
    Some(Hit { start, end, detector: Detector::PrivateKey })
}

fn find(text: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let at = text.get(from..)?.windows(wanted.len()).position(|window| window == wanted)?;
    Some(from + at)
}

/// The names of secret fields: the end of the name in lower case without hyphens and underscores.
const NAMES: &[&[u8]] = &[
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"token",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"accountkey",
    b"encryptionkey",
    b"signingkey",
    b"authorization",
    b"credential",
    b"credentials",
    b"connectionstring",
    b"cvv",
    b"cvc",
    b"cardsecuritycode",
    b"secretaccesskey",
];

/// The longest name that is read.
const NAME: usize = 64;

/// Appends the values of fields in JSON whose name ends in one of [`NAMES`]: the inside of a string, or a number. Objects and
/// arrays are not matched; the fields within them are looked at by themselves. The JSON may itself be inside of a string.
pub(crate) fn fields(text: &[u8], hits: &mut Vec<Hit>) {
    let mut from = 0;
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'"') {
        let gap = run(text, at + 1, |byte| byte == b' ');
        if at < from || byte(text, at + 1 + gap) != b':' {
            continue;
        }
        let Some((start, end)) = field(text, at, at + gap + 2) else { continue };
        hits.push(Hit { start, end, detector: Detector::SecretField });
        from = end;
    }
}

fn field(text: &[u8], quote: usize, behind: usize) -> Option<(usize, usize)> {
    if !is_secret_name(text, quote) {
        return None;
    }
    let start = behind + run(text, behind, |byte| byte.is_ascii_whitespace());
    let escapes = run(text, start, |byte| byte == b'\\');
    if byte(text, start + escapes) != b'"' {
        let length = run(text, start, |byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
        return (length > 0).then_some((start, start + length));
    }
    let inside = start + escapes + 1;
    let mut end = inside;
    loop {
        end += run(text, end, |byte| !matches!(byte, b'"' | b'\\'));
        let slashes = run(text, end, |byte| byte == b'\\');
        match text.get(end + slashes) {
            None => return Some((inside, text.len())).filter(|(start, end)| start < end),
            Some(b'"') if slashes <= escapes => return (inside < end).then_some((inside, end)),
            Some(_) => end += slashes + 1,
        }
    }
}

fn is_secret_name(text: &[u8], quote: usize) -> bool {
    let end = if before(text, quote) == b'\\' { quote - 1 } else { quote };
    let Some(reach) = text.get(end.saturating_sub(NAME)..end) else { return false };
    let letters = || {
        reach
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' '))
            .filter(|byte| byte.is_ascii_alphanumeric())
            .map(u8::to_ascii_lowercase)
    };
    NAMES.iter().any(|name| letters().take(name.len()).eq(name.iter().rev().copied()))
}

/// The least length of a secret that is told by its disorder.
const LEAST: usize = 24;
/// The longest; what is longer is data.
const MOST: usize = 512;

/// Appends words of base64 or base64url that are too disordered to be anything but a secret: at least [`LEAST`] bytes, with
/// upper and lower case, two digits or more, thirteen letters and digits in a row, a change of class at two of five places, and 3.6 bits for each byte. Not matched,
/// deliberately: hexadecimal digits alone, which are hashes and identifiers more often than keys.
pub(crate) fn disorder(text: &[u8], hits: &mut Vec<Hit>) {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-');
    let mut at = 0;
    while at < text.len() {
        let length = run(text, at, token);
        let end = at + length;
        if (LEAST..=MOST).contains(&length) && text.get(at..end).is_some_and(is_disordered) {
            hits.push(Hit { start: at, end, detector: Detector::Entropy });
        }
        at = end.max(at + 1);
    }
}

fn is_disordered(word: &[u8]) -> bool {
    let (mut counts, mut classes, mut changes, mut last) = ([0_u16; 128], [0_usize; 4], 0, 0_u8);
    let (mut plain, mut longest) = (0, 0);
    for byte in word {
        let class = match byte {
            b'0'..=b'9' => 0,
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 2,
            _ => 3_u8,
        };
        plain = if class == 3 { 0 } else { plain + 1 };
        longest = longest.max(plain);
        changes += usize::from(class != last);
        last = class;
        if let Some(count) = classes.get_mut(usize::from(class)) {
            *count += 1;
        }
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let [digits, lower, upper, _] = classes;
    let mixed = digits >= 2 && lower >= 2 && upper >= 2 && changes * 5 >= word.len() * 2 && longest >= 13;
    mixed && bits(&counts, word.len()) >= 3.6
}

/// Shannon's entropy, in bits for each byte.
fn bits(counts: &[u16; 128], length: usize) -> f64 {
    let length = length as f64;
    let sum: f64 =
        counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) * f64::from(*count).log2()).sum();
    length.log2() - sum / length
}

#[cfg(test)]
mod tests;
