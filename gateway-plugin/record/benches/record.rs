//! What recording costs: a command staged and flushed, rows encrypted and written, entries sealed. Prints figures and
//! asserts nothing.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use writ_core::command::{CommandId, CommandTag};
use writ_core::grant::RecordLevel;
use writ_core::id::{SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_record::DataKey;
use writ_record::entry::{self, CommandRecord, Decision, Flow, Kind, Text};
use writ_record::segment::{Output, Progress, Sealer, Settings};
use writ_record::spool::{SessionMeta, SessionWriter};

type Failure = Box<dyn std::error::Error>;

const COMMANDS: u32 = 200_000;
const ROWS: usize = 512 << 20;
const PART: usize = 128 << 10;

fn key() -> Result<DataKey, Failure> {
    Ok(DataKey::from_slice(&[7; 32])?)
}

fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}

fn commands(out: &mut dyn io::Write, file: &mut File) -> Result<(), Failure> {
    let (mut writer, mut staged) = (SessionWriter::new(SessionId::fresh(), &key()?)?, Vec::with_capacity(1 << 20));
    let (hash, text) = ("0123456789abcdef".repeat(4), [b'x'; 100]);
    let (mut staging, mut writing) = (Duration::ZERO, Duration::ZERO);
    for id in 0..COMMANDS {
        let record = CommandRecord {
            id: CommandId(id.into()),
            tag: CommandTag::SqlQuery,
            at: Timestamp::UNIX_EPOCH,
            text: Text::Inline(&text),
            decision: Decision::Allow,
            policy_hash: &hash,
            code: "",
            approval: None,
        };
        let start = Instant::now();
        writer.append(Kind::Command, &mut staged, |out| entry::command(out, &record, core::iter::empty()))?;
        let middle = Instant::now();
        file.write_all(&staged)?;
        (staging, writing) = (staging + (middle - start), writing + middle.elapsed());
        staged.clear();
    }
    writeln!(out, "command of 100 bytes: {:.0} ns to stage", staging.as_nanos() as f64 / f64::from(COMMANDS))?;
    writeln!(out, "command of 100 bytes: {:.0} ns to write", writing.as_nanos() as f64 / f64::from(COMMANDS))?;
    Ok(())
}

/// Bytes like those of rows: text with some that differs.
fn like_rows(length: usize) -> Vec<u8> {
    (0..)
        .flat_map(|row: u64| format!("{row}|4111111111111111|{}|Jane Doe|", row * 7919 % 100_003).into_bytes())
        .take(length)
        .collect()
}

fn rows(out: &mut dyn io::Write, file: &mut File) -> Result<(), Failure> {
    let (mut writer, mut staged) = (SessionWriter::new(SessionId::fresh(), &key()?)?, Vec::with_capacity(1 << 20));
    let part = like_rows(PART);
    for write in [false, true] {
        let start = Instant::now();
        for _ in 0..ROWS / PART {
            writer.append(Kind::Rows, &mut staged, |out| {
                entry::rows_prefix(out, Some(CommandId(1)), Timestamp::UNIX_EPOCH, Flow::Rows, false);
                out.extend_from_slice(&part);
            })?;
            if staged.len() >= 512 << 10 {
                if write {
                    file.write_all(&staged)?;
                }
                black_box(&staged);
                staged.clear();
            }
        }
        let how = if write { "copied, encrypted, written" } else { "copied, encrypted" };
        writeln!(out, "rows {how}: {:.0} MB/s", rate(ROWS, start.elapsed()))?;
    }
    Ok(())
}

fn sealing(out: &mut dyn io::Write) -> Result<(), Failure> {
    let meta = SessionMeta {
        session: SessionId::fresh(),
        writ: WritId::fresh(),
        target: TargetName::new("payments")?,
        level: RecordLevel::Full,
        opened: Timestamp::UNIX_EPOCH,
        sealed_key: Vec::new(),
        wrapped_key: vec![1; 60],
    };
    let (session, mut sealer, mut outputs) = (meta.session, Sealer::new(Settings::default())?, Vec::new());
    sealer.open(meta, key()?, Progress::default());
    // No part stands twice in the window of the compressor, or it would look better than it is.
    let parts: Vec<_> = like_rows(128 * PART).chunks(PART).map(payload).collect();
    let (start, rounds, mut order, mut stored) = (Instant::now(), 2, 0, 0);
    for part in parts.iter().cycle().take(rounds * parts.len()) {
        sealer.push(session, order, Kind::Rows, part, &mut outputs)?;
        order += 1;
        stored += taken(&mut outputs);
    }
    sealer.drain(&mut outputs)?;
    stored += taken(&mut outputs);
    let (time, plain) = (start.elapsed(), rounds * 128 * PART);
    writeln!(out, "rows sealed: {:.0} MB/s, {:.1} times smaller", rate(plain, time), plain as f64 / stored as f64)?;
    Ok(())
}

/// How long the segments are that were made.
fn taken(outputs: &mut Vec<Output>) -> usize {
    let length = |output| if let Output::Segment(sealed) = output { sealed.bytes.len() } else { 0 };
    outputs.drain(..).map(length).sum()
}

fn payload(part: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    entry::rows_prefix(&mut payload, Some(CommandId(1)), Timestamp::UNIX_EPOCH, Flow::Rows, false);
    payload.extend_from_slice(part);
    payload
}

fn main() -> Result<(), Failure> {
    let (mut out, mut file) = (io::stdout().lock(), tempfile::tempfile()?);
    commands(&mut out, &mut file)?;
    rows(&mut out, &mut file)?;
    sealing(&mut out)
}
