//! Which roles a writ's user is granted, and which are never: a session must not be able to make itself a login that outlives
//! it. So no role is granted that may make or change accounts, give its roles or all its rights on, pass for others, or write
//! to the tables that hold the accounts; nor one that is itself granted such a role.

use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use super::config::MysqlConfig;
use super::dialect::Server;
use super::pool::Loan;
use super::{fault, sql};

/// The roles to be granted; the first is active from a session's first statement, at MySQL all of them.
pub(crate) fn granted<'a>(config: &'a MysqlConfig, writ: &'a Writ) -> Result<Vec<&'a str>, ProviderFault> {
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
        if !sql::can_name(role) || role.starts_with("writ-") || *role == config.user {
            return Err(ProviderFault::Misconfigured(format!(
                "the role `{}` cannot be granted: name a role of 1 to 32 characters that is neither a writ's nor the \
                 broker's own login",
                fault::plain(role)
            )));
        }
    }
    Ok(roles)
}

/// Whether the server takes changes, knows the roles, and a session may have them. A login that may end others' sessions may
/// write to a MySQL replica too, and what it makes there is no user of the primary's.
///
/// # Errors
/// That the server is a replica, the role that it does not know, or the one that could make a lasting login.
pub(crate) async fn check(loan: &mut Loan, roles: &[&str]) -> Result<(), ProviderFault> {
    let doing = "looking at the roles to be granted";
    let question = match loan.server() {
        Server::Mysql => at_mysql(roles),
        Server::Mariadb => at_mariadb(roles),
    };
    let rows: Vec<(String, Vec<u8>)> = loan.rows(doing, &question).await?;
    let of_kind = |kind: &str| rows.iter().filter(|row| row.0 == kind).map(|row| row.1.as_slice()).collect::<Vec<_>>();
    if of_kind("read_only").iter().any(|value| !matches!(*value, b"0" | b"OFF")) {
        return Err(fault::replica());
    }
    let known = of_kind("known");
    if let Some(missing) = roles.iter().find(|role| !known.contains(&role.as_bytes())) {
        return Err(ProviderFault::Refused(format!(
            "the server knows no role `{}`: make it, or name another",
            fault::plain(missing)
        )));
    }
    if let Some(unsafe_role) = of_kind("unsafe").first() {
        return Err(ProviderFault::Misconfigured(format!(
            "the role `{}` may make or change accounts, give rights or roles on, or write to the schema `mysql`; with it a \
             session could make itself a lasting login: grant a role that may not, and is granted none such",
            fault::plain(&String::from_utf8_lossy(unsafe_role))
        )));
    }
    Ok(())
}

fn listed(roles: &[&str]) -> String {
    roles.iter().map(|role| sql::text(role)).collect::<Vec<_>>().join(", ")
}

fn at_mysql(roles: &[&str]) -> String {
    let roles = listed(roles);
    format!(
        "WITH RECURSIVE reached (user, host) AS (\
           SELECT User, Host FROM mysql.user WHERE Host = '%' AND User IN ({roles}) \
           UNION SELECT e.FROM_USER, e.FROM_HOST FROM mysql.role_edges e \
             JOIN reached r ON e.TO_USER = r.user AND e.TO_HOST = r.host) \
         SELECT 'read_only', CAST(@@GLOBAL.read_only AS CHAR) \
         UNION ALL SELECT 'known', User FROM mysql.user WHERE Host = '%' AND User IN ({roles}) \
         UNION ALL SELECT 'unsafe', u.User FROM mysql.user u JOIN reached r ON u.User = r.user AND u.Host = r.host \
           WHERE 'Y' IN (u.Super_priv, u.Create_user_priv, u.Grant_priv, u.Insert_priv, u.Update_priv, u.Delete_priv) \
         UNION ALL SELECT 'unsafe', g.USER FROM mysql.global_grants g JOIN reached r ON g.USER = r.user AND g.HOST = r.host \
           WHERE g.PRIV IN ('ROLE_ADMIN', 'SYSTEM_USER', 'SET_ANY_DEFINER', 'ALLOW_NONEXISTENT_DEFINER', \
             'APPLICATION_PASSWORD_ADMIN', 'PASSWORDLESS_USER_ADMIN', 'AUTHENTICATION_POLICY_ADMIN', \
             'SYSTEM_VARIABLES_ADMIN') \
         UNION ALL SELECT 'unsafe', d.User FROM mysql.db d JOIN reached r ON d.User = r.user AND d.Host = r.host \
           WHERE 'mysql' LIKE d.Db AND 'Y' IN (d.Insert_priv, d.Update_priv, d.Delete_priv) \
         UNION ALL SELECT 'unsafe', t.User FROM mysql.tables_priv t JOIN reached r ON t.User = r.user AND t.Host = r.host \
           WHERE t.Db = 'mysql' AND CONCAT(t.Table_priv, t.Column_priv) REGEXP 'Insert|Update|Delete' \
         UNION ALL SELECT 'unsafe', e.TO_USER FROM mysql.role_edges e \
           JOIN reached r ON e.TO_USER = r.user AND e.TO_HOST = r.host WHERE e.WITH_ADMIN_OPTION = 'Y'"
    )
}

/// MariaDB keeps SET USER in no column of its own: it is this bit of an account's rights.
const SET_USER: u64 = 1 << 30;

fn at_mariadb(roles: &[&str]) -> String {
    let roles = listed(roles);
    format!(
        "WITH RECURSIVE reached (role) AS (\
           SELECT User FROM mysql.user WHERE is_role = 'Y' AND User IN ({roles}) \
           UNION SELECT m.Role FROM mysql.roles_mapping m JOIN reached r ON m.User = r.role AND m.Host = '') \
         SELECT 'read_only', CAST(@@GLOBAL.read_only AS CHAR) \
         UNION ALL SELECT 'known', User FROM mysql.user WHERE is_role = 'Y' AND User IN ({roles}) \
         UNION ALL SELECT 'unsafe', u.User FROM mysql.user u JOIN reached r ON u.User = r.role AND u.is_role = 'Y' \
           WHERE 'Y' IN (u.Super_priv, u.Create_user_priv, u.Grant_priv, u.Insert_priv, u.Update_priv, u.Delete_priv) \
         UNION ALL SELECT 'unsafe', p.User FROM mysql.global_priv p JOIN reached r ON p.User = r.role AND p.Host = '' \
           WHERE CAST(JSON_VALUE(p.Priv, '$.access') AS UNSIGNED) & {SET_USER} <> 0 \
         UNION ALL SELECT 'unsafe', d.User FROM mysql.db d JOIN reached r ON d.User = r.role AND d.Host = '' \
           WHERE 'mysql' LIKE d.Db AND 'Y' IN (d.Insert_priv, d.Update_priv, d.Delete_priv) \
         UNION ALL SELECT 'unsafe', t.User FROM mysql.tables_priv t JOIN reached r ON t.User = r.role AND t.Host = '' \
           WHERE t.Db = 'mysql' AND CONCAT(t.Table_priv, t.Column_priv) REGEXP 'Insert|Update|Delete' \
         UNION ALL SELECT 'unsafe', m.User FROM mysql.roles_mapping m JOIN reached r ON m.User = r.role AND m.Host = '' \
           WHERE m.Admin_option = 'Y'"
    )
}
