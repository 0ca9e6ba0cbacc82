//! What the broker needs in OpenBao, as a policy to paste.

use std::fmt;

use crate::config::OpenbaoConfig;

/// A right: a path and what may be done there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) path: String,
    pub(crate) capabilities: &'static [&'static str],
}

/// All rights that a configuration needs.
#[derive(Clone, Copy)]
pub(crate) struct Rights<'a>(pub(crate) &'a OpenbaoConfig);

impl Rights<'_> {
    pub(crate) fn all(&self) -> Vec<Right> {
        let right = |path: String, capabilities| Right { path, capabilities };
        let mut rights = Vec::new();
        if let Some(kv) = &self.0.kv {
            let paths = std::iter::once(&kv.path).chain(&kv.paths);
            rights.extend(paths.map(|path| right(format!("{}/data/{path}", kv.mount), &["read"])));
        }
        if let Some(dynamic) = &self.0.dynamic {
            let asked: &[&str] = if dynamic.parameters.is_some() { &["update"] } else { &["read"] };
            let paths = std::iter::once(&dynamic.path).chain(&dynamic.paths);
            rights.extend(paths.map(|path| right(path.clone(), asked)));
            rights.extend([
                // Not `update`: a note that stands is not written over.
                right(format!("{}/data/*", dynamic.notes), &["create", "read"]),
                right(format!("{}/metadata/*", dynamic.notes), &["list", "delete"]),
                right("auth/token/revoke-accessor".to_owned(), &["update"]),
                right("auth/token/renew-self".to_owned(), &["update"]),
                right("sys/leases/renew".to_owned(), &["update"]),
                right("sys/leases/revoke".to_owned(), &["update"]),
            ]);
        }
        rights.push(right("auth/token/revoke-self".to_owned(), &["update"]));
        rights.push(right("sys/capabilities-self".to_owned(), &["update"]));
        rights
    }
}

impl fmt::Display for Rights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Right { path, capabilities }) in self.all().into_iter().enumerate() {
            let (space, list) = (if place == 0 { "" } else { " " }, capabilities.join("\", \""));
            write!(f, "{space}path \"{path}\" {{ capabilities = [\"{list}\"] }}")?;
        }
        Ok(())
    }
}

/// The policy that the role needs, one path a line, to paste.
#[must_use]
pub fn policy(config: &OpenbaoConfig) -> String {
    Rights(config).to_string().replace("} path", "}\npath")
}
