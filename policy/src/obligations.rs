//! Obligations: what a permission comes with, written as annotations on `permit` policies.
//!
//! Annotations are a closed list. One that is unknown or malformed would otherwise be a restriction that silently does
//! not hold, so it refuses the whole set at load.

use cedar_policy::Effect;
use writ_core::grant::{Obligations, RecordLevel};

/// The life of a session where a policy names none: 15 minutes, in seconds.
pub const DEFAULT_TTL_SECONDS: u64 = 15 * 60;
/// The sessions that one token opens where a policy names no number.
pub const DEFAULT_USES: u32 = 1;
/// What is recorded where a policy names nothing.
pub const DEFAULT_RECORD: RecordLevel = RecordLevel::Commands;

const KNOWN: &str = "known are @id, @ttl, @role, @record, @uses and @connection_limit";
const NAME_LENGTH: usize = 63;

/// One mistake in one annotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) help: &'static str,
}

fn mistake(message: String, help: &'static str) -> Mistake {
    Mistake { message, help }
}

/// What one policy's annotations say. Absent is not the same as the default: see [`Stated::alone`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stated {
    ttl_seconds: Option<u64>,
    role: Option<String>,
    record: Option<RecordLevel>,
    uses: Option<u32>,
    connection_limit: Option<u32>,
}

impl Stated {
    /// Reads one annotation into what is stated. `@id` is read by the bundle.
    pub(crate) fn read(&mut self, effect: Effect, connects: bool, key: &str, value: &str) -> Result<(), Mistake> {
        match key {
            "id" => return Ok(()),
            "ttl" | "role" | "record" | "uses" | "connection_limit" => {}
            _ => return Err(mistake(format!("unknown annotation `@{key}`"), KNOWN)),
        }
        if effect == Effect::Forbid {
            let message = format!("`@{key}` stands on a `forbid`, which grants nothing");
            return Err(mistake(message, "move it to the `permit` policies that it restricts"));
        }
        if !connects {
            let message = format!("`@{key}` stands on a policy that never permits `connect`");
            return Err(mistake(message, "move it to a policy whose action can be `Writ::Action::\"connect\"`"));
        }
        match key {
            "ttl" => self.ttl_seconds = Some(duration(value)?),
            "role" => self.role = Some(role(value)?),
            "record" => self.record = Some(record(value)?),
            "uses" => self.uses = Some(count(key, value)?),
            _ => self.connection_limit = Some(count(key, value)?),
        }
        Ok(())
    }

    /// What this policy grants by itself: what it states, and the defaults for the rest.
    fn alone(&self) -> Obligations {
        Obligations {
            ttl_seconds: self.ttl_seconds.unwrap_or(DEFAULT_TTL_SECONDS),
            role: self.role.clone(),
            record: self.record.unwrap_or(DEFAULT_RECORD),
            uses: self.uses.unwrap_or(DEFAULT_USES),
            connection_limit: self.connection_limit,
        }
    }
}

/// Two policies that permitted name different roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleConflict {
    pub(crate) one: String,
    pub(crate) other: String,
}

/// The strictest of what all matching permits grant by themselves, so that one more permit never loosens anything.
/// `None` for no permit at all.
pub(crate) fn combine<'a>(
    stated: impl IntoIterator<Item = &'a Stated>,
    ttl_cap_seconds: u64,
) -> Result<Option<Obligations>, RoleConflict> {
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

fn strictest(one: Obligations, other: Obligations) -> Result<Obligations, RoleConflict> {
    let role = match (one.role, other.role) {
        (Some(one), Some(other)) if one != other => return Err(RoleConflict { one, other }),
        (one, other) => one.or(other),
    };
    Ok(Obligations {
        ttl_seconds: one.ttl_seconds.min(other.ttl_seconds),
        role,
        record: one.record.max(other.record),
        uses: one.uses.min(other.uses),
        connection_limit: [one.connection_limit, other.connection_limit].into_iter().flatten().min(),
    })
}

fn duration(value: &str) -> Result<u64, Mistake> {
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
    let help = "write a whole number above zero and one unit of s, m, h, d, like @ttl(\"15m\")";
    parsed.ok_or_else(|| mistake(format!("`{value}` is not a time for `@ttl`"), help))
}

fn count(key: &str, value: &str) -> Result<u32, Mistake> {
    let help = "write a whole number above zero, like \"1\"";
    whole(value)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| mistake(format!("`{value}` is not a number for `@{key}`"), help))
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

fn role(value: &str) -> Result<String, Mistake> {
    let fits = (1..=NAME_LENGTH).contains(&value.len()) && !value.chars().any(char::is_control);
    if fits {
        return Ok(value.to_owned());
    }
    Err(mistake(format!("`{value}` cannot name a role for `@role`"), "write 1 to 63 bytes without control characters"))
}
