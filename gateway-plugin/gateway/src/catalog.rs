//! The catalog of a target's database, as far as masks need it: names of columns, what views are made of, types.
//!
//! It is asked on a session's own connection, before its client is let in, and kept for the sessions that follow: for a minute, and
//! no longer than until one of them meets a table that is not in it or may have changed a table. What is not known is
//! masked as if every rule applied, so that an answer may be old, but must never be of another database.
//! Read next: [`facts`], then [`tree`].

mod copied;
mod facts;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use writ_core::fault::Fault;
use writ_core::target::Target;
use writ_mask::postgres::{Catalog, TypeFact};
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

/// Which database, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    target: String,
    host: String,
    port: u16,
    database: String,
}

#[derive(Debug)]
struct Known {
    facts: Facts,
    asked: Instant,
}

/// The catalogs of all databases that masked sessions go to. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Catalogs(moka::sync::Cache<Place, Arc<Known>>);

impl Default for Catalogs {
    fn default() -> Self {
        let weight = |_: &Place, known: &Arc<Known>| u32::try_from(known.facts.bytes()).unwrap_or(u32::MAX);
        Self(moka::sync::Cache::builder().weigher(weight).max_capacity(MOST_BYTES).time_to_live(FRESH).build())
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
        let place = Place {
            target: target.name.as_str().to_owned(),
            host: target.address.host.clone(),
            port: target.address.port,
            database: database.to_owned(),
        };
        let known = match self.0.get(&place) {
            Some(known) => known,
            None => {
                let rows = login::ask(stream, left, facts::QUESTION, LONGEST_ANSWER).await?;
                let known = Arc::new(Known { facts: Facts::read(rows)?, asked: Instant::now() });
                self.0.insert(place.clone(), Arc::clone(&known));
                known
            }
        };
        Ok(SessionCatalog { known, stale: AtomicBool::new(false), all: self.clone(), place })
    }
}

/// The catalog as one session may believe it.
#[derive(Debug)]
pub struct SessionCatalog {
    known: Arc<Known>,
    stale: AtomicBool,
    all: Catalogs,
    place: Place,
}

impl SessionCatalog {
    /// The session may have changed what relations mean: it knows nothing any more, and others ask anew.
    pub(crate) fn changed(&self) {
        if !self.stale.swap(true, Ordering::Relaxed) {
            self.all.0.invalidate(&self.place);
        }
    }

    /// The columns of a copy, from its statement's text and how many columns the server says it has; the format that the text names.
    /// A table without a schema is read only where `one_name` says that another of its name would not matter.
    pub(crate) fn copied(&self, text: &[u8], count: usize, one_name: bool) -> Option<(Vec<CopyColumn>, CopyFormat)> {
        let copied = Copied::read(text).filter(|copied| !self.is_stale() && (one_name || copied.schema.is_some()))?;
        let columns = self.known.facts.copied(copied.schema.as_deref(), &copied.table, copied.columns.as_deref())?;
        (columns.len() == count).then_some((columns, copied.format))
    }

    fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Relaxed)
    }
}

impl Catalog for SessionCatalog {
    fn columns(&self, table: u32, attribute: i16) -> Option<Vec<String>> {
        if self.is_stale() {
            return None;
        }
        let names = self.known.facts.columns(table, attribute);
        if names.is_none() && self.known.asked.elapsed() > YOUNG {
            self.all.0.invalidate(&self.place);
        }
        names
    }

    fn type_fact(&self, type_id: u32) -> Option<TypeFact> {
        if self.is_stale() { None } else { self.known.facts.type_fact(type_id) }
    }
}
