//! The protocol's own error frame, as a total function of a fault. `Fault::detail` never appears in it.

use writ_core::fault::{Blame, Fault};

use crate::frame;

/// The fault's code where a prepared statement is not known (`invalid_sql_statement_name`).
pub const UNKNOWN_STATEMENT: &str = "postgres.unknown_statement";

/// The fault's code where a portal is not known (`invalid_cursor_name`).
pub const UNKNOWN_PORTAL: &str = "postgres.unknown_portal";

/// The fault's code of a name that is not taken (`invalid_name`).
pub const NAME: &str = "postgres.name";

/// The fault's code where a bound on a session's memory is reached (`configuration_limit_exceeded`).
pub const LIMIT: &str = "postgres.limit";
/// The code of a fault: the client asked for a command to be cancelled that was held.
pub const CANCELLED: &str = "approval.cancelled";

/// When the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Instead of a login. Severity `FATAL`.
    Login,
    /// Instead of a command's answer; the session goes on. Severity `ERROR`.
    Command,
    /// As the session's end. Severity `FATAL`.
    End,
}

/// The SQLSTATE (PostgreSQL documentation, appendix A) of a fault: where a server itself has a code for what the fault's own
/// code names, that one, since drivers act on it; else one by blame.
#[must_use]
pub fn sqlstate(fault: &Fault, when: When) -> &'static str {
    match (fault.code, when) {
        (UNKNOWN_STATEMENT, When::Command) => "26000",
        (UNKNOWN_PORTAL, When::Command) => "34000",
        (NAME, When::Command) => "42602",
        (LIMIT, When::Command) => "53400",
        (CANCELLED, When::Command) => "57014",
        _ => by_blame(fault.blame, when),
    }
}

const fn by_blame(blame: Blame, when: When) -> &'static str {
    match (blame, when) {
        (Blame::NotAllowed, When::Login) => "28000",
        (Blame::NotAllowed, When::Command) => "42501",
        (Blame::NotAllowed | Blame::Ours, When::End) => "57P01",
        (Blame::Peer, _) => "08P01",
        (Blame::Target, When::Login) => "08001",
        (Blame::Target, _) => "08006",
        (Blame::Ours, When::Login) => "57P03",
        (Blame::Ours, When::Command) => "58000",
        (Blame::Misuse, _) => "XX000",
    }
}

/// Appends a notice to a client: what it is told beside its replies.
pub fn write_notice(out: &mut Vec<u8>, text: &str) {
    frame::write(out, b'N', |out| {
        field(out, b'S', b"NOTICE");
        field(out, b'V', b"NOTICE");
        field(out, b'C', b"00000");
        field(out, b'M', text.as_bytes());
        out.push(0);
    });
}

/// Appends the `ErrorResponse` of `fault` to `out`.
pub fn write(out: &mut Vec<u8>, fault: &Fault, when: When) {
    let severity: &[u8] = if when == When::Command { b"ERROR" } else { b"FATAL" };
    frame::write(out, b'E', |out| {
        field(out, b'S', severity);
        field(out, b'V', severity);
        field(out, b'C', sqlstate(fault, when).as_bytes());
        field(out, b'M', fault.public.as_bytes());
        if let Some(help) = &fault.help {
            field(out, b'H', help.as_bytes());
        }
        out.push(0);
    });
}

fn field(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    frame::write_text(out, text);
}
