//! Names of roles, as AWS writes them: `arn:aws:iam::123456789012:role/path/name`.

use core::fmt;

use crate::config::ConfigFault;
use crate::region::{Region, shown};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleArn {
    text: String,
    account: String,
    name: String,
}

impl RoleArn {
    /// Reads a role's ARN, which must be of the region's partition.
    pub(crate) fn parse(setting: &str, text: &str, region: &Region) -> Result<Self, ConfigFault> {
        let partition = region.partition().name();
        let wrong = |why: &str| {
            let example = format!("arn:{partition}:iam::123456789012:role/NAME");
            ConfigFault::new(format!("`{setting}`: `{}` {why}: write the role's ARN, `{example}`", shown(text)))
        };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", of, "iam", "", account, resource] = parts.as_slice() else {
            return Err(wrong("is no role's ARN"));
        };
        let path = resource.strip_prefix("role/").ok_or_else(|| wrong("names something that is not a role"))?;
        if *of != partition {
            return Err(wrong(&format!("is of the partition `{}`, and `{region}` lies in `{partition}`", shown(of))));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("has no account of 12 digits"));
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let sound = (1..=64).contains(&name.len())
            && name.bytes().all(name_byte)
            && path.split('/').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic()))
            && text.len() <= 2048;
        if !sound {
            return Err(wrong("has a name that no role can have"));
        }
        Ok(Self { text: text.to_owned(), account: (*account).to_owned(), name: name.to_owned() })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The account that it is in.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// Its name, without its path: names are unique in an account.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What a session of the role is called: the ARN that AWS's audit shows. Without the role's path.
    pub(crate) fn session(&self, region: &Region, session: &str) -> String {
        let (partition, account, name) = (region.partition().name(), &self.account, &self.name);
        format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}")
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the names of roles, sessions and source identities are made of.
pub(crate) const fn name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-')
}
