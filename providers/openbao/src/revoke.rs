//! Revoke: the lease first, which OpenBao takes back while we wait, so that what it cannot take back is known; then the token,
//! with whatever else hangs on it; the note last.

use serde::de::IgnoredAny;
use serde_json::json;
use tokio::time::Instant;
use writ_core::id::WritId;
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use crate::call::{Answer, Call, Session, Verb};
use crate::dynamic::{ACCESSOR, Minting};
use crate::login::login;
use crate::{fault, provider};

/// What is known of what a writ got.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) lease: Option<String>,
    pub(crate) accessor: Option<String>,
}

impl Known {
    /// What the broker wrote down; nothing where it crashed in the mint.
    pub(crate) fn of(writ: &Writ) -> Self {
        let Some(facts) = &writ.credential else { return Self::default() };
        let prefix = format!("{ACCESSOR}:");
        let Some(accessor) = facts.fingerprint.as_str().strip_prefix(&prefix) else { return Self::default() };
        Self { lease: facts.audit.clone(), accessor: Some(accessor.to_owned()) }
    }

    /// Whether there is nothing to be taken back, since nothing was made for the writ.
    pub(crate) fn none_of(&self, writ: &Writ) -> Result<(), ProviderFault> {
        if self.accessor.is_none() {
            return Ok(());
        }
        let lease = self.lease.as_deref().unwrap_or_default();
        Err(ProviderFault::Misconfigured(format!(
            "`{}` has the lease `{lease}`, of when this target had the table `dynamic`: put that back until it is over, or revoke \
             the lease by hand",
            writ.id
        )))
    }
}

/// Takes back whatever there is of `writ`, by what is known and by its note.
pub(crate) async fn taken_back(
    minting: &Minting<'_>,
    writ: WritId,
    known: Known,
    end: Instant,
) -> Result<(), ProviderFault> {
    let anonymous = minting.server.anonymous(end);
    let login = login(&anonymous, minting.config, minting.assertions, minting.target, None).await?;
    let gone = gone(minting, &login.session, writ, known).await;
    login.end().await;
    gone
}

async fn gone(minting: &Minting<'_>, session: &Session<'_>, writ: WritId, known: Known) -> Result<(), ProviderFault> {
    if let Some(lease) = &known.lease {
        let doing = format!("taking back the lease of `{writ}`");
        let body = json!({ "lease_id": lease, "sync": true });
        asked(minting, session, &doing, "sys/leases/revoke", &body).await?;
    }
    let notes = provider::notes(minting.config, minting.dynamic);
    let note = notes.read(session, writ).await?;
    let noted = note.map(|note| note.accessor);
    let (fresh, same) = (noted.is_some(), noted == known.accessor);
    if let Some(accessor) = &known.accessor {
        token(minting, session, writ, accessor).await?;
    }
    if let Some(accessor) = noted.filter(|_| !same) {
        token(minting, session, writ, &accessor).await?;
    }
    if fresh { notes.delete(session, writ).await } else { Ok(()) }
}

/// Takes a token back by its accessor. Succeeds if there is none.
pub(crate) async fn token(
    minting: &Minting<'_>,
    session: &Session<'_>,
    writ: WritId,
    accessor: &str,
) -> Result<(), ProviderFault> {
    let doing = format!("taking back the token of `{writ}`");
    asked(minting, session, &doing, "auth/token/revoke-accessor", &json!({ "accessor": accessor })).await
}

async fn asked(
    minting: &Minting<'_>,
    session: &Session<'_>,
    doing: &str,
    path: &str,
    body: &serde_json::Value,
) -> Result<(), ProviderFault> {
    let call = Call { doing, verb: Verb::Post, path, harmless: true };
    let answer: Answer<IgnoredAny> = session.ask(call, Some(body)).await;
    match answer? {
        Ok(_) => Ok(()),
        Err(denied) if absent(denied.code, &denied.words) => Ok(()),
        Err(denied) => Err(fault::missing(doing, &denied, &provider::rights(minting.config))),
    }
}

/// What is not there is taken back already.
fn absent(code: u16, words: &str) -> bool {
    let said = words.to_ascii_lowercase();
    matches!(code, 400 | 404 | 500)
        && ["invalid accessor", "invalid lease", "lease not found", "token not found"]
            .iter()
            .any(|no| said.contains(no))
}
