//! Kubernetes: a service account token that was projected into the pod for Writ alone; the kubelet keeps it fresh.
//!
//! <https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken>
//!
//! Never the token that every pod gets by default: it is the API server's, and opens the cluster to whoever sees it.

use std::path::PathBuf;

use super::{Look, file};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::token::{Audience, Token};

/// Where a token for Writ is looked for.
const PLACES: [&str; 3] =
    ["/var/run/secrets/writ/token", "/var/run/secrets/tokens/writ", "/var/run/secrets/tokens/writ-token"];
/// Tokens that pods get for others. One is taken only where its audience is the one that is asked for.
const OF_OTHERS: [&str; 2] = [
    "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
    "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token",
];

/// Whether this is a pod.
pub(crate) fn in_a_pod(environment: &Environment) -> bool {
    environment.has("KUBERNETES_SERVICE_HOST")
}

pub(crate) fn look(environment: &Environment) -> Look {
    match there(environment, &PLACES).first() {
        Some(path) => Look::Serves(format!("`{}` is there", path.display())),
        None if in_a_pod(environment) => {
            Look::Elsewhere(format!("a pod without a token for Writ (in `{}`)", PLACES.join("`, `")))
        }
        None => Look::Elsewhere("no pod of Kubernetes".to_owned()),
    }
}

fn there(environment: &Environment, places: &[&str]) -> Vec<PathBuf> {
    places.iter().map(|place| environment.file(place)).filter(|path| path.is_file()).collect()
}

pub(crate) fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let mut failure = None;
    for path in there(environment, &PLACES) {
        match file::at(&path, audience) {
            Ok(token) => return Ok(token),
            Err(fault) => failure = failure.or(Some(fault)),
        }
    }
    let fits = |token: &Token| token.claims().is_some() && token.fits(audience).is_ok();
    let others = there(environment, &OF_OTHERS);
    let other = others.iter().filter_map(|path| file::read(path).ok()).find(fits);
    other.ok_or_else(|| failure.unwrap_or_else(|| Fault::new("this pod has no token for Writ").help(project(audience))))
}

/// What to write in the pod's specification.
pub(crate) fn project(audience: &Audience) -> String {
    format!(
        "write in the pod's specification `volumes: [{{ name: writ, projected: {{ sources: [{{ serviceAccountToken: {{ audience: \
         {audience}, expirationSeconds: 600, path: token }} }}] }} }}]` and mount it at `/var/run/secrets/writ`"
    )
}
