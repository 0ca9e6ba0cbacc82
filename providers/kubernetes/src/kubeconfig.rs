//! A kubeconfig file: the cluster's address and the broker's identity there.
//!
//! What it may say is a part of what kubectl takes. Programs (`exec`, `auth-provider`) are not run: they would get the broker's
//! environment and put tokens on the broker's disk. Unverified TLS, proxies, impersonation and passwords are refused, and so is
//! any field that is not known here: it might be one of those under a newer name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use reqwest::{Certificate, Identity};
use writ_core::credential::Secret;
use zeroize::Zeroizing;

use crate::access::{self, Access};
use crate::bearer::{BearerSource, File, Fixed};
use crate::config::ConfigFault;

/// What `path` says of a context, or of its current one.
pub(crate) fn access(path: &Path, context: Option<&str>) -> Result<Access, ConfigFault> {
    let said = |problem: &str| ConfigFault::new(format!("the kubeconfig `{}`: {problem}", path.display()));
    let bytes = Zeroizing::new(access::read(path)?);
    let text = str::from_utf8(&bytes).map_err(|_| said("it is not UTF-8"))?;
    // The parser's own words may quote a token.
    let config = Kubeconfig::from_yaml(text).map_err(|_| said("it is not a kubeconfig in YAML"))?;
    let name = context.or(config.current_context.as_deref());
    let name = name.ok_or_else(|| said("it has no `current-context`: write `context`"))?;
    let context = config.contexts.iter().find(|context| context.name == name).and_then(|named| named.context.as_ref());
    let context = context.ok_or_else(|| said(&format!("it has no context `{name}`")))?;
    let cluster = config.clusters.iter().find(|named| named.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    let cluster = cluster.ok_or_else(|| said(&format!("it has no cluster `{}`", context.cluster)))?;
    let user = context.user.as_deref().unwrap_or_default();
    let auth = config.auth_infos.iter().find(|named| named.name == user).and_then(|named| named.auth_info.as_ref());
    let auth = auth.ok_or_else(|| said(&format!("it has no user `{user}`")))?;
    if let Some(problem) = refused_of_cluster(cluster).or_else(|| refused_of_user(auth)) {
        return Err(said(&problem));
    }
    let named = format!("the user `{user}` of the kubeconfig `{}`", path.display());
    let home = path.parent().unwrap_or(Path::new(""));
    let server = access::server("server", cluster.server.as_deref().unwrap_or_default());
    let server = server.map_err(|fault| said(&fault.to_string()))?;
    let authorities = authorities(cluster, home).map_err(|fault| said(&fault.to_string()))?;
    let bearer = bearer(auth, home, &named);
    let identity = identity(auth, home).map_err(|fault| said(&fault.to_string()))?;
    if bearer.is_none() && identity.is_none() {
        return Err(said(&format!("its user `{user}` has neither a token nor a client certificate")));
    }
    Ok(Access { server, authorities, identity, bearer, named })
}

fn refused_of_cluster(cluster: &Cluster) -> Option<String> {
    let unverified = cluster.insecure_skip_tls_verify == Some(true);
    let mut problems = [
        (
            unverified,
            "`insecure-skip-tls-verify` would show the broker's token to anybody: write `certificate-authority`",
        ),
        (cluster.proxy_url.is_some(), "`proxy-url` is not used here: name a server that is reached without"),
        (
            cluster.tls_server_name.is_some(),
            "`tls-server-name` is not used here: name the server as its certificate does",
        ),
    ]
    .into_iter();
    let known = problems.find_map(|(found, problem)| found.then(|| problem.to_owned()));
    known.or_else(|| unknown(cluster.other.keys()))
}

fn refused_of_user(auth: &AuthInfo) -> Option<String> {
    let password = auth.username.is_some() || auth.password.is_some();
    let other = auth.impersonate.is_some()
        || auth.impersonate_uid.is_some()
        || auth.impersonate_groups.is_some()
        || auth.impersonate_user_extra.is_some();
    let mut problems = [
        (
            auth.exec.is_some() || auth.auth_provider.is_some(),
            "programs (`exec`, `auth-provider`) are not run: write a `tokenFile` or a client certificate there, or use `eks` or \
             `assertion` instead of `kubeconfig`",
        ),
        (password, "API servers take no passwords: write a `tokenFile` or a client certificate"),
        (other, "`as` is not used here: give the broker's own user what it needs"),
    ]
    .into_iter();
    let known = problems.find_map(|(found, problem)| found.then(|| problem.to_owned()));
    known.or_else(|| unknown(auth.other.keys()))
}

fn unknown<'a>(mut fields: impl Iterator<Item = &'a String>) -> Option<String> {
    fields
        .next()
        .map(|field| format!("the field `{}` is not known here: leave it out", writ_provider_calls::plain(field)))
}

/// Data stands before a file, as for kubectl.
fn authorities(cluster: &Cluster, home: &Path) -> Result<Option<Vec<Certificate>>, ConfigFault> {
    let pem = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => decoded("certificate-authority-data", data)?,
        (None, Some(file)) => Zeroizing::new(access::read(&beside(home, file))?),
        (None, None) => return Ok(None),
    };
    access::authorities("certificate-authority", &pem).map(Some)
}

/// A token stands before a file, as for kubectl.
fn bearer(auth: &AuthInfo, home: &Path, named: &str) -> Option<Arc<dyn BearerSource>> {
    use secrecy::ExposeSecret as _;
    if let Some(token) = auth.token.as_ref().map(|token| token.expose_secret().trim()).filter(|token| !token.is_empty())
    {
        let token = Secret::new(token.as_bytes().to_vec());
        return Some(Arc::new(Fixed { token, named: named.to_owned() }));
    }
    let file = auth.token_file.as_ref().filter(|file| !file.is_empty())?;
    Some(Arc::new(File(beside(home, file))))
}

fn identity(auth: &AuthInfo, home: &Path) -> Result<Option<Identity>, ConfigFault> {
    use secrecy::ExposeSecret as _;
    let certificate = match (&auth.client_certificate_data, &auth.client_certificate) {
        (Some(data), _) => Some(decoded("client-certificate-data", data)?),
        (None, Some(file)) => Some(Zeroizing::new(access::read(&beside(home, file))?)),
        (None, None) => None,
    };
    let key = match (&auth.client_key_data, &auth.client_key) {
        (Some(data), _) => Some(decoded("client-key-data", data.expose_secret())?),
        (None, Some(file)) => Some(Zeroizing::new(access::read(&beside(home, file))?)),
        (None, None) => None,
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let both = Zeroizing::new([certificate.as_slice(), b"\n", key.as_slice()].concat());
            let identity = Identity::from_pem(&both);
            identity.map(Some).map_err(|_| ConfigFault::new("the client's certificate and key are not a pair in PEM"))
        }
        (None, None) => Ok(None),
        _ => Err(ConfigFault::new("a client certificate needs its key, and a key its certificate: write both")),
    }
}

fn decoded(field: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, ConfigFault> {
    let decoded = STANDARD.decode(text.trim());
    decoded.map(Zeroizing::new).map_err(|_| ConfigFault::new(format!("`{field}` is not base64")))
}

/// Paths in a kubeconfig are relative to its own directory.
fn beside(home: &Path, file: &str) -> PathBuf {
    home.join(file)
}
