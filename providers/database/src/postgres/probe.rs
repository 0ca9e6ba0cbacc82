//! Probe: would a mint work? Looks at the server with the broker's own login, and changes nothing.

use tokio_postgres::SimpleQueryMessage;
use writ_core::provider::ProviderFault;

use super::config::DatabaseConfig;
use super::pool::Pool;
use super::{fault, sql};

pub(crate) async fn probe(pool: &Pool, config: &DatabaseConfig) -> Result<(), ProviderFault> {
    let loan = pool.take().await?;
    let rolled = "SELECT rolcreaterole OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    if !holds(&loan, rolled).await? {
        return Err(ProviderFault::Misconfigured(format!(
            "the login `{}` may not make roles: run `ALTER ROLE {} CREATEROLE` as an admin",
            config.user,
            sql::name(&config.user)
        )));
    }
    for role in &config.default_roles {
        let known = format!("SELECT true FROM pg_catalog.pg_roles WHERE rolname = {}", sql::text(role));
        if !holds(&loan, &known).await? {
            let text =
                format!("`default_roles` names `{role}`, which the server does not know: make it or name another");
            return Err(ProviderFault::Misconfigured(text));
        }
        let admin = format!("SELECT pg_catalog.pg_has_role({}, 'USAGE WITH ADMIN OPTION')", sql::text(role));
        if !holds(&loan, &admin).await? {
            return Err(ProviderFault::Misconfigured(format!(
                "the login `{}` may not grant `{role}`: run `GRANT {} TO {} WITH ADMIN OPTION` as an admin",
                config.user,
                sql::name(role),
                sql::name(&config.user)
            )));
        }
    }
    pool.put_back(loan);
    Ok(())
}

async fn holds(loan: &super::pool::Loan, question: &str) -> Result<bool, ProviderFault> {
    let messages = loan.run(question).await.map_err(|error| fault::of("looking at the broker's own login", &error))?;
    Ok(messages
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if matches!(row.try_get(0), Ok(Some("t"))))))
}
