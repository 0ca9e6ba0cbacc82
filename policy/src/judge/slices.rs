//! What a question about a statement needs of a set of policies: those whose heads can match it, and its action.
//!
//! A policy is left out of a question only where its head alone says that it cannot match: another action, another type of
//! resource, another relation or function, another type of principal. A head never errs, so such a policy would be neither a reason nor an error, and the
//! answer is the same without it. No condition is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Entities, Entity, EntityUid, Policy, PolicySet, PrincipalConstraint, ResourceConstraint, Schema,
};

use super::Thing;
use crate::entities::{Unusable, cedar};
use crate::governs::split_column;

/// The prefix of the actions for SQL.
const SQL: &str = "sql:";
/// Who asks about statements.
const CALLER: &str = "Writ::Workload";
/// The most policies in all slices together, one that is in several counted in each. A set that takes more is asked whole.
const MOST: usize = 100_000;
/// The most policies in the slices of one action on one kind of thing by names; where there were more, names are not told apart.
const MOST_NAMED: usize = 10_000;

/// One action for SQL, and what is asked about it.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Its id.
    pub(crate) uid: EntityUid,
    /// The action with what it is in.
    pub(crate) entity: Entity,
    /// The policies that a question on such a thing may match.
    on: BTreeMap<Thing, On>,
}

/// The policies on one kind of thing.
#[derive(Debug)]
struct On {
    /// On one that no policy names.
    any: Arc<PolicySet>,
    /// On one that policies name, and on the columns of a relation: those that name it among the others.
    named: BTreeMap<String, Arc<PolicySet>>,
}

impl Slice {
    /// What a question is put to: `id` is that of the relation or function, a column's of its relation.
    pub(crate) fn policies(&self, thing: Thing, id: &str) -> Option<&PolicySet> {
        let on = self.on.get(&thing)?;
        Some(on.named.get(id).unwrap_or(&on.any))
    }
}

/// The slices of a set of policies, by the actions for SQL.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    actions: BTreeMap<String, Slice>,
}

impl Slices {
    /// The slices of these policies.
    pub(crate) fn of(policies: &PolicySet, schema: &Schema) -> Result<Self, Unusable> {
        let entities = schema.action_entities().map_err(cedar)?;
        let heads: Vec<Head> = policies.policies().map(Head::of).collect();
        let mut making =
            Making { policies, numbered: policies.policies().collect(), made: BTreeMap::new(), held: 0, whole: None };
        let mut actions = BTreeMap::new();
        for action in entities.iter().filter(|entity| entity.uid().id().unescaped().starts_with(SQL)) {
            let does = |head: &Head| head.may_ask(action, &entities);
            let asked: Vec<(usize, &Head)> = heads.iter().enumerate().filter(|(_, head)| does(head)).collect();
            let mut on = BTreeMap::new();
            for thing in [Thing::Target, Thing::Relation, Thing::Column, Thing::Function] {
                let matching: Vec<_> = asked.iter().filter(|(_, head)| head.may_be_on(thing)).copied().collect();
                on.insert(thing, making.on(&matching)?);
            }
            let uid = action.uid();
            actions.insert(uid.id().unescaped().to_owned(), Slice { uid, entity: action.clone(), on });
        }
        Ok(Self { actions })
    }

    /// What is asked about an action, by its id, as `sql:select`.
    pub(crate) fn action(&self, id: &str) -> Option<&Slice> {
        self.actions.get(id)
    }
}

/// Slices of the same policies are made once.
struct Making<'p> {
    policies: &'p PolicySet,
    numbered: Vec<&'p Policy>,
    made: BTreeMap<Vec<usize>, Arc<PolicySet>>,
    held: usize,
    whole: Option<Arc<PolicySet>>,
}

impl Making<'_> {
    /// The slices by what these policies name.
    fn on(&mut self, matching: &[(usize, &Head)]) -> Result<On, Unusable> {
        let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut any = Vec::new();
        for (number, head) in matching {
            match &head.names {
                Some(name) => names.entry(name).or_default().push(*number),
                None => any.push(*number),
            }
        }
        if names.len().saturating_mul(any.len()).saturating_add(matching.len()) > MOST_NAMED {
            let all = matching.iter().map(|(number, _)| *number).collect();
            return Ok(On { any: self.slice(all)?, named: BTreeMap::new() });
        }
        let mut named = BTreeMap::new();
        for (name, own) in names {
            let mut numbers = [any.as_slice(), &own].concat();
            numbers.sort_unstable();
            named.insert(name.to_owned(), self.slice(numbers)?);
        }
        Ok(On { any: self.slice(any)?, named })
    }

    /// The policies of these numbers, in order.
    fn slice(&mut self, numbers: Vec<usize>) -> Result<Arc<PolicySet>, Unusable> {
        if let Some(made) = self.made.get(&numbers) {
            return Ok(Arc::clone(made));
        }
        self.held = self.held.saturating_add(numbers.len());
        if self.held > MOST {
            return Ok(Arc::clone(self.whole.get_or_insert_with(|| Arc::new(self.policies.clone()))));
        }
        let chosen = numbers.iter().filter_map(|number| self.numbered.get(*number));
        let slice = Arc::new(PolicySet::from_policies(chosen.map(|policy| (*policy).clone())).map_err(cedar)?);
        self.made.insert(numbers, Arc::clone(&slice));
        Ok(slice)
    }
}

/// What a policy's head says of a workload's question.
struct Head {
    /// It may match a workload.
    caller: bool,
    /// The actions that it names; all where it names none.
    actions: Option<Vec<EntityUid>>,
    /// The type of resource that it names; any where it names none.
    on: Option<String>,
    /// The relation or function that the resource must be, or be a column of; any where it names none.
    names: Option<String>,
}

impl Head {
    fn of(policy: &Policy) -> Self {
        let caller = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
            PrincipalConstraint::Eq(uid) => uid.type_name().to_string() == CALLER,
            PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => kind.to_string() == CALLER,
        };
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => None,
            ActionConstraint::Eq(uid) => Some(vec![uid]),
            ActionConstraint::In(uids) => Some(uids),
        };
        let (on, named) = match policy.resource_constraint() {
            ResourceConstraint::Any => (None, None),
            ResourceConstraint::In(uid) => (None, Some(uid)),
            ResourceConstraint::Eq(uid) => (Some(uid.type_name().to_string()), Some(uid)),
            ResourceConstraint::Is(kind) => (Some(kind.to_string()), None),
            ResourceConstraint::IsIn(kind, uid) => (Some(kind.to_string()), Some(uid)),
        };
        Self { caller, actions, on, names: named.as_ref().and_then(named_by) }
    }

    /// Whether it may match a workload's question of this action: it names that, or what that is in. (`action == GROUP` is taken for
    /// `action in GROUP`, which leaves out less.)
    fn may_ask(&self, action: &Entity, actions: &Entities) -> bool {
        let uid = action.uid();
        let within = |group: &EntityUid| *group == uid || actions.is_ancestor_of(group, &uid);
        self.caller && self.actions.as_ref().is_none_or(|named| named.iter().any(within))
    }

    fn may_be_on(&self, thing: Thing) -> bool {
        self.on.as_ref().is_none_or(|kind| kind == thing.as_str())
    }
}

/// What an entity in a head narrows questions to. Whatever is in a target can be anything.
fn named_by(uid: &EntityUid) -> Option<String> {
    let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
    match kind.as_str() {
        "Writ::Relation" | "Writ::Function" => Some(id.to_owned()),
        "Writ::Column" => Some(split_column(id).0.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
