//! The security token service.
//!
//! <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>

use serde_json::{Value, json};

use super::jwt::Parsed;
use super::project::{Issued, Kind, Project};
use super::refusal::Refusal;
use super::service::{Entry, Heard, fields};
use super::{Cloud, Texts, Trouble, cel};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const LIFE: i64 = 3_600;
/// Ten years.
const FAR: i64 = 10 * 365 * 24 * 3_600;

pub(super) async fn serve(cloud: &Cloud, heard: &Heard, entry: &mut Entry) -> Result<Value, Refusal> {
    entry.method = "google.identity.sts.v1.SecurityTokenService.ExchangeToken";
    if heard.authorization().is_some() {
        return Err(Refusal::oauth(
            401,
            "invalid_client",
            "There is no client to authenticate with a pool of workloads.",
        ));
    }
    let form = heard.form()?;
    let given = |name: &str| form.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let needed =
        |name: &str| given(name).ok_or_else(|| Refusal::request(format!("Missing required parameter: {name}")));
    if needed("grant_type")? != EXCHANGE {
        return Err(Refusal::oauth(400, "unsupported_grant_type", "Invalid grant_type."));
    }
    if needed("requested_token_type")? != ACCESS_TOKEN {
        return Err(Refusal::request("Unsupported requested_token_type."));
    }
    let token = needed("subject_token")?;
    match needed("subject_token_type")? {
        "urn:ietf:params:oauth:token-type:jwt" | "urn:ietf:params:oauth:token-type:id_token" => {
            known(&form, &["audience", "scope"])?;
            federated(cloud, heard, (needed("audience")?, needed("scope")?, token), entry).await
        }
        ACCESS_TOKEN => {
            known(&form, &["options"])?;
            bounded(cloud, heard, token, needed("options")?, entry)
        }
        _ => Err(Refusal::request("Invalid value for \"subject_token_type\".")),
    }
}

fn known(form: &Texts, more: &[&str]) -> Result<(), Refusal> {
    let always = ["grant_type", "requested_token_type", "subject_token", "subject_token_type"];
    match form.keys().find(|name| !always.contains(&name.as_str()) && !more.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Refusal::request(format!("The parameter {unknown} is of no use in this exchange."))),
    }
}

