//! Revoke: the writ's user goes, with its sessions.
//!
//! The order is the point. No more logins; then its sessions end; then the user goes; then once more whatever logged in between
//! a look at the accounts and the lock. The user is the last to go, so that a call that was cut short leaves one behind that the
//! next call, or a sweep, finds; and sessions are looked for though no user is left.
//!
//! What a session made stays: views, routines, triggers and events that name the user as their definer run no more once it
//! has gone.

use std::collections::BTreeSet;
use std::time::Duration;

use writ_core::id::WritId;
use writ_core::provider::ProviderFault;

use super::pool::{Loan, Pool};
use super::{fault, sql};

/// How long to wait until killed sessions are looked for again: twice as long each time. The caller's deadline bounds the whole.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Removes whatever bears the writ's id.
pub(crate) async fn remove(pool: &Pool, id: WritId) -> Result<(), ProviderFault> {
    let mut loan = pool.take().await?;
    let removed = remove_on(&mut loan, id).await;
    pool.settle(loan, &removed);
    removed
}

async fn remove_on(loan: &mut Loan, id: WritId) -> Result<(), ProviderFault> {
    let looking = format!("looking for the users of `{id}`");
    let accounts: Vec<(String, String)> = loan.rows(&looking, &loan.server().accounts(id)).await?;
    for (user, host) in &accounts {
        let account = sql::account(user, host);
        loan.run(&format!("locking the user `{user}`"), &format!("ALTER USER IF EXISTS {account} ACCOUNT LOCK"))
            .await?;
    }
    let mut killed = Killed::default();
    end_sessions(loan, id, &mut killed).await?;
    for (user, host) in &accounts {
        let account = sql::account(user, host);
        loan.run(&format!("dropping the user `{user}`"), &format!("DROP USER IF EXISTS {account}")).await?;
    }
    if accounts.is_empty() { Ok(()) } else { end_sessions(loan, id, &mut killed).await }
}

/// Which sessions were killed. A server may need long to end one, and gains nothing from being told twice.
#[derive(Default)]
pub(crate) struct Killed {
    ids: BTreeSet<u64>,
    looks: u32,
}

impl Killed {
    /// Those that were not killed yet, and now are to be.
    pub(crate) fn fresh(&mut self, sessions: Vec<u64>) -> Vec<u64> {
        sessions.into_iter().filter(|id| self.ids.insert(*id)).collect()
    }

    /// How long to wait before the next look.
    pub(crate) fn wait(&mut self) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(1 << self.looks.min(16)).min(LONGEST_WAIT);
        self.looks = self.looks.saturating_add(1);
        wait
    }
}

/// Ends the writ's sessions and waits until they have gone. The caller's deadline bounds the wait.
async fn end_sessions(loan: &mut Loan, id: WritId, killed: &mut Killed) -> Result<(), ProviderFault> {
    let question = loan.server().sessions(id);
    loop {
        let sessions: Vec<u64> = loan.rows(&format!("looking for sessions of `{id}`"), &question).await?;
        if sessions.is_empty() {
            return Ok(());
        }
        for session in killed.fresh(sessions) {
            let doing = format!("ending a session of `{id}`");
            loan.run_unless(&doing, &format!("KILL {session}"), fault::NO_SUCH_THREAD).await?;
        }
        tokio::time::sleep(killed.wait()).await;
    }
}
