//! Who is to blame when a call to the server fails, in words that hold no secret.
//!
//! The server's message is kept but for what it quotes of a statement: a syntax error's excerpt may hold a verifier.

use mysql_async::{DriverError, Error, IoError, ServerError, TlsError};
use writ_core::provider::ProviderFault;

const MESSAGE_LIMIT: usize = 200;
pub(crate) const GUIDE: &str = "see docs/providers/mysql.md for the statements that an admin runs";

/// "Access denied for user".
pub(crate) const DENIED: u16 = 1045;
/// "Operation CREATE USER failed": there is such a user, or at MySQL a role of that name.
pub(crate) const CANNOT_USER: u16 = 1396;
/// "Unknown thread id": it has ended by itself.
pub(crate) const NO_SUCH_THREAD: u16 = 1094;
const PARSE_ERROR: u16 = 1064;

/// `error`, which happened while `doing`.
pub(crate) fn of(doing: &str, error: &Error) -> ProviderFault {
    match error {
        Error::Server(answer) => of_answer(doing, answer),
        Error::Io(IoError::Tls(TlsError::Tls(tls))) => of_tls(doing, tls),
        Error::Io(IoError::Io(io)) => match io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => of_tls(doing, tls),
            None => ProviderFault::Unreachable(format!("{doing}: {}", plain(&io.to_string()))),
        },
        Error::Driver(DriverError::NoClientSslFlagFromServer) => ProviderFault::Misconfigured(format!(
            "{doing}: the server offers no TLS: give it a certificate (`ssl_cert` and `ssl_key`)"
        )),
        Error::Driver(
            DriverError::CleartextPluginDisabled
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::UnknownAuthPlugin { .. },
        ) => unknown_authentication(doing),
        // Never with its fields: they may hold what the server sent.
        Error::Driver(DriverError::UnexpectedPacket { .. }) => {
            ProviderFault::Unreachable(format!("{doing}: the server's answer is none of its protocol's"))
        }
        other => ProviderFault::Unreachable(format!("{doing}: {}", plain(&other.to_string()))),
    }
}

/// The code of the server's answer in `error`, if it gave one.
pub(crate) const fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(answer) => Some(answer.code),
        _ => None,
    }
}

/// The server wants a login by something that the client does not do: MySQL does so too where it does not know the user at all,
/// so as not to tell.
pub(crate) fn unknown_authentication(doing: &str) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "{doing}: the server asks for an authentication that the broker does not do, or does not know the user: set `user` as \
         the server knows it, and let it use `caching_sha2_password` (MySQL) or `ed25519` (MariaDB)"
    ))
}

/// The server is a replica.
pub(crate) fn replica() -> ProviderFault {
    ProviderFault::Misconfigured("the server takes no changes (`read_only`): set `host` to the primary".to_owned())
}

fn of_answer(doing: &str, answer: &ServerError) -> ProviderFault {
    let said = if answer.code == PARSE_ERROR { "it does not understand the statement" } else { &answer.message };
    let text = format!("{doing}: {} (error {})", plain(said), answer.code);
    match answer.code {
        // Access denied; no such host; the account is locked; its password has expired.
        DENIED | 1130 | 1820 | 1862 | 3118 | 4151 => ProviderFault::Misconfigured(format!(
            "{text}: set `user` and the password of the broker's login as the server knows them"
        )),
        // Denied for a database, a table, a column, an operation, a role's admin option.
        1044 | 1142 | 1143 | 1227 | 1370 | 1698 => ProviderFault::Misconfigured(format!(
            "{text}: the broker's login needs CREATE USER, and each role that it grants WITH ADMIN OPTION; {GUIDE}"
        )),
        1290 | 1792 | 1836 => {
            ProviderFault::Misconfigured(format!("{text}: the server takes no changes: set `host` to the primary"))
        }
        1524 | 1619 | 4079 => ProviderFault::Misconfigured(format!(
            "{text}: run `INSTALL SONAME 'auth_ed25519'` at the server as an admin"
        )),
        4006 => {
            ProviderFault::Misconfigured(format!("{text}: the broker's login needs ALLOW_NONEXISTENT_DEFINER; {GUIDE}"))
        }
        // Too many connections, of all or of this user; shutting down; waited too long for a lock or in all; killed; the
        // cluster is not ready.
        1040 | 1047 | 1053 | 1077 | 1079 | 1203 | 1205 | 1213 | 1226 | 1317 | 1927 | 1969 | 3024 | 3169 | 4031 => {
            ProviderFault::Unreachable(text)
        }
        _ if answer.state.starts_with("08") => ProviderFault::Unreachable(text),
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

/// Text from outside, on one line, cut at a length that a log can hold.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(MESSAGE_LIMIT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
