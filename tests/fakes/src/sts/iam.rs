//! The part of IAM that ends sessions: inline policies of roles. From the moment that one is put it counts.

use std::collections::BTreeMap;

use super::account::{Caller, KnownRole, context_of};
use super::audit::Entry;
use super::policy::{Document, Kind};
use super::query::{Params, checked, name_character};
use super::refusal::Refusal;
use super::{Cloud, answer};
use crate::sigv4::encode;

/// The most characters in all inline policies of a role, white space aside.
const INLINE_LIMIT: usize = 10_240;
pub(super) const ACTIONS: [&str; 5] =
    ["PutRolePolicy", "GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies", "GetRole"];

pub(super) fn serve(
    cloud: &Cloud,
    caller: &Caller,
    action: &str,
    mut params: Params,
    entry: &mut Entry,
) -> Result<String, Refusal> {
    let name = checked(params.required("RoleName")?, "RoleName", 1..=64, name_character)?;
    entry.parameter("roleName", name.clone());
    let policy = match action {
        "PutRolePolicy" | "GetRolePolicy" | "DeleteRolePolicy" => {
            let policy = checked(params.required("PolicyName")?, "PolicyName", 1..=128, name_character)?;
            entry.parameter("policyName", policy.clone());
            Some(policy)
        }
        _ => None,
    };
    let document = (action == "PutRolePolicy").then(|| params.required("PolicyDocument")).transpose()?;
    params.finish()?;
    let context = context_of(caller, cloud.clock.now());
    let mut account = cloud.account();
    account.may(caller, &format!("iam:{action}"), &super::account::role_arn(&name), &context)?;
    let unknown = || Refusal::no_such_entity(format!("The role with name {name} cannot be found."));
    let role = account.roles.get_mut(&name).ok_or_else(unknown)?;
    let policy = policy.unwrap_or_default();
    let no_policy = || Refusal::no_such_entity(format!("The role policy with name {policy} cannot be found."));
    match action {
        "PutRolePolicy" => {
            let document = document.unwrap_or_default();
            entry.parameter("policyDocument", document.clone());
            put(role, &policy, document).map(|()| String::new())
        }
        "GetRolePolicy" => {
            let (text, _) = role.policies.get(&policy).ok_or_else(no_policy)?;
            Ok(answer::text("RoleName", &name)
                + &answer::text("PolicyName", &policy)
                + &answer::text("PolicyDocument", &encode(text.as_bytes(), false)))
        }
        "DeleteRolePolicy" => role.policies.remove(&policy).map(|_| String::new()).ok_or_else(no_policy),
        "ListRolePolicies" => {
            let names: String = role.policies.keys().map(|known| answer::text("member", known)).collect();
            Ok(answer::nest("PolicyNames", &names) + &answer::text("IsTruncated", "false"))
        }
        _ => {
            let found = answer::text("Path", "/")
                + &answer::text("RoleName", &name)
                + &answer::text("RoleId", &role.id)
                + &answer::text("Arn", &role.arn)
                + &answer::text("CreateDate", "2026-01-01T00:00:00Z")
                + &answer::text("MaxSessionDuration", &role.longest.to_string());
            Ok(answer::nest("Role", &found))
        }
    }
}

fn put(role: &mut KnownRole, name: &str, text: String) -> Result<(), Refusal> {
    let document = Document::parse(&text, Kind::Identity).map_err(Refusal::malformed_policy)?;
    let size = |text: &str| text.chars().filter(|character| !character.is_whitespace()).count();
    let others: BTreeMap<_, _> = role.policies.iter().filter(|(known, _)| *known != name).collect();
    let total = others.values().map(|(text, _)| size(text)).sum::<usize>() + size(&text);
    if total > INLINE_LIMIT {
        let words = format!("Maximum policy size of {INLINE_LIMIT} bytes exceeded for role {}", role.name);
        return Err(Refusal::new(409, "LimitExceeded", words));
    }
    role.policies.insert(name.to_owned(), (text, document));
    Ok(())
}
