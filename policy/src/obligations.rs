//! Obligations: what a permission comes with, written as annotations on `permit` policies.
//!
//! Annotations are a closed list. One that is unknown or malformed would otherwise be a restriction that silently does
//! not hold, so it refuses the whole set at load.

use std::collections::BTreeSet;

use cedar_policy::Effect;
use writ_core::grant::{Obligations, RecordLevel, SessionLimits};

use crate::terms::Terms;

/// The life of a session where a policy names none: 15 minutes, in seconds.
pub const DEFAULT_TTL_SECONDS: u64 = 15 * 60;
/// The sessions that one token opens where a policy names no number.
pub const DEFAULT_USES: u32 = 1;
/// What is recorded where a policy names nothing.
pub const DEFAULT_RECORD: RecordLevel = RecordLevel::Commands;

const KNOWN: &str = "known are @id; on `connect` and `sql` @hold, @approvers and @approvals; on `connect` @ttl, @role, @scope, @record, @uses, @connection_limit, @mask, @read_only, \
     @statement_timeout, @session_rows, @session_bytes, @statements_per_minute and @accepts; on `sql` @hold_in_transaction and @rows";
const CONNECT: [&str; 13] = [
    "ttl",
    "role",
    "scope",
    "record",
    "uses",
    "connection_limit",
    "mask",
    "read_only",
    "statement_timeout",
    "session_rows",
    "session_bytes",
    "statements_per_minute",
    "accepts",
];
const STATEMENT: [&str; 2] = ["hold_in_transaction", "rows"];
const EITHER: [&str; 3] = ["hold", "approvers", "approvals"];
const NAME_LENGTH: usize = 63;
const EXPOSURES: [&str; 6] =
    ["pull_request", "pull_request_target", "workflow_run", "merge_request", "ssh_rerun", DELEGATION];

/// What `@accepts` calls it that somebody acts for the workload (RFC 8693, 4.1).
pub(crate) const DELEGATION: &str = "delegation";

/// One mistake in one annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

pub(crate) fn mistake(message: String, help: &'static str) -> Mistake {
    Mistake { message, help }
}

/// What one policy's annotations say. Absent is not the same as the default: see [`Stated::alone`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    ttl_seconds: Option<u64>,
    role: Option<String>,
    scope: Option<String>,
    record: Option<RecordLevel>,
    uses: Option<u32>,
    connection_limit: Option<u32>,
    limits: SessionLimits,
    masks: BTreeSet<String>,
    accepts: BTreeSet<String>,
    /// What a statement that it permits comes with; and how a connection that it permits is held.
    pub(crate) terms: Terms,
}

/// What a policy can permit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct On {
    pub(crate) connect: bool,
    pub(crate) statement: bool,
}

impl Stated {
    /// Reads one annotation into what is stated. `@id` is read by the bundle.
    pub(crate) fn read(&mut self, effect: Effect, on: On, key: &str, value: &str) -> Result<(), Mistake> {
        if key == "id" {
            return Ok(());
        }
        let (of_connect, of_statement) = (CONNECT.contains(&key), STATEMENT.contains(&key));
        let of_either = EITHER.contains(&key);
        if !of_connect && !of_statement && !of_either {
            return Err(mistake(format!("unknown annotation `@{key}`"), KNOWN));
        }
        if effect == Effect::Forbid {
            let message = format!("`@{key}` stands on a `forbid`, which grants nothing");
            return Err(mistake(message, "move it to the `permit` policies that it restricts"));
        }
        if of_statement && !on.statement {
            let message = format!("`@{key}` stands on a policy that never permits a statement");
            return Err(mistake(message, "move it to a policy whose action can be `Writ::Action::\"sql\"`"));
        }
        if of_connect && !on.connect {
            let message = format!("`@{key}` stands on a policy that never permits `connect`");
            return Err(mistake(message, "move it to a policy whose action can be `Writ::Action::\"connect\"`"));
        }
        if of_either && !on.connect && !on.statement {
            let message = format!("`@{key}` stands on a policy that permits neither `connect` nor a statement");
            return Err(mistake(
                message,
                "move it to a policy whose action can be `Writ::Action::\"connect\"` or `Writ::Action::\"sql\"`",
            ));
        }
        match key {
            "ttl" => self.ttl_seconds = Some(duration(key, value)?),
            "role" => self.role = Some(role(value)?),
            "scope" => self.scope = Some(scope(value)?),
            "record" => self.record = Some(record(value)?),
            "uses" => self.uses = Some(count(key, value)?),
            "accepts" => self.accepts = accepted(value)?,
            "mask" => self.masks = mask_sets(value)?,
            "connection_limit" => self.connection_limit = Some(count(key, value)?),
            "read_only" => self.limits.read_only = flag(key, value)?,
            "statement_timeout" => self.limits.statement_timeout_seconds = Some(duration(key, value)?),
            "session_rows" => self.limits.rows = Some(many(key, value)?),
            "session_bytes" => self.limits.bytes = Some(many(key, value)?),
            "statements_per_minute" => self.limits.statements_per_minute = Some(per_minute(key, value)?),
            _ => self.terms.read(key, value)?,
        }
        Ok(())
    }

