//! Sweep: roles that a crash left and nobody remembers. Only names that are a writ's id, only past their `VALID UNTIL`
//! by the server's own clock, only where the writ is not live. One that cannot be removed stays for the next sweep.

use tokio_postgres::SimpleQueryMessage;
use writ_core::id::WritId;
use writ_core::provider::{ProviderFault, Swept};

use super::config::DatabaseConfig;
use super::pool::Pool;
use super::{fault, revoke};

pub(crate) async fn sweep(pool: &Pool, config: &DatabaseConfig, live: &[WritId]) -> Result<Swept, ProviderFault> {
    let mut swept = Swept::default();
    let ended = ended(pool).await?;
    let mut gone = ended.into_iter().filter(|id| !live.contains(id));
    for id in gone.by_ref().take(config.sweep_limit as usize) {
        match revoke::remove(pool, &id.to_string(), None).await {
            Ok(()) => swept.removed += 1,
            Err(ProviderFault::Unreachable(text)) => return Err(ProviderFault::Unreachable(text)),
            Err(fault) => {
                tracing::warn!(writ = %id, detail = fault.detail(), "a leftover role could not be removed");
                swept.left += 1;
            }
        }
    }
    swept.left += gone.count();
    Ok(swept)
}

async fn ended(pool: &Pool) -> Result<Vec<WritId>, ProviderFault> {
    let statement = "SELECT rolname FROM pg_catalog.pg_roles \
                      WHERE rolname LIKE 'writ-%' AND rolvaliduntil < pg_catalog.now() ORDER BY rolvaliduntil LIMIT 100000";
    let loan = pool.take().await?;
    let messages = loan.run(statement).await.map_err(|error| fault::of("looking for leftover roles", &error))?;
    pool.put_back(loan);
    let names = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten(),
        _ => None,
    });
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}
