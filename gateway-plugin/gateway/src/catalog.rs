//! The catalog of a target's database, as far as masks need it: names of columns, what views are made of, types.
//!
//! It is asked on a session's own connection, before its client is let in, and kept for the sessions that follow: for a minute, and
//! no longer than until one of them meets a table that is not in it or may have changed something. What is not known is
//! masked as if every rule applied, so that an answer may be old, but must never be of another database, nor from before a
//! change that a session of this gateway may have made.
//! Read next: [`facts`], then [`tree`].

mod copied;
mod facts;
mod own;
mod tree;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use writ_core::fault::Fault;
use writ_core::target::Target;
use writ_mask::postgres::{Catalog, Source, TypeFact};
use writ_mask::{CopyColumn, CopyFormat};

use crate::login;
use crate::stream::Stream;
use copied::Copied;
use facts::Facts;

/// How long what was asked is taken for true.
const FRESH: Duration = Duration::from_secs(60);
/// How young it must be to be kept though something in it is missing: else each session with a temporary table would ask anew.
const YOUNG: Duration = Duration::from_secs(1);
/// The most bytes that all of it may take.
const MOST_BYTES: u64 = 64 << 20;
/// The most bytes that a database may answer.
const LONGEST_ANSWER: usize = 16 << 20;

/// Which database, and where; by whichever target's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    host: String,
    port: u16,
    database: String,
}

impl Place {
    fn of(target: &Target, database: &str) -> Self {
        Self { host: target.address.host.clone(), port: target.address.port, database: database.to_owned() }
    }
}

#[derive(Debug)]
struct Known {
    facts: Facts,
    asked: Instant,
    /// What [`Changes`] counted before it was asked.
    meanings: u64,
    tables: u64,
}

/// How often sessions of this gateway may have changed a database.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// What relations mean.
    meanings: AtomicU64,
    /// Which tables there are.
    tables: AtomicU64,
}

impl Changes {
    /// Which `tables` there are may have changed, or what relations mean.
    pub(crate) fn count(&self, tables: bool) {
        let counter = if tables { &self.tables } else { &self.meanings };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

/// The catalogs of all databases that masked sessions go to, and what sessions change in any. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Catalogs {
    known: moka::sync::Cache<Place, Arc<Known>>,
    /// Of each database that has a session now.
    changes: Arc<Mutex<HashMap<Place, Weak<Changes>>>>,
}

impl Default for Catalogs {
    fn default() -> Self {
        let weight = |_: &Place, known: &Arc<Known>| u32::try_from(known.facts.bytes()).unwrap_or(u32::MAX);
        let known = moka::sync::Cache::builder().weigher(weight).max_capacity(MOST_BYTES).time_to_live(FRESH).build();
        Self { known, changes: Arc::default() }
    }
}

impl Catalogs {
    /// The catalog of the database that a session is logged in at; asked there, on `stream`, where it is not known.
    ///
    /// # Errors
    /// The target does not answer, or says what is not understood.
    pub(crate) async fn of(
        &self,
        target: &Target,
        database: &str,
        stream: &mut Stream,
        left: &mut Vec<u8>,
    ) -> Result<SessionCatalog, Fault> {
        let place = Place::of(target, database);
        let changes = self.changes(&place);
        let (meanings, tables) = (changes.meanings.load(Ordering::SeqCst), changes.tables.load(Ordering::SeqCst));
        let known = match self.known.get(&place).filter(|known| known.meanings == meanings && known.tables == tables) {
            Some(known) => known,
            None => {
                let rows = login::ask(stream, left, facts::QUESTION, LONGEST_ANSWER).await?;
                let known = Arc::new(Known { facts: Facts::read(rows)?, asked: Instant::now(), meanings, tables });
                self.known.insert(place.clone(), Arc::clone(&known));
                known
            }
        };
        let (known, own, seen) = (Mutex::new(known), AtomicBool::new(false), AtomicU64::new(meanings));
        Ok(SessionCatalog { known, own, seen, changes, all: self.clone(), place })
    }

    /// What sessions of this gateway change in a database, for one that is masked by nothing.
    pub(crate) fn changes_of(&self, target: &Target, database: &str) -> Arc<Changes> {
        self.changes(&Place::of(target, database))
    }

    fn changes(&self, place: &Place) -> Arc<Changes> {
        let mut all = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(changes) = all.get(place).and_then(Weak::upgrade) {
            return changes;
        }
        all.retain(|_, changes| changes.strong_count() > 0);
        let changes = Arc::new(Changes::default());
        all.insert(place.clone(), Arc::downgrade(&changes));
        // What was asked before has nothing that tells whether it still holds.
        self.known.invalidate(place);
        changes
    }
}

/// The catalog as one session may believe it.
#[derive(Debug)]
pub struct SessionCatalog {
    known: Mutex<Arc<Known>>,
    /// Whether the session itself may have changed what relations mean.
    own: AtomicBool,
    /// The changes of meaning of which its mask knows.
    seen: AtomicU64,
    changes: Arc<Changes>,
    all: Catalogs,
    place: Place,
}

impl SessionCatalog {
    /// The session may have changed what relations mean, or which `tables` there are: others ask anew. Of what relations mean it
    /// knows nothing any more, since others may not see yet what it did.
    pub(crate) fn changed(&self, tables: bool) {
        self.own.fetch_or(!tables, Ordering::Relaxed);
        self.changes.count(tables);
    }

    /// Takes what a later session has asked, where what is known is old or changed; whether something that was known is no more.
    pub(crate) fn renew(&self) -> bool {
        let (mut known, now) = (self.known(), self.changes.meanings.load(Ordering::SeqCst));
        let changed = self.seen.swap(now, Ordering::Relaxed) != now;
        if (known.meanings != now || known.asked.elapsed() > FRESH)
            && let Some(later) = self.all.known.get(&self.place).filter(|later| later.asked > known.asked)
        {
            *known = later;
            return true;
        }
        changed
    }

    fn known(&self) -> MutexGuard<'_, Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What relations mean, as far as nobody may have changed it since.
    fn current(&self) -> Option<Arc<Known>> {
        let known = self.known();
        let holds = known.meanings == self.changes.meanings.load(Ordering::SeqCst);
        (holds && !self.own.load(Ordering::Relaxed)).then(|| Arc::clone(&known))
    }

    /// The columns of a copy, from its statement's text and how many columns the server says it has; the format that the text names.
    /// A table without its schema may be any, a temporary one among them.
    pub(crate) fn copied(&self, text: &[u8], count: usize) -> Option<(Vec<CopyColumn>, CopyFormat)> {
        let known = self.current().filter(|known| known.tables == self.changes.tables.load(Ordering::SeqCst))?;
        let copied = Copied::read(text)?;
        let columns = known.facts.copied(&copied.schema, &copied.table, copied.columns.as_deref())?;
        (columns.len() == count).then_some((columns, copied.format))
    }
}

impl Catalog for SessionCatalog {
    fn columns(&self, table: u32, attribute: i16) -> Option<Source> {
        let known = self.current()?;
        let source = known.facts.columns(table, attribute);
        if source.is_none() && known.asked.elapsed() > YOUNG {
            self.all.known.invalidate(&self.place);
        }
        source
    }

    fn type_fact(&self, type_id: u32) -> Option<TypeFact> {
        self.current()?.facts.type_fact(type_id)
    }
}
