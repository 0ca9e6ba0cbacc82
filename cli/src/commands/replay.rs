//! `writ sessions replay`: a recording as it happened, in the terminal or as JSON.

use std::time::Duration;

use clap::Args;
use writ_broker_api::admin::{RecordingKey, Session};
use writ_broker_api::sealed::Base64;
use writ_core::id::SessionId;
use writ_record::DataKey;
use writ_record::entry::{Entry, Recorded};
use writ_record::segment::{Digest, Segment, SegmentHeader};
use writ_record::timeline::{Exchange, Shown, Step, Timeline, pauses};

use super::{Connection, word};
use crate::api::Api;
use crate::failure::{Doing as _, Failure};
use crate::out;

mod rows;

use rows::{Rows, Table};

/// How to replay.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The session.
    session: SessionId,
    /// How fast: 2 is twice as fast as it happened, 0 shows everything at once.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// The longest pause, in seconds.
    #[arg(long, default_value_t = 3.0)]
    longest_pause: f64,
    /// Print one JSON object for each step, without pauses.
    #[arg(long)]
    json: bool,
    /// Show the rows too, where policy recorded them: so many of each command.
    #[arg(long, value_name = "MOST", num_args = 0..=1, default_missing_value = "20")]
    rows: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// If the recording cannot be read, or its segments are not those that the broker lists.
pub(crate) async fn run(replay: Replay, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    let known: Session = api.get(&format!("/v1/sessions/{}", replay.session)).await?;
    let mut recording = Recording { api: &api, known: &known, key: None, remarks: Vec::new() };
    let steps = recording.steps().await?;
    let mut rows = match replay.rows {
        Some(most) => recording.rows(most).await?,
        None => Rows::keeping(0),
    };
    let remarks = recording.remarks;
    for (step, pause) in steps.iter().zip(pauses(&steps)) {
        let table = match step {
            Step::Command(exchange) => rows.take(exchange.id, exchange.prepared_by).map(|table| (exchange.id, table)),
            _ => None,
        };
        if replay.json {
            print_line(step)?;
            if let Some((command, table)) = table {
                let Table { columns, rows, more } = table;
                print_line(
                    &serde_json::json!({ "type": "rows", "command": command, "columns": columns, "rows": rows, "more": more }),
                )?;
            }
            continue;
        }
        tokio::time::sleep(scaled(pause, replay.speed, replay.longest_pause)).await;
        out::raw(&describe(step));
        out::raw(&table.map(|(_, table)| table.lines()).unwrap_or_default());
    }
    for remark in remarks {
        out::note(&format!("note: {remark}; run `writ ledger verify`"));
    }
    Ok(())
}

fn scaled(pause: Duration, speed: f64, longest: f64) -> Duration {
    if speed <= 0.0 || !speed.is_finite() {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64((pause.as_secs_f64() / speed).min(longest.max(0.0))).unwrap_or_default()
}

fn print_line(value: &impl serde::Serialize) -> Result<(), Failure> {
    out::line(&serde_json::to_string(value).doing("a step cannot be written as JSON")?);
    Ok(())
}

/// A session's recording at the broker, whose list of it is not believed.
struct Recording<'a> {
    api: &'a Api,
    known: &'a Session,
    key: Option<DataKey>,
    /// What is missing.
    remarks: Vec<String>,
}

impl Recording<'_> {
    /// The commands; the rows are not fetched.
    async fn steps(&mut self) -> Result<Vec<Step>, Failure> {
        let mut timeline = Timeline::new();
        if !self.read("commands", |entry| timeline.push(entry)).await? {
            return Err(Failure::new(format!("{} has no recording yet", self.known.id))
                .help("a session is sealed when it ends, and every few seconds while it runs"));
        }
        Ok(timeline.finish())
    }

    /// The first rows of each command.
    async fn rows(&mut self, most: usize) -> Result<Rows, Failure> {
        let mut rows = Rows::keeping(most);
        let take = |recorded: Recorded| {
            if let Entry::Rows(entry) = &recorded.entry {
                rows.push(entry);
            }
        };
        if !self.read("rows", take).await? {
            out::note("no rows were recorded: policy asks for them with `@record(\"full\")`");
        }
        Ok(rows)
    }

    /// Reads one stream, checks that it is whole, and says whether there is one.
    async fn read(&mut self, stream: &str, mut take: impl FnMut(Recorded)) -> Result<bool, Failure> {
        let (api, session) = (self.api, self.known.id);
        let mut chain = Chain::of(session);
        let mut any = false;
        for facts in self.known.segments.iter().filter(|segment| segment.stream == stream) {
            any = true;
            let bytes = api.get_bytes(&format!("/v1/sessions/{session}/segments/{stream}/{}", facts.sequence)).await?;
            let segment = Segment::parse(&bytes).doing(format!("segment {} cannot be read", facts.sequence))?;
            let found: String = segment.digest().iter().map(|byte| format!("{byte:02x}")).collect();
            if found != facts.digest {
                return Err(Failure::new(format!("segment {} is not the one that was logged", facts.sequence))
                    .help("somebody changed the recording: run `writ ledger verify`"));
            }
            chain.take(segment.header(), segment.digest(), segment.closes());
            let data_key = match self.key.take() {
                Some(key) => key,
                None => data_key(api, session, segment.header().wrapped_key.clone()).await?,
            };
            {
                let open = segment.open(&data_key).doing("the recording's key does not open it")?;
                for entry in open.entries() {
                    take(entry.doing(format!("segment {} cannot be read", facts.sequence))?);
                }
            }
            self.key = Some(data_key);
        }
        // The rows' last segment does not always know that it is the last.
        let ended = self.known.closed.is_some() && stream == "commands";
        self.remarks.extend(chain.finish(any && ended));
        Ok(any)
    }
}

