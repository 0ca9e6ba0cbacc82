//! Who is to blame when a call to the server fails, in words that hold no secret.
//!
//! The server's primary message is kept, its detail, hint and the statement are not: those can quote what was sent.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};
use writ_core::provider::ProviderFault;

const MESSAGE_LIMIT: usize = 200;
const GUIDE: &str = "see docs/providers/database.md for the statements that an admin runs";

/// `error`, which happened while `doing`.
pub(crate) fn of(doing: &str, error: &Error) -> ProviderFault {
    if let Some(answer) = error.as_db_error() {
        return of_answer(doing, answer);
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && let Some(tls) = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return of_tls(doing, tls);
        }
        source = cause.source();
    }
    ProviderFault::Unreachable(format!("{doing}: {}", plain(&chain(error))))
}

fn of_answer(doing: &str, answer: &DbError) -> ProviderFault {
    let code = answer.code();
    let text = format!("{doing}: {} (SQLSTATE {})", plain(answer.message()), code.code());
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return ProviderFault::Misconfigured(format!(
            "{text}: the broker's login needs CREATEROLE and ADMIN OPTION on the granted role, {GUIDE}"
        ));
    }
    match code.code().get(..2) {
        Some("28") => ProviderFault::Misconfigured(format!(
            "{text}: set `user` and the password of the broker's login as the server knows them"
        )),
        Some("3D") => ProviderFault::Misconfigured(format!(
            "{text}: set `database` to one that the broker's login may connect to"
        )),
        // Too many connections, shutting down, starting up, connection lost, cancelled by a timeout.
        Some("53" | "57" | "08" | "58") => ProviderFault::Unreachable(text),
        _ => ProviderFault::Refused(text),
    }
}

fn of_tls(doing: &str, error: &rustls::Error) -> ProviderFault {
    match error {
        rustls::Error::InvalidCertificate(_) => ProviderFault::Misconfigured(format!(
            "{doing}: the server's certificate is not accepted: {}: set `ca_pem` to the authority that vouches for it, \
             and `host` to the name that it carries",
            plain(&error.to_string())
        )),
        _ => ProviderFault::Unreachable(format!("{doing}: {}", plain(&error.to_string()))),
    }
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Text from outside, on one line, cut at a length that a log can hold.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(MESSAGE_LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
