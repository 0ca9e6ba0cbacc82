//! What CloudTrail would show: one event for each call, answered or refused, with no secret in it.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::account::{ACCOUNT, Caller, without_scheme};
use super::refusal::Refusal;
use crate::clock;

/// What is written of a call while it is served.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) identity: Value,
    pub(crate) parameters: Value,
    pub(crate) elements: Value,
}

impl Entry {
    pub(crate) fn parameter(&mut self, name: &str, value: impl Into<Value>) {
        if !self.parameters.is_object() {
            self.parameters = json!({});
        }
        set(&mut self.parameters, name, value.into());
    }

    /// A web identity, before it is anybody's session.
    pub(crate) fn web_identity(&mut self, issuer: &str, audience: &str, subject: &str) {
        let issuer = without_scheme(issuer);
        self.identity = json!({
            "type": "WebIdentityUser",
            "principalId": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}:{audience}:{subject}"),
            "userName": subject,
            "identityProvider": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"),
        });
    }

    pub(crate) fn caller(&mut self, caller: &Caller) {
        let (arn, user_id, access_key) = (&caller.arn, &caller.user_id, &caller.access_key);
        self.identity = match &caller.session {
            None => json!({
                "type": "IAMUser", "principalId": user_id, "arn": arn, "accountId": ACCOUNT, "accessKeyId": access_key,
                "userName": caller.user,
            }),
            Some(session) => {
                let mut context = json!({
                    "sessionIssuer": {
                        "type": "Role", "principalId": session.role_id, "arn": session.role_arn, "accountId": ACCOUNT,
                        "userName": session.role,
                    },
                    "attributes": { "creationDate": clock::iso(session.issued), "mfaAuthenticated": "false" },
                });
                if let Some(identity) = &session.source_identity {
                    set(&mut context, "sourceIdentity", json!(identity));
                }
                if let Some(provider) = &session.federated {
                    let data = json!({ "federatedProvider": provider, "attributes": {} });
                    set(&mut context, "webIdFederationData", data);
                }
                json!({
                    "type": "AssumedRole", "principalId": user_id, "arn": arn, "accountId": ACCOUNT,
                    "accessKeyId": access_key, "sessionContext": context,
                })
            }
        };
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// All events, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Trail(Mutex<Vec<Value>>);

impl Trail {
    pub(crate) fn write(&self, entry: Entry, at: i64, id: &str, agent: &str, refusal: Option<&Refusal>) {
        let mut event = json!({
            "eventVersion": "1.11",
            "eventTime": clock::iso(at),
            "eventSource": entry.source,
            "eventName": entry.name,
            "awsRegion": "us-east-1",
            "sourceIPAddress": "127.0.0.1",
            "userAgent": agent,
            "userIdentity": entry.identity,
            "requestParameters": entry.parameters,
            "responseElements": entry.elements,
            "requestID": id,
            "eventType": "AwsApiCall",
            "recipientAccountId": ACCOUNT,
        });
        if let Some(Refusal { code, message, .. }) = refusal {
            set(&mut event, "errorCode", json!(code));
            set(&mut event, "errorMessage", json!(message));
            set(&mut event, "responseElements", Value::Null);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    pub(crate) fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
