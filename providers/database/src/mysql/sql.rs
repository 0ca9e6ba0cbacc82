//! Names and texts in SQL. Account statements take no parameters, so whatever goes into one goes through here, in forms that
//! mean the same under every `sql_mode`.

/// `name` as a quoted identifier: accounts and roles may be written so.
pub(crate) fn name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// An account: a user's name and the host part.
pub(crate) fn account(user: &str, host: &str) -> String {
    format!("{}@{}", name(user), name(host))
}

/// `text` as a literal of its bytes, for comparisons.
pub(crate) fn text(text: &str) -> String {
    format!("X'{}'", hex(text.as_bytes()))
}

/// `bytes` in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Whether `name` can name an account or a role at either server: MySQL's have 32 characters at most.
pub(crate) fn can_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= 32 && !name.contains('\0') && !name.ends_with(' ')
}
