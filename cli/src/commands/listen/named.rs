//! What the command line names: a target, and where it is to be found.

use std::collections::BTreeSet;

use crate::commands::connect::Goal;
use crate::failure::Failure;

/// A target, and the port of loopback at which it is wanted, if it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The target.
    pub goal: Goal,
    /// The port.
    pub port: Option<u16>,
}

impl Named {
    /// Reads what the command line names.
    ///
    /// # Errors
    /// If one names no target or no port, or two are the same.
    pub(super) fn all(texts: &[String]) -> Result<Vec<Self>, Failure> {
        let named = texts.iter().map(|text| Self::read(text)).collect::<Result<Vec<_>, _>>()?;
        let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for target in &named {
            if !names.insert(target.name()) {
                return Err(Failure::new(format!("`{}` is named twice", target.name()))
                    .help("name each target once: it takes as many connections as come"));
            }
            if let Some(port) = target.port.filter(|port| *port != 0)
                && !ports.insert(port)
            {
                return Err(Failure::new(format!("port {port} is wanted for two targets"))
                    .help("give each its own, or 0 for any that is free"));
            }
        }
        Ok(named)
    }

    fn read(text: &str) -> Result<Self, Failure> {
        let (target, port) = text.split_once('=').map_or((text, None), |(target, port)| (target, Some(port)));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or_else(|| {
                Failure::new(format!("`{text}` is no port")).help("write `TARGET=PORT`, with a port from 0 to 65535")
            })
        };
        let port = port.map(number).transpose()?;
        let goal = Goal::read(target)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
        if !goal.user.bytes().all(plain) {
            return Err(Failure::new(format!(
                "the role in `{target}` has characters that no file of services can hold"
            ))
            .help("name a role of letters, digits, `_`, `-` and `.`, or use `writ connect`"));
        }
        Ok(Self { goal, port })
    }

    /// What it is called: `TARGET` or `TARGET/ROLE`.
    #[must_use]
    pub(super) fn name(&self) -> &str {
        &self.goal.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Vec<(String, Option<u16>)>, String> {
        let owned: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let named = Named::all(&owned).map_err(|failure| failure.to_string())?;
        Ok(named.iter().map(|named| (named.name().to_owned(), named.port)).collect())
    }

    #[test]
    fn targets_are_read_with_their_ports() {
        let named = read(&["payments", "payments/app", "ledger=15432", "other=0", "third=0"]).unwrap();
        let expected = [
            ("payments", None),
            ("payments/app", None),
            ("ledger", Some(15432)),
            ("other", Some(0)),
            ("third", Some(0)),
        ];
        assert_eq!(named, expected.map(|(name, port)| (name.to_owned(), port)));
    }

    #[test]
    fn what_names_none_is_refused() {
        for (texts, words) in [
            (["pay ments"].as_slice(), "`pay ments` names no target"),
            (&["payments/"], "names no target"),
            (&["=5432"], "`` names no target"),
            (&["payments=x"], "`x` is no port"),
            (&["payments=+1"], "`+1` is no port"),
            (&["payments=65536"], "`65536` is no port"),
            (&["payments="], "`` is no port"),
            (&["payments/a]\n[b"], "has characters that no file of services can hold"),
            (&["payments", "payments=1"], "`payments` is named twice"),
            (&["payments=7", "ledger=7"], "port 7 is wanted for two targets"),
        ] {
            let said = read(texts).unwrap_err();
            assert!(said.contains(words), "{texts:?}: {said}");
        }
    }
}
