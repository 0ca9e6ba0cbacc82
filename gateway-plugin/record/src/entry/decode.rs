//! Bytes into entries. The bytes may be anything: nothing is reserved by a length that they give.

use std::time::Duration;

use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::mask::MaskMark;
use writ_core::time::Timestamp;

use super::{
    CloseEntry, CommandEntry, Decision, Ending, Entry, EventEntry, Flow, Format, GapEntry, Kind, OutcomeEntry,
    OwnedParameter, OwnedText, RowsEntry, TextEntry,
};
use crate::bytes::{Cursor, Malformed};

pub(super) fn entry(kind: Kind, payload: &[u8]) -> Result<Entry, Malformed> {
    let mut from = Cursor::new(payload, "entry");
    let id = from.u64()?;
    let at = Timestamp::from_microsecond(from.i64()?).map_err(|_| from.malformed())?;
    match kind {
        Kind::Command => command(from, id, at).map(Entry::Command),
        Kind::Outcome => outcome(from, id, at).map(Entry::Outcome),
        Kind::Rows => rows(from, id, at).map(Entry::Rows),
        Kind::Event => event(from, id, at).map(Entry::Event),
        Kind::Text => text(from, id, at).map(Entry::Text),
        Kind::Close => close(from, at).map(Entry::Close),
        Kind::Gap => gap(from, at).map(Entry::Gap),
        Kind::Open => Err(from.malformed()),
    }
}

fn optional(id: u64) -> Option<CommandId> {
    (id != 0).then_some(CommandId(id))
}

fn flag(from: &mut Cursor<'_>) -> Result<bool, Malformed> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(from.malformed()),
    }
}

fn command(mut from: Cursor<'_>, id: u64, at: Timestamp) -> Result<CommandEntry, Malformed> {
    let (tag, decision, kind) = (tag(&mut from)?, decision(&mut from)?, from.u8()?);
    let approved = flag(&mut from)?;
    let (policy_hash, code) = (from.text()?.to_owned(), from.text()?.to_owned());
    let approval = from.long()?;
    let text = match kind {
        0 => OwnedText::Inline(from.long()?.to_vec()),
        1 => OwnedText::Prepared(CommandId(from.u64()?)),
        2 => OwnedText::Spilled(from.u64()?),
        _ => return Err(from.malformed()),
    };
    let parameters = parameters(&mut from)?;
    from.end()?;
    let approval = approved.then(|| approval.to_vec());
    Ok(CommandEntry { id: CommandId(id), tag, at, text, parameters, decision, policy_hash, code, approval })
}

fn parameters(from: &mut Cursor<'_>) -> Result<Vec<OwnedParameter>, Malformed> {
    let count = from.u32()?;
    let mut parameters = Vec::new();
    for _ in 0..count {
        let type_id = from.u32()?;
        let format = if flag(from)? { Format::Binary } else { Format::Text };
        let value = match from.i32()? {
            -1 => None,
            length => Some(from.take(usize::try_from(length).map_err(|_| from.malformed())?)?.to_vec()),
        };
        parameters.push(OwnedParameter { type_id, format, value });
    }
    Ok(parameters)
}

fn outcome(mut from: Cursor<'_>, id: u64, at: Timestamp) -> Result<OutcomeEntry, Malformed> {
    let ending = ending(&mut from)?;
    let counted = flag(&mut from)?;
    let (rows, bytes, duration) = (from.u64()?, from.u64()?, from.u64()?);
    let (text, code) = (from.short()?.to_vec(), from.short()?.to_vec());
    let mut masks = Vec::new();
    for _ in 0..from.u16()? {
        masks.push(MaskMark { rule: from.text()?.to_owned(), count: from.u64()? });
    }
    from.end()?;
    let (rows, duration) = (counted.then_some(rows), Duration::from_micros(duration));
    Ok(OutcomeEntry { id: CommandId(id), at, ending, text, rows, code, bytes, duration, masks })
}

fn rows(mut from: Cursor<'_>, id: u64, at: Timestamp) -> Result<RowsEntry, Malformed> {
    let flow = flow(&mut from)?;
    let continues = flag(&mut from)?;
    Ok(RowsEntry { id: optional(id), at, flow, continues, bytes: from.rest().to_vec() })
}

fn event(mut from: Cursor<'_>, id: u64, at: Timestamp) -> Result<EventEntry, Malformed> {
    let (name, detail) = (from.text()?.to_owned(), from.long()?.to_vec());
    from.end()?;
    Ok(EventEntry { id: optional(id), at, name, detail })
}

fn text(mut from: Cursor<'_>, id: u64, at: Timestamp) -> Result<TextEntry, Malformed> {
    let offset = from.u64()?;
    Ok(TextEntry { id: CommandId(id), at, offset, bytes: from.rest().to_vec() })
}

fn close(mut from: Cursor<'_>, at: Timestamp) -> Result<CloseEntry, Malformed> {
    let end = end(&mut from)?;
    let (code, commands) = (from.text()?.to_owned(), from.u64()?);
    from.end()?;
    Ok(CloseEntry { at, end, code, commands })
}

fn gap(mut from: Cursor<'_>, at: Timestamp) -> Result<GapEntry, Malformed> {
    let (first, last) = (from.u64()?, from.u64()?);
    from.end()?;
    Ok(GapEntry { at, first, last })
}

fn tag(from: &mut Cursor<'_>) -> Result<CommandTag, Malformed> {
    Ok(match from.u8()? {
        1 => CommandTag::SqlQuery,
        2 => CommandTag::SqlPrepare,
        3 => CommandTag::SqlExecute,
        _ => return Err(from.malformed()),
    })
}

fn decision(from: &mut Cursor<'_>) -> Result<Decision, Malformed> {
    Ok(match from.u8()? {
        1 => Decision::Allow,
        2 => Decision::Deny,
        3 => Decision::Hold,
        _ => return Err(from.malformed()),
    })
}

fn ending(from: &mut Cursor<'_>) -> Result<Ending, Malformed> {
    Ok(match from.u8()? {
        1 => Ending::Completed,
        2 => Ending::Suspended,
        3 => Ending::Failed,
        4 => Ending::Skipped,
        5 => Ending::Empty,
        _ => return Err(from.malformed()),
    })
}

fn flow(from: &mut Cursor<'_>) -> Result<Flow, Malformed> {
    Ok(match from.u8()? {
        1 => Flow::Columns,
        2 => Flow::Rows,
        3 => Flow::Copy,
        4 => Flow::Error,
        5 => Flow::Notice,
        6 => Flow::Notification,
        7 => Flow::Parameter,
        8 => Flow::Upload,
        _ => return Err(from.malformed()),
    })
}

fn end(from: &mut Cursor<'_>) -> Result<SessionEnd, Malformed> {
    Ok(match from.u8()? {
        1 => SessionEnd::Client,
        2 => SessionEnd::Target,
        3 => SessionEnd::Ttl,
        4 => SessionEnd::Revoked,
        5 => SessionEnd::Idle,
        6 => SessionEnd::BrokerLost,
        7 => SessionEnd::Drained,
        8 => SessionEnd::Fault,
        9 => SessionEnd::Crash,
        10 => SessionEnd::NotOpened,
        _ => return Err(from.malformed()),
    })
}
