//! What a workload can look at to find out where it runs: variables, files, the places where a machine tells about itself.
//!
//! Everything that a source looks at comes from here, so that tests change neither the process nor the machine.

use core::fmt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Where a workload runs, as far as it can see.
pub struct Environment {
    variables: Variables,
    root: PathBuf,
    places: Places,
}

enum Variables {
    Process,
    Given(BTreeMap<String, Zeroizing<String>>),
}

/// Where the clouds answer machines about themselves.
#[derive(Debug, Clone)]
pub struct Places {
    /// EC2's instance metadata.
    pub ec2: String,
    /// The credentials of an ECS task.
    pub ecs: String,
    /// Google's metadata server.
    pub google: String,
    /// Azure's instance metadata.
    pub azure: String,
    /// AWS STS, where it is not the region's own.
    pub sts: Option<String>,
}

impl Default for Places {
    fn default() -> Self {
        let metadata = "http://169.254.169.254".to_owned();
        Self {
            ec2: metadata.clone(),
            ecs: "http://169.254.170.2".to_owned(),
            google: metadata.clone(),
            azure: metadata,
            sts: None,
        }
    }
}

impl Environment {
    /// What this process sees.
    #[must_use]
    pub fn of_process() -> Self {
        Self { variables: Variables::Process, root: PathBuf::from("/"), places: Places::default() }
    }

    /// These variables and no others, the files below `root`, and these places.
    pub fn given<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
        root: impl Into<PathBuf>,
        places: Places,
    ) -> Self {
        let own = |(name, value): (N, V)| (name.into(), Zeroizing::new(value.into()));
        Self { variables: Variables::Given(variables.into_iter().map(own).collect()), root: root.into(), places }
    }

    /// A variable that is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<Zeroizing<String>> {
        let value = match &self.variables {
            Variables::Process => std::env::var(name).ok().map(Zeroizing::new),
            Variables::Given(all) => all.get(name).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// Whether a variable is set to something.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.variable(name).is_some()
    }

    /// Whether a variable says yes.
    pub(crate) fn says(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value.as_str() == "1")
    }

    /// A well-known file: `path` is absolute.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The places.
    pub(crate) const fn places(&self) -> &Places {
        &self.places
    }

    /// A program, with the variables that it may see.
    pub(crate) fn program(&self, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        if let Variables::Given(all) = &self.variables {
            command.env_clear();
            command.envs(all.iter().map(|(name, value)| (name, value.as_str())));
        }
        command
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("root", &self.root).field("places", &self.places).finish_non_exhaustive()
    }
}
