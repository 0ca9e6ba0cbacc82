//! Sets of masks: from the texts of a policy bundle to the rules that a session's mask applies.
//!
//! A set is TOML, in the form of [`MaskRules`]. The names of rules and detectors are unique over all sets of a bundle, so that what
//! a recording names is one rule. What this must never do: leave a set out because it cannot be used. The session is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use writ_core::fault::{Blame, Fault};
use writ_core::grant::PolicyHash;
use writ_mask::action::MaskKey;
use writ_mask::rules::{Computed, MaskRules, RuleSet};
use writ_policy::{Bundle, Problem};

/// The most combinations of sets that are kept ready.
const MOST_READY: usize = 64;

/// How the replies of a session are masked.
#[derive(Debug, Clone)]
pub struct Masking {
    /// By which rules.
    pub rules: Arc<RuleSet>,
    /// With which keys.
    pub key: Arc<MaskKey>,
}

/// All mistakes in the sets of masks among these files of a policy set, by file and line. Files of other kinds are left alone.
#[must_use]
pub fn check(files: &[(String, String)]) -> Vec<Problem> {
    let sets = files.iter().filter(|(name, _)| name.ends_with(writ_policy::bundle::MASK_SUFFIX));
    let (mut all, mut problems) = (MaskRules::default(), Vec::new());
    for (name, text) in sets {
        match read(text).and_then(|rules| RuleSet::new(&rules).map(|_| rules).map_err(|error| place(text, error.0))) {
            Ok(rules) => {
                join(&mut all, rules);
                if let (true, Err(error)) = (problems.is_empty(), RuleSet::new(&all)) {
                    let (offset, why) = place(text, error.0);
                    let problem = Problem::at(name, text, offset, format!("together with the sets before it: {why}"));
                    problems.push(problem.help("give each rule and detector a name of its own over all sets"));
                }
            }
            Err((offset, why)) => problems.push(Problem::at(name, text, offset, why)),
        }
    }
    problems
}

fn read(text: &str) -> Result<MaskRules, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        (offset, format!("not a set of masks: {}", error.message()))
    })
}

/// Where the text has what a message quotes first, and the message.
fn place(text: &str, why: String) -> (usize, String) {
    let quoted = why.split('`').nth(1).map(|name| format!("\"{name}\""));
    (quoted.and_then(|quoted| text.find(&quoted)).unwrap_or(0), why)
}

/// Adds what another set asks for: the strictest of what both say once.
fn join(all: &mut MaskRules, more: MaskRules) {
    all.rules.extend(more.rules);
    all.detectors.extend(more.detectors);
    if more.computed == Computed::Mask {
        all.computed = Computed::Mask;
    }
    all.too_long = all.too_long.max(more.too_long);
    all.max_masked_value = [all.max_masked_value, more.max_masked_value].into_iter().flatten().min();
}

/// Of which policy set, and of which sets of masks in it.
type Of = (PolicyHash, Vec<String>);

/// Rules that are ready, for the policy set in force.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<HashMap<Of, Arc<RuleSet>>>);

impl Ready {
    /// The rules of these sets of a bundle, joined.
    ///
    /// # Errors
    /// A fault where one of them is not there or cannot be used.
    pub(crate) fn rules(&self, bundle: &Bundle, sets: &[String]) -> Result<Arc<RuleSet>, Fault> {
        let name = (bundle.hash().clone(), sets.to_vec());
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = ready.get(&name) {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(joined(bundle, sets)?);
        if ready.len() >= MOST_READY {
            ready.clear();
        }
        ready.insert(name, Arc::clone(&rules));
        Ok(rules)
    }
}

fn joined(bundle: &Bundle, sets: &[String]) -> Result<RuleSet, Fault> {
    let mut all = MaskRules::default();
    for set in sets {
        let text = bundle.mask_set(set).ok_or_else(|| unusable(set, "the policy set does not have it"))?;
        join(&mut all, read(text).map_err(|(_, why)| unusable(set, &why))?);
    }
    RuleSet::new(&all).map_err(|error| unusable(&sets.join(", "), &error.0))
}

fn unusable(set: &str, why: &str) -> Fault {
    Fault::new("mask.unusable", Blame::Ours, "policy asks for masks that cannot be applied, so nothing is let through")
        .help("tell whoever writes the policies; `writ policy check` says what is wrong")
        .detail(format!("set `{set}`: {why}"))
}

#[cfg(test)]
mod tests;
