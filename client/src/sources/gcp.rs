//! Google Cloud: the metadata server gives a token of the attached service account.
//!
//! <https://cloud.google.com/compute/docs/instances/verifying-instance-identity>

use reqwest::Url;

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::http::{Answer, Http};
use crate::token::{Audience, Token};

const WHO: &str = "Google's metadata server";
const FLAVOR: &str = "metadata-flavor";
const IDENTITY: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";
/// What Google's own platforms set, where there is a metadata server without a machine.
const HINTS: [&str; 5] = ["GCE_METADATA_HOST", "K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_TARGET", "GAE_SERVICE"];

pub(crate) fn look(environment: &Environment) -> Look {
    // Knative sets `K_SERVICE` on any cluster.
    let hint = HINTS.into_iter().find(|name| environment.has(name));
    match hint {
        Some(name) if name != "K_SERVICE" || !environment.has("KUBERNETES_SERVICE_HOST") => {
            Look::Serves(format!("`{name}` is set"))
        }
        _ => Look::Elsewhere("no variable of Google's platforms is set".to_owned()),
    }
}

fn base(environment: &Environment) -> String {
    environment
        .variable("GCE_METADATA_HOST")
        .map_or_else(|| environment.places().google.clone(), |host| format!("http://{}", host.as_str()))
}

/// Whether the metadata server is there.
pub(crate) async fn answers(environment: &Environment, http: &Http) -> bool {
    let url = base(environment);
    let answer = http.once(WHO, |client| client.get(&url).header(FLAVOR, "Google")).await;
    answer.is_ok_and(|answer| answer.status.is_success() && is_googles(&answer))
}

fn is_googles(answer: &Answer) -> bool {
    answer.headers.get(FLAVOR).is_some_and(|flavor| flavor == "Google")
}

pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let mut url = Url::parse(&format!("{}{IDENTITY}", base(environment)))
        .map_err(|_| Fault::new("`GCE_METADATA_HOST` is no host"))?;
    url.query_pairs_mut().append_pair("audience", audience.as_str()).append_pair("format", "full");
    let http = Http::new()?;
    let answer = http.ask(WHO, |client| client.get(url.clone()).header(FLAVOR, "Google")).await?;
    if !is_googles(&answer) {
        return Err(Fault::new("what answers in the place of Google's metadata server is something else")
            .help("look at `GCE_METADATA_HOST`, and at what listens on 169.254.169.254"));
    }
    if answer.status.as_u16() == 404 {
        return Err(Fault::new("this machine has no service account").help("attach one to the instance"));
    }
    given(Token::new(answer.text(WHO)?, WHO)?, WHO, audience)
}
