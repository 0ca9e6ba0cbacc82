//! Probe: would a mint work? Looks at the server with the broker's own login, and changes nothing. What the login may do is
//! asked with each new connection, so that one that came about has passed.

use writ_core::provider::ProviderFault;

use super::config::MysqlConfig;
use super::dialect::Server;
use super::pool::{Loan, Pool};
use super::{fault, roles};

pub(crate) async fn probe(pool: &Pool, config: &MysqlConfig) -> Result<(), ProviderFault> {
    let mut loan = pool.take().await?;
    let looked = look(&mut loan, config).await;
    pool.settle(loan, &looked);
    looked
}

async fn look(loan: &mut Loan, config: &MysqlConfig) -> Result<(), ProviderFault> {
    let doing = "looking at the server";
    let read_only: Vec<String> = loan.rows(doing, "SELECT CAST(@@GLOBAL.read_only AS CHAR)").await?;
    if !read_only.iter().any(|value| matches!(value.as_str(), "0" | "OFF")) {
        return Err(fault::replica());
    }
    if loan.server() == Server::Mariadb {
        let plugin = "SELECT PLUGIN_STATUS FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519'";
        let status: Vec<String> = loan.rows(doing, plugin).await?;
        if !status.iter().any(|status| status == "ACTIVE") {
            return Err(ProviderFault::Misconfigured(
                "the server has not loaded the authentication `ed25519`: run `INSTALL SONAME 'auth_ed25519'` as an admin"
                    .to_owned(),
            ));
        }
    }
    if config.default_roles.is_empty() {
        return Ok(());
    }
    let roles: Vec<&str> = config.default_roles.iter().map(String::as_str).collect();
    roles::check(loan, &roles).await.map_err(|fault| match fault {
        ProviderFault::Refused(text) => ProviderFault::Misconfigured(format!("`default_roles`: {text}")),
        other => other,
    })?;
    may_grant(loan, config, &roles).await
}

/// Whether the login has ADMIN OPTION on each.
async fn may_grant(loan: &mut Loan, config: &MysqlConfig, roles: &[&str]) -> Result<(), ProviderFault> {
    let doing = "looking at what the broker's login may grant";
    let question = "SELECT ROLE_NAME FROM information_schema.APPLICABLE_ROLES WHERE IS_GRANTABLE = 'YES'";
    let grantable: Vec<String> = loan.rows(doing, question).await?;
    for role in roles {
        if !grantable.iter().any(|one| one == role) {
            return Err(ProviderFault::Misconfigured(format!(
                "the login `{}` may not grant `{role}`: run `GRANT {} TO {} WITH ADMIN OPTION` as an admin, with the \
                 login's own host part",
                config.user,
                loan.server().role(role),
                super::sql::name(&config.user)
            )));
        }
    }
    Ok(())
}
