//! The database that `writ dev` is pointed at.

use writ_core::credential::Secret;
use writ_core::target::TargetName;

use crate::failure::{Doing as _, Failure};

/// A database and the login that makes roles there.
#[derive(Debug)]
pub(crate) struct TargetSettings {
    /// The target's name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The login that may create roles.
    pub admin_user: String,
    /// Its password.
    pub admin_password: Secret,
}

impl TargetSettings {
    /// Reads `postgres://user:password@host:port/database`. Without a password in it `PGPASSWORD` is taken.
    ///
    /// # Errors
    /// If it has another form. The URL is not shown: it may hold the password.
    pub(crate) fn from_url(url: &str) -> Result<Self, Failure> {
        let form = || {
            Failure::new("the target has not the form of a PostgreSQL URL")
                .help("write `postgres://user@host:5432/database`, with the password in PGPASSWORD")
        };
        let url = reqwest::Url::parse(url).map_err(|_| form())?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.username().is_empty() {
            return Err(form());
        }
        let password = match url.password() {
            Some(password) => decoded(password)?,
            None => std::env::var("PGPASSWORD")
                .map_err(|_| Failure::new("the target's login has no password").help("put it into PGPASSWORD"))?,
        };
        let host = url.host_str().ok_or_else(form)?.trim_matches(['[', ']']).to_owned();
        let database = decoded(url.path().trim_start_matches('/'))?;
        if database.is_empty() {
            return Err(form());
        }
        let name = if TargetName::new(database.as_str()).is_ok() { database.clone() } else { "target".to_owned() };
        Ok(Self {
            name,
            host,
            port: url.port().unwrap_or(5432),
            database,
            admin_user: decoded(url.username())?,
            admin_password: Secret::new(password.into_bytes()),
        })
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        bytes.push(match byte {
            b'%' => match (digit(rest.next()), digit(rest.next())) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).unwrap_or(b'?'),
                _ => return Err(Failure::new("the target's URL is wrongly percent-encoded")),
            },
            plain => plain,
        });
    }
    String::from_utf8(bytes).doing("the target's URL is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let target = TargetSettings::from_url("postgres://ad%40min:p%2Fw@127.0.0.1:6000/pay").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.database.as_str()), ("127.0.0.1", 6000, "pay"));
        assert_eq!((target.admin_user.as_str(), target.admin_password.expose()), ("ad@min", b"p/w".as_slice()));
    }

    #[test]
    fn a_malformed_url_is_refused_and_not_shown() {
        for bad in ["", "mysql://u:secret@h/d", "postgres://h/d", "postgres://u:secret@h/", "postgres://u:%zz@h/d"] {
            let failure = TargetSettings::from_url(bad).unwrap_err().to_string();
            assert!(!failure.contains("secret"), "{failure}");
        }
    }
}