    /// What this policy grants by itself: what it states, and the defaults for the rest.
    fn alone(&self) -> Obligations {
        Obligations {
            ttl_seconds: self.ttl_seconds.unwrap_or(DEFAULT_TTL_SECONDS),
            role: self.role.clone(),
            scope: self.scope.clone(),
            record: self.record.unwrap_or(DEFAULT_RECORD),
            uses: self.uses.unwrap_or(DEFAULT_USES),
            connection_limit: self.connection_limit,
            limits: Box::new(self.limits),
            masks: self.masks.iter().cloned().collect(),
        }
    }

    /// Whether it permits a workload with these exposures.
    pub(crate) fn accepts(&self, exposures: &[&str]) -> bool {
        exposures.iter().all(|exposure| self.accepts.contains(*exposure))
    }

    /// The sets of masks that it names, sorted.
    pub(crate) fn masks(&self) -> impl Iterator<Item = &str> {
        self.masks.iter().map(String::as_str)
    }
}

/// Two policies that permitted name different roles, or different scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) of: Named,
    pub(crate) one: String,
    pub(crate) other: String,
}

/// What policies name, and must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Role,
    Scope,
}

/// The strictest of what all matching permits grant by themselves, so that one more permit never loosens anything.
/// `None` for no permit at all.
pub(crate) fn combine<'a>(
    stated: impl IntoIterator<Item = &'a Stated>,
    ttl_cap_seconds: u64,
) -> Result<Option<Obligations>, Conflict> {
    let mut combined: Option<Obligations> = None;
    for next in stated.into_iter().map(Stated::alone) {
        combined = Some(match combined {
            None => next,
            Some(so_far) => strictest(so_far, next)?,
        });
    }
    Ok(combined
        .map(|obligations| Obligations { ttl_seconds: obligations.ttl_seconds.min(ttl_cap_seconds), ..obligations }))
}

fn strictest(one: Obligations, other: Obligations) -> Result<Obligations, Conflict> {
    Ok(Obligations {
        ttl_seconds: one.ttl_seconds.min(other.ttl_seconds),
        role: agreed(Named::Role, one.role, other.role)?,
        scope: agreed(Named::Scope, one.scope, other.scope)?,
        record: one.record.max(other.record),
        uses: one.uses.min(other.uses),
        connection_limit: least(one.connection_limit, other.connection_limit),
        limits: Box::new(one.limits.strictest(*other.limits)),
        masks: one.masks.into_iter().chain(other.masks).collect::<BTreeSet<_>>().into_iter().collect(),
    })
}

fn agreed(of: Named, one: Option<String>, other: Option<String>) -> Result<Option<String>, Conflict> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => Err(Conflict { of, one, other }),
        (one, other) => Ok(one.or(other)),
    }
}

pub(crate) fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    [one, other].into_iter().flatten().min()
}

