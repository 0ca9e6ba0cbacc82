//! The desk of a session behind the embedded plugin: questions go to the broker, answers come from there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use writ_broker_api::approval::{About, ApprovalRequest, digest};
use writ_core::approval::AskedParameter;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::PolicyHash;
use writ_core::id::{ApprovalId, SessionId};
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};
use writ_plugin::Plugin;
use writ_plugin::approvals::Answer;

use super::hold::{Asked, Decision, Desk, Parameter, Question};

/// Whose questions it puts.
#[derive(Debug, Clone)]
pub struct PluginDesk {
    /// The plugin.
    pub plugin: Arc<Plugin>,
    /// The session.
    pub session: SessionId,
    /// Who vouches for the workload.
    pub issuer: Issuer,
    /// The workload.
    pub subject: Subject,
    /// The target.
    pub target: TargetName,
    /// The role that policy grants there.
    pub role: Option<String>,
    /// The policy set that decides.
    pub policy_hash: PolicyHash,
}

/// Where a human answers, in words for the client.
pub(crate) fn approvals_place(url: &str, approval: &ApprovalId) -> String {
    format!("{url} (writ approvals show {approval})")
}

impl Desk for PluginDesk {
    fn ask(&self, question: Question) -> Pin<Box<dyn Future<Output = Result<Asked, Fault>>>> {
        let desk = self.clone();
        Box::pin(async move {
            let request = desk.request(question)?;
            let put = desk.plugin.ask_approval(request).await?;
            let place = approvals_place(&put.put.place, &put.put.approval);
            let decision = Box::pin(async move {
                Ok(match put.answer().await? {
                    Answer::Approved(approval) => Decision::Approved(approval.to_string()),
                    Answer::Denied(reason) => Decision::Denied(reason),
                    Answer::Expired => Decision::Expired,
                })
            });
            Ok(Asked { place, decision })
        })
    }
}

impl PluginDesk {
    fn request(&self, question: Question) -> Result<ApprovalRequest, Fault> {
        let Question { database, schemas, statement, parameters, fingerprint, terms, .. } = question;
        let statement = String::from_utf8(statement).map_err(|_| {
            Fault::new("approval.text", Blame::NotAllowed, "the statement needs an approval and is not text")
                .help("send statements in UTF-8")
        })?;
        let parameters: Vec<AskedParameter> = parameters.into_iter().map(shown).collect();
        let about = About {
            issuer: &self.issuer,
            subject: &self.subject,
            target: &self.target,
            role: self.role.as_deref(),
            database: &database,
            schemas: &schemas,
        };
        Ok(ApprovalRequest {
            session: self.session,
            digest: digest(&about, &statement, &parameters, &self.policy_hash),
            database,
            schemas,
            statement,
            parameters,
            fingerprint,
            policies: terms.policies,
            policy_hash: self.policy_hash.clone(),
            groups: terms.groups,
            needed: terms.needed,
            timeout_seconds: terms.timeout_seconds,
        })
    }
}

/// What is text is shown as it is; all else in hexadecimal, so that nothing looks like what it is not.
fn shown(parameter: Parameter) -> AskedParameter {
    let Parameter { type_id, binary, value } = parameter;
    let Some(bytes) = value else { return AskedParameter { type_id, binary, value: None } };
    match String::from_utf8(bytes) {
        Ok(text) if !binary => AskedParameter { type_id, binary, value: Some(text) },
        Ok(text) => AskedParameter { type_id, binary: true, value: Some(hex(text.as_bytes())) },
        Err(error) => AskedParameter { type_id, binary: true, value: Some(hex(error.as_bytes())) },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| char::from_digit(u32::from(half), 16))
        .collect()
}
