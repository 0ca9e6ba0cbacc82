//! The functions of PostgreSQL that only compute: no policy has to permit them.
//!
//! Written down by hand out of `pg_proc` of PostgreSQL 13 to 18, by this rule: in `pg_catalog`, reads no table that its arguments name,
//! changes nothing but the state of random numbers, waits for nothing, and runs no text that it is given. What is not here
//! (`nextval`, `pg_sleep`, `set_config`, `query_to_xml`, `lo_get`, `pg_read_file`) takes a policy on `sql:function`.

use std::collections::HashSet;
use std::sync::OnceLock;

static NAMES: &str = include_str!("functions.txt");

/// Whether this name, as PostgreSQL folds it, is one of them in the schema `pg_catalog`.
#[must_use]
pub fn only_computes(name: &str) -> bool {
    static SET: OnceLock<HashSet<&'static str>> = OnceLock::new();
    SET.get_or_init(|| NAMES.split_ascii_whitespace().collect()).contains(name)
}
