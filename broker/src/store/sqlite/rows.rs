//! Rows and what they stand for.

use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_broker_api::admin::{Segment, Session};
use writ_broker_api::sealed::{Base64, SealingKey};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

use crate::store::{EnrolledGateway, StoreFault};

/// A time as it is stored.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// A count as it is stored.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The word of a closed list as it is stored.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A value that was stored as text and must parse.
pub(super) fn parsed<T: core::str::FromStr>(text: &str, what: &str) -> Result<T, StoreFault> {
    text.parse().map_err(|_| StoreFault(format!("a stored {what} is malformed")))
}

pub(super) fn document<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreFault> {
    serde_json::from_str(text).map_err(|error| StoreFault(format!("a stored {what} is malformed: {error}")))
}

/// The columns of a session, in the order that [`session`] reads.
pub(super) const SESSION: &str = "document, client, ended, ending, commands, client_key, reason";

pub(super) struct SessionRow {
    document: String,
    client: String,
    ended: Option<i64>,
    ending: Option<String>,
    commands: Option<i64>,
    client_key: Option<String>,
    reason: Option<String>,
}

impl SessionRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            document: row.get(0)?,
            client: row.get(1)?,
            ended: row.get(2)?,
            ending: row.get(3)?,
            commands: row.get(4)?,
            client_key: row.get(5)?,
            reason: row.get(6)?,
        })
    }

    pub(super) fn session(self, segments: Vec<Segment>) -> Result<Session, StoreFault> {
        let writ: Writ = document(&self.document, "writ")?;
        let end = self.ending.map(|word| document(&format!("\"{word}\""), "end")).transpose()?;
        Ok(Session {
            id: writ.session,
            writ,
            client: self.client,
            client_key: self.client_key.map(|key| parsed(&key, "key of a client")).transpose()?,
            reason: self.reason.map(|reason| parsed(&reason, "reason")).transpose()?,
            closed: self.ended.map(time),
            end,
            commands: self.commands.map(unsigned),
            segments,
        })
    }
}

/// The columns of a gateway, in the order that [`GatewayRow::read`] reads.
pub(super) const GATEWAY: &str = "id, serial, sealing, enrolled, seen, revoked, serves";

pub(super) struct GatewayRow(String, String, Vec<u8>, i64, Option<i64>, i64, String);

impl GatewayRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
    }

    pub(super) fn gateway(self) -> Result<EnrolledGateway, StoreFault> {
        Ok(EnrolledGateway {
            id: parsed(&self.0, "gateway")?,
            serial: self.1,
            sealing_key: SealingKey(Base64(self.2)),
            enrolled: time(self.3),
            seen: self.4.map(time),
            revoked: self.5 != 0,
            serves: document(&self.6, "gateway")?,
        })
    }
}
