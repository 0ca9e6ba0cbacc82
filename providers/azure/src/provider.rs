//! The provider `azure`: one access token for one resource for each writ.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::{Address, Target, UpstreamTls};
use writ_core::writ::Writ;
use writ_provider_calls::within;
use zeroize::Zeroizing;

use crate::cloud::Scope;
use crate::config::{AzureConfig, Choice, ClientId, ConfigFault, names, shown};
use crate::entra::Entra;
use crate::fault::{self, settled};
use crate::transport::{self, body};

/// The longest wait for a resource of Azure's that is no business of Entra's.
const LIMIT: Duration = Duration::from_secs(10);

/// Mints access tokens for one target.
pub struct AzureProvider {
    entra: Entra,
    clients: Choice<ClientId>,
    scopes: Choice<Scope>,
    /// The scope whose tokens Azure Resource Manager takes.
    arm: Scope,
    client: Client,
}

impl AzureProvider {
    /// Checks the configuration, and that the gateway will know whom it gives a token to. Asks nobody.
    ///
    /// # Errors
    /// What is wrong in the configuration, and what to write instead.
    pub fn new(
        config: &AzureConfig,
        address: &Address,
        assertions: Option<&Arc<dyn Assertions>>,
    ) -> Result<Self, ConfigFault> {
        let (clients, scopes) = config.read()?;
        verified(address)?;
        let arm = Scope::parse("resource", "arm", config.entra.cloud)?;
        let authorities = address.ca_pem.as_deref().map(|pem| ("ca_file", pem.as_bytes()));
        let client = transport::client(LIMIT, authorities)?;
        Ok(Self { entra: Entra::new(&config.tenant_id, &config.entra, assertions)?, clients, scopes, arm, client })
    }

    async fn minted(&self, target: &Target, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let (role, scope) = names(intended.writ());
        let (client, scope) = (self.clients.of(role)?, self.scopes.of(scope)?);
        let granted = self.entra.token(client, scope, &target.name, Some(&intended), deadline).await?;
        let credential = Credential {
            kind: CredentialKind::EntraToken,
            principal: client.as_str().to_owned(),
            expires: Some(granted.expires),
            fingerprint: granted.fingerprint(),
            audit: granted.audit(),
            revocation: Revocation::None,
            secret: granted.token,
        };
        Ok(Minted::new(intended, credential))
    }

    async fn probed(&self, target: &Target, deadline: Duration) -> Result<(), ProviderFault> {
        for client in self.clients.all() {
            for scope in self.scopes.all() {
                self.entra.token(client, scope, &target.name, None, deadline).await?;
            }
        }
        Ok(())
    }

    /// Resource Manager lists the tenants that a token sees; for a service principal that is its own. It names no caller: that it
    /// is the credential's principal is Entra's word.
    async fn presented(&self, target: &Target, credential: &Credential) -> Result<Option<Presented>, ProviderFault> {
        // A token for somebody else is none for it.
        let for_arm = self.scopes.all().all(|scope| *scope == self.arm);
        if !for_arm {
            return Ok(None);
        }
        let doing = "presenting the token to Azure Resource Manager";
        let seen = self.tenants(doing, target, &credential.secret).await?;
        if !seen.iter().any(|tenant| tenant.eq_ignore_ascii_case(self.entra.tenant())) {
            let text =
                format!("{doing}: it sees the tenants `{}`, and not the configured one", shown(&seen.join("`, `")));
            return Err(ProviderFault::Refused(text));
        }
        Ok(Some(Presented { principal: credential.principal.clone(), audit: credential.audit.clone() }))
    }

    async fn tenants(&self, doing: &str, target: &Target, token: &Secret) -> Result<Vec<String>, ProviderFault> {
        let Address { host, port, .. } = &target.address;
        let url = format!("https://{host}:{port}/tenants?api-version=2022-12-01");
        let call = self.client.get(url).header(AUTHORIZATION, bearer(token)?);
        let answer = call.send().await.map_err(|error| settled(fault::of_transport(doing, &error.without_url())))?;
        let status = answer.status().as_u16();
        let body = body(answer).await.ok_or_else(|| settled(fault::cut_short(doing)))?;
        match status {
            200 => serde_json::from_slice::<Tenants>(&body)
                .map(|tenants| tenants.value.into_iter().map(|tenant| tenant.id).collect())
                .map_err(|_| settled(fault::cut_short(doing))),
            429 | 500.. => Err(ProviderFault::Unreachable(format!("{doing}: status {status}"))),
            _ => Err(ProviderFault::Refused(format!("{doing}: status {status}"))),
        }
    }
}

#[derive(Deserialize)]
struct Tenants {
    value: Vec<Tenant>,
}

#[derive(Deserialize)]
struct Tenant {
    #[serde(rename = "tenantId")]
    id: String,
}

/// A token goes to its target as it is.
pub(crate) fn verified(address: &Address) -> Result<(), ConfigFault> {
    if address.tls == UpstreamTls::VerifyFull {
        return Ok(());
    }
    let text =
        "the target is given a token as it is, so that it must be known: write `tls = \"verify-full\"` for the target";
    Err(ConfigFault::new(text))
}

/// A token in the header in which it is shown.
pub(crate) fn bearer(token: &Secret) -> Result<reqwest::header::HeaderValue, ProviderFault> {
    let text = Zeroizing::new([b"Bearer ", token.expose()].concat());
    let mut value = reqwest::header::HeaderValue::from_bytes(&text)
        .map_err(|_| ProviderFault::Refused("what Entra gave is no bearer token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for AzureProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AzureProvider");
        shown.field("entra", &self.entra).field("clients", &self.clients).field("scopes", &self.scopes);
        shown.finish_non_exhaustive()
    }
}

impl Provider for AzureProvider {
    fn describe(&self) -> Description {
        Description { kind: "azure", long_lived: false, revocable: false, scoped: true }
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(target, intended, deadline))
    }

    /// Succeeds and changes nothing: Entra takes no access token back. It ends by itself, and the gateway ends its use.
    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        _writ: &'a Writ,
        _deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async { Ok(Revoked::Left) })
    }

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

    fn present<'a>(
        &'a self,
        target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        Box::pin(within("presenting", deadline, self.presented(target, credential)))
    }
}
