//! `writ sessions replay`: a recording as it happened, in the terminal or as JSON.

use std::time::Duration;

use clap::Args;
use writ_broker_api::admin::Session;
use writ_core::id::SessionId;
use writ_record::entry::Entry;
use writ_record::timeline::{Exchange, Shown, Step, Timeline, pauses};

use super::recording::Recording;
use super::{Connection, word};
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
    let mut recording = Recording::new(&api, &known);
    let steps = steps(&mut recording).await?;
    let mut rows = match replay.rows {
        Some(most) => rows_of(&mut recording, most).await?,
        None => Rows::keeping(0),
    };
    let remarks = recording.into_remarks();
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

/// The commands; the rows are not fetched.
async fn steps(recording: &mut Recording<'_>) -> Result<Vec<Step>, Failure> {
    let mut timeline = Timeline::new();
    let mut commands = recording.stream("commands");
    while let Some(entries) = commands.next().await? {
        entries.into_iter().for_each(|entry| timeline.push(entry));
    }
    if commands.finish() {
        return Ok(timeline.finish());
    }
    Err(Failure::new(format!("{} has no recording yet", recording.session()))
        .help("a session is sealed when it ends, and every few seconds while it runs"))
}

/// The first rows of each command.
async fn rows_of(recording: &mut Recording<'_>, most: usize) -> Result<Rows, Failure> {
    let mut rows = Rows::keeping(most);
    let mut stream = recording.stream("rows");
    while let Some(entries) = stream.next().await? {
        for recorded in &entries {
            if let Entry::Rows(entry) = &recorded.entry {
                rows.push(entry);
            }
        }
    }
    if !stream.finish() {
        out::note("no rows were recorded: policy asks for them with `@record(\"full\")`");
    }
    Ok(rows)
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
