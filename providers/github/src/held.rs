//! The tokens that live, each with its writ: GitHub takes one back only from whoever shows it.
//!
//! A token is here from its minting until it was taken back or has ended. Then it is overwritten; that it is gone is
//! remembered until its end would have come, so that taking it back twice succeeds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use writ_core::credential::Secret;
use writ_core::id::WritId;
use writ_core::time::Timestamp;

/// A token, and the API that gave it: it is shown nowhere else, whatever the configuration says by then.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) api: String,
}

/// What is known of a writ's token.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// It lives.
    Lives(Arc<Token>),
    /// It was taken back.
    Gone,
    /// A mint is under way, or ended without a word.
    Pending,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// When the token ends by itself.
    ends: Timestamp,
    /// When its writ does.
    writ_ends: Timestamp,
    /// For which target it is.
    target: String,
}

/// The living tokens of every target. They outlive the providers, which are made anew when the configuration is read again.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<BTreeMap<WritId, Entry>>);

impl Tokens {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<WritId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a mint. False if there was one for this writ: one writ, one credential.
    pub(crate) fn begin(&self, writ: &writ_core::writ::Writ, ends: Timestamp, now: Timestamp) -> bool {
        let mut entries = self.entries();
        // An id begins with its time, so that the first end first.
        while entries.first_entry().is_some_and(|first| first.get().ends < now) {
            entries.pop_first();
        }
        if entries.contains_key(&writ.id) {
            return false;
        }
        let (target, writ_ends) = (writ.target.to_string(), writ.expires);
        entries.insert(writ.id, Entry { known: Known::Pending, ends, writ_ends, target });
        true
    }

    /// Nothing was minted.
    pub(crate) fn forget(&self, writ: WritId) {
        self.entries().remove(&writ);
    }

    /// The token is here. Where its own end is not to be believed, it counts as one that lives for as long as any.
    pub(crate) fn keep(&self, writ: WritId, token: Arc<Token>, ends: Option<Timestamp>) {
        if let Some(entry) = self.entries().get_mut(&writ) {
            (entry.known, entry.ends) = (Known::Lives(token), ends.unwrap_or(entry.ends));
        }
    }

    /// It was taken back.
    pub(crate) fn gone(&self, writ: WritId) {
        if let Some(entry) = self.entries().get_mut(&writ) {
            entry.known = Known::Gone;
        }
    }

    /// What is known of a writ's token; `None` if nothing is, or it has ended.
    pub(crate) fn known(&self, writ: WritId, now: Timestamp) -> Option<Known> {
        self.entries().get(&writ).filter(|entry| entry.ends >= now).map(|entry| entry.known.clone())
    }

    /// Those of a target that live though their writ has ended, but for these.
    pub(crate) fn leftovers(&self, target: &str, live: &[WritId], now: Timestamp) -> Vec<(WritId, Arc<Token>)> {
        let mut entries = self.entries();
        entries.retain(|_, entry| entry.ends >= now);
        let over =
            |writ: &WritId, entry: &Entry| entry.target == target && entry.writ_ends < now && !live.contains(writ);
        let left = entries.iter().filter(|(writ, entry)| over(writ, entry));
        let living = left.filter_map(|(writ, entry)| match &entry.known {
            Known::Lives(token) => Some((*writ, Arc::clone(token))),
            Known::Gone | Known::Pending => None,
        });
        living.collect()
    }
}
