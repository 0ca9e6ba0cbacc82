//! The functions of PostgreSQL that only compute: no policy has to permit them.
//!
//! Written down by hand out of `pg_proc` of PostgreSQL 13 to 18, by this rule: in `pg_catalog`, reads no table that its arguments name,
//! changes nothing but the state of random numbers, waits for nothing, and runs no text that it is given. What is not here
//! (`nextval`, `pg_sleep`, `set_config`, `query_to_xml`, `lo_get`, `pg_read_file`) takes a policy on `sql:function`.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

static NAMES: &str = include_str!("functions.txt");

/// The functions of a database's own for which the server may take a name that is no function here: called like one that only
/// computes, or with a row (`t.f`). Of a name that is not among them it is known that it is neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnFunctions {
    names: BTreeSet<String>,
    any: bool,
}

impl OwnFunctions {
    /// Of what a server says of functions outside of its `pg_catalog`: their names, and whether one takes a row alone.
    pub fn of(functions: impl IntoIterator<Item = (String, bool)>) -> Self {
        let matters = |(name, of_row): (String, bool)| (of_row || only_computes(&name)).then_some(name);
        Self { names: functions.into_iter().filter_map(matters).collect(), any: false }
    }

    /// Those of these names.
    pub fn named(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().collect(), any: false }
    }

    /// Those of which only this is known, that any name may be one.
    #[must_use]
    pub const fn any() -> Self {
        Self { names: BTreeSet::new(), any: true }
    }

    /// Whether a name may be one of them.
    #[must_use]
    pub fn may_be(&self, name: &str) -> bool {
        self.any || self.names.contains(name)
    }

    /// One more, which the session itself has made; whether it was not known before.
    pub fn add(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    /// Their names, in order; `None` where any name may be one.
    #[must_use]
    pub fn names(&self) -> Option<impl ExactSizeIterator<Item = &str>> {
        (!self.any).then(|| self.names.iter().map(String::as_str))
    }
}

/// Whether this name, as PostgreSQL folds it, is one of them in the schema `pg_catalog`.
#[must_use]
pub fn only_computes(name: &str) -> bool {
    static SET: OnceLock<HashSet<&'static str>> = OnceLock::new();
    SET.get_or_init(|| NAMES.split_ascii_whitespace().collect()).contains(name)
}
