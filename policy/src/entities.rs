//! What Cedar is asked about, built through its API: nothing from outside ever becomes policy text.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, Response, RestrictedExpression,
};
use writ_core::target::Target;
use writ_core::workload::{Claims, Issuer, Subject};

use crate::bundle::Bundle;
use crate::claims::{Tags, TooLarge};
use crate::judge::slices::Slice;

/// Between issuer and subject in an entity's id. An issuer that holds it is refused, so that ids are unambiguous.
const BETWEEN: char = '|';

/// Why there is nothing to ask about.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The issuer's name holds the separator.
    Issuer,
    /// The claims are more than is read.
    TooLarge,
    /// A policy reads this claim as what it is not.
    Misread(String),
    /// Cedar refused what was built.
    Cedar(String),
}

impl From<TooLarge> for Unusable {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// What Cedar refuses.
pub(crate) fn cedar(error: impl std::fmt::Display) -> Unusable {
    Unusable::Cedar(error.to_string())
}

/// One question to Cedar.
pub(crate) struct Question {
    request: Request,
    entities: Entities,
}

/// Who asks.
pub(crate) struct Principal<'a> {
    pub(crate) kind: &'static str,
    pub(crate) issuer: &'a Issuer,
    pub(crate) subject: &'a Subject,
    pub(crate) claims: &'a Claims,
}

/// The entities of one principal and one resource, for any number of questions.
pub(crate) struct Cast {
    principal: EntityUid,
    resource: EntityUid,
    entities: Entities,
}

impl Cast {
    pub(crate) fn new(bundle: &Bundle, principal: &Principal<'_>, resource: Entity) -> Result<Self, Unusable> {
        if principal.issuer.as_str().contains(BETWEEN) {
            return Err(Unusable::Issuer);
        }
        let tags = Tags::of(principal.claims)?;
        if let Some(name) = tags.misread(bundle.reads()) {
            return Err(Unusable::Misread(name.to_owned()));
        }
        let resource_uid = resource.uid();
        let [caller, lists] = caller(principal, tags)?;
        let principal = caller.uid();
        let entities = Entities::from_entities([caller, lists, resource], Some(bundle.schema())).map_err(cedar)?;
        Ok(Self { principal, resource: resource_uid, entities })
    }

    pub(crate) fn question(
        &self,
        bundle: &Bundle,
        action: &str,
        context: Vec<(String, RestrictedExpression)>,
    ) -> Result<Question, Unusable> {
        let context = Context::from_pairs(context).map_err(cedar)?;
        let (principal, action) = (self.principal.clone(), uid("Writ::Action", action)?);
        let request = Request::new(principal, action, self.resource.clone(), context, Some(bundle.schema()));
        Ok(Question { request: request.map_err(cedar)?, entities: self.entities.clone() })
    }

    /// The same cast for questions about statements, each of which brings the one action that it is about. An action that no
    /// condition names and that is not asked about is looked at by no policy; where a condition may name one, all stay.
    pub(crate) fn for_statements(self, bundle: &Bundle) -> Result<Self, Unusable> {
        if bundle.governs().actions {
            return Ok(self);
        }
        let known = self.entities.iter().filter(|entity| type_is(entity, "Writ::Action").is_some_and(|is| !is));
        let entities = Entities::from_entities(known.cloned(), None).map_err(cedar)?;
        Ok(Self { entities, ..self })
    }

    /// A question of a cast [`Self::for_statements`]; `more` is what is to be known of the resource besides.
    ///
    /// Names come from outside, shapes do not: where the whole context is given, as builds with debug assertions do, the question
    /// is held to the schema.
    pub(crate) fn question_on(
        &self,
        bundle: &Bundle,
        slice: &Slice,
        resource: &EntityUid,
        more: impl IntoIterator<Item = Entity>,
        (context, whole): (Context, Option<&Context>),
    ) -> Result<Question, Unusable> {
        let request = |context, schema| {
            let (principal, action) = (self.principal.clone(), slice.uid.clone());
            Request::new(principal, action, resource.clone(), context, schema).map_err(cedar)
        };
        if let Some(whole) = whole {
            request(whole.clone(), Some(bundle.schema()))?;
        }
        let schema = whole.map(|_| bundle.schema());
        let own = (!bundle.governs().actions).then(|| slice.entity.clone());
        let entities = self.entities.clone().add_entities(own.into_iter().chain(more), schema).map_err(cedar)?;
        Ok(Question { request: request(context, None)?, entities })
    }

    /// The resource.
    pub(crate) const fn resource(&self) -> &EntityUid {
        &self.resource
    }
}

impl Question {
    pub(crate) fn ask(&self, policies: &cedar_policy::PolicySet) -> Response {
        Authorizer::new().is_authorized(&self.request, policies, &self.entities)
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn entities(&self) -> &Entities {
        &self.entities
    }
}

/// The types of the schema, parsed once.
static TYPES: LazyLock<Vec<(&'static str, EntityTypeName)>> = LazyLock::new(|| {
    let names = [
        "Writ::Relation",
        "Writ::Column",
        "Writ::Function",
        "Writ::Target",
        "Writ::Action",
        "Writ::Workload",
        "Writ::Human",
        "Writ::Lists",
        "Writ::System",
    ];
    names.into_iter().filter_map(|name| Some((name, EntityTypeName::from_str(name).ok()?))).collect()
});

fn type_name(kind: &str) -> Option<&'static EntityTypeName> {
    TYPES.iter().find_map(|(name, parsed)| (*name == kind).then_some(parsed))
}

fn type_is(entity: &Entity, kind: &str) -> Option<bool> {
    Some(entity.uid().type_name() == type_name(kind)?)
}

pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUid, Unusable> {
    let known = type_name(kind).ok_or_else(|| Unusable::Cedar(format!("there is no type `{kind}`")))?;
    Ok(EntityUid::from_type_name_and_id(known.clone(), EntityId::new(id)))
}

pub(crate) fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

pub(crate) fn target(target: &Target) -> Result<Entity, Unusable> {
    let protocol = target.protocol.as_str();
    let attributes = [("name".to_owned(), text(target.name.as_str())), ("protocol".to_owned(), text(protocol))];
    let labels = target.labels.iter().map(|(name, value)| (name.clone(), text(value)));
    Entity::new_with_tags(uid("Writ::Target", target.name.as_str())?, attributes, [], labels).map_err(cedar)
}

pub(crate) fn system() -> Result<Entity, Unusable> {
    Ok(Entity::with_uid(uid("Writ::System", "writ")?))
}

fn caller(principal: &Principal<'_>, tags: Tags) -> Result<[Entity; 2], Unusable> {
    let id = format!("{}{BETWEEN}{}", principal.issuer, principal.subject);
    let lists_uid = uid("Writ::Lists", &id)?;
    let attributes = [
        ("issuer".to_owned(), text(principal.issuer.as_str())),
        ("subject".to_owned(), text(principal.subject.as_str())),
        ("lists".to_owned(), RestrictedExpression::new_entity_uid(lists_uid.clone())),
    ];
    let single = tags.single.into_iter().map(|(name, value)| (name, RestrictedExpression::new_string(value)));
    let lists = tags.lists.into_iter().map(|(name, values)| (name, set(values)));
    let caller = Entity::new_with_tags(uid(principal.kind, &id)?, attributes, [], single).map_err(cedar)?;
    let lists = Entity::new_with_tags(lists_uid, [], [], lists).map_err(cedar)?;
    Ok([caller, lists])
}

fn set(values: BTreeSet<String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.into_iter().map(RestrictedExpression::new_string))
}
