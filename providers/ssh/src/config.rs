//! What an admin writes for the provider `ssh`, checked when it is read: each mistake says what to write instead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_core::writ::Writ;

pub use writ_provider_source::ConfigFault;

/// The longest name of an account, and of a principal. sshd knows no limit; the accounts of the systems that it runs on do.
const LONGEST_NAME: usize = 64;
/// The longest command.
const LONGEST_COMMAND: usize = 4096;
/// sshd reads no more principals.
const MOST_PRINCIPALS: usize = 256;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshConfig {
    /// The account on the host of sessions for which policy names none.
    #[serde(default)]
    pub user: Option<String>,
    /// Accounts by the names that policies give them (`@role`).
    #[serde(default)]
    pub users: BTreeMap<String, String>,
    /// What certificates name instead of the account, by account: for hosts whose `AuthorizedPrincipalsFile` says what that
    /// must be.
    #[serde(default)]
    pub principals: BTreeMap<String, Vec<String>>,
    /// The networks from which certificates count, in CIDR form: those of the gateways. From everywhere where this is left out.
    #[serde(default)]
    pub source_addresses: Vec<String>,
    /// The one command of sessions for which policy names no scope, whatever they ask for; any where this is left out.
    #[serde(default)]
    pub command: Option<String>,
    /// What they may do beside running commands.
    #[serde(default)]
    pub permit: BTreeSet<Permit>,
    /// What sessions may do for which policy names a scope (`@scope`), by its name. Nothing of `command` and `permit` above
    /// holds for them.
    #[serde(default)]
    pub scopes: BTreeMap<String, Terms>,
    /// How long a certificate lives at most, unless its writ ends sooner. A session that is logged in lives on.
    #[serde(default = "max_life_seconds")]
    pub max_life_seconds: u64,
    /// The authority's name: its key is in the broker's state. Targets of one name share it, and then a certificate for one
    /// counts at the others, for an account of the same name. Left out, it is the target's own.
    #[serde(default)]
    pub authority: Option<String>,
    /// Authorities that hosts are told to trust too, and that sign nothing: the next, before it signs, and the former, until its
    /// certificates have ended.
    #[serde(default)]
    pub other_authorities: Vec<String>,
}

/// What the sessions of a scope may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The one command that they run, whatever they ask for; any where this is left out.
    #[serde(default)]
    pub command: Option<String>,
    /// What they may do beside running commands.
    #[serde(default)]
    pub permit: BTreeSet<Permit>,
    /// The networks from which their certificates count: a part of the target's `source_addresses`, which hold where this is
    /// left out.
    #[serde(default)]
    pub source_addresses: Vec<String>,
}

/// What sshd grants by name. The order is that of the names in a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permit {
    /// X11 forwarding.
    X11Forwarding,
    /// Forwarding of an authentication agent.
    AgentForwarding,
    /// Forwarding of ports and sockets.
    PortForwarding,
    /// A terminal.
    Pty,
    /// Running `~/.ssh/rc`.
    UserRc,
}

impl Permit {
    /// Its name in a certificate.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::X11Forwarding => "permit-X11-forwarding",
            Self::AgentForwarding => "permit-agent-forwarding",
            Self::PortForwarding => "permit-port-forwarding",
            Self::Pty => "permit-pty",
            Self::UserRc => "permit-user-rc",
        }
    }
}

const fn max_life_seconds() -> u64 {
    900
}

/// What a certificate is made of, once all is checked.
#[derive(Debug)]
pub(crate) struct Checked {
    user: Option<Account>,
    users: BTreeMap<String, Account>,
    terms: CheckedTerms,
    scopes: BTreeMap<String, CheckedTerms>,
}

/// An account, and what certificates name for it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) principals: Vec<String>,
}

/// What sessions may do.
#[derive(Debug)]
pub(crate) struct CheckedTerms {
    pub(crate) command: Option<String>,
    pub(crate) permits: BTreeSet<Permit>,
    pub(crate) sources: Vec<IpNet>,
}

impl SshConfig {
    /// Checks everything.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    /// The name of the authority of a target with these settings.
    #[must_use]
    pub fn authority<'a>(&'a self, target: &'a TargetName) -> &'a str {
        self.authority.as_deref().unwrap_or(target.as_str())
    }

    pub(crate) fn read(&self) -> Result<Checked, ConfigFault> {
        if self.user.is_none() && self.users.is_empty() {
            let text = "no account: write `user`, or `users` with the names that policies give them";
            return Err(ConfigFault::new(text));
        }
        if !(60..=86_400).contains(&self.max_life_seconds) {
            let text = format!("`max_life_seconds` is {}: write a number from 60 to 86400", self.max_life_seconds);
            return Err(ConfigFault::new(text));
        }
        for name in self.authority.iter().chain(&self.other_authorities) {
            TargetName::new(name.as_str()).map_err(|_| {
                let text = "is no name of an authority: write 1 to 63 of `a-z`, `0-9`, `-`, `_`, `.`";
                ConfigFault::new(format!("`{}` {text}", shown(name)))
            })?;
        }
        if let Some(name) = self.authority.as_ref().filter(|name| self.other_authorities.contains(name)) {
            let text = format!("`other_authorities` names `{}`, which signs: leave it out there", shown(name));
            return Err(ConfigFault::new(text));
        }
        let accounts: BTreeSet<&String> = self.user.iter().chain(self.users.values()).collect();
        if let Some(stray) = self.principals.keys().find(|account| !accounts.contains(account)) {
            let text =
                format!("`principals` names the account `{}`, which no session logs in to: remove it", shown(stray));
            return Err(ConfigFault::new(text));
        }
        let user = self.user.as_ref().map(|name| self.account(name)).transpose()?;
        let users = self.users.iter().map(|(role, name)| Ok((role.clone(), self.account(name)?)));
        let users = users.collect::<Result<_, ConfigFault>>()?;
        let sources = networks("source_addresses", &self.source_addresses)?;
        let own = Terms { command: self.command.clone(), permit: self.permit.clone(), source_addresses: Vec::new() };
        let terms = own.read(&sources).map_err(ConfigFault::new)?;
        let scope = |(name, terms): (&String, &Terms)| {
            let read = terms.read(&sources);
            let read = read.map_err(|problem| ConfigFault::new(format!("the scope `{}`: {problem}", shown(name))))?;
            Ok((name.clone(), read))
        };
        let scopes = self.scopes.iter().map(scope).collect::<Result<_, ConfigFault>>()?;
        Ok(Checked { user, users, terms, scopes })
    }

