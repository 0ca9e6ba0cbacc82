//! Sweep: the Secrets of writs that are over and that nobody remembers.
//!
//! Lists ask for metadata alone, so that no Secret's contents come here. One whose label is no writ's id or whose end cannot be
//! read was not made so by this provider: it is left, and counted.

use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::core::Request;
use kube::core::params::ListParams;
use serde::Deserialize;
use writ_core::id::WritId;
use writ_core::provider::{ProviderFault, Swept};
use writ_core::time::Timestamp;

use crate::call::Session;
use crate::mint::{EXPIRES, MANAGED_BY, WRIT};
use crate::rights::{self, Right};
use crate::{fault, revoke};

/// Secrets in one answer.
const PAGE: u32 = 200;
/// Answers of one namespace that are looked at.
const PAGES: u32 = 500;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: Next,
    /// `null` where there are none.
    items: Option<Vec<Item>>,
}

#[derive(Default, Deserialize)]
struct Next {
    #[serde(rename = "continue")]
    token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    metadata: ObjectMeta,
}

/// A Secret of ours whose writ is over.
struct Leftover {
    name: String,
    uid: Option<String>,
}

/// Removes at most `most`, and stops in time to say how many.
pub(crate) async fn sweep(session: &Session<'_>, live: &[WritId], most: u32) -> Result<Swept, ProviderFault> {
    let (mut swept, reserve) = (Swept::default(), session.left() / 4);
    for right in session.cluster().needed() {
        let mut token = None;
        for _ in 0..PAGES {
            let page = list(session, right, token).await?;
            for item in page.items.unwrap_or_default() {
                match judged(item.metadata, live) {
                    Judged::Kept => {}
                    Judged::Strange => swept.left += 1,
                    Judged::Over(_) if swept.removed >= most as usize || session.left() < reserve => swept.left += 1,
                    Judged::Over(leftover) => remove(session, &right.namespace, leftover, &mut swept).await,
                }
            }
            token = page.metadata.token.filter(|token| !token.is_empty());
            if token.is_none() || session.left() < reserve.max(Duration::from_millis(1)) {
                break;
            }
        }
    }
    Ok(swept)
}

async fn remove(session: &Session<'_>, namespace: &str, leftover: Leftover, swept: &mut Swept) {
    match revoke::delete(session, namespace, &leftover.name, leftover.uid).await {
        Ok(()) => swept.removed += 1,
        Err(fault) => {
            tracing::warn!(
                namespace,
                name = leftover.name,
                detail = fault.detail(),
                "a leftover Secret could not be deleted"
            );
            swept.left += 1;
        }
    }
}

async fn list(session: &Session<'_>, right: &Right, token: Option<String>) -> Result<Page, ProviderFault> {
    let doing = format!("listing Secrets in `{}`", right.namespace);
    let (by, ours) = MANAGED_BY;
    let wanted = ListParams {
        label_selector: Some(format!("{by}={ours},{WRIT}")),
        limit: Some(PAGE),
        continue_token: token,
        ..ListParams::default()
    };
    let path = Request::new(core::Secret::url_path(&(), Some(&right.namespace)));
    match session.ask(&doing, path.list_metadata(&wanted)).await? {
        Ok(page) => Ok(page),
        Err(denied) => {
            let asked = rights::secrets(&right.namespace, "list");
            Err(fault::of(&doing, denied, session, asked).await)
        }
    }
}

enum Judged {
    Kept,
    Strange,
    Over(Leftover),
}

fn judged(meta: ObjectMeta, live: &[WritId]) -> Judged {
    let label = meta.labels.as_ref().and_then(|labels| labels.get(WRIT));
    let writ = label.filter(|label| meta.name.as_ref() == Some(*label)).and_then(|label| label.parse::<WritId>().ok());
    let end = meta.annotations.as_ref().and_then(|all| all.get(EXPIRES)).and_then(|end| end.parse::<Timestamp>().ok());
    match (meta.name, writ, end) {
        (Some(name), Some(writ), Some(end)) => {
            if live.contains(&writ) || end > Timestamp::now() {
                Judged::Kept
            } else {
                Judged::Over(Leftover { name, uid: meta.uid })
            }
        }
        _ => Judged::Strange,
    }
}
