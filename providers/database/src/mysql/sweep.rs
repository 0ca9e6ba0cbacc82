//! Sweep: users that a crash left and nobody remembers. Only names that are a writ's id, only past the end that they carry by
//! the server's own clock, only where the writ is not live. One that cannot be removed stays for the next sweep.

use writ_core::id::WritId;
use writ_core::provider::{ProviderFault, Swept};

use super::config::MysqlConfig;
use super::pool::Pool;
use super::revoke;

pub(crate) async fn sweep(pool: &Pool, config: &MysqlConfig, live: &[WritId]) -> Result<Swept, ProviderFault> {
    let mut swept = Swept::default();
    let ended = ended(pool).await?;
    let mut gone = ended.into_iter().filter(|id| !live.contains(id));
    for id in gone.by_ref().take(config.sweep_limit as usize) {
        match revoke::remove(pool, id).await {
            Ok(()) => swept.removed += 1,
            Err(ProviderFault::Unreachable(text)) => return Err(ProviderFault::Unreachable(text)),
            Err(fault) => {
                tracing::warn!(writ = %id, detail = fault.detail(), "a leftover user could not be removed");
                swept.left += 1;
            }
        }
    }
    swept.left += gone.count();
    Ok(swept)
}

type Account = (String, String, Option<String>);

async fn ended(pool: &Pool) -> Result<Vec<WritId>, ProviderFault> {
    let mut loan = pool.take().await?;
    let server = loan.server();
    let looked = async {
        let doing = "looking for leftover users";
        let now: Vec<i64> = loan.rows(doing, "SELECT UNIX_TIMESTAMP()").await?;
        let accounts: Vec<Account> = loan.rows(doing, server.all_accounts()).await?;
        Ok((now.first().copied(), accounts))
    }
    .await;
    pool.settle(loan, &looked);
    let (now, accounts) = looked?;
    let Some(now) = now else { return Ok(Vec::new()) };
    let known = accounts.iter().filter_map(|(user, _, end)| server.writ_of(user, end.as_deref()));
    let mut ended: Vec<_> = known.filter(|(_, end)| end.as_second() < now).collect();
    ended.sort_by_key(|(id, end)| (*end, *id));
    ended.dedup();
    Ok(ended.into_iter().map(|(id, _)| id).collect())
}