    fn account(&self, name: &str) -> Result<Account, ConfigFault> {
        if !is_name(name) {
            let text = "is no account: write a name of at most 64 letters, digits and signs, without spaces, commas or \
                        wildcards";
            return Err(ConfigFault::new(format!("`{}` {text}", shown(name))));
        }
        let principals = self.principals.get(name).cloned().unwrap_or_else(|| vec![name.to_owned()]);
        if principals.is_empty() || principals.len() > MOST_PRINCIPALS {
            let text =
                format!("`principals` has {} for `{}`: write 1 to {MOST_PRINCIPALS}", principals.len(), shown(name));
            return Err(ConfigFault::new(text));
        }
        if let Some(odd) = principals.iter().find(|principal| !is_name(principal)) {
            let text =
                "is no principal: write a word of at most 64 letters, digits and signs, without commas or wildcards";
            return Err(ConfigFault::new(format!("`{}` {text}", shown(odd))));
        }
        Ok(Account { name: name.to_owned(), principals })
    }
}

impl Terms {
    fn read(&self, all: &[IpNet]) -> Result<CheckedTerms, String> {
        let plain =
            |command: &String| (1..=LONGEST_COMMAND).contains(&command.len()) && !command.chars().any(char::is_control);
        if self.command.as_ref().is_some_and(|command| !plain(command)) {
            return Err(format!("`command` is none: write one line of 1 to {LONGEST_COMMAND} bytes"));
        }
        let own = networks("source_addresses", &self.source_addresses).map_err(|fault| fault.to_string())?;
        let outside = own.iter().find(|own| !all.is_empty() && !all.iter().any(|net| net.contains(*own)));
        if let Some(outside) = outside {
            return Err(format!(
                "`source_addresses` has `{outside}`, which is not within the target's own: write a part of those"
            ));
        }
        let sources = if own.is_empty() { all.to_vec() } else { own };
        Ok(CheckedTerms { command: self.command.clone(), permits: self.permit.clone(), sources })
    }
}

impl Checked {
    /// The account that policy's `@role` names, else the default. What is not in the table is refused.
    pub(crate) fn account(&self, writ: &Writ) -> Result<&Account, ProviderFault> {
        let Some(name) = writ.obligations.role.as_deref() else {
            return self.user.as_ref().ok_or_else(|| {
                let text = "no account: write `@role` in the policy that permits, or `user` in the provider";
                ProviderFault::Misconfigured(text.to_owned())
            });
        };
        self.users.get(name).ok_or_else(|| {
            ProviderFault::Refused(format!(
                "policy names the role `{}`, and the provider knows `{}`: correct `@role`, or add it to `users`",
                shown(name),
                known(&self.users)
            ))
        })
    }

    /// What policy's `@scope` names, else what holds without one.
    pub(crate) fn terms(&self, writ: &Writ) -> Result<&CheckedTerms, ProviderFault> {
        let Some(name) = writ.obligations.scope.as_deref() else { return Ok(&self.terms) };
        self.scopes.get(name).ok_or_else(|| {
            ProviderFault::Misconfigured(format!(
                "policy names the scope `{}`, and the provider knows `{}`: correct `@scope`, or add it to `scopes`",
                shown(name),
                known(&self.scopes)
            ))
        })
    }
}

fn known<T>(table: &BTreeMap<String, T>) -> String {
    shown(&table.keys().map(String::as_str).collect::<Vec<_>>().join("`, `"))
}

/// Networks as sshd takes them: an address alone, or with as many bits as it has set.
fn networks(setting: &str, texts: &[String]) -> Result<Vec<IpNet>, ConfigFault> {
    let wrong = |text: &str, why: &str| ConfigFault::new(format!("`{setting}` has `{}`, {why}", shown(text)));
    let one = |text: &String| {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        let net = alone
            .or_else(|_| text.parse::<IpNet>())
            .map_err(|_| wrong(text, "which is no network: write one in CIDR form, as `192.0.2.0/24`"))?;
        if net.trunc() != net {
            return Err(wrong(text, &format!("whose last bits are not 0: write `{}`", net.trunc())));
        }
        Ok(net)
    };
    texts.iter().map(one).collect()
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b",*?!\"'`".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-')
}

/// Text from a configuration in a message: on one line, and not for ever.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
