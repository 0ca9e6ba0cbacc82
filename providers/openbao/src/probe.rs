//! Probe: would a mint work, and a revocation? The broker logs in and asks what it may; it reads no secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use writ_core::assertion::Assertions;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;

use crate::call::{Answer, Call, Session, Verb};
use crate::config::OpenbaoConfig;
use crate::fault;
use crate::login::login;
use crate::rights::{Right, Rights};

/// Stands for a writ's name where a right is about all of them.
const SOME_NOTE: &str = "writ-probe";

pub(crate) async fn probe(
    session: &Session<'_>,
    config: &OpenbaoConfig,
    assertions: &Arc<dyn Assertions>,
    target: &TargetName,
) -> Result<(), ProviderFault> {
    let login = login(session, config, assertions, target, None).await?;
    let looked = looked(&login.session, config).await;
    login.end().await;
    looked
}

async fn looked(session: &Session<'_>, config: &OpenbaoConfig) -> Result<(), ProviderFault> {
    let (doing, rights) = ("asking what the broker may", Rights(config));
    let needed: Vec<Right> =
        rights.all().into_iter().map(|right| Right { path: right.path.replace('*', SOME_NOTE), ..right }).collect();
    let paths: Vec<&str> = needed.iter().map(|right| right.path.as_str()).collect();
    let call = Call { doing, verb: Verb::Post, path: "sys/capabilities-self", harmless: true };
    let answer: Answer<BTreeMap<String, Vec<String>>> = session.ask(call, Some(&json!({ "paths": paths }))).await;
    let given = match answer? {
        Ok(reply) => reply.data.unwrap_or_default(),
        Err(denied) => return Err(fault::missing(doing, &denied, &rights)),
    };
    for Right { path, capabilities } in &needed {
        let has = given.get(path).map(Vec::as_slice).unwrap_or_default();
        let may = |capability: &&&str| !has.iter().any(|has| has == **capability || has == "root");
        if let Some(lacks) = capabilities.iter().find(|capability| may(capability)) {
            return Err(ProviderFault::Misconfigured(format!(
                "{doing}: it lacks `{lacks}` at `{path}`: the role's policy needs: {rights}"
            )));
        }
    }
    Ok(())
}
