//! Present: the writ's user logs in and asks who it is.

use writ_core::credential::Credential;
use writ_core::provider::{Presented, ProviderFault};

use super::connect::Connector;
use super::{fault, rows};

pub(crate) async fn present(connector: &Connector, credential: &Credential) -> Result<Presented, ProviderFault> {
    let user = &credential.principal;
    let mut conn = connector.connect_as(user, &credential.secret).await?;
    let doing = format!("asking as whom `{}` was seen", fault::plain(user));
    let seen: Vec<(String, Option<String>)> =
        rows::asked(&mut conn, &doing, "SELECT CURRENT_USER(), CURRENT_ROLE()").await?;
    // The user has room for one connection: the server must have forgotten this one before the gateway's.
    conn.disconnect().await.map_err(|error| fault::of(&doing, &error))?;
    let (account, role) = seen.into_iter().next().unwrap_or_default();
    let name = account.rsplit_once('@').map_or(account.as_str(), |(name, _)| name);
    if name != user.as_str() {
        return Err(ProviderFault::Refused(format!(
            "the server took `{}` for `{}`: an account whose host part is narrower stands before it: drop that account",
            fault::plain(user),
            fault::plain(&account)
        )));
    }
    if role.as_deref().is_none_or(|role| role.is_empty() || role == "NONE") {
        return Err(ProviderFault::Refused(format!("the server let `{}` in without a role", fault::plain(user))));
    }
    Ok(Presented { principal: name.to_owned(), audit: name.to_owned() })
}
