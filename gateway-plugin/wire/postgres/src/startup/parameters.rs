//! Startup parameters: an allow-list. What is not on it is refused by name, so that nobody wonders why it has no effect.

use writ_core::client::{LONGEST_REASON, NoReason, Reason};
use writ_core::fault::{Blame, Fault};
use writ_core::target::TargetName;

use super::AuthMethod;
use super::packet::{PROTOCOL_3_2, invalid};
use crate::frame::Reader;

/// The settings that a client may choose at login. Compared without regard to case, as the server does.
pub const ALLOWED: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "DateStyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "IntervalStyle",
    "jit",
    "lock_timeout",
    "plan_cache_mode",
    "search_path",
    "statement_timeout",
    "TimeZone",
    "transaction_timeout",
];

const MOST_PARAMETERS: usize = 64;
/// How many bytes of a name a server keeps.
const LONGEST_NAME: usize = 63;

/// What the client asked for at login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The target: the user name up to its first `/`.
    pub target: TargetName,
    /// The database role that the client wants: the user name behind its first `/`.
    pub role: Option<String>,
    /// The database. Where the client names none it is the target's name, as PostgreSQL takes the user's.
    pub database: String,
    /// The client's own name.
    pub application_name: Option<String>,
    /// The other settings, each on [`ALLOWED`], in the order given, as the client spelled them.
    pub parameters: Vec<(String, String)>,
    /// How it wants to show its token, where it says.
    pub auth: Option<AuthMethod>,
    /// Why it connects, where it says.
    pub reason: Option<Reason>,
    /// Whether it speaks protocol 3.2, with long cancel keys.
    pub long_keys: bool,
}

/// A startup message as read: what was asked, and what of it must be answered by `NegotiateProtocolVersion`.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) startup: Startup,
    pub(crate) newer_minor: bool,
    pub(crate) unknown_options: Vec<String>,
}

#[derive(Default)]
struct Gathered {
    user: Option<String>,
    database: Option<String>,
    application_name: Option<String>,
    parameters: Vec<(String, String)>,
    auth: Option<AuthMethod>,
    reason: Option<Reason>,
    unknown_options: Vec<String>,
}

pub(crate) fn parse(version: u32, body: &[u8]) -> Result<Parsed, Fault> {
    let mut gathered = Gathered::default();
    let mut reader = Reader::new(body, 0);
    loop {
        let name = text(reader.text())?;
        if name.is_empty() {
            break;
        }
        let value = text(reader.text())?;
        gathered.take(name, value)?;
    }
    if !reader.is_empty() {
        return Err(invalid("bytes behind the last parameter"));
    }
    gathered.finish(version)
}

fn text(bytes: Option<&[u8]>) -> Result<&str, Fault> {
    let bytes = bytes.ok_or_else(|| invalid("a parameter has no end"))?;
    core::str::from_utf8(bytes).map_err(|_| invalid("a parameter is not UTF-8"))
}

