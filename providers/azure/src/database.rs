//! The provider `azure_database`: logins to Azure Database for PostgreSQL, whose users Entra knows.
//!
//! The token stands where a password would and goes to the server as it is, so that the gateway must know whom it gives it to: a
//! target of this provider has `tls = "verify-full"`. The server looks at it at the login alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Revocation};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Target};
use writ_core::writ::Writ;
use writ_provider_calls::within;

use crate::cloud::Scope;
use crate::config::{Choice, ClientId, ConfigFault, EntraConfig, names, shown, tenant};
use crate::entra::Entra;
use crate::provider::verified;

/// The longest name of a role in PostgreSQL, in bytes.
const LONGEST_USER: usize = 63;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureDatabaseConfig {
    /// The tenant's id, a GUID.
    pub tenant_id: String,
    /// The client id, of an application or a user-assigned managed identity, that logs in.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The database's user of sessions for which policy names none: the name under which the server was told of the client.
    #[serde(default)]
    pub user: Option<String>,
    /// Users by the names that policies give them (`@role`).
    #[serde(default)]
    pub users: BTreeMap<String, String>,
    /// Client ids of users that are another client's, by the names in `users`.
    #[serde(default)]
    pub clients: BTreeMap<String, String>,
    /// How Entra is asked.
    #[serde(default)]
    pub entra: EntraConfig,
}

/// A user of the database, and the client that logs in as it.
#[derive(Debug, Clone)]
struct User {
    name: String,
    client: ClientId,
}

impl AzureDatabaseConfig {
    /// Checks everything that can be checked without the target's address.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<Choice<User>, ConfigFault> {
        tenant(&self.tenant_id)?;
        self.entra.validate()?;
        if let Some(name) = self.clients.keys().find(|name| !self.users.contains_key(*name)) {
            let text = format!("`clients.{0}` is of no user: add `{0}` to `users`, or remove it", shown(name));
            return Err(ConfigFault::new(text));
        }
        let parse = |setting: &str, name: &str| self.user(setting, name);
        Choice::read(["user", "users", "@role"], self.user.as_deref(), &self.users, parse)
    }

    fn user(&self, setting: &str, name: &str) -> Result<User, ConfigFault> {
        if name.is_empty() || name.len() > LONGEST_USER || name.chars().any(char::is_control) {
            let text = format!("`{setting}` is no role's name: write 1 to {LONGEST_USER} bytes of plain text");
            return Err(ConfigFault::new(text));
        }
        let own = setting.strip_prefix("users.").and_then(|role| self.clients.get(role).map(|id| (role, id)));
        let client = match (own, &self.client_id) {
            (Some((role, id)), _) => ClientId::parse(&format!("clients.{role}"), id)?,
            (None, Some(id)) => ClientId::parse("client_id", id)?,
            (None, None) => {
                let text = format!("`{setting}` logs in by no client: write `client_id`, or its own in `clients`");
                return Err(ConfigFault::new(text));
            }
        };
        Ok(User { name: name.to_owned(), client })
    }
}

/// Mints logins to one database.
pub struct AzureDatabaseProvider {
    entra: Entra,
    users: Choice<User>,
    scope: Scope,
}

impl AzureDatabaseProvider {
    /// Checks the configuration, and that the gateway will know whom it gives a token to. Asks nobody.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(
        config: &AzureDatabaseConfig,
        address: &Address,
        assertions: Option<&Arc<dyn Assertions>>,
    ) -> Result<Self, ConfigFault> {
        let users = config.read()?;
        verified(address)?;
        let scope = Scope::of_database(config.entra.cloud);
        Ok(Self { entra: Entra::new(&config.tenant_id, &config.entra, assertions)?, users, scope })
    }

    async fn minted(&self, target: &Target, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let (role, _) = names(intended.writ());
        let User { name, client } = self.users.of(role)?;
        let granted = self.entra.token(client, &self.scope, &target.name, Some(&intended), deadline).await?;
        let credential = Credential {
            kind: CredentialKind::EntraLogin,
            principal: name.clone(),
            expires: Some(granted.expires),
            fingerprint: granted.fingerprint(),
            audit: format!("{name} by {}, {}", client.as_str(), granted.audit()),
            revocation: Revocation::None,
            secret: granted.token,
        };
        Ok(Minted::new(intended, credential))
    }

    async fn probed(&self, target: &Target, deadline: Duration) -> Result<(), ProviderFault> {
        let mut asked: Vec<&ClientId> = Vec::new();
        for User { client, .. } in self.users.all() {
            if !asked.contains(&client) {
                self.entra.token(client, &self.scope, &target.name, None, deadline).await?;
                asked.push(client);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for AzureDatabaseProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureDatabaseProvider")
            .field("entra", &self.entra)
            .field("users", &self.users)
            .finish_non_exhaustive()
    }
}

impl Provider for AzureDatabaseProvider {
    fn describe(&self) -> Description {
        Description { kind: "azure_database", long_lived: false, revocable: false, scoped: false }
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(target, intended, deadline))
    }

    /// Succeeds and changes nothing: Entra takes no access token back. The gateway ends the session that it opened.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

    /// Whether Entra gives tokens. Whether the database takes them shows at the first session.
    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(within("probing", deadline, self.probed(target, deadline)))
    }

    fn sweep<'a>(
        &'a self,
        _target: &'a Target,
        _live: &'a [WritId],
        _deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async { Ok(Swept::default()) })
    }
}
