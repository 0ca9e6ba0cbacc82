//! What a permitted statement comes with, and how a permitted connection is held: annotations on `permit` policies.

use writ_core::verdict::HoldTerms;

use crate::obligations::{Mistake, count, duration, least, many, mistake};

/// How long a hold in a transaction may last at most, in seconds: it keeps the locks of others waiting.
const LONGEST_IN_TRANSACTION: u64 = 600;
/// How many may have to approve: the broker takes no more.
const MOST_APPROVALS: u32 = 10;
/// How long a hold may last at most, in seconds.
const LONGEST_HOLD: u64 = 86_400;

/// What one policy says of the statements and connections that it permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    hold_seconds: Option<u64>,
    approvers: Vec<String>,
    approvals: Option<u32>,
    hold_in_transaction_seconds: Option<u64>,
    rows: Option<u64>,
}

impl Terms {
    /// Reads one annotation.
    pub(crate) fn read(&mut self, key: &str, value: &str) -> Result<(), Mistake> {
        match key {
            "hold" => self.hold_seconds = Some(at_most(key, value, LONGEST_HOLD)?),
            "hold_in_transaction" => {
                self.hold_in_transaction_seconds = Some(at_most(key, value, LONGEST_IN_TRANSACTION)?);
            }
            "approvals" => self.approvals = Some(approvals(key, value)?),
            "approvers" => self.approvers = names(key, value)?,
            _ => self.rows = Some(many(key, value)?),
        }
        Ok(())
    }

    /// What is wrong with them together.
    pub(crate) fn mistake(&self) -> Option<Mistake> {
        let of_hold =
            !self.approvers.is_empty() || self.approvals.is_some() || self.hold_in_transaction_seconds.is_some();
        (of_hold && self.hold_seconds.is_none()).then(|| {
            let message =
                "`@approvers`, `@approvals` or `@hold_in_transaction` without `@hold` holds nothing".to_owned();
            mistake(message, "add how long it may wait, like @hold(\"10m\")")
        })
    }
}

/// The strictest of what all matching permits say: one more permit never loosens anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Combined {
    pub(crate) hold: Option<HoldTerms>,
    pub(crate) rows: Option<u64>,
}

impl Combined {
    /// Adds what the policy of this id says.
    pub(crate) fn add(&mut self, id: &str, terms: &Terms) {
        self.rows = least(self.rows, terms.rows);
        let Some(seconds) = terms.hold_seconds else { return };
        let next = HoldTerms {
            policies: vec![id.to_owned()],
            timeout_seconds: seconds,
            groups: terms.approvers.clone(),
            needed: terms.approvals.unwrap_or(1),
            in_transaction_seconds: terms.hold_in_transaction_seconds,
        };
        self.hold = Some(match self.hold.take() {
            None => next,
            Some(so_far) => both_hold(so_far, next),
        });
    }
}

/// Two holds at once: whoever approves must be among the approvers of each that names some.
pub(crate) fn both_hold(one: HoldTerms, other: HoldTerms) -> HoldTerms {
    let mut policies = one.policies;
    policies.extend(other.policies);
    policies.sort();
    policies.dedup();
    let in_transaction = one.in_transaction_seconds.zip(other.in_transaction_seconds);
    HoldTerms {
        policies,
        timeout_seconds: one.timeout_seconds.min(other.timeout_seconds),
        groups: both(&one.groups, &other.groups),
        needed: one.needed.max(other.needed),
        in_transaction_seconds: in_transaction.map(|(one, other)| one.min(other)),
    }
}

/// The groups of whose members each may approve; no names at all means that every approver may. Where the two name some and
/// none in common, nobody may: the group without a name has no members.
fn both(one: &[String], other: &[String]) -> Vec<String> {
    if one.is_empty() {
        return other.to_vec();
    }
    if other.is_empty() {
        return one.to_vec();
    }
    let common: Vec<String> = one.iter().filter(|group| other.contains(group)).cloned().collect();
    if common.is_empty() { vec![String::new()] } else { common }
}

fn approvals(key: &str, value: &str) -> Result<u32, Mistake> {
    let needed = count(key, value)?;
    if needed <= MOST_APPROVALS {
        return Ok(needed);
    }
    Err(mistake(format!("`{value}` is more than the {MOST_APPROVALS} that `@{key}` may be"), "write fewer"))
}

fn at_most(key: &str, value: &str, most: u64) -> Result<u64, Mistake> {
    let seconds = duration(key, value)?;
    if seconds <= most {
        return Ok(seconds);
    }
    Err(mistake(format!("`{value}` is longer than the {most} s that `@{key}` may be"), "write a shorter time"))
}

fn names(key: &str, value: &str) -> Result<Vec<String>, Mistake> {
    let names: Vec<String> = value.split(',').map(|name| name.trim().to_owned()).collect();
    let fits = |name: &String| (1..=128).contains(&name.len()) && !name.chars().any(char::is_control);
    if names.len() <= 16 && names.iter().all(fits) {
        return Ok(names);
    }
    let help = "write 1 to 16 names with commas between them, like \"dba, security\"";
    Err(mistake(format!("`{value}` is no list of groups for `@{key}`"), help))
}