impl Gathered {
    fn take(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "user" => self.user = Some(value.to_owned()),
            "database" => self.database = Some(value.to_owned()),
            "options" => {
                for (name, value) in split_options(value)? {
                    self.set(&name, &value)?;
                }
            }
            option if option.starts_with("_pq_.") => self.unknown_options.push(option.to_owned()),
            setting => self.set(setting, value)?,
        }
        if self.parameters.len() + self.unknown_options.len() > MOST_PARAMETERS {
            return Err(Fault::new("postgres.startup", Blame::Peer, "too many startup parameters")
                .help(format!("send at most {MOST_PARAMETERS}")));
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        if name.eq_ignore_ascii_case("application_name") {
            self.application_name = Some(value.to_owned());
        } else if name == "writ.auth" {
            self.auth = Some(auth_method(value)?);
        } else if name == "writ.reason" {
            self.reason = reason(value)?;
        } else if ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
            self.parameters.push((name.to_owned(), value.to_owned()));
        } else {
            return Err(not_allowed(name));
        }
        Ok(())
    }

    fn finish(self, version: u32) -> Result<Parsed, Fault> {
        let user = self.user.filter(|user| !user.is_empty()).ok_or_else(|| {
            Fault::new("postgres.no_user", Blame::Peer, "no user name given")
                .help("connect as `target` or `target/database-role`")
        })?;
        let (target, role) = match user.split_once('/') {
            Some((target, role)) => (target, Some(role.to_owned())),
            None => (user.as_str(), None),
        };
        let unnamed = || {
            Fault::new("postgres.user", Blame::Peer, format!("user name `{}` names no target", shown(&user)))
                .help("connect as `target` or `target/database-role`")
        };
        let target = TargetName::new(target).map_err(|_| unnamed())?;
        if role.as_ref().is_some_and(|role| role.is_empty() || role.len() > LONGEST_NAME) {
            return Err(unnamed());
        }
        let database = self.database.filter(|name| !name.is_empty()).unwrap_or_else(|| target.as_str().to_owned());
        // The server would cut it, and open another database than the one that policy was asked about.
        if database.len() > LONGEST_NAME {
            return Err(Fault::new("postgres.database", Blame::Peer, "the database's name is longer than 63 bytes")
                .help("name a database of the target"));
        }
        let startup = Startup {
            target,
            role,
            database,
            application_name: self.application_name.filter(|name| !name.is_empty()),
            parameters: self.parameters,
            auth: self.auth,
            reason: self.reason,
            long_keys: version >= PROTOCOL_3_2,
        };
        Ok(Parsed { startup, newer_minor: version > PROTOCOL_3_2, unknown_options: self.unknown_options })
    }
}

fn auth_method(value: &str) -> Result<AuthMethod, Fault> {
    match value {
        "password" => Ok(AuthMethod::Password),
        "oauthbearer" => Ok(AuthMethod::OAuthBearer),
        other => {
            Err(Fault::new("postgres.auth_option", Blame::Peer, format!("no such login method: `{}`", shown(other)))
                .help("`-c writ.auth=` takes `password` or `oauthbearer`"))
        }
    }
}

fn reason(value: &str) -> Result<Option<Reason>, Fault> {
    match value.parse() {
        Ok(reason) => Ok(Some(reason)),
        Err(NoReason::Empty) => Ok(None),
        Err(no_reason) => Err(Fault::new("postgres.reason", Blame::Peer, no_reason.to_string()).help(format!(
            "`writ.reason` takes one line of plain text of at most {LONGEST_REASON} bytes; white space in options is written `\\ `"
        ))),
    }
}

fn not_allowed(name: &str) -> Fault {
    let help = match name.to_ascii_lowercase().as_str() {
        "role" | "session_authorization" => "connect as `target/database-role` to choose a role".to_owned(),
        "replication" => "connect without replication: the gateway does not carry it".to_owned(),
        _ => format!("leave it out, or set it after login; allowed at login: {}", ALLOWED.join(", ")),
    };
    Fault::new("postgres.parameter", Blame::NotAllowed, format!("startup parameter `{}` is not allowed", shown(name)))
        .help(help)
}

/// What the client wrote, fit for a log line: without control characters, and cut, since a token that was given in the wrong place
/// must not stand there whole.
fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown = String::with_capacity(text.len().min(LONGEST));
    for character in text.chars().take(LONGEST) {
        if character.is_control() { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Splits `options` as the server does (`pg_split_opts`): at white space, a backslash taking the next character as it is.
fn split_options(options: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut settings = Vec::new();
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" || word == "--" {
            words.next().ok_or_else(|| bad_option(&word))?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(bad_option(&word));
        };
        let (name, value) = assignment.split_once('=').ok_or_else(|| bad_option(&assignment))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn bad_option(word: &str) -> Fault {
    Fault::new("postgres.options", Blame::NotAllowed, format!("`{}` in options is not allowed", shown(word)))
        .help("options takes `-c name=value` and `--name=value` only")
}

fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = None::<String>;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let word = word.get_or_insert_default();
                word.extend(characters.next());
            }
            space if space.is_ascii_whitespace() || space == '\x0b' => words.extend(word.take()),
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    words
}
