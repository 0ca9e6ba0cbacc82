//! The token endpoint, version 2: client credentials with a client assertion.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::assertion::{self, Parsed};
use super::refusal::{fresh_guid, json_response};
use super::{App, Asked, Directory, Federated, Refusal, TENANT, Trouble, guid, held};

const KNOWN: [&str; 6] =
    ["client_id", "scope", "grant_type", "client_assertion_type", "client_assertion", "client_info"];
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What an answer says that it does not hold to, in [`Trouble::FarExpiry`].
const FAR: i64 = 10 * 365 * 86_400;

/// What a request says of itself, as far as it was understood: for the log.
#[derive(Default)]
struct Entry {
    client: Option<String>,
    object: Option<String>,
    resource: Option<String>,
    credential: Option<String>,
    uti: Option<String>,
}

pub(super) async fn serve(directory: &Directory, tenant: &str, asked: &Asked) -> Response<Body> {
    let correlation = asked.headers.get("client-request-id").filter(|id| guid(id)).cloned().unwrap_or_else(fresh_guid);
    let (now, trace, mut entry) = (directory.clock.now(), fresh_guid(), Entry::default());
    match directory.trouble() {
        Some(Trouble::Throttled) => {
            let refusal = Refusal::new(
                429,
                "temporarily_unavailable",
                90_055,
                "The server has terminated an operation because it encountered excessive request rate.",
            );
            return refusal.response(now, &correlation, &trace);
        }
        Some(Trouble::ServerError) => {
            let response = Response::builder().status(503).header("content-type", "text/html");
            return response.body(Body::from("<h2>Our services aren't available right now</h2>")).unwrap_or_default();
        }
        Some(Trouble::Silent) => std::future::pending::<()>().await,
        _ => {}
    }
    let outcome = answered(directory, tenant, asked, &mut entry).await;
    log(directory, &entry, &correlation, outcome.as_ref().err());
    match outcome {
        Ok(body) => json_response(200, &body),
        Err(refusal) => refusal.response(now, &correlation, &trace),
    }
}

async fn answered(directory: &Directory, tenant: &str, asked: &Asked, entry: &mut Entry) -> Result<Value, Refusal> {
    known_tenant(tenant)?;
    let form = Form::read(asked)?;
    if form.value("grant_type")? != "client_credentials" {
        let words = "The app requested an unsupported grant type.";
        return Err(Refusal::new(400, "unsupported_grant_type", 70_003, words));
    }
    let client = form.value("client_id")?;
    entry.client = Some(client.to_owned());
    let app = directory.apps().get(client).cloned().ok_or_else(|| {
        let words = format!("Application with identifier '{client}' was not found in the directory '{TENANT}'.");
        Refusal::new(400, "unauthorized_client", 700_016, words)
    })?;
    entry.object = Some(app.object_id.clone());
    let resource = resource(directory, form.value("scope")?)?;
    entry.resource = Some(resource.clone());
    let missing = || {
        let words = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Refusal::client(7_000_218, words)
    };
    if form.maybe("client_assertion_type").ok_or_else(missing)? != ASSERTION_TYPE {
        return Err(Refusal::request(90_100, "client_assertion_type parameter is empty or not valid."));
    }
    let parsed = Parsed::read(form.maybe("client_assertion").ok_or_else(missing)?)?;
    entry.credential = Some(trusted(directory, &parsed, &app).await?.name);
    let broken = |what: String| Refusal::new(500, "server_error", 90_033, what);
    let mut given = directory.give(&app, &resource).map_err(broken)?;
    match directory.trouble() {
        Some(Trouble::Opaque) => given.token = given.token.replace('.', "_"),
        Some(Trouble::OthersToken) => {
            let other = directory.apps().values().find(|other| other.client_id != app.client_id).cloned();
            given = directory.give(&other.unwrap_or(app), &resource).map_err(broken)?;
        }
        _ => {}
    }
    entry.uti = Some(given.uti);
    let life = if directory.trouble() == Some(Trouble::FarExpiry) { FAR } else { given.life };
    let mut body = json!({ "token_type": "Bearer", "expires_in": life, "ext_expires_in": life });
    if let Some(body) = body.as_object_mut().filter(|_| directory.trouble() != Some(Trouble::NoToken)) {
        body.insert("access_token".to_owned(), given.token.into());
    }
    Ok(body)
}

