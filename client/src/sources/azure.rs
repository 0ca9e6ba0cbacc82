//! Azure: a managed identity's token, of a machine by its metadata server, of App Service by its own endpoint.
//!
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>

use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::http::{self, Answer, Http};
use crate::token::{Audience, Token};

const ENDPOINT: &str = "IDENTITY_ENDPOINT";
const HEADER: &str = "IDENTITY_HEADER";
const MACHINE: &str = "Azure's metadata server";
const SERVICE: &str = "Azure's identity endpoint";

pub(crate) fn look(environment: &Environment) -> Look {
    if environment.has(ENDPOINT) && environment.has(HEADER) {
        return Look::Serves(format!("`{ENDPOINT}` is set"));
    }
    Look::Elsewhere(format!("`{ENDPOINT}` and `{HEADER}` are not set"))
}

/// Whether the metadata server is there.
pub(crate) async fn answers(environment: &Environment, http: &Http) -> bool {
    let url = format!("{}/metadata/versions", environment.places().azure);
    let answer = http.once(MACHINE, |client| client.get(&url).header("metadata", "true")).await;
    let lists = |answer: &Answer| {
        serde_json::from_slice::<Value>(&answer.body)
            .is_ok_and(|value| value.get("apiVersions").is_some_and(Value::is_array))
    };
    answer.is_ok_and(|answer| answer.status.is_success() && lists(&answer))
}

pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let client_id = environment.variable("AZURE_CLIENT_ID");
    let identity = client_id.as_ref().map(|id| ("client_id", id.as_str()));
    let http = Http::new()?;
    let (who, answer) = match (environment.variable(ENDPOINT), environment.variable(HEADER)) {
        (Some(endpoint), Some(header)) => {
            let url = asked(&service(&endpoint)?, "2019-08-01", audience, identity);
            let ask = |client: &Client| client.get(url.clone()).header("x-identity-header", header.as_str());
            (SERVICE, http.ask(SERVICE, ask).await?)
        }
        _ => {
            let base = format!("{}/metadata/identity/oauth2/token", environment.places().azure);
            let url = Url::parse(&base).map_err(|_| Fault::new("the address of Azure's metadata server is no URL"))?;
            let url = asked(&url, "2018-02-01", audience, identity);
            let ask = |client: &Client| -> RequestBuilder { client.get(url.clone()).header("metadata", "true") };
            (MACHINE, http.ask(MACHINE, ask).await?)
        }
    };
    if answer.status.as_u16() == 400 {
        return Err(refused(&answer, who, audience));
    }
    let token = Token::new(&answer.member(who, "access_token")?, who)?;
    // A token of version 2 names the application's id, whatever its resource was called.
    let second = token.claims().is_some_and(|claims| claims.text("ver") == Some("2.0"));
    if second { Ok(token) } else { given(token, who, audience) }
}

/// App Service's endpoint is on this machine or, in containers, link-local: the header is sent nowhere else in the clear.
fn service(endpoint: &str) -> Result<Url, Fault> {
    let url = Url::parse(endpoint).map_err(|_| Fault::new(format!("`{ENDPOINT}` is no URL")))?;
    let link_local = matches!(http::address(&url), Some(std::net::IpAddr::V4(address)) if address.is_link_local());
    if url.scheme() == "http" && link_local { Ok(url) } else { http::safe(endpoint, &format!("`{ENDPOINT}`")) }
}

fn asked(base: &Url, version: &str, audience: &Audience, identity: Option<(&str, &str)>) -> Url {
    let mut url = base.clone();
    let mut query = url.query_pairs_mut();
    query.append_pair("api-version", version).append_pair("resource", audience.as_str());
    if let Some((name, value)) = identity {
        query.append_pair(name, value);
    }
    drop(query);
    url
}

fn refused(answer: &Answer, who: &str, audience: &Audience) -> Fault {
    let error: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let code = error.as_ref().and_then(|error| error.get("error")).and_then(Value::as_str).unwrap_or("no reason given");
    let code: String = code.chars().filter(|character| character.is_ascii_graphic()).take(80).collect();
    Fault::new(format!("{who} gave no token for `{audience}`: `{code}`")).help(
        "the audience is the identifier of an application in the directory, such as `api://writ`; the machine needs a managed \
         identity, and `AZURE_CLIENT_ID` says which where there are several",
    )
}
