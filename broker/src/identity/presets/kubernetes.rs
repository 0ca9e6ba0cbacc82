//! Projected service account tokens of a Kubernetes cluster (kubernetes.io, "Managing Service Accounts").
//!
//! Names are given again after a deletion, UIDs are not. The token that every pod gets by default lives for a year and says
//! by `warnafter` that an hour was asked for: it is refused, whatever lifetime is configured.

use super::reader::{Attributes, Reader, is_uuid};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known() -> Known {
    Known {
        issuer: Err("give `issuer`: the cluster's, as in its `/.well-known/openid-configuration`"),
        algorithms: &[Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: None,
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let object = token.object("kubernetes.io")?.ok_or(IdentityFault::Missing("kubernetes.io"))?;
    let namespace = object.text("namespace")?;
    let account = object.object("serviceaccount")?.ok_or(IdentityFault::Missing("kubernetes.io.serviceaccount"))?;
    let (name, uid) = (account.text("name")?, account.text("uid")?);
    if !is_uuid(uid) {
        return Err(IdentityFault::Malformed("kubernetes.io.serviceaccount"));
    }
    let subject = token.text("sub")?;
    if subject != format!("system:serviceaccount:{namespace}:{name}") {
        return Err(token.contradiction("sub", "kubernetes.io", subject));
    }
    if object.get("warnafter").is_some() {
        return Err(token.refuse(
            "it is the pod's default token, whose life was stretched to a year: project one with an audience of its own",
        ));
    }
    let bound = |kind: &'static str| -> Result<(Option<&str>, Option<&str>), IdentityFault> {
        object.object(kind)?.map_or(Ok((None, None)), |one| Ok((Some(one.text("name")?), one.optional("uid")?)))
    };
    let ((pod, pod_uid), (node, node_uid)) = (bound("pod")?, bound("node")?);
    Ok(Attributes::default()
        .put("namespace", namespace)
        .put("service_account", name)
        .put("service_account_uid", uid)
        .put_some("pod", pod)
        .put_some("pod_uid", pod_uid)
        .put_some("node", node)
        .put_some("node_uid", node_uid))
}
