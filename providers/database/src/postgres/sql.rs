//! Names and texts in SQL. Role statements take no parameters, so whatever goes into one goes through here.

use postgres_protocol::escape::{escape_identifier, escape_literal};

/// `name` as a quoted identifier.
pub(crate) fn name(name: &str) -> String {
    escape_identifier(name)
}

/// `text` as a literal.
pub(crate) fn text(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}

/// Whether `name` can name a role: PostgreSQL cuts names at 63 bytes without a word, and a cut name is another role's.
pub(crate) fn can_name_a_role(name: &str) -> bool {
    !name.is_empty() && name.len() <= 63 && !name.contains('\0')
}
