//! Web identity tokens of an AWS account (IAM User Guide, "outbound identity federation"; STS `GetWebIdentityToken`).
//!
//! The subject is the ARN of a role or user. What the caller chose itself, `request_tags`, is no attribute: it proves
//! nothing.

use serde_json::{Map, Value};

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

const OBJECT: &str = "https://sts.amazonaws.com/";

pub(super) fn known() -> Known {
    Known {
        issuer: Err("give `issuer`: the account's, as in `aws iam get-outbound-web-identity-federation-info`"),
        algorithms: &[Algorithm::Rs256, Algorithm::Es384],
        max_lifetime: Span::seconds(3600),
        jwks_hosts: &[],
        tenant: None,
    }
}

/// What is known of callers, who show no token.
pub(super) fn caller_known() -> Known {
    Known {
        issuer: Ok("https://sts.amazonaws.com".to_owned()),
        algorithms: &[],
        max_lifetime: Span::seconds(900),
        jwks_hosts: &[],
        tenant: None,
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let object = token.object(OBJECT)?.ok_or(IdentityFault::Missing(OBJECT))?;
    let account = object.text("aws_account")?;
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IdentityFault::Malformed("aws_account"));
    }
    let arn = token.text("sub")?;
    let (kind, name) = principal(arn, account).ok_or_else(|| token.contradiction("sub", "aws_account", arn))?;
    let tags = match object.get("principal_tags") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(tags)) if tags.values().all(Value::is_string) => tags.clone(),
        Some(_) => return Err(IdentityFault::Malformed("principal_tags")),
    };
    Ok(Attributes::default()
        .put("account", account)
        .put("arn", arn)
        .put("principal_kind", kind)
        .put("principal_name", name)
        .put_some("principal_id", object.optional("principal_id")?)
        .put_some("organization", object.optional("org_id")?)
        .put_some("region", object.optional("source_region")?)
        .put_some("source_identity", object.optional("source_identity")?)
        .put_some("instance", object.optional("ec2_source_instance_arn")?)
        .put_some("vpc", object.optional("ec2_instance_source_vpc")?)
        .put_some("function", object.optional("lambda_source_function_arn")?)
        .put("tags", tags))
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`: the kind, and the name without its path.
fn principal<'a>(arn: &'a str, account: &str) -> Option<(&'a str, &'a str)> {
    let mut parts = arn.splitn(6, ':');
    let head = [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let ["arn", "aws" | "aws-cn" | "aws-us-gov" | "aws-eusc", "iam", "", of] = head else { return None };
    let (kind, path) = parts.next()?.split_once('/')?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    (of == account && matches!(kind, "role" | "user")).then_some((kind, name))
}
