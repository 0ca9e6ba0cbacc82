//! AssumeRole: signed, with tags and source identity as parameters, and inherited through chains.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>

use super::Cloud;
use super::account::{ACCOUNT, Account, Caller, KnownRole, context_of};
use super::audit::Entry;
use super::policy::{Asker, Context, Decision};
use super::query::{Params, checked};
use super::refusal::Refusal;
use super::session::{Asked, Granted, is_ours, issue, tell_tags};
use super::tags::{Tags, source_identity};
use super::trouble::Trouble;

const ACTION: &str = "sts:AssumeRole";
/// The longest session that a session can get.
const CHAINED: u32 = 3600;

pub(super) async fn serve(
    cloud: &Cloud,
    caller: &Caller,
    mut params: Params,
    entry: &mut Entry,
) -> Result<String, Refusal> {
    let asked = Asked::take(&mut params, cloud, entry)?;
    let external = params.optional("ExternalId");
    let external = external.map(|value| checked(value, "ExternalId", 2..=1224, external_character)).transpose()?;
    let own = params.structures("Tags", &["Key", "Value"])?.into_iter().filter_map(|pair| pair.try_into().ok());
    let own = own.map(|[key, value]: [String; 2]| (key, value)).collect();
    let own = Tags::new(own, params.list("TransitiveTagKeys")?).map_err(Refusal::validation)?;
    let identity = params.optional("SourceIdentity");
    let identity = identity.map(|text| source_identity(&text).map_err(Refusal::validation)).transpose()?;
    params.finish()?;
    tell_tags(&own, entry);
    for (name, value) in [("sourceIdentity", &identity), ("externalId", &external)] {
        if let Some(value) = value {
            entry.parameter(name, value.clone());
        }
    }
    let tags = with_inherited(caller, &own)?;
    let kept = caller.session.as_ref().and_then(|session| session.source_identity.clone());
    if let (Some(kept), Some(wanted)) = (&kept, &identity)
        && kept != wanted
    {
        return Err(Refusal::denied("the source identity of a session cannot be changed"));
    }
    let wish = Wish { asked: &asked, own: &own, identity: identity.as_deref(), external: external.as_deref() };
    let (role, role_id, duration) = trusted(cloud, caller, &wish)?;
    let source_identity = identity.or(kept);
    let granted = Granted { asked, role, role_id, duration, tags, source_identity, federated: None };
    issue(cloud, granted, entry).await
}

fn external_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@:/-".contains(character)
}

/// The caller's transitive tags come along and cannot be given anew.
fn with_inherited(caller: &Caller, own: &Tags) -> Result<Tags, Refusal> {
    let mut tags = own.clone();
    let Some(session) = &caller.session else { return Ok(tags) };
    for key in &session.transitive {
        if own.values.keys().any(|known| known.to_lowercase() == key.to_lowercase()) {
            let words = format!(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session: `{key}`"
            );
            return Err(Refusal::validation(words));
        }
        if let Some(value) = session.tags.get(key) {
            tags.values.insert(key.clone(), value.clone());
            tags.transitive.insert(key.clone());
        }
    }
    Ok(tags)
}

struct Wish<'a> {
    asked: &'a Asked,
    own: &'a Tags,
    identity: Option<&'a str>,
    external: Option<&'a str>,
}

impl Wish<'_> {
    fn tell(&self, context: &mut Context) {
        context.set("sts:RoleSessionName", self.asked.name.clone());
        for (key, value) in &self.own.values {
            context.set(&format!("aws:RequestTag/{key}"), value.clone());
        }
        context.set_all("aws:TagKeys", self.own.values.keys().cloned().collect());
        context.set_all("sts:TransitiveTagKeys", self.own.transitive.iter().cloned().collect());
        if let Some(identity) = self.identity {
            context.set("sts:SourceIdentity", identity);
        }
        if let Some(external) = self.external {
            context.set("sts:ExternalId", external);
        }
    }
}

fn trusted(cloud: &Cloud, caller: &Caller, wish: &Wish<'_>) -> Result<(String, String, u32), Refusal> {
    let asked = wish.asked;
    let (arn, role_arn) = (&caller.arn, &asked.role_arn);
    let refused = |action: &str| {
        Refusal::denied(format!("User: {arn} is not authorized to perform: {action} on resource: {role_arn}"))
    };
    let mut context = context_of(caller, cloud.clock.now());
    wish.tell(&mut context);
    let account = cloud.account();
    let role = account.role_by_arn(role_arn).filter(|_| is_ours(role_arn)).ok_or_else(|| refused(ACTION))?;
    let mut needed = vec![ACTION];
    needed.extend((!wish.own.values.is_empty()).then_some("sts:TagSession"));
    needed.extend(wish.identity.is_some().then_some("sts:SetSourceIdentity"));
    for action in needed {
        if cloud.trouble() == Some(Trouble::Untrusted) || !lets(&account, role, caller, action, &context) {
            return Err(refused(action));
        }
    }
    let duration = asked.duration(role.longest)?;
    if caller.session.is_some() && duration > CHAINED {
        let words = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(Refusal::validation(words));
    }
    Ok((role.name.clone(), role.id.clone(), duration))
}

/// The trust must allow it, and the caller's own policies too; these may be silent on AssumeRole where the trust names the
/// caller itself.
fn lets(account: &Account, role: &KnownRole, caller: &Caller, action: &str, context: &Context) -> bool {
    let asker = Asker::Aws { arns: caller.names(), account: ACCOUNT };
    if role.trust.trusts(&asker, action, context) != Decision::Allow {
        return false;
    }
    let own = account.may(caller, action, &role.arn, context);
    let silent = own.as_ref().is_err_and(|refusal| refusal.message.contains("no identity-based policy"));
    own.is_ok() || (silent && action == ACTION && role.trust.names_exactly(&caller.names()))
}
