//! What is no row: errors, notices, notifications, parameters. Their texts quote rows.

use writ_core::fault::Fault;

use super::column::Column;
use super::value::Fate;
use super::{PostgresMask, unreadable};
use crate::What;
use crate::action::REDACTED;
use crate::detect::Sight;
use crate::rules::Computed;

impl PostgresMask {
    /// Masks whole frames that are no rows.
    pub(super) fn messages(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        let (mut rest, mut changed, start) = (input, false, out.len());
        while !rest.is_empty() {
            let (tag, body, after) = frame(rest).ok_or_else(|| unreadable("a message"))?;
            let at = out.len();
            out.extend_from_slice(&[tag, 0, 0, 0, 0]);
            changed |= self.message(what, tag, body, out)?.ok_or_else(|| unreadable("a message's fields"))?;
            seal(out, at)?;
            rest = after;
        }
        if !changed {
            out.truncate(start);
        }
        Ok(changed)
    }

    fn message(&mut self, what: What, tag: u8, body: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>, Fault> {
        match (what, tag) {
            (What::Error, b'E') | (What::Notice, b'N') => self.fields(body, out),
            (What::Notification, b'A') => {
                let Some((process, texts)) = body.split_at_checked(4) else { return Ok(None) };
                out.extend_from_slice(process);
                self.texts(texts, 2, self.engine.hides_computed(), out)
            }
            (What::Parameter, b'S') => self.texts(body, 2, self.engine.hides_computed() && is_free(body), out),
            _ => Ok(None),
        }
    }

    /// Texts that end in a zero byte. The last is hidden as a whole where rules for columns hold for what is computed.
    fn texts(
        &mut self,
        mut rest: &[u8],
        count: usize,
        hide_last: bool,
        out: &mut Vec<u8>,
    ) -> Result<Option<bool>, Fault> {
        let mut changed = false;
        for place in 1..=count {
            let Some((text, after)) = text(rest) else { return Ok(None) };
            changed |= self.text(text, place == count && hide_last, out)?;
            out.push(0);
            rest = after;
        }
        Ok(rest.is_empty().then_some(changed))
    }

    /// The fields of an error or a notice: a letter and a text each. Where a rule covers a column or a type, detail and
    /// context go, for they quote rows, and so does what the primary message quotes behind a colon. Where rules for columns hold
    /// for what is computed, every field goes that a statement can fill.
    fn fields(&mut self, mut rest: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>, Fault> {
        let (mut changed, hides, computed) = (false, self.engine.hides_columns(), self.engine.hides_computed());
        while let Some((letter, after)) = rest.split_first() {
            out.push(*letter);
            if *letter == 0 {
                return Ok(after.is_empty().then_some(changed));
            }
            let Some((text, after)) = text(after) else { return Ok(None) };
            let hide_all = hides && matches!(letter, b'D' | b'W')
                || computed && !matches!(letter, b'S' | b'V' | b'C' | b'P' | b'p' | b'F' | b'L' | b'R');
            let quoted = (hides && *letter == b'M').then(|| find(text, b": \"")).flatten();
            changed |= match quoted {
                Some(at) if !hide_all => {
                    let (shown, _) = text.split_at_checked(at + 2).unwrap_or((text, &[]));
                    self.text(shown, false, out)?;
                    out.extend_from_slice(REDACTED);
                    true
                }
                _ => self.text(text, hide_all && !text.is_empty(), out)?,
            };
            out.push(0);
            rest = after;
        }
        Ok(None)
    }

    fn text(&mut self, text: &[u8], hide: bool, out: &mut Vec<u8>) -> Result<bool, Fault> {
        if hide {
            out.extend_from_slice(REDACTED);
            return Ok(true);
        }
        let at = out.len();
        match self.engine.value(&Column::TEXT, text, Sight::Unseen, out)? {
            Fate::Keep => {
                out.extend_from_slice(text);
                Ok(false)
            }
            Fate::Replaced => Ok(true),
            Fate::Null | Fate::Drop => {
                out.truncate(at);
                out.extend_from_slice(REDACTED);
                Ok(true)
            }
        }
    }
}

/// Whether the value of a parameter, behind its name, may be a text of anybody's choice. A zone may be `<ANY>3`, too.
fn is_free(body: &[u8]) -> bool {
    let (name, value) = body.split_at_checked(body.iter().position(|byte| *byte == 0).unwrap_or(0)).unwrap_or_default();
    match name {
        b"client_encoding"
        | b"DateStyle"
        | b"default_transaction_read_only"
        | b"in_hot_standby"
        | b"integer_datetimes"
        | b"IntervalStyle"
        | b"is_superuser"
        | b"scram_iterations"
        | b"server_encoding"
        | b"server_version"
        | b"session_authorization"
        | b"standard_conforming_strings" => false,
        b"TimeZone" => !value.starts_with(b"\0Etc/") && value.iter().any(|byte| byte.is_ascii_digit() || *byte == b'<'),
        _ => true,
    }
}

impl super::Engine {
    /// Whether rules cover columns or types.
    fn hides_columns(&self) -> bool {
        self.rules.for_any_column().is_some() || self.rules.for_any_type().is_some()
    }

    /// Whether rules for columns hold for what is computed.
    fn hides_computed(&self) -> bool {
        self.rules.computed == Computed::Mask && self.rules.for_any_column().is_some()
    }
}

/// A frame's tag and body, and what follows it.
pub(super) fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([tag, length @ ..], _) = bytes.split_first_chunk::<5>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (frame, after) = bytes.get(1..)?.split_at_checked(length)?;
    Some((*tag, frame.get(4..)?, after))
}

/// Writes the length of the frame that begins here.
pub(super) fn seal(out: &mut [u8], at: usize) -> Result<(), Fault> {
    let length = u32::try_from(out.len() - at - 1).ok().filter(|length| *length <= i32::MAX as u32);
    match (length, out.get_mut(at + 1..at + 5)) {
        (Some(length), Some(place)) => {
            place.copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        _ => Err(super::too_long()),
    }
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
