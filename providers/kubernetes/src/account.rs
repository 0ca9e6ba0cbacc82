//! A service account: whose token a writ gets.

use std::fmt;

use writ_provider_source::ConfigFault;

/// The longest name of a service account, and of a namespace (RFC 1123).
const NAME_LIMIT: usize = 253;
const NAMESPACE_LIMIT: usize = 63;
/// What the API server's user names begin with.
const PREFIX: &str = "system:serviceaccount:";

/// A service account, `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    namespace: String,
    name: String,
}

impl Account {
    /// Parses `namespace/name`.
    ///
    /// # Errors
    /// If it is not that, with names as Kubernetes has them: `a-z`, `0-9`, `-`, and `.` in the account's.
    pub fn parse(text: &str) -> Result<Self, ConfigFault> {
        let parsed = text.split_once('/').filter(|(namespace, name)| is_namespace(namespace) && is_name(name));
        let (namespace, name) = parsed.ok_or_else(|| {
            let shown: String = text.chars().take(100).filter(|c| !c.is_control()).collect();
            ConfigFault::new(format!("`{shown}` is not a service account: write `namespace/name`"))
        })?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The account that a user name of the API server's stands for.
    #[must_use]
    pub fn of_principal(principal: &str) -> Option<Self> {
        let (namespace, name) = principal.strip_prefix(PREFIX)?.split_once(':')?;
        Self::parse(&format!("{namespace}/{name}")).ok()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user name that the API server knows it by.
    #[must_use]
    pub fn principal(&self) -> String {
        format!("{PREFIX}{}:{}", self.namespace, self.name)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn is_namespace(text: &str) -> bool {
    text.len() <= NAMESPACE_LIMIT && is_label(text)
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_LIMIT && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.iter().all(|byte| byte.is_some_and(plain)) && text.bytes().all(|byte| plain(byte) || byte == b'-')
}