fn known_tenant(tenant: &str) -> Result<(), Refusal> {
    if tenant == TENANT {
        return Ok(());
    }
    if !guid(tenant) && !tenant.contains('.') {
        let words =
            format!("Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.");
        return Err(Refusal::request(900_023, words));
    }
    let words = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
    );
    Err(Refusal::request(90_002, words))
}

/// The one resource that a scope is of.
fn resource(directory: &Directory, scope: &str) -> Result<String, Refusal> {
    let named = scope.strip_suffix("/.default").filter(|resource| !resource.contains(' ') && !resource.is_empty());
    let resource = named.ok_or_else(|| {
        let words = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed \
             to the resource identifier (application ID URI)."
        );
        Refusal::new(400, "invalid_scope", 1_002_012, words)
    })?;
    if held(&directory.resources).iter().any(|known| known == resource) {
        return Ok(resource.to_owned());
    }
    let words = format!("The resource principal named {resource} was not found in the tenant named {TENANT}.");
    Err(Refusal::new(400, "invalid_resource", 500_011, words))
}

async fn trusted(directory: &Directory, parsed: &Parsed, app: &App) -> Result<Federated, Refusal> {
    let credential = parsed.issuer(app)?;
    let keys = assertion::keys(credential).await?;
    parsed.verify_signature(&keys)?;
    let mut now = directory.clock.now();
    let mut app = app.clone();
    match directory.trouble() {
        Some(Trouble::ExpiredAssertion) => now += 100 * 365 * 86_400,
        Some(Trouble::WrongAudience) => app.federated.iter_mut().for_each(|one| one.audience.push_str("Elsewhere")),
        Some(Trouble::Untrusted) => app.federated.iter_mut().for_each(|one| one.subject.push_str("-elsewhere")),
        _ => {}
    }
    parsed.verify_times(now)?;
    parsed.matching(&app).cloned()
}

/// The form's parameters, each once and none unknown.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(asked: &Asked) -> Result<Self, Refusal> {
        let kind = asked.headers.get("content-type").map(String::as_str).unwrap_or_default();
        if kind.split(';').next() != Some("application/x-www-form-urlencoded") {
            return Err(Refusal::request(90_100, "The content type is not application/x-www-form-urlencoded."));
        }
        let spaced = asked.body.replace('+', "%20");
        let pairs = crate::sigv4::pairs(&spaced).ok_or_else(|| Refusal::request(90_100, "The form cannot be read."))?;
        for (number, (name, _)) in pairs.iter().enumerate() {
            if pairs.iter().skip(number + 1).any(|(other, _)| other == name) {
                let words = format!("The request is not properly formatted. The parameter '{name}' is duplicated.");
                return Err(Refusal::request(9_000_411, words));
            }
            if !KNOWN.contains(&name.as_str()) {
                return Err(Refusal::request(90_100, format!("{name} parameter is not known here.")));
            }
        }
        Ok(Self(pairs))
    }

    fn maybe(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    fn value(&self, name: &str) -> Result<&str, Refusal> {
        self.maybe(name).ok_or_else(|| {
            let words = format!("The request body must contain the following parameter: '{name}'.");
            Refusal::request(900_144, words)
        })
    }
}

/// As Entra's log of service principals' sign-ins has it.
fn log(directory: &Directory, entry: &Entry, correlation: &str, refusal: Option<&Refusal>) {
    let status = json!({
        "errorCode": refusal.map_or(0, |refusal| refusal.code),
        "failureReason": refusal.map(|refusal| refusal.message.clone()),
    });
    let row = json!({
        "createdDateTime": crate::clock::iso(directory.clock.now()),
        "correlationId": correlation,
        "appId": entry.client,
        "servicePrincipalId": entry.object,
        "resourceIdentity": entry.resource,
        "federatedCredentialId": entry.credential,
        "uniqueTokenIdentifier": entry.uti,
        "tenantId": TENANT,
        "status": status,
    });
    held(&directory.sign_ins).push(row);
}
