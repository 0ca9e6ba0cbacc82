//! Mint: the roles looked at, then the writ's user made. MySQL makes it with its roles in one statement, which takes effect or
//! does not. MariaDB needs three; where one of the later fails, the user goes again.

use jiff::Timestamp;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::ProviderFault;

use super::config::MysqlConfig;
use super::dialect::NewUser;
use super::pool::{Loan, Pool};
use super::{fault, roles, sql, verifier};

/// How many connections a writ's user may have where policy does not say: the gateway's own.
const CONNECTIONS: u32 = 1;

/// The servers hold the limit in 32 bits, MariaDB with a sign; 0 would be no limit.
const MOST_CONNECTIONS: u32 = i32::MAX.unsigned_abs();

pub(crate) async fn mint(pool: &Pool, config: &MysqlConfig, intended: Intended) -> Result<Minted, ProviderFault> {
    let writ = intended.writ();
    let roles = roles::granted(config, writ)?;
    let expires = whole_second(writ.expires);
    let limit = writ.obligations.connection_limit.unwrap_or(CONNECTIONS);
    let mut loan = pool.take().await?;
    let server = loan.server();
    let (secret, verifier) = verifier::fresh(server)?;
    let new = NewUser {
        writ,
        host: &config.client_host,
        roles: &roles,
        verifier: &verifier,
        expires,
        connections: limit.clamp(1, MOST_CONNECTIONS),
    };
    let made = make(&mut loan, &new).await;
    pool.settle(loan, &made);
    made?;
    let principal = server.principal(writ.id, expires);
    let fingerprint = Fingerprint::of_random(&secret);
    let kind = CredentialKind::DatabaseRole;
    let (audit, revocation) = (principal.clone(), Revocation::Individual);
    let credential = Credential { kind, principal, secret, expires: Some(expires), fingerprint, audit, revocation };
    Ok(Minted::new(intended, credential))
}

async fn make(loan: &mut Loan, new: &NewUser<'_>) -> Result<(), ProviderFault> {
    let server = loan.server();
    roles::check(loan, new.roles).await?;
    let principal = server.principal(new.writ.id, new.expires);
    let (create, grant) = server.making(new);
    let doing = format!("making the user `{principal}`");
    if !loan.run_unless(&doing, &create, fault::CANNOT_USER).await? {
        return Err(ProviderFault::Refused(format!(
            "the user `{principal}` is there already: one writ, one user (error {})",
            fault::CANNOT_USER
        )));
    }
    let Some(grant) = grant else { return Ok(()) };
    let granted = loan.run(&format!("granting its roles to `{principal}`"), &grant).await;
    if matches!(granted, Err(ProviderFault::Refused(_) | ProviderFault::Misconfigured(_))) {
        let account = sql::account(&principal, new.host);
        loan.run(&format!("dropping the user `{principal}`"), &format!("DROP USER IF EXISTS {account}")).await?;
    }
    granted
}

/// `at` without its fraction: never later than what was granted, and the same after the server has given it back.
pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
