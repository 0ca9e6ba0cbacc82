//! Taking sessions back. AWS takes back none alone: a role is told to deny everything to whoever got its session before a
//! time, by the inline policy that AWS's own console writes.
//!
//! The time only ever moves forward: an earlier one would make good again what was taken back.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use writ_core::provider::ProviderFault;
use writ_core::time::{Timestamp, after};
use writ_provider_calls::{Failed, plain, repeated};
use zeroize::Zeroizing;

use crate::arn::RoleArn;
use crate::client::{body, escaped};
use crate::config::ConfigFault;
use crate::region::{self, Region};
use crate::{fault, xml};

/// The inline policy's name, as the console writes it.
const POLICY: &str = "AWSRevokeOlderSessions";
/// The version of IAM's API.
const VERSION: &str = "2010-05-08";

/// What whoever takes sessions back must be allowed.
pub(crate) const NEEDED: [&str; 2] = ["iam:GetRolePolicy", "iam:PutRolePolicy"];

/// IAM of one partition.
pub(crate) struct Iam {
    url: Url,
    region: &'static str,
    client: Client,
}

impl Iam {
    pub(crate) fn new(region: &Region, endpoint: Option<&str>, client: Client) -> Result<Self, ConfigFault> {
        let (own, signed_for) = region.partition().iam();
        let url = region::endpoint("iam_endpoint", endpoint.unwrap_or(own))?;
        Ok(Self { url, region: signed_for, client })
    }

    /// Denies everything to sessions of `role` from before `before`, unless a later time is set already.
    pub(crate) async fn revoke_older(
        &self,
        identity: &Credentials,
        role: &RoleArn,
        before: Timestamp,
        limit: Duration,
    ) -> Result<(), ProviderFault> {
        let before = whole_second(before);
        if self.revoked_until(identity, role, limit).await?.is_some_and(|until| until >= before) {
            return Ok(());
        }
        let doing = format!("taking the sessions of `{role}` back");
        let policy = document(before);
        let named = [("RoleName", role.name()), ("PolicyName", POLICY), ("PolicyDocument", policy.as_str())];
        repeated(&doing, limit, || async {
            let answer = self.call(identity, &doing, "PutRolePolicy", &named).await?.done(&doing, role)?;
            let confirmed = xml::text(&answer, &["PutRolePolicyResponse", "ResponseMetadata", "RequestId"]);
            confirmed.map(drop).ok_or_else(|| fault::cut_short(&doing))
        })
        .await
    }

    /// The time that is set already.
    async fn revoked_until(
        &self,
        identity: &Credentials,
        role: &RoleArn,
        limit: Duration,
    ) -> Result<Option<Timestamp>, ProviderFault> {
        let doing = format!("looking what of `{role}` was taken back before");
        let named = [("RoleName", role.name()), ("PolicyName", POLICY)];
        let found = repeated(&doing, limit, || async {
            match self.call(identity, &doing, "GetRolePolicy", &named).await? {
                // No such policy at the role. That there is no such role shows when one is written.
                Answer::Error { code, status: 404, .. } if code == "NoSuchEntity" => Ok(None),
                answer => answer.done(&doing, role).map(Some),
            }
        })
        .await?;
        let Some(answer) = found else { return Ok(None) };
        let written = xml::text(&answer, &["GetRolePolicyResponse", "GetRolePolicyResult", "PolicyDocument"]);
        let until = written.as_deref().and_then(unescaped).as_deref().and_then(time_in);
        until.map(Some).ok_or_else(|| {
            ProviderFault::Refused(format!(
                "the role `{role}` has an inline policy `{POLICY}` that is not the usual one: look at it, and remove it if it \
                 is not needed"
            ))
        })
    }

    async fn call(
        &self,
        identity: &Credentials,
        doing: &str,
        action: &str,
        named: &[(&str, &str)],
    ) -> Result<Answer, Failed> {
        let mut form = format!("Action={action}&Version={VERSION}");
        for (name, value) in named {
            form.push_str(&format!("&{name}={}", escaped(value)));
        }
        const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
        let unsigned = |error: &dyn core::error::Error| {
            let text = format!("{doing}: the request cannot be signed: {}", plain(&error.to_string()));
            Failed::ForGood(ProviderFault::Misconfigured(text))
        };
        let signed = {
            let identity = identity.clone().into();
            let parameters = v4::SigningParams::builder()
                .identity(&identity)
                .region(self.region)
                .name("iam")
                .time(SystemTime::now())
                .settings(SigningSettings::default())
                .build()
                .map_err(|error| unsigned(&error))?
                .into();
            let headers = [("content-type", FORM)].into_iter();
            let request =
                SignableRequest::new("POST", self.url.as_str(), headers, SignableBody::Bytes(form.as_bytes()));
            let request = request.map_err(|error| unsigned(&error))?;
            sign(request, &parameters).map_err(|error| unsigned(&error))?.into_parts().0
        };
        let mut request = self.client.post(self.url.clone()).header("content-type", FORM);
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let response = request.body(form).send().await.map_err(|error| fault::of_transport(doing, &error))?;
        let status = response.status().as_u16();
        let answer = body(response).await.ok_or_else(|| fault::cut_short(doing))?;
        if status == 200 {
            return Ok(Answer::Done(answer));
        }
        let said = |member| xml::text(&answer, &["ErrorResponse", "Error", member]).unwrap_or_default();
        Ok(Answer::Error { code: said("Code"), message: said("Message"), status })
    }
}

