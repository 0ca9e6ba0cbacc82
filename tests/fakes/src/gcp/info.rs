//! `tokeninfo`: what a token is, told to whoever has it. In the query or in a form, as Google takes both.

use serde_json::{Value, json};

use super::Cloud;
use super::project::Kind;
use super::refusal::Refusal;
use super::service::{Heard, fields};

pub(super) fn serve(cloud: &Cloud, heard: &Heard) -> Result<Value, Refusal> {
    let shown = if heard.method == "GET" { fields(&heard.query)? } else { heard.form()? };
    let invalid = || Refusal::oauth(400, "invalid_token", "Invalid Value");
    let now = cloud.clock.now();
    let one = shown.iter().next().filter(|_| shown.len() == 1);
    let (parameter, token) =
        one.ok_or_else(|| Refusal::request("Either access_token, id_token, or token_handle required"))?;
    let issued = cloud.project().tokens.get(token).filter(|issued| issued.expires > now).cloned();
    let issued = issued.ok_or_else(invalid)?;
    let life = issued.expires - now;
    match (parameter.as_str(), issued.kind) {
        ("access_token", Kind::Access) => {
            let mut said = json!({
                "azp": issued.number, "aud": issued.number, "scope": issued.scopes.join(" "),
                "exp": issued.expires.to_string(), "expires_in": life.to_string(), "access_type": "online",
            });
            let email = "https://www.googleapis.com/auth/userinfo.email";
            if issued.scopes.iter().any(|scope| scope == email)
                && let Some(members) = said.as_object_mut()
            {
                members.insert("email".to_owned(), issued.principal.into());
                members.insert("email_verified".to_owned(), "true".into());
            }
            Ok(said)
        }
        ("id_token", Kind::Identity) => Ok(json!({
            "iss": "https://accounts.google.com", "aud": issued.audience, "azp": issued.number, "sub": issued.number,
            "email": issued.principal, "email_verified": "true", "exp": issued.expires.to_string(),
        })),
        _ => Err(invalid()),
    }
}
