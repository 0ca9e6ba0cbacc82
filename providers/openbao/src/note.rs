//! Notes: which token belongs to which writ, kept in OpenBao itself, in an engine of Writ's own.
//!
//! A note is named after its writ. It is written before the token is used and deleted after the token is gone. Nothing in it is
//! secret: whoever holds an accessor and no right of ours can do nothing with it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use writ_core::id::WritId;
use writ_core::provider::ProviderFault;
use writ_core::time::Timestamp;

use crate::call::{Answer, Call, Session, Verb};
use crate::fault;
use crate::rights::Rights;

/// What stands in a note.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Note {
    /// The token's accessor.
    pub(crate) accessor: String,
    /// The writ's end.
    pub(crate) expires: Timestamp,
}

#[derive(Deserialize)]
struct Version {
    data: Option<Note>,
}

#[derive(Deserialize)]
struct Names {
    keys: Vec<String>,
}

/// Why there is no note of this call's.
pub(crate) enum Unnoted {
    /// There is none.
    Nothing(ProviderFault),
    /// There may be one.
    Perhaps(ProviderFault),
}

/// The notes in one engine.
#[derive(Clone, Copy)]
pub(crate) struct Notes<'a> {
    pub(crate) mount: &'a str,
    pub(crate) rights: Rights<'a>,
}

impl Notes<'_> {
    /// Writes the note of `writ`, if there is none.
    pub(crate) async fn write(&self, session: &Session<'_>, writ: WritId, note: &Note) -> Result<(), Unnoted> {
        let doing = format!("noting the token of `{writ}`");
        let body = json!({
            "options": { "cas": 0 },
            "data": { "accessor": note.accessor, "expires": note.expires.to_string() },
        });
        let path = format!("{}/data/{writ}", self.mount);
        let call = Call { doing: &doing, verb: Verb::Post, path: &path, harmless: false };
        let written: Answer<IgnoredAny> = session.ask(call, Some(&body)).await;
        match written {
            Ok(Ok(_)) => Ok(()),
            // Who may create and not update is told no more than that.
            Ok(Err(denied)) if matches!(denied.code, 400 | 403) => match self.read(session, writ).await {
                Ok(Some(_)) => Err(Unnoted::Nothing(ProviderFault::Refused(format!(
                    "{doing}: it is noted already: one writ, one secret (HTTP status {})",
                    denied.code
                )))),
                Ok(None) => Err(Unnoted::Nothing(fault::missing(&doing, &denied, &self.rights))),
                Err(fault) => Err(Unnoted::Nothing(fault)),
            },
            Ok(Err(denied)) => Err(Unnoted::Nothing(fault::missing(&doing, &denied, &self.rights))),
            Err(fault @ ProviderFault::Unreachable(_)) => Err(Unnoted::Perhaps(fault)),
            Err(fault) => Err(Unnoted::Nothing(fault)),
        }
    }

    /// The note of `writ`, if there is one.
    pub(crate) async fn read(&self, session: &Session<'_>, writ: WritId) -> Result<Option<Note>, ProviderFault> {
        let doing = format!("reading the note of `{writ}`");
        let path = format!("{}/data/{writ}", self.mount);
        let read: Answer<Version> =
            session.ask(Call { doing: &doing, verb: Verb::Get, path: &path, harmless: true }, None).await;
        match read? {
            Ok(reply) => Ok(reply.data.and_then(|version| version.data)),
            Err(denied) if denied.code == 404 => Ok(None),
            Err(denied) => Err(fault::missing(&doing, &denied, &self.rights)),
        }
    }

    /// Deletes the note of `writ` for good. Succeeds if there is none.
    pub(crate) async fn delete(&self, session: &Session<'_>, writ: WritId) -> Result<(), ProviderFault> {
        let doing = format!("deleting the note of `{writ}`");
        let path = format!("{}/metadata/{writ}", self.mount);
        let call = Call { doing: &doing, verb: Verb::Delete, path: &path, harmless: true };
        let deleted: Answer<IgnoredAny> = session.ask(call, None).await;
        match deleted? {
            Ok(_) => Ok(()),
            Err(denied) if denied.code == 404 => Ok(()),
            Err(denied) => Err(fault::missing(&doing, &denied, &self.rights)),
        }
    }

    /// The names of all notes, ours and others'.
    pub(crate) async fn names(&self, session: &Session<'_>) -> Result<Vec<String>, ProviderFault> {
        let doing = format!("listing the notes in `{}`", self.mount);
        let path = format!("{}/metadata/", self.mount);
        let listed: Answer<Names> =
            session.ask(Call { doing: &doing, verb: Verb::List, path: &path, harmless: true }, None).await;
        match listed? {
            Ok(reply) => Ok(reply.data.map(|names| names.keys).unwrap_or_default()),
            // An engine without a note; and where there is no engine, a mint says so.
            Err(denied) if denied.code == 404 => Ok(Vec::new()),
            Err(denied) => Err(fault::missing(&doing, &denied, &self.rights)),
        }
    }
}
