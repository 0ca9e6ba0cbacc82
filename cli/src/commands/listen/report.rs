//! What happens, printed: a line for each event, to be read or to be parsed.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use writ_client::connect::{Event, Watch};

use super::services::Place;
use crate::out;

/// Who prints.
#[derive(Debug)]
pub(super) struct Report {
    json: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        // It has something to clean up, whether anybody reads or not.
        out::outlive_the_reader();
        Self { json }
    }

    /// All targets can be reached. Each session is with this key.
    pub(super) fn ready(&self, places: &[Place], until: Option<Timestamp>, key: Option<&str>) {
        if self.json {
            return print("ready", &json!({ "until": until, "targets": places, "key": key }));
        }
        for Place { name, host, port, .. } in places {
            out::line(&format!("{name}: {host}, port {port}"));
        }
        if let Some(key) = key {
            out::line(&format!("sessions: writ sessions ls --key={key}"));
        }
        let end = until.map_or_else(|| "until a signal ends it".to_owned(), |until| format!("until {until:.0}"));
        out::line(&format!("listening {end}"));
    }

    /// It is over.
    pub(super) fn ended(&self, why: &str) {
        if self.json {
            return print("ended", &json!({ "why": why }));
        }
        out::line(&format!("ended: {why}"));
    }

    fn saw(&self, target: &str, connection: u64, event: Event<'_>) {
        if self.json {
            let at = json!({ "target": target, "connection": connection });
            return match event {
                Event::Opened(writ) => print("opened", &with(at, &json!({ "writ": writ }))),
                Event::Refused(code, words) => print("refused", &with(at, &json!({ "code": code, "words": words }))),
                Event::Closed => print("closed", &at),
            };
        }
        let said = match event {
            Event::Opened(Some(writ)) => format!("opened under {writ}"),
            Event::Opened(None) => "opened".to_owned(),
            Event::Refused(code, words) => format!("refused ({code}): {words}"),
            Event::Closed => "closed".to_owned(),
        };
        out::line(&format!("{target}: connection {connection} {}", out::one_line(&said)));
    }
}

fn print(event: &str, more: &Value) {
    let head = json!({ "event": event, "at": format!("{:.3}", Timestamp::now()) });
    out::line(&with(head, more).to_string());
}

fn with(mut one: Value, other: &Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other.clone());
    }
    one
}

/// Prints what happens to the connections of one target.
#[derive(Debug)]
pub(super) struct Reporter {
    target: String,
    report: Arc<Report>,
}

impl Reporter {
    pub(super) fn new(target: &str, report: Arc<Report>) -> Self {
        Self { target: target.to_owned(), report }
    }
}

impl Watch for Reporter {
    fn saw(&self, connection: u64, event: Event<'_>) {
        self.report.saw(&self.target, connection, event);
    }
}
