//! Mint where there is nothing to make: a value of a KV engine is read, and outlives the writ.

use std::sync::Arc;

use serde::Deserialize;
use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;

use crate::call::{Answer, Call, Session, Verb};
use crate::config::{KvConfig, OpenbaoConfig};
use crate::fields::{self, Fields};
use crate::login::login;
use crate::{fault, provider};

#[derive(Deserialize)]
struct Value {
    data: Option<Fields>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u32,
}

pub(crate) async fn mint(
    session: &Session<'_>,
    config: &OpenbaoConfig,
    kv: &KvConfig,
    assertions: &Arc<dyn Assertions>,
    target: &TargetName,
    intended: Intended,
) -> Result<Minted, ProviderFault> {
    let path = provider::path(&kv.path, &kv.paths, intended.writ())?;
    let login = login(session, config, assertions, target, Some(&intended)).await?;
    let read = read(&login.session, config, kv, path).await;
    login.end().await;
    Ok(Minted::new(intended, read?))
}

async fn read(
    session: &Session<'_>,
    config: &OpenbaoConfig,
    kv: &KvConfig,
    path: &str,
) -> Result<Credential, ProviderFault> {
    let named = kv.version.map_or_else(String::new, |version| format!(", version {version}"));
    let doing = format!("reading `{}/{path}`{named}", kv.mount);
    let full = format!("{}/data/{path}", kv.mount);
    let call = Call { doing: &doing, verb: Verb::Version(kv.version), path: &full, harmless: true };
    let answer: Answer<Value> = session.ask(call, None).await;
    let reply = answer?.map_err(|denied| fault::refused(&doing, &denied))?;
    if reply.wrap_info.is_some() {
        let text = format!("{doing}: the answer is wrapped: let the role's policy not demand that");
        return Err(ProviderFault::Misconfigured(text));
    }
    let none = || {
        ProviderFault::Misconfigured(format!(
            "{doing}: the answer is none of a KV engine of version 2: name one's mount, and the path without `data/`"
        ))
    };
    let value = reply.data.ok_or_else(none)?;
    let (fields, version) = (value.data.ok_or_else(none)?, value.metadata.version);
    if kv.version.is_some_and(|wanted| wanted != version) {
        return Err(ProviderFault::Refused(format!("{doing}: it gave version {version}")));
    }
    let (principal, secret) = fields::chosen(config, path, &fields)?;
    let place = format!("openbao:{}{}/{path}@{version}", prefix(config), kv.mount);
    Ok(Credential {
        kind: CredentialKind::OpenbaoSecret,
        principal,
        secret,
        expires: None,
        fingerprint: Fingerprint::of_source(&place),
        audit: format!("request={}", provider::id(&reply.request_id)),
        revocation: Revocation::None,
    })
}

fn prefix(config: &OpenbaoConfig) -> String {
    config.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"))
}
