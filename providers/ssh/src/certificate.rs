//! Certificates of OpenSSH (draft-miller-ssh-cert), field by field.

use std::collections::BTreeSet;

use writ_core::provider::ProviderFault;

use crate::config::Permit;
use crate::wire::Wire;

/// What follows the key's own type in the certificate's.
const SUFFIX: &str = "-cert-v01@openssh.com";

/// For whom a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody who logs in.
    User,
    /// A host.
    Host,
}

/// What a certificate says.
pub(crate) struct Content<'a> {
    /// For whom it is.
    pub(crate) kind: Kind,
    /// The type of the certified key.
    pub(crate) key_type: &'a str,
    /// The certified key, without its type.
    pub(crate) key: &'a [u8],
    pub(crate) serial: u64,
    pub(crate) key_id: &'a str,
    /// Accounts, or names of a host. Never none: that would have been everybody's once, and is nobody's now.
    pub(crate) principals: &'a [String],
    /// From this second on.
    pub(crate) valid_after: u64,
    /// Until before this second.
    pub(crate) valid_before: u64,
    /// The one command that it runs, whatever is asked for.
    pub(crate) command: Option<&'a str>,
    /// The networks from which it counts; none: all.
    pub(crate) sources: &'a [ipnet::IpNet],
    /// What sshd grants beside running a command.
    pub(crate) permits: &'a BTreeSet<Permit>,
}

impl Content<'_> {
    /// The type of the certificate.
    pub(crate) fn certificate_type(&self) -> String {
        format!("{}{SUFFIX}", self.key_type)
    }

    /// What is signed: everything up to the authority's key.
    pub(crate) fn to_be_signed(&self, authority: &[u8]) -> Result<Wire, ProviderFault> {
        if self.principals.is_empty() || self.valid_after >= self.valid_before {
            let text = "a certificate for nobody, or for no time, is not signed";
            return Err(ProviderFault::Misconfigured(text.to_owned()));
        }
        let principals = self.principals.iter().fold(Wire::default(), |list, name| list.string(name));
        let nonce = random::<32>()?;
        Ok(Wire::with_capacity(512)
            .string(self.certificate_type())
            .string(nonce)
            .raw(self.key)
            .u64(self.serial)
            .u32(match self.kind {
                Kind::User => 1,
                Kind::Host => 2,
            })
            .string(self.key_id)
            .string(principals.bytes())
            .u64(self.valid_after)
            .u64(self.valid_before)
            .string(self.critical_options().bytes())
            .string(self.extensions().bytes())
            .string([])
            .string(authority))
    }

    /// What a host must understand or refuse, in the order of the names.
    fn critical_options(&self) -> Wire {
        let mut options = Wire::default();
        if let Some(command) = self.command {
            options = options.string("force-command").string(Wire::default().string(command).bytes());
        }
        if !self.sources.is_empty() {
            let sources: Vec<String> = self.sources.iter().map(ToString::to_string).collect();
            options = options.string("source-address").string(Wire::default().string(sources.join(",")).bytes());
        }
        options
    }

    /// What a host grants beside, in the order of the names. A flag has no value.
    fn extensions(&self) -> Wire {
        self.permits.iter().fold(Wire::default(), |options, permit| options.string(permit.extension()).string([]))
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ProviderFault> {
    use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| ProviderFault::Unreachable("no random numbers can be had".to_owned()))?;
    Ok(bytes)
}
