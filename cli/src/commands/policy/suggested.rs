//! A proposal as Cedar text: who may do what, and no more.
//!
//! Every name in it is data from outside: it stands in Cedar's strings, escaped, or on one line of a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use writ_policy::{Need, Thing};

use super::judges::Asked;
use super::suggest::{At, Did};
use crate::out;

/// What was needed.
#[derive(Debug, Default)]
pub(super) struct Uses {
    needs: BTreeSet<Need>,
    settings: BTreeSet<String>,
    /// The actions that were done without a condition too.
    unfiltered: BTreeSet<&'static str>,
}

/// Policies that differ in their actions alone become one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    held: bool,
    /// Of one kind: a set of Cedar's holds no others.
    thing: Thing,
    ids: BTreeSet<String>,
    condition: Option<String>,
}

impl Uses {
    /// Adds what one command needed.
    pub(super) fn add(&mut self, asked: &Asked) {
        if asked.unfiltered {
            self.unfiltered.extend(asked.needs.iter().map(|need| need.action));
        }
        self.settings.extend(asked.settings.iter().cloned());
        self.needs.extend(asked.needs.iter().cloned());
    }

    /// The things of each action; a column of a relation that is needed whole is not named again.
    fn by_action(&self) -> BTreeMap<&'static str, BTreeSet<(Thing, String)>> {
        let mut all: BTreeMap<&'static str, BTreeSet<(Thing, String)>> = BTreeMap::new();
        for Need { action, thing, id } in &self.needs {
            all.entry(action).or_default().insert((*thing, id.clone()));
        }
        for things in all.values_mut() {
            let whole: Vec<String> =
                things.iter().filter(|(thing, _)| *thing == Thing::Relation).map(|(_, id)| format!("{id}.")).collect();
            things.retain(|(thing, id)| *thing != Thing::Column || !whole.iter().any(|whole| is_column_of(id, whole)));
        }
        all
    }

    /// What must hold beside who, what and where.
    fn condition(&self, action: &str) -> Option<String> {
        match action {
            "sql:set" => {
                let names: Vec<String> = self.settings.iter().map(|name| quoted(name)).collect();
                Some(format!("when {{ [{}].containsAll(context.settings) }}", names.join(", ")))
            }
            "sql:update" | "sql:delete" if !self.unfiltered.contains(action) => {
                Some("unless { context.unfiltered }".to_owned())
            }
            _ => None,
        }
    }
}

/// Whether it is a column of a relation that is known whole.
fn is_of_a_known_relation((thing, id): &(Thing, String), known: &BTreeSet<(Thing, String)>) -> bool {
    let whole = |(of, relation): &(Thing, String)| *of == Thing::Relation && is_column_of(id, &format!("{relation}."));
    *thing == Thing::Column && known.iter().any(whole)
}

/// Whether a column's id continues its relation's by one name.
fn is_column_of(column: &str, relation: &str) -> bool {
    let Some(name) = column.strip_prefix(relation) else { return false };
    name.starts_with('"') || !name.contains('.')
}

/// The proposal for all workloads and targets.
pub(super) fn text(all: &BTreeMap<At, Did>) -> String {
    let mut text = String::new();
    let mut number = 0;
    for (at, did) in all.iter().filter(|(_, did)| did.sessions > 0) {
        workload(&mut text, at, did, &mut number);
    }
    text
}

fn workload(text: &mut String, at: &At, did: &Did, number: &mut u32) {
    let principal = format!("Writ::Workload::{}", quoted(&format!("{}|{}", at.issuer, at.subject)));
    let (subject, target) = (out::one_line(at.subject.as_str()), &at.target);
    let Did { sessions, commands, denied, .. } = did;
    let _ = writeln!(text, "// What {subject} did at {target}: {commands} commands in {sessions} sessions.");
    if *denied > 0 {
        let _ = writeln!(text, "// {denied} of them were not executed, and are not covered.");
    }
    *number += 1;
    let mut notes = format!("@ttl(\"{}s\")\n", did.ttl_seconds.max(1));
    if let Some(role) = &did.role {
        let _ = writeln!(notes, "@role({})", quoted(role));
    }
    let _ = writeln!(notes, "@record(\"{}\")", if did.full { "full" } else { "commands" });
    let target = format!("resource == Writ::Target::{}", quoted(target.as_str()));
    permit(
        text,
        *number,
        &notes,
        &format!("principal == {principal}"),
        "action in Writ::Action::\"use\"",
        &target,
        &[],
    );
    for (shared, actions) in shared(did) {
        *number += 1;
        let notes = if shared.held { "@hold(\"10m\")\n" } else { "" };
        let actions: Vec<String> = actions.iter().map(|action| format!("Writ::Action::{}", quoted(action))).collect();
        let action = match actions.as_slice() {
            [one] => format!("action == {one}"),
            many => format!("action in [{}]", many.join(", ")),
        };
        let (resource, mut conditions) = resource(shared.thing, &shared.ids);
        conditions.extend(shared.condition);
        permit(text, *number, notes, &format!("principal == {principal}"), &action, &resource, &conditions);
    }
}

/// What was allowed, and what was held and never allowed without.
fn shared(did: &Did) -> BTreeMap<Shared, Vec<&'static str>> {
    let mut all: BTreeMap<Shared, Vec<&'static str>> = BTreeMap::new();
    let allowed = did.allowed.by_action();
    for (held, uses) in [(false, &did.allowed), (true, &did.held)] {
        for (action, mut things) in uses.by_action() {
            let condition = uses.condition(action);
            if held
                && did.allowed.condition(action) == condition
                && let Some(known) = allowed.get(action)
            {
                things.retain(|thing| !known.contains(thing) && !is_of_a_known_relation(thing, known));
            }
            let mut kinds: BTreeMap<Thing, BTreeSet<String>> = BTreeMap::new();
            for (thing, id) in things {
                kinds.entry(thing).or_default().insert(id);
            }
            for (thing, ids) in kinds {
                let shared = Shared { held, thing, ids, condition: condition.clone() };
                all.entry(shared).or_default().push(action);
            }
        }
    }
    all
}

/// One thing stands in the policy's head, several in a condition.
fn resource(thing: Thing, ids: &BTreeSet<String>) -> (String, Vec<String>) {
    let kind = thing.as_str();
    let names: Vec<String> = ids.iter().map(|id| format!("{kind}::{}", quoted(id))).collect();
    match names.as_slice() {
        [one] => (format!("resource == {one}"), Vec::new()),
        many => ("resource".to_owned(), vec![format!("when {{ resource in [\n    {}\n] }}", many.join(",\n    "))]),
    }
}

fn permit(
    text: &mut String,
    number: u32,
    notes: &str,
    principal: &str,
    action: &str,
    resource: &str,
    conditions: &[String],
) {
    let conditions: String = conditions.iter().map(|condition| format!("\n{condition}")).collect();
    let _ = writeln!(
        text,
        "@id(\"suggested-{number}\")\n{notes}permit (\n    {principal},\n    {action},\n    {resource}\n){conditions};\n"
    );
}

/// A string of Cedar's.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            plain if plain.is_ascii_graphic() || plain == ' ' || plain.is_alphanumeric() => quoted.push(plain),
            other => {
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(other));
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
