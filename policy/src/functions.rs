//! The functions of PostgreSQL that only compute: no policy has to permit them.
//!
//! Written down by hand out of `pg_proc` of PostgreSQL 13 to 18, by this rule: in `pg_catalog`, reads no table that its arguments name,
//! changes nothing but the state of random numbers, waits for nothing, and runs no text that it is given. What is not here
//! (`nextval`, `pg_sleep`, `set_config`, `query_to_xml`, `lo_get`, `pg_read_file`) takes a policy on `sql:function`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

static NAMES: &str = include_str!("functions.txt");

/// The functions of a database's own for which the server may take a name that is no function here: called like one that only
/// computes, or with a row (`t.f`). Of a name that is not among them it is known that it is neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnFunctions {
    /// By name, the schemas in which they stand.
    schemas: BTreeMap<String, BTreeSet<String>>,
    /// The names of those that may stand in any schema.
    anywhere: BTreeSet<String>,
    any: bool,
}

impl OwnFunctions {
    /// Of what a server says of functions outside of its `pg_catalog`: schema, name, and whether one takes a row alone.
    pub fn of(functions: impl IntoIterator<Item = (String, String, bool)>) -> Self {
        let matters = |(_, name, of_row): &(String, String, bool)| *of_row || only_computes(name);
        Self::named(functions.into_iter().filter(matters).map(|(schema, name, _)| (schema, name)))
    }

    /// Those of these schemas and names.
    pub fn named(names: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut own = Self::default();
        for (schema, name) in names {
            own.schemas.entry(name).or_default().insert(schema);
        }
        own
    }

    /// Those of which only this is known, that any name may be one.
    #[must_use]
    pub const fn any() -> Self {
        Self { schemas: BTreeMap::new(), anywhere: BTreeSet::new(), any: true }
    }

    /// Whether a name may be one of them in any of these schemas; `None` for all.
    #[must_use]
    pub fn may_be(&self, name: &str, schemas: Option<&[String]>) -> bool {
        let stands_in =
            |own: &BTreeSet<String>| schemas.is_none_or(|path| path.iter().any(|schema| own.contains(schema)));
        self.any || self.anywhere.contains(name) || self.schemas.get(name).is_some_and(stands_in)
    }

    /// One more, which the session itself has made in whichever schema; whether it was not known before.
    pub fn add(&mut self, name: &str) -> bool {
        !self.any && self.anywhere.insert(name.to_owned())
    }

    /// The schemas and names of those that the server told of; `None` where any name may be one.
    #[must_use]
    pub fn names(&self) -> Option<impl Iterator<Item = (&str, &str)>> {
        (!self.any).then(|| {
            self.schemas.iter().flat_map(|(name, own)| own.iter().map(|schema| (schema.as_str(), name.as_str())))
        })
    }

    /// The names of those that the session itself has made.
    pub fn made(&self) -> impl Iterator<Item = &str> {
        self.anywhere.iter().map(String::as_str)
    }
}

/// Whether this name, as PostgreSQL folds it, is one of them in the schema `pg_catalog`.
#[must_use]
pub fn only_computes(name: &str) -> bool {
    static SET: OnceLock<HashSet<&'static str>> = OnceLock::new();
    SET.get_or_init(|| NAMES.split_ascii_whitespace().collect()).contains(name)
}
