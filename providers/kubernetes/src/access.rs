//! Where the cluster is, who vouches for it, and who the broker is there. TLS is verified, always: whoever answers for an API
//! server unverified gets the broker's own token.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Certificate, Identity, Url};
use writ_core::target::{Address, UpstreamTls};

use crate::bearer::{Asserted, BearerSource, File};
use crate::config::{ConfigFault, KubernetesConfig};
use crate::kubeconfig;
use crate::provider::Seams;

/// Where a pod finds its own token, and the authority of its cluster.
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How the cluster is reached.
pub(crate) struct Access {
    /// The API server, with the path that a proxy before it may want.
    pub(crate) server: Url,
    /// Who may vouch for it; the system's authorities where there are none.
    pub(crate) authorities: Option<Vec<Certificate>>,
    /// The broker's client certificate.
    pub(crate) identity: Option<Identity>,
    /// What the broker shows in each request, where that is not its certificate.
    pub(crate) bearer: Option<Arc<dyn BearerSource>>,
    /// Who the broker is, for whoever reads that the cluster does not know it.
    pub(crate) named: String,
}

impl Access {
    /// As the configuration says.
    pub(crate) fn chosen<E, A, G>(
        config: &KubernetesConfig<E, A, G>,
        address: &Address,
        seams: Seams,
    ) -> Result<Self, ConfigFault> {
        if let Some(path) = &config.kubeconfig {
            return kubeconfig::access(path, config.context.as_deref());
        }
        if config.in_cluster {
            return seams.pod.map_or_else(Pod::here, Ok)?.access();
        }
        let unmade = |way: &str| ConfigFault::new(format!("`{way}`: nothing here makes tokens for it"));
        let bearer: Arc<dyn BearerSource> = match (&config.eks, &config.aks, &config.gke, &config.assertion) {
            (Some(_), ..) => seams.eks.ok_or_else(|| unmade("eks"))?,
            (None, Some(_), ..) => seams.aks.ok_or_else(|| unmade("aks"))?,
            (None, None, Some(_), _) => seams.gke.ok_or_else(|| unmade("gke"))?,
            (None, None, None, Some(assertion)) => {
                let assertions = seams.assertions.ok_or_else(|| {
                    ConfigFault::new("`assertion`: the broker is no issuer: add the table `[broker.issues]`")
                })?;
                Arc::new(Asserted { assertions, audience: assertion.audience.clone() })
            }
            (None, None, None, None) => {
                return Err(ConfigFault::new("nothing says how the broker is let into the cluster"));
            }
        };
        at(address, bearer)
    }
}

/// The API server where the gateway finds it too.
fn at(address: &Address, bearer: Arc<dyn BearerSource>) -> Result<Access, ConfigFault> {
    if address.tls == UpstreamTls::Disable {
        let text = "`tls = \"disable\"`: an API server takes no token without TLS: leave it out, and write `ca_file`";
        return Err(ConfigFault::new(text));
    }
    let authorities = address.ca_pem.as_deref().map(|pem| authorities("ca_file", pem.as_bytes())).transpose()?;
    let server = server("host", &host_and_port(&address.host, address.port))?;
    let named = bearer.named();
    Ok(Access { server, authorities, identity: None, bearer: Some(bearer), named })
}

/// A pod's surroundings.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The directory with `token` and `ca.crt`.
    pub directory: PathBuf,
    /// The API server's address in the cluster.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Pod {
    /// Those of this process.
    fn here() -> Result<Self, ConfigFault> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST");
        let port = variable("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok());
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self { directory: PathBuf::from(POD), host, port }),
            _ => Err(ConfigFault::new(
                "`in_cluster = true`, but this is no pod: there is no `KUBERNETES_SERVICE_HOST` with a port: write \
                 `kubeconfig` or `assertion`",
            )),
        }
    }

    fn access(&self) -> Result<Access, ConfigFault> {
        let authority = read(&self.directory.join("ca.crt"))?;
        let authorities = Some(authorities("in_cluster", &authority)?);
        let server = server("in_cluster", &host_and_port(&self.host, self.port))?;
        let bearer: Arc<dyn BearerSource> = Arc::new(File(self.directory.join("token")));
        let named = bearer.named();
        Ok(Access { server, authorities, identity: None, bearer: Some(bearer), named })
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("https://[{host}]:{port}") } else { format!("https://{host}:{port}") }
}

/// An API server's address: `https`, with no name, password, query or fragment in it.
pub(crate) fn server(setting: &str, text: &str) -> Result<Url, ConfigFault> {
    let plain = |url: &Url| {
        let nobody = url.username().is_empty() && url.password().is_none();
        url.scheme() == "https" && nobody && url.query().is_none() && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(plain);
    url.ok_or_else(|| {
        ConfigFault::new(format!("`{setting}` has no address of an API server: it is `https://host:port`"))
    })
}

/// The authorities in a PEM text, at least one.
pub(crate) fn authorities(setting: &str, pem: &[u8]) -> Result<Vec<Certificate>, ConfigFault> {
    let bundle = Certificate::from_pem_bundle(pem).ok().filter(|bundle| !bundle.is_empty());
    bundle.ok_or_else(|| ConfigFault::new(format!("`{setting}` has no certificate of an authority in PEM")))
}

/// A file of a few kilobytes: certificates, keys, a kubeconfig.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ConfigFault> {
    const LIMIT: u64 = 1024 * 1024;
    let said = |problem: String| ConfigFault::new(format!("`{}` cannot be read: {problem}", path.display()));
    let meta = path.metadata().map_err(|error| said(error.to_string()))?;
    if !meta.is_file() || meta.len() > LIMIT {
        return Err(said(format!("it is no regular file, or longer than {LIMIT} bytes")));
    }
    std::fs::read(path).map_err(|error| said(error.to_string()))
}