pub(crate) fn duration(key: &str, value: &str) -> Result<u64, Mistake> {
    let parsed = value.char_indices().next_back().and_then(|(at, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        whole(value.get(..at)?)?.checked_mul(seconds)
    });
    let help = "write a whole number above zero and one unit of s, m, h, d, like \"15m\"";
    parsed.ok_or_else(|| mistake(format!("`{value}` is not a time for `@{key}`"), help))
}

pub(crate) fn count(key: &str, value: &str) -> Result<u32, Mistake> {
    u32::try_from(many(key, value)?).map_err(|_| not_a_number(key, value))
}

/// How many statements within a minute a session is counted at most.
const MOST_PER_MINUTE: u32 = 1 << 16;

fn per_minute(key: &str, value: &str) -> Result<u32, Mistake> {
    let most = count(key, value)?;
    if most <= MOST_PER_MINUTE {
        return Ok(most);
    }
    let help = "write fewer, or leave the annotation out";
    Err(mistake(format!("`{value}` is more than the {MOST_PER_MINUTE} that `@{key}` counts to"), help))
}

pub(crate) fn many(key: &str, value: &str) -> Result<u64, Mistake> {
    whole(value).ok_or_else(|| not_a_number(key, value))
}

fn not_a_number(key: &str, value: &str) -> Mistake {
    mistake(format!("`{value}` is not a number for `@{key}`"), "write a whole number above zero, like \"1\"")
}

fn flag(key: &str, value: &str) -> Result<bool, Mistake> {
    match value {
        "true" => Ok(true),
        _ => Err(mistake(format!("`{value}` is nothing that `@{key}` can be"), "write \"true\", or leave it out")),
    }
}

/// Digits alone, no sign, no leading zero, above zero.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn record(value: &str) -> Result<RecordLevel, Mistake> {
    match value {
        "commands" => Ok(RecordLevel::Commands),
        "full" => Ok(RecordLevel::Full),
        _ => {
            let message = format!("`{value}` is not a level for `@record`");
            Err(mistake(message, "write @record(\"commands\") or @record(\"full\")"))
        }
    }
}

/// Exposures, with commas between them.
fn accepted(value: &str) -> Result<BTreeSet<String>, Mistake> {
    let named: BTreeSet<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    match named.iter().find(|name| !EXPOSURES.contains(&name.as_str())) {
        None => Ok(named),
        Some(name) => Err(mistake(
            format!("`{name}` is nothing that `@accepts` knows"),
            "write some of pull_request, pull_request_target, workflow_run, merge_request, ssh_rerun and delegation",
        )),
    }
}

/// The name of a scope.
fn scope(value: &str) -> Result<String, Mistake> {
    if is_set_name(value) {
        return Ok(value.to_owned());
    }
    let help =
        "write a scope of the target's provider: letters, digits, `-` and `_`, at most 63, like @scope(\"read\")";
    Err(mistake(format!("`{value}` cannot name a scope for `@scope`"), help))
}

/// Names of sets of masks, with commas between them.
fn mask_sets(value: &str) -> Result<BTreeSet<String>, Mistake> {
    let sets: BTreeSet<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    match sets.iter().find(|name| !is_set_name(name)) {
        None => Ok(sets),
        Some(name) => Err(mistake(
            format!("`{name}` cannot name a set of masks for `@mask`"),
            "write names of letters, digits, `-` and `_`, each the name of a file NAME.mask.toml, like @mask(\"cards, people\")",
        )),
    }
}

/// Whether a set of masks or a scope may have this name.
pub(crate) fn is_set_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=NAME_LENGTH).contains(&name.len()) && name.bytes().all(plain)
}

fn role(value: &str) -> Result<String, Mistake> {
    let fits = (1..=NAME_LENGTH).contains(&value.len()) && !value.chars().any(char::is_control);
    if fits {
        return Ok(value.to_owned());
    }
    Err(mistake(format!("`{value}` cannot name a role for `@role`"), "write 1 to 63 bytes without control characters"))
}
