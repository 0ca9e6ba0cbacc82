//! Entries into bytes. Runs for every command and every read of rows: appends to the caller's buffer, allocates nothing.

use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::time::Timestamp;

use super::{CommandRecord, Decision, Ending, Flow, Format, OutcomeRecord, Parameter, Text};
use crate::bytes::{put_long, put_short, put_text};

/// How many bytes stand before the frames in an entry of rows.
pub const ROWS_PREFIX_BYTES: usize = 18;
/// How many bytes stand before the part in an entry of spilled text.
pub const TEXT_PREFIX_BYTES: usize = 24;

fn begin(out: &mut Vec<u8>, id: u64, at: Timestamp) {
    out.extend_from_slice(&id.to_le_bytes());
    out.extend_from_slice(&at.as_microsecond().to_le_bytes());
}

/// How many bytes a command takes without its parameters, at most.
#[must_use]
pub fn command_size(record: &CommandRecord<'_>) -> usize {
    let text = if let Text::Inline(text) = record.text { text.len() } else { 8 };
    64 + text + record.policy_hash.len() + record.code.len() + record.approval.map_or(0, <[u8]>::len)
}

/// Appends a command.
pub fn command<'p>(out: &mut Vec<u8>, record: &CommandRecord<'_>, parameters: impl Iterator<Item = Parameter<'p>>) {
    begin(out, record.id.0, record.at);
    let (kind, flags) = (text_number(&record.text), u8::from(record.approval.is_some()));
    out.extend_from_slice(&[tag_number(record.tag), decision_number(record.decision), kind, flags]);
    put_text(out, record.policy_hash);
    put_text(out, record.code);
    put_long(out, record.approval.unwrap_or_default());
    match record.text {
        Text::Inline(text) => put_long(out, text),
        Text::Prepared(id) => out.extend_from_slice(&id.0.to_le_bytes()),
        Text::Spilled(bytes) => out.extend_from_slice(&bytes.to_le_bytes()),
    }
    put_parameters(out, parameters);
}

fn put_parameters<'p>(out: &mut Vec<u8>, parameters: impl Iterator<Item = Parameter<'p>>) {
    let at = out.len();
    let mut count = 0_u32;
    out.extend_from_slice(&count.to_le_bytes());
    for parameter in parameters {
        count = count.saturating_add(1);
        out.extend_from_slice(&parameter.type_id.to_le_bytes());
        out.push(u8::from(parameter.format == Format::Binary));
        let Some(value) = parameter.value else {
            out.extend_from_slice(&(-1_i32).to_le_bytes());
            continue;
        };
        out.extend_from_slice(&i32::try_from(value.len()).unwrap_or(i32::MAX).to_le_bytes());
        out.extend_from_slice(value);
    }
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *place = count.to_le_bytes();
    }
}

/// Appends an outcome.
pub fn outcome(out: &mut Vec<u8>, record: &OutcomeRecord<'_>) {
    begin(out, record.id.0, record.at);
    out.extend_from_slice(&[ending_number(record.ending), u8::from(record.rows.is_some())]);
    out.extend_from_slice(&record.rows.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&record.bytes.to_le_bytes());
    out.extend_from_slice(&u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX).to_le_bytes());
    put_short(out, record.text);
    put_short(out, record.code);
    out.extend_from_slice(&u16::try_from(record.masks.len()).unwrap_or(u16::MAX).to_le_bytes());
    for mark in record.masks.iter().take(u16::MAX.into()) {
        put_text(out, &mark.rule);
        out.extend_from_slice(&mark.count.to_le_bytes());
    }
}

/// Appends what stands before the frames in an entry of rows: [`ROWS_PREFIX_BYTES`].
pub fn rows_prefix(out: &mut Vec<u8>, id: Option<CommandId>, at: Timestamp, flow: Flow, continues: bool) {
    begin(out, id.map_or(0, |id| id.0), at);
    out.extend_from_slice(&[flow_number(flow), u8::from(continues)]);
}

/// Appends what stands before a part of a spilled command: [`TEXT_PREFIX_BYTES`].
pub fn text_prefix(out: &mut Vec<u8>, id: CommandId, at: Timestamp, offset: u64) {
    begin(out, id.0, at);
    out.extend_from_slice(&offset.to_le_bytes());
}

/// Appends an event.
pub fn event(out: &mut Vec<u8>, id: Option<CommandId>, at: Timestamp, name: &str, detail: &[u8]) {
    begin(out, id.map_or(0, |id| id.0), at);
    put_text(out, name);
    put_long(out, detail);
}

/// Appends the end of a session.
pub fn close(out: &mut Vec<u8>, at: Timestamp, end: SessionEnd, code: &str, commands: u64) {
    begin(out, 0, at);
    out.push(end_number(end));
    put_text(out, code);
    out.extend_from_slice(&commands.to_le_bytes());
}

/// Appends a gap.
pub fn gap(out: &mut Vec<u8>, at: Timestamp, first: u64, last: u64) {
    begin(out, 0, at);
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&last.to_le_bytes());
}

const fn text_number(text: &Text<'_>) -> u8 {
    match text {
        Text::Inline(_) => 0,
        Text::Prepared(_) => 1,
        Text::Spilled(_) => 2,
    }
}

const fn tag_number(tag: CommandTag) -> u8 {
    match tag {
        CommandTag::SqlQuery => 1,
        CommandTag::SqlPrepare => 2,
        CommandTag::SqlExecute => 3,
    }
}

const fn decision_number(decision: Decision) -> u8 {
    match decision {
        Decision::Allow => 1,
        Decision::Deny => 2,
        Decision::Hold => 3,
    }
}

const fn ending_number(ending: Ending) -> u8 {
    match ending {
        Ending::Completed => 1,
        Ending::Suspended => 2,
        Ending::Failed => 3,
        Ending::Skipped => 4,
        Ending::Empty => 5,
    }
}

const fn flow_number(flow: Flow) -> u8 {
    match flow {
        Flow::Columns => 1,
        Flow::Rows => 2,
        Flow::Copy => 3,
        Flow::Error => 4,
        Flow::Notice => 5,
        Flow::Notification => 6,
        Flow::Parameter => 7,
        Flow::Upload => 8,
    }
}

const fn end_number(end: SessionEnd) -> u8 {
    match end {
        SessionEnd::Client => 1,
        SessionEnd::Target => 2,
        SessionEnd::Ttl => 3,
        SessionEnd::Revoked => 4,
        SessionEnd::Idle => 5,
        SessionEnd::BrokerLost => 6,
        SessionEnd::Drained => 7,
        SessionEnd::Fault => 8,
        SessionEnd::Crash => 9,
        SessionEnd::NotOpened => 10,
    }
}