/// What IAM answers.
enum Answer {
    Done(Zeroizing<Vec<u8>>),
    Error { code: String, message: String, status: u16 },
}

impl Answer {
    fn done(self, doing: &str, role: &RoleArn) -> Result<Zeroizing<Vec<u8>>, Failed> {
        match self {
            Self::Done(answer) => Ok(answer),
            Self::Error { code, message, status: 403 } if code == "AccessDenied" => {
                let needed = json!({ "Effect": "Allow", "Action": NEEDED, "Resource": role.as_str() });
                Err(Failed::ForGood(ProviderFault::Misconfigured(format!(
                    "{doing}: {} ({code}, status 403): give the role in `assume.revoker`, or the broker's own identity where \
                     there is none, this permission: {needed}",
                    plain(&message)
                ))))
            }
            Self::Error { code, message, status } => Err(fault::of_answer(doing, &code, &message, status)),
        }
    }
}

/// The policy, as the console writes it.
pub(crate) fn document(before: Timestamp) -> String {
    let condition = json!({ "DateLessThan": { "aws:TokenIssueTime": before.to_string() } });
    let statement = json!({ "Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": condition });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// The time in such a policy, where it is one. Under a condition more it would deny less than it seems to.
fn time_in(document: &str) -> Option<Timestamp> {
    let document: Value = serde_json::from_str(document).ok()?;
    let [statement] = document.get("Statement")?.as_array()?.as_slice() else { return None };
    let all = |member: &str| match statement.get(member) {
        Some(Value::Array(values)) => values.len() == 1 && values.first().is_some_and(|value| value == "*"),
        Some(value) => value == "*",
        None => false,
    };
    if statement.get("Effect")? != "Deny" || !all("Action") || !all("Resource") {
        return None;
    }
    let only = |within: &Value, name: &str| within.as_object().filter(|all| all.len() == 1)?.get(name).cloned();
    only(&only(statement.get("Condition")?, "DateLessThan")?, "aws:TokenIssueTime")?.as_str()?.parse().ok()
}

/// AWS knows when a session was given to the second: of a second that was not over, all its sessions are taken back.
fn whole_second(at: Timestamp) -> Timestamp {
    let floor = Timestamp::from_second(at.as_second()).unwrap_or(at);
    if floor < at { after(floor, 1) } else { floor }
}

/// IAM gives documents as values of a query.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(core::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_read_back_from_what_is_written() {
        let at: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
        assert_eq!(time_in(&document(at)), Some(at));
        assert_eq!(time_in(&unescaped(&escaped(&document(at))).unwrap()), Some(at));
        let console = document(at).replace("07Z", "07.000Z");
        assert_eq!(time_in(&console), Some(at));
        let narrower = [
            ("\"Condition\":{", "\"Condition\":{\"StringEquals\":{\"aws:RequestedRegion\":\"eu-west-1\"},"),
            ("\"DateLessThan\":{", "\"DateLessThan\":{\"aws:CurrentTime\":\"2020-01-01T00:00:00Z\","),
            ("Deny", "Allow"),
            ("[\"*\"]", "[\"s3:*\"]"),
        ];
        let narrower = narrower.map(|(from, to)| {
            let text = document(at);
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        });
        for other in ["{}", "[]"].into_iter().chain(narrower.iter().map(String::as_str)) {
            assert_eq!(time_in(other), None, "{other}");
        }
    }

    #[test]
    fn a_second_that_has_begun_is_taken_back_whole() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert_eq!(whole_second(at("2026-03-04T05:06:07.001Z")), at("2026-03-04T05:06:08Z"));
        assert_eq!(whole_second(at("2026-03-04T05:06:07Z")), at("2026-03-04T05:06:07Z"));
    }

    #[test]
    fn half_an_escape_is_none() {
        assert_eq!(unescaped("a%2"), None);
        assert_eq!(unescaped("a%zz"), None);
        assert_eq!(unescaped("a%ff"), None);
    }
}
