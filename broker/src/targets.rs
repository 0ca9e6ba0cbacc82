//! Targets by name, each with the provider that mints for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use writ_core::provider::Provider;
use writ_core::target::{Target, TargetName};

/// A target and its provider.
#[derive(Debug, Clone)]
pub struct Served {
    /// The target.
    pub target: Target,
    /// What mints for it.
    pub provider: Arc<dyn Provider>,
}

/// All targets.
#[derive(Debug, Clone, Default)]
pub struct Targets(BTreeMap<TargetName, Arc<Served>>);

impl Targets {
    /// The target with this name as a client wrote it, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Served>> {
        let name = TargetName::new(name).ok()?;
        self.0.get(&name).cloned()
    }

    /// Every target.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.0.values()
    }
}

impl FromIterator<Served> for Targets {
    fn from_iter<I: IntoIterator<Item = Served>>(served: I) -> Self {
        Self(served.into_iter().map(|served| (served.target.name.clone(), Arc::new(served))).collect())
    }
}
