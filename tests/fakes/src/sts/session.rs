//! What every way to a session has in common: its parameters, its packed size, and moto's credentials for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::account::{ACCOUNT, Holder, Session};
use super::audit::Entry;
use super::policy::{Document, Kind};
use super::query::{Params, checked, constraint, name_character};
use super::refusal::Refusal;
use super::tags::Tags;
use super::trouble::Trouble;
use super::{Cloud, answer};
use crate::clock;

const POLICY_LIMIT: usize = 2048;
const ARNS_LIMIT: usize = 10;
const FAR: i64 = 10 * 365 * 86_400;

/// A session that was given out, for tests to look at. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The access key's id.
    pub access_key: String,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME`.
    pub arn: String,
    /// The role's ARN.
    pub role_arn: String,
    /// The session's name.
    pub name: String,
    /// The source identity, where one was set.
    pub source_identity: Option<String>,
    /// The session's tags.
    pub tags: BTreeMap<String, String>,
    /// Which of them a next hop inherits.
    pub transitive: Vec<String>,
    /// The session policies, as they were sent: the inline one first.
    pub policies: Vec<String>,
    /// When it was issued, in seconds since 1970 by the front's clock.
    pub issued: i64,
    /// When it ends.
    pub expires: i64,
}

impl Issued {
    pub(super) fn of(session: &Session) -> Self {
        Self {
            access_key: session.keys.access_key.clone(),
            arn: session.arn(),
            role_arn: session.role_arn.clone(),
            name: session.name.clone(),
            source_identity: session.source_identity.clone(),
            tags: session.tags.clone(),
            transitive: session.transitive.iter().cloned().collect(),
            policies: session.policies.iter().map(|(text, _)| text.clone()).collect(),
            issued: session.issued,
            expires: session.expires,
        }
    }
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) role_arn: String,
    pub(super) name: String,
    pub(super) duration: Option<u32>,
    policies: Vec<(String, Document)>,
    plain: usize,
}

impl Asked {
    pub(super) fn take(params: &mut Params, cloud: &Cloud, entry: &mut Entry) -> Result<Self, Refusal> {
        let role_arn = checked(params.required("RoleArn")?, "RoleArn", 20..=2048, |c| !c.is_control())?;
        entry.parameter("roleArn", role_arn.clone());
        let name = checked(params.required("RoleSessionName")?, "RoleSessionName", 2..=64, name_character)?;
        entry.parameter("roleSessionName", name.clone());
        if !role_arn.starts_with("arn:aws:iam::") || !role_arn.contains(":role/") {
            return Err(Refusal::validation(format!("{role_arn} is invalid")));
        }
        let duration = params.number("DurationSeconds")?;
        if let Some(seconds) = duration {
            entry.parameter("durationSeconds", seconds);
            if seconds < 900 {
                let rule = "Member must have value greater than or equal to 900";
                return Err(constraint(&seconds.to_string(), "DurationSeconds", rule));
            }
            if seconds > 43_200 {
                let rule = "Member must have value less than or equal to 43200";
                return Err(constraint(&seconds.to_string(), "DurationSeconds", rule));
            }
        }
        let policy = params.optional("Policy");
        let arns = params.structures("PolicyArns", &["arn"])?.into_iter().flatten().collect::<Vec<_>>();
        let (policies, plain) = policies(policy, arns, cloud, entry)?;
        Ok(Self { role_arn, name, duration, policies, plain })
    }

    /// The size of policies and tags in percent of what fits.
    pub(super) fn packed(&self, tags: &Tags) -> Result<usize, Refusal> {
        let tags: usize = tags.values.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
        let percent = ((self.plain + tags) * 100).div_ceil(POLICY_LIMIT);
        if percent > 100 {
            let words = format!("Packed policy consumes {percent}% of allotted space, please use smaller policy.");
            return Err(Refusal::new(400, "PackedPolicyTooLarge", words));
        }
        Ok(percent)
    }

    /// The session's length: the default is an hour, and no longer than the role lets it.
    pub(super) fn duration(&self, longest: u32) -> Result<u32, Refusal> {
        let asked = self.duration.unwrap_or(3600);
        if asked > longest {
            let words = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
            return Err(Refusal::validation(words));
        }
        Ok(asked)
    }
}

fn policies(
    policy: Option<String>,
    arns: Vec<String>,
    cloud: &Cloud,
    entry: &mut Entry,
) -> Result<(Vec<(String, Document)>, usize), Refusal> {
    let plain = policy.as_ref().map_or(0, |text| text.chars().count()) + arns.iter().map(String::len).sum::<usize>();
    if policy.as_ref().is_some_and(String::is_empty) || plain > POLICY_LIMIT {
        return Err(constraint("...", "Policy", "Member must have length between 1 and 2048"));
    }
    if arns.len() > ARNS_LIMIT {
        return Err(constraint("[...]", "PolicyArns", "Member must have length less than or equal to 10"));
    }
    let mut found = Vec::new();
    let mut packed = arns.iter().map(String::len).sum();
    if let Some(text) = policy {
        entry.parameter("policy", text.clone());
        let document = Document::parse(&text, Kind::Identity).map_err(Refusal::malformed_policy)?;
        let minimal: Value = serde_json::from_str(&text).map_err(|_| Refusal::malformed_policy("not JSON"))?;
        packed += minimal.to_string().len();
        found.push((text, document));
    }
    for arn in arns {
        let text = cloud.account().managed.get(&arn).cloned();
        let text = text.ok_or_else(|| Refusal::validation(format!("policy `{arn}` does not exist")))?;
        let document = Document::parse(&text, Kind::Identity).map_err(Refusal::malformed_policy)?;
        found.push((text, document));
    }
    Ok((found, packed))
}

/// Whose session it becomes.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) asked: Asked,
    pub(super) role: String,
    pub(super) role_id: String,
    pub(super) duration: u32,
    pub(super) tags: Tags,
    pub(super) source_identity: Option<String>,
    pub(super) federated: Option<String>,
}

/// Gets moto's credentials, remembers whose they are, and writes the part of the answer that all have in common.
pub(super) async fn issue(cloud: &Cloud, granted: Granted, entry: &mut Entry) -> Result<String, Refusal> {
    let Granted { asked, role, role_id, duration, tags, source_identity, federated } = granted;
    let packed = asked.packed(&tags)?;
    let failed = |what| Refusal::new(500, "InternalFailure", what);
    let keys = cloud.emulator.session(&asked.role_arn, &asked.name).await.map_err(failed)?;
    let issued = cloud.clock.now();
    let expires = issued + i64::from(duration);
    let Tags { values, transitive } = tags;
    let (role_arn, name, policies) = (asked.role_arn, asked.name, asked.policies);
    let session = Session {
        keys,
        role,
        role_arn,
        role_id,
        name,
        source_identity,
        tags: values,
        transitive,
        policies,
        issued,
        expires,
        federated,
    };
    let told = if cloud.trouble() == Some(Trouble::FarExpiry) { expires + FAR } else { expires };
    entry.elements = json!({
        "credentials": { "accessKeyId": session.keys.access_key, "expiration": clock::iso(told) },
        "assumedRoleUser": { "assumedRoleId": session.user_id(), "arn": session.arn() },
        "packedPolicySize": packed,
    });
    let xml = xml(&session, told, packed);
    let holder = Holder::Session(Arc::new(session));
    let access_key = match &holder {
        Holder::Session(session) => session.keys.access_key.clone(),
        Holder::User { .. } => String::new(),
    };
    cloud.account().keys.insert(access_key, holder);
    Ok(xml)
}

fn xml(session: &Session, told: i64, packed: usize) -> String {
    let user = answer::text("AssumedRoleId", &session.user_id()) + &answer::text("Arn", &session.arn());
    let keys = &session.keys;
    let credentials = answer::text("AccessKeyId", &keys.access_key)
        + &answer::text("SecretAccessKey", &keys.secret)
        + &answer::maybe("SessionToken", keys.token.as_deref())
        + &answer::text("Expiration", &clock::iso(told));
    answer::nest("AssumedRoleUser", &user)
        + &answer::nest("Credentials", &credentials)
        + &answer::maybe("SourceIdentity", session.source_identity.as_deref())
        + &answer::text("PackedPolicySize", &packed.to_string())
}

/// Tags as CloudTrail has them.
pub(super) fn tell_tags(tags: &Tags, entry: &mut Entry) {
    if !tags.values.is_empty() {
        entry.parameter("principalTags", json!(tags.values));
    }
    if !tags.transitive.is_empty() {
        entry.parameter("transitiveTagKeys", json!(tags.transitive));
    }
}

/// The account in a role's ARN must be this one.
pub(super) fn is_ours(role_arn: &str) -> bool {
    role_arn.starts_with(&format!("arn:aws:iam::{ACCOUNT}:role/"))
}
