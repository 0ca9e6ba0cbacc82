//! Mint: the roles looked at, then the writ's user made. MySQL makes it with its roles in one statement, which takes effect or
//! does not. MariaDB needs three; where one of the later fails, the user goes again.

use jiff::Timestamp;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

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
    let mut loan = pool.take().await?;
    let principal = loan.server().principal(writ.id, expires);
    let making = Making { config, writ, roles: &roles, principal: &principal, expires };
    let made = make(&mut loan, &making).await;
    pool.settle(loan, &made);
    let secret = made?;
    let fingerprint = Fingerprint::of_random(&secret);
    let kind = CredentialKind::DatabaseRole;
    let (audit, revocation) = (principal.clone(), Revocation::Individual);
    let credential = Credential { kind, principal, secret, expires: Some(expires), fingerprint, audit, revocation };
    Ok(Minted::new(intended, credential))
}

struct Making<'a> {
    config: &'a MysqlConfig,
    writ: &'a Writ,
    roles: &'a [&'a str],
    principal: &'a str,
    expires: Timestamp,
}

/// Makes the user, and gives back its password.
async fn make(loan: &mut Loan, making: &Making<'_>) -> Result<Secret, ProviderFault> {
    let &Making { config, writ, roles, principal, expires } = making;
    let server = loan.server();
    // MySQL's verifier takes thousands of rounds: they run beside the first question to the server, and hold up nobody else.
    let verifying = tokio::task::spawn_blocking(move || verifier::fresh(server));
    roles::check(loan, roles).await?;
    let stopping = |_| ProviderFault::Unreachable("the broker is stopping".to_owned());
    let (secret, verifier) = verifying.await.map_err(stopping)??;
    let limit = writ.obligations.connection_limit.unwrap_or(CONNECTIONS);
    let connections = limit.clamp(1, MOST_CONNECTIONS);
    let host = &config.client_host;
    let (create, grant) = server.making(&NewUser { writ, host, roles, verifier: &verifier, expires, connections });
    let doing = format!("making the user `{principal}`");
    if !loan.run_unless(&doing, &create, fault::CANNOT_USER).await? {
        return Err(ProviderFault::Refused(format!(
            "the user `{principal}` is there already: one writ, one user (error {})",
            fault::CANNOT_USER
        )));
    }
    let Some(grant) = grant else { return Ok(secret) };
    match loan.run(&format!("granting its roles to `{principal}`"), &grant).await {
        Ok(()) => Ok(secret),
        // Whether it took effect is not known: a revocation finds the user.
        Err(fault @ ProviderFault::Unreachable(_)) => Err(fault),
        Err(fault) => {
            let drop = format!("DROP USER IF EXISTS {}", sql::account(principal, host));
            Err(undone(fault, loan.run(&format!("dropping the user `{principal}`"), &drop).await))
        }
    }
}

/// The fault of a user that was made and not granted its roles, given what became of dropping it.
pub(crate) fn undone(fault: ProviderFault, dropped: Result<(), ProviderFault>) -> ProviderFault {
    match dropped {
        Ok(()) => fault,
        Err(left) => fault.leaving(&left),
    }
}

/// `at` without its fraction: never later than what was granted, and the same after the server has given it back.
pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
