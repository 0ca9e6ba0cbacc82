//! Who STS says it was (`GetCallerIdentity`, API version 2011-06-15, answered in JSON).

use serde_json::{Map, Value};
use writ_core::workload::Subject;

use super::{IdentityFault, object, shape};

/// A role's session, or a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) account: String,
    partition: &'static str,
    name: String,
    /// `AROA...` or `AIDA...`: never given again.
    unique_id: String,
    who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// A role, and the name of its session, which whoever assumed the role chose.
    Role { session: String },
    /// A user, and the path and name as its ARN has them.
    User { path: String },
}

impl Caller {
    /// What the workload is called: the ARN, without what differs from session to session. STS does not tell a role's path.
    pub(super) fn subject(&self) -> Subject {
        let Self { partition, account, name, .. } = self;
        Subject::new(match &self.who {
            Who::Role { .. } => format!("arn:{partition}:sts::{account}:assumed-role/{name}"),
            Who::User { path } => format!("arn:{partition}:iam::{account}:user/{path}"),
        })
    }

    /// The named attributes: those that the preset `aws` has too, under the same names.
    pub(super) fn attributes(&self) -> Value {
        let kind = if matches!(self.who, Who::Role { .. }) { "role" } else { "user" };
        let subject = self.subject();
        let known = [
            ("account", self.account.as_str()),
            ("arn", subject.as_str()),
            ("principal_kind", kind),
            ("principal_name", &self.name),
            ("unique_id", &self.unique_id),
        ];
        let mut attributes: Map<String, Value> =
            known.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        if let Who::Role { session } = &self.who {
            attributes.insert("session".to_owned(), Value::from(session.as_str()));
        }
        Value::Object(attributes)
    }
}

/// Reads STS's answer.
pub(super) fn read(body: &[u8], partition: &'static str) -> Result<Caller, IdentityFault> {
    let members = object(body).ok_or_else(|| shape("the answer of STS is not a JSON object"))?;
    let result = members.get("GetCallerIdentityResponse").and_then(|reply| reply.get("GetCallerIdentityResult"));
    let text = |name: &str| result.and_then(|result| result.get(name)).and_then(Value::as_str);
    let (Some(account), Some(arn), Some(id)) = (text("Account"), text("Arn"), text("UserId")) else {
        return Err(shape("the answer of STS lacks `Account`, `Arn` or `UserId`"));
    };
    caller(account, arn, id, partition)
        .ok_or_else(|| shape(format!("STS names `{}`, which is no role's session and no user", super::shown(arn))))
}

fn caller(account: &str, arn: &str, id: &str, partition: &'static str) -> Option<Caller> {
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (name, unique_id, who) = match arn.strip_prefix(&format!("arn:{partition}:"))?.split_once("::")? {
        ("sts", rest) => {
            let (name, session) = rest.strip_prefix(&format!("{account}:assumed-role/"))?.split_once('/')?;
            let (unique_id, named) = id.split_once(':')?;
            let sound = named == session && is_name(session) && is_unique_id(unique_id, "AROA");
            sound.then(|| (name, unique_id, Who::Role { session: session.to_owned() }))?
        }
        ("iam", rest) => {
            let path = rest.strip_prefix(&format!("{account}:user/"))?;
            let visible = path.len() <= 600 && path.bytes().all(|byte| byte.is_ascii_graphic());
            let sound = visible && is_unique_id(id, "AIDA");
            sound.then(|| (path.rsplit('/').next().unwrap_or_default(), id, Who::User { path: path.to_owned() }))?
        }
        _ => return None,
    };
    is_name(name).then(|| Caller {
        account: account.to_owned(),
        partition,
        name: name.to_owned(),
        unique_id: unique_id.to_owned(),
        who,
    })
}

/// The characters of names of roles, users and sessions.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

fn is_unique_id(id: &str, prefix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    id.starts_with(prefix) && (16..=128).contains(&id.len()) && id.bytes().all(plain)
}

/// What STS says in place of an answer.
pub(super) struct Refused(Option<String>);

impl Refused {
    /// Reads it.
    pub(super) fn read(body: &[u8]) -> Self {
        let members = object(body).unwrap_or_default();
        let code = members.get("Error").and_then(|error| error.get("Code")).and_then(Value::as_str);
        let plain = |code: &&str| code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        Self(code.filter(plain).map(str::to_owned))
    }

    /// Whether it turned the question away and said nothing of the proof. Its status is then that of any other refusal.
    pub(super) fn is_for_the_moment(&self) -> bool {
        self.0.as_deref().is_some_and(|code| AGAIN.contains(&code.strip_suffix("Exception").unwrap_or(code)))
    }

    /// Its code, for the operator: `SignatureDoesNotMatch` where another audience was signed.
    pub(super) fn shown(&self) -> String {
        self.0.as_ref().map(|code| format!(" (`{code}`)")).unwrap_or_default()
    }
}

/// By which codes AWS turns questions away that it did not look at (STS API Reference, "Common Errors").
const AGAIN: [&str; 6] = [
    "Throttling",
    "RequestLimitExceeded",
    "TooManyRequests",
    "RequestThrottled",
    "ServiceUnavailable",
    "InternalFailure",
];
