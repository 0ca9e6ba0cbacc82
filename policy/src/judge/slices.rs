//! What a question about a statement needs of a set of policies: those whose heads can match it, and its action.
//!
//! A policy is left out of a question only where its head alone says that it cannot match: another action, another type of
//! resource, another type of principal. A head never errs, so such a policy would be neither a reason nor an error, and the
//! answer is the same without it. No condition is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Entities, Entity, EntityTypeName, EntityUid, Policy, PolicySet, PrincipalConstraint,
    ResourceConstraint, Schema,
};

use super::Thing;
use crate::entities::{Unusable, cedar};

/// The prefix of the actions for SQL.
const SQL: &str = "sql:";
/// Who asks about statements.
const CALLER: &str = "Writ::Workload";
/// The most policies in all slices together, one that is in several counted in each. A set that takes more is asked whole.
const MOST: usize = 100_000;

/// One action for SQL, and what is asked about it.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Its id.
    pub(crate) uid: EntityUid,
    /// The action with what it is in.
    pub(crate) entity: Entity,
    /// The policies that a question on such a thing may match.
    on: BTreeMap<Thing, Arc<PolicySet>>,
}

impl Slice {
    pub(crate) fn policies(&self, thing: Thing) -> Option<&PolicySet> {
        self.on.get(&thing).map(Arc::as_ref)
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
        let mut making = Making { policies, made: BTreeMap::new(), held: 0, whole: None };
        let mut actions = BTreeMap::new();
        for action in entities.iter().filter(|entity| entity.uid().id().unescaped().starts_with(SQL)) {
            let mut on = BTreeMap::new();
            for thing in [Thing::Target, Thing::Relation, Thing::Column, Thing::Function] {
                let matching = |policy: &Policy| may_match(policy, action, &entities, thing);
                on.insert(thing, making.slice(&matching)?);
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
    made: BTreeMap<Vec<usize>, Arc<PolicySet>>,
    held: usize,
    whole: Option<Arc<PolicySet>>,
}

impl Making<'_> {
    fn slice(&mut self, matching: &dyn Fn(&Policy) -> bool) -> Result<Arc<PolicySet>, Unusable> {
        let numbered = || self.policies.policies().enumerate().filter(|(_, policy)| matching(policy));
        let numbers: Vec<usize> = numbered().map(|(number, _)| number).collect();
        if let Some(made) = self.made.get(&numbers) {
            return Ok(Arc::clone(made));
        }
        self.held = self.held.saturating_add(numbers.len());
        if self.held > MOST {
            return Ok(Arc::clone(self.whole.get_or_insert_with(|| Arc::new(self.policies.clone()))));
        }
        let slice = Arc::new(PolicySet::from_policies(numbered().map(|(_, policy)| policy.clone())).map_err(cedar)?);
        self.made.insert(numbers, Arc::clone(&slice));
        Ok(slice)
    }
}

/// Whether a policy's head may match a workload's question of this action on such a thing.
fn may_match(policy: &Policy, action: &Entity, actions: &Entities, thing: Thing) -> bool {
    let on = thing.as_str();
    let is = |named: &EntityTypeName, asked: &str| named.to_string() == asked;
    let by = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::In(_) => true,
        PrincipalConstraint::Eq(uid) => is(uid.type_name(), CALLER),
        PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => is(&kind, CALLER),
    };
    let does = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == action.uid(),
        ActionConstraint::In(uids) => uids.iter().any(|uid| within(action, uid, actions)),
    };
    let to = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::In(_) => true,
        ResourceConstraint::Eq(uid) => is(uid.type_name(), on),
        ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => is(&kind, on),
    };
    by && does && to
}

/// Whether the action is this one or in it.
fn within(action: &Entity, group: &EntityUid, actions: &Entities) -> bool {
    let uid = action.uid();
    uid == *group || actions.is_ancestor_of(group, &uid)
}

#[cfg(test)]
mod tests;
