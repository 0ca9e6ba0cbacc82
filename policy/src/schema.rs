//! The published schema: what policies may speak of. It is part of the policy hash, so that two builds with different
//! schemas never take each other's bundles.

use cedar_policy::Schema;

use crate::problem::Problem;

/// The schema's text, as published in `policy/schema/writ.cedarschema`.
pub const TEXT: &str = include_str!("../schema/writ.cedarschema");

/// The file name under which problems with the schema are reported.
pub const FILE: &str = "writ.cedarschema";

pub(crate) fn parse() -> Result<Schema, Problem> {
    match Schema::from_cedarschema_str(TEXT) {
        Ok((schema, _warnings)) => Ok(schema),
        Err(error) => Err(Problem::at(FILE, TEXT, 0, format!("the built-in schema does not parse: {error}"))),
    }
}
