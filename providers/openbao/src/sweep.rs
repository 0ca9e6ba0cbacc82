//! Sweep: notes whose writ is over and not live. Their tokens have ended by then; taking them back once more costs little.

use std::time::Duration;

use tokio::time::Instant;
use writ_core::id::WritId;
use writ_core::provider::{ProviderFault, Swept};
use writ_core::time::Timestamp;

use crate::call::Session;
use crate::dynamic::Minting;
use crate::login::login;
use crate::{provider, revoke};

/// Removes at most `most`, and stops in time to say how many.
pub(crate) async fn sweep(
    minting: &Minting<'_>,
    live: &[WritId],
    most: u32,
    end: Instant,
) -> Result<Swept, ProviderFault> {
    let anonymous = minting.server.anonymous(end);
    let login = login(&anonymous, minting.config, minting.assertions, minting.target, None).await?;
    let swept = swept(minting, &login.session, live, most).await;
    login.end().await;
    swept
}

async fn swept(
    minting: &Minting<'_>,
    session: &Session<'_>,
    live: &[WritId],
    most: u32,
) -> Result<Swept, ProviderFault> {
    let (mut swept, reserve) = (Swept::default(), session.left() / 4);
    let notes = provider::notes(minting.config, minting.dynamic);
    for name in notes.names(session).await? {
        let Ok(writ) = name.parse::<WritId>() else {
            swept.left += 1;
            continue;
        };
        if live.contains(&writ) {
            continue;
        }
        if swept.removed >= most as usize || session.left() < reserve.max(Duration::from_millis(1)) {
            swept.left += 1;
            continue;
        }
        match over(minting, session, writ).await {
            Ok(true) => swept.removed += 1,
            Ok(false) => {}
            Err(fault) => {
                tracing::warn!(%writ, detail = fault.detail(), "a leftover note could not be settled");
                swept.left += 1;
            }
        }
    }
    Ok(swept)
}

/// Whether the note's own end has passed, and it is gone now.
async fn over(minting: &Minting<'_>, session: &Session<'_>, writ: WritId) -> Result<bool, ProviderFault> {
    let notes = provider::notes(minting.config, minting.dynamic);
    let Some(note) = notes.read(session, writ).await? else { return Ok(false) };
    if note.expires > Timestamp::now() {
        return Ok(false);
    }
    revoke::token(minting, session, writ, &note.accessor).await?;
    notes.delete(session, writ).await?;
    Ok(true)
}