/// Holds each segment against the one before it.
struct Chain {
    session: SessionId,
    before: Option<(u64, Digest)>,
    closes: bool,
    remarks: Vec<String>,
}

impl Chain {
    const fn of(session: SessionId) -> Self {
        Self { session, before: None, closes: false, remarks: Vec::new() }
    }

    fn take(&mut self, header: &SegmentHeader, digest: Digest, closes: bool) {
        let own = header.session == self.session;
        let follows = match &self.before {
            None => header.sequence == 0 && header.previous == Digest::default(),
            Some((sequence, before)) => header.sequence == sequence + 1 && header.previous == *before,
        };
        if !own {
            self.remarks.push(format!("segment {} is of {}", header.sequence, header.session));
        } else if !follows {
            let sequence = header.sequence;
            self.remarks
                .push(format!("segment {sequence} does not follow the one before it: what stood between is missing"));
        }
        self.closes = closes;
        self.before = Some((header.sequence, digest));
    }

    /// What is missing, of a session that has ended or not.
    fn finish(mut self, ended: bool) -> Vec<String> {
        if ended && !self.closes {
            let what = "the session has ended, and its recording has no end: what stood there is missing";
            self.remarks.push(what.to_owned());
        }
        self.remarks
    }
}

async fn data_key(api: &Api, session: SessionId, wrapped: Vec<u8>) -> Result<DataKey, Failure> {
    let key: RecordingKey = api.post(&format!("/v1/sessions/{session}/recording-key"), &Base64(wrapped)).await?;
    let bytes = zeroize::Zeroizing::new(key.data_key.0);
    DataKey::from_slice(&bytes).doing("the recording's key is malformed")
}

fn describe(step: &Step) -> String {
    match step {
        Step::Command(exchange) => command(exchange),
        // It is for judging commands again, and long; `--json` has it.
        Step::Event { name, .. } if name == writ_record::known::NAME => String::new(),
        Step::Event { at, name, detail, .. } => format!("{at}  -- {} {}\n", out::one_line(name), shown(detail)),
        Step::Gap { first, last } => format!("-- records {first} to {last} are missing\n"),
        Step::Close { at, end, commands, .. } => {
            format!("{at}  -- the session ended ({}) after {commands} commands\n", word(end))
        }
        Step::Orphan { command, .. } => format!("-- an outcome of command {} whose record is missing\n", command.0),
    }
}

fn command(exchange: &Exchange) -> String {
    let text = match &exchange.text {
        Some(Shown::Text(text)) => out::marked_lines(text),
        Some(other) => shown(other),
        None => "(prepared earlier)".to_owned(),
    };
    let mut lines = format!("{}  {}> {text}\n", exchange.at, exchange.tag.as_str());
    if !exchange.parameters.is_empty() {
        let values = exchange.parameters.iter().enumerate().map(|(index, parameter)| {
            let value =
                parameter.value.as_ref().map_or_else(|| "NULL".to_owned(), |value| format!("'{}'", shown(value)));
            format!("${} = {value}", index + 1)
        });
        lines.push_str(&format!("    {}\n", values.collect::<Vec<_>>().join(", ")));
    }
    if !exchange.code.is_empty() {
        lines.push_str(&format!("    {}: {}\n", word(&exchange.decision), out::one_line(&exchange.code)));
    }
    for outcome in &exchange.outcomes {
        let code = shown(&outcome.code);
        let said = if code.is_empty() { shown(&outcome.text) } else { format!("{} {code}", word(&outcome.ending)) };
        lines.push_str(&format!("    {said}  ({} us)\n", outcome.microseconds));
    }
    lines
}

fn shown(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => out::one_line(text),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|value| value.as_object()?.values().next()?.as_str().map(|hex| format!("\\x{hex}")))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