async fn federated(
    cloud: &Cloud,
    heard: &Heard,
    (audience, scope, token): (&str, &str, &str),
    entry: &mut Entry,
) -> Result<Value, Refusal> {
    audience.clone_into(&mut entry.resource);
    let formed = audience.strip_prefix("//iam.googleapis.com/projects/").is_some_and(|rest| {
        rest.split_once('/').is_some_and(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if !formed {
        return Err(Refusal::request(
            "Invalid value for \"audience\". This value should be the full resource name of the Identity Provider.",
        ));
    }
    let provider = cloud.project().provider(audience).ok_or_else(|| {
        let words = "The target service indicated by the \"audience\" parameters is invalid. This might either be because the pool or \
                     provider is disabled or deleted or because it doesn't exist.";
        Refusal::oauth(400, "invalid_target", words)
    })?;
    let scopes = scopes(scope)?;
    let mut audiences = Project::audiences(&provider, audience);
    let mut now = cloud.clock.now();
    match cloud.trouble() {
        Some(Trouble::WrongAudience) => audiences.clear(),
        Some(Trouble::ExpiredAssertion) => now += 7_200,
        _ => {}
    }
    let claims = Parsed::read(token)?.verify(&cloud.http, &provider, &audiences, now).await?;
    let principal = cloud.project().principal(audience, &claims)?;
    principal.name.clone_into(&mut entry.principal);
    entry.request = json!({ "audience": audience, "scope": scope, "subjectTokenType": "jwt" });
    if cloud.trouble() == Some(Trouble::Untrusted) {
        let words = "The given credential is rejected by the attribute condition.";
        return Err(Refusal::oauth(400, "unauthorized_client", words));
    }
    let now = cloud.clock.now();
    let issued = Issued {
        kind: Kind::Federated,
        principal: principal.name,
        members: principal.members,
        number: String::new(),
        scopes,
        audience: None,
        boundary: None,
        issued: now,
        expires: now + LIFE,
        reason: heard.reason(),
    };
    let given = cloud.project().give("ya29.d.", issued);
    let token = given.map_err(|why| Refusal::rpc(500, "INTERNAL", why))?;
    Ok(json!({
        "access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer",
        "expires_in": if cloud.trouble() == Some(Trouble::FarExpiry) { FAR } else { LIFE },
    }))
}

fn scopes(text: &str) -> Result<Vec<String>, Refusal> {
    let scopes: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if scopes.iter().all(|scope| super::is_scope(scope)) {
        return Ok(scopes);
    }
    Err(Refusal::oauth(400, "invalid_scope", "Some requested scopes were invalid."))
}

/// The same token, behind a boundary.
fn bounded(cloud: &Cloud, heard: &Heard, token: &str, options: &str, entry: &mut Entry) -> Result<Value, Refusal> {
    let now = cloud.clock.now();
    let mut project = cloud.project();
    let source = project.tokens.get(token).filter(|issued| issued.expires > now).cloned();
    let source = source.ok_or_else(|| Refusal::grant("Invalid access token."))?;
    source.principal.clone_into(&mut entry.principal);
    if source.kind != Kind::Access {
        return Err(Refusal::request("The subject token cannot be put behind an access boundary."));
    }
    // Google's library for Python escapes the JSON before it writes the form, those for Rust and JavaScript do not.
    let options =
        if options.starts_with('%') { fields(&format!("o={options}"))?.remove("o") } else { Some(options.to_owned()) };
    let options: Value =
        serde_json::from_str(&options.unwrap_or_default()).map_err(|_| Refusal::request("Invalid options."))?;
    entry.request = options.clone();
    let rules = rules(&options).map_err(|why| Refusal::request(format!("Invalid access boundary: {why}.")))?;
    let issued = Issued { kind: Kind::Bounded, boundary: Some(rules), issued: now, reason: heard.reason(), ..source };
    let given = project.give("ya29.dr.", issued).map_err(|why| Refusal::rpc(500, "INTERNAL", why))?;
    // Google leaves the end out for tokens of service accounts: it is the source's.
    Ok(json!({ "access_token": given, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer" }))
}

fn rules(options: &Value) -> Result<Value, String> {
    let only = |value: &Value, names: &[&str]| match value.as_object() {
        Some(members) if members.keys().all(|name| names.contains(&name.as_str())) => Ok(()),
        _ => Err(format!("no object of {names:?}")),
    };
    only(options, &["accessBoundary"])?;
    let boundary = options.get("accessBoundary").ok_or("no `accessBoundary`")?;
    only(boundary, &["accessBoundaryRules"])?;
    let rules = boundary.get("accessBoundaryRules").and_then(Value::as_array).ok_or("no `accessBoundaryRules`")?;
    if rules.is_empty() || rules.len() > 10 {
        return Err("1 to 10 rules are taken".to_owned());
    }
    for rule in rules {
        only(rule, &["availableResource", "availablePermissions", "availabilityCondition"])?;
        let resource = rule.get("availableResource").and_then(Value::as_str).unwrap_or_default();
        if !resource.starts_with("//storage.googleapis.com/projects/_/buckets/") {
            return Err("`availableResource` is no bucket".to_owned());
        }
        let permissions = rule.get("availablePermissions").and_then(Value::as_array).ok_or("no permissions")?;
        let role = |text: &Value| text.as_str().is_some_and(|text| text.starts_with("inRole:"));
        if permissions.is_empty() || !permissions.iter().all(role) {
            return Err("`availablePermissions` are `inRole:`".to_owned());
        }
        if let Some(condition) = rule.get("availabilityCondition") {
            only(condition, &["expression", "title", "description"])?;
            let expression = condition.get("expression").and_then(Value::as_str).ok_or("no `expression`")?;
            cel::Expression::parse(expression)?;
        }
    }
    Ok(rules.clone().into())
}
