//! Mint: one round trip that makes the writ's role.
//!
//! The role inherits from the granted role, since PostgreSQL asks for CONNECT on a database before it applies
//! `SET role`. Its password is verified by SCRAM, so the statement carries a verifier, not the password.
//!
//! A session can change the password of its own role and of every role that it acts as. So a role of which a session could
//! make a login that outlives it is never granted, and the writ's own role has room for the gateway's connection alone.
//!
//! `synchronous_commit` is off for this transaction: a server that crashes within the next moments may forget the role,
//! and then a session fails that had not begun. Nothing is left alive by that, so the flush is not worth its wait. A
//! drop, whose loss would leave a role alive, keeps the server's own setting.

use std::num::NonZeroU32;

use jiff::Timestamp;
use tokio_postgres::error::SqlState;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use super::config::DatabaseConfig;
use super::pool::Pool;
use super::{fault, scram, sql};

/// How many connections a writ's role may have where policy does not say: the gateway's own.
const CONNECTIONS: i32 = 1;

pub(crate) async fn mint(pool: &Pool, config: &DatabaseConfig, intended: Intended) -> Result<Minted, ProviderFault> {
    let writ = intended.writ();
    let principal = writ.id.to_string();
    let roles = roles(config, writ)?;
    let expires = whole_second(writ.expires);
    let password = scram::password()?;
    let iterations = NonZeroU32::new(config.scram_iterations).unwrap_or(NonZeroU32::MIN);
    let verifier = scram::verifier(&password, iterations)?;
    let statements = statements(&principal, &roles, &verifier, expires, writ.obligations.connection_limit);
    let loan = pool.take().await?;
    match loan.run(&statements).await {
        Ok(_) => pool.put_back(loan),
        Err(error) => {
            if error.code().is_some() {
                pool.put_back(loan);
            }
            return Err(refused(&principal, &error));
        }
    }
    let fingerprint = Fingerprint::of_random(&password);
    let kind = CredentialKind::DatabaseRole;
    let (audit, revocation) = (principal.clone(), Revocation::Individual);
    let credential =
        Credential { kind, principal, secret: password, expires: Some(expires), fingerprint, audit, revocation };
    Ok(Minted::new(intended, credential))
}

/// The roles to become a member of; sessions act as the first.
pub(crate) fn roles<'a>(config: &'a DatabaseConfig, writ: &'a Writ) -> Result<Vec<&'a str>, ProviderFault> {
    let mut roles: Vec<&str> = writ.obligations.role.as_deref().into_iter().collect();
    for role in &config.default_roles {
        if !roles.contains(&role.as_str()) {
            roles.push(role);
        }
    }
    if roles.is_empty() {
        return Err(ProviderFault::Misconfigured(
            "no role to act as: write `@role` in the policy that permits, or `default_roles` in the provider"
                .to_owned(),
        ));
    }
    for role in &roles {
        if !sql::can_name_a_role(role) || role.starts_with("writ-") || *role == config.user {
            return Err(ProviderFault::Misconfigured(format!(
                "the role `{}` cannot be granted: name a role of 1 to 63 bytes that is neither a writ's nor the broker's own",
                fault::plain(role)
            )));
        }
    }
    Ok(roles)
}

fn statements(principal: &str, roles: &[&str], verifier: &str, expires: Timestamp, limit: Option<u32>) -> String {
    let role = sql::name(principal);
    let memberships: Vec<String> = roles.iter().map(|role| sql::name(role)).collect();
    let home = sql::text(roles.first().copied().unwrap_or_default());
    // PostgreSQL holds the limit in 32 bits with a sign.
    let limit = limit.map_or(CONNECTIONS, |limit| i32::try_from(limit).unwrap_or(i32::MAX));
    let unsafe_roles = unsafe_roles(roles);
    format!(
        "SET LOCAL synchronous_commit = off; \
         SELECT 1 / (CASE WHEN EXISTS ({unsafe_roles}) THEN 0 ELSE 1 END); \
         CREATE ROLE {role} LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS \
         CONNECTION LIMIT {limit} PASSWORD {} VALID UNTIL {} IN ROLE {}; \
         ALTER ROLE {role} SET role TO {home}",
        sql::text(verifier),
        sql::text(&expires.to_string()),
        memberships.join(", "),
    )
}

/// The roles among `roles`, and those that they are members of, of which a session could make a lasting login: ones that log
/// in, whose password it could set, and ones that may make roles.
fn unsafe_roles(roles: &[&str]) -> String {
    let names: Vec<String> = roles.iter().map(|role| sql::text(role)).collect();
    format!(
        "WITH RECURSIVE reached (oid) AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname IN ({}) \
         UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN reached ON m.member = reached.oid) \
         SELECT FROM pg_catalog.pg_roles r JOIN reached USING (oid) WHERE r.rolcanlogin OR r.rolcreaterole OR r.rolsuper",
        names.join(", ")
    )
}

fn refused(principal: &str, error: &tokio_postgres::Error) -> ProviderFault {
    // The one division in what is sent.
    if error.code() == Some(&SqlState::DIVISION_BY_ZERO) {
        return ProviderFault::Misconfigured(
            "a role that would be granted, or one that it is a member of, has LOGIN, CREATEROLE or SUPERUSER, of which a \
             session could make itself a lasting login: grant a role that has none of them and is a member of none such"
                .to_owned(),
        );
    }
    if error.code() == Some(&SqlState::DUPLICATE_OBJECT) {
        return ProviderFault::Refused(format!(
            "the role `{principal}` is there already: one writ, one role (SQLSTATE 42710)"
        ));
    }
    fault::of(&format!("making the role `{principal}`"), error)
}

/// `at` without its fraction: never later than what was granted, and the same after the server has parsed it.
pub(crate) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
