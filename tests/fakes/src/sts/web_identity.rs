//! AssumeRoleWithWebIdentity: unsigned, and everything depends on the token and the role's trust.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use super::account::provider_arn;
use super::audit::Entry;
use super::policy::{Asker, Context, Decision};
use super::query::{Params, checked};
use super::refusal::Refusal;
use super::session::{Asked, Granted, is_ours, issue, tell_tags};
use super::token::{Claims, Parsed};
use super::trouble::Trouble;
use super::{Cloud, answer};

const ACTION: &str = "sts:AssumeRoleWithWebIdentity";

pub(super) async fn serve(cloud: &Cloud, mut params: Params, entry: &mut Entry) -> Result<String, Refusal> {
    let token =
        checked(params.required("WebIdentityToken")?, "WebIdentityToken", 4..=20_000, |c| c.is_ascii_graphic())?;
    if params.names("ProviderId") {
        return Err(Refusal::validation(
            "ProviderId is for OAuth 2.0 access tokens and must not stand beside an OIDC token",
        ));
    }
    let asked = Asked::take(&mut params, cloud, entry)?;
    params.finish()?;
    let claims = verified(cloud, &token).await?;
    entry.web_identity(&claims.issuer, &claims.audience, &claims.subject);
    tell_tags(&claims.tags, entry);
    if let Some(identity) = &claims.source_identity {
        entry.parameter("sourceIdentity", identity.clone());
    }
    let (role, role_id, duration) = trusted(cloud, &asked, &claims)?;
    let Claims { issuer, subject, audience, tags, source_identity, .. } = claims;
    let federated = Some(provider_arn(&issuer));
    let granted = Granted { asked, role, role_id, duration, tags, source_identity, federated };
    let common = issue(cloud, granted, entry).await?;
    Ok(answer::text("SubjectFromWebIdentityToken", &subject)
        + &answer::text("Audience", &audience)
        + &answer::text("Provider", &issuer)
        + &common)
}

async fn verified(cloud: &Cloud, token: &str) -> Result<Claims, Refusal> {
    let parsed = Parsed::read(token)?;
    let issuer = parsed.issuer()?;
    let provider = cloud.account().providers.get(issuer).cloned();
    let mut provider = provider
        .ok_or_else(|| Refusal::token(format!("No OpenIDConnect provider found in your account for {issuer}")))?;
    let keys = parsed.keys(&provider).await?;
    let mut now = cloud.clock.now();
    match cloud.trouble() {
        Some(Trouble::WrongAudience) => provider.client_ids.clear(),
        Some(Trouble::ExpiredAssertion) => now += 100 * 365 * 86_400,
        _ => {}
    }
    parsed.verify(&provider, &keys, now)
}

/// The role's name, its id, and how long the session may be.
fn trusted(cloud: &Cloud, asked: &Asked, claims: &Claims) -> Result<(String, String, u32), Refusal> {
    let refused = |action: &str| Refusal::denied(format!("Not authorized to perform {action}"));
    let account = cloud.account();
    let role =
        account.role_by_arn(&asked.role_arn).filter(|_| is_ours(&asked.role_arn)).ok_or_else(|| refused(ACTION))?;
    let mut context = Context::default();
    claims.tell(&mut context);
    context.set("sts:RoleSessionName", asked.name.clone());
    let provider = provider_arn(&claims.issuer);
    context.set("aws:FederatedProvider", provider.clone());
    for (key, value) in &claims.tags.values {
        context.set(&format!("aws:RequestTag/{key}"), value.clone());
    }
    context.set_all("aws:TagKeys", claims.tags.values.keys().cloned().collect());
    context.set_all("sts:TransitiveTagKeys", claims.tags.transitive.iter().cloned().collect());
    if let Some(identity) = &claims.source_identity {
        context.set("sts:SourceIdentity", identity.clone());
    }
    let asker = Asker::Federated(&provider);
    let mut needed = vec![ACTION];
    needed.extend((!claims.tags.values.is_empty()).then_some("sts:TagSession"));
    needed.extend(claims.source_identity.is_some().then_some("sts:SetSourceIdentity"));
    for action in needed {
        let trusted = role.trust.trusts(&asker, action, &context) == Decision::Allow;
        if !trusted || cloud.trouble() == Some(Trouble::Untrusted) {
            return Err(refused(ACTION));
        }
    }
    Ok((role.name.clone(), role.id.clone(), asked.duration(role.longest)?))
}
