//! The mask on a session's path: made when the target is logged in, told what the machine tells, watchful of settings.
//!
//! A mask reads texts as UTF-8 and, where they stand in statements, as the standard writes them: a session in which that does not
//! hold is refused, or ends when it changes. What this must never do: let a session of a masked grant run without its mask.

use std::sync::Arc;

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};
use writ_core::target::Target;
use writ_mask::postgres::PostgresMask;
use writ_mask::{Context, CopyFormat, Mask, Masked, What};
use writ_plugin::masks::Masking;
use writ_wire_machine::Learn;
use writ_wire_postgres::relay::RelaySettings;
use writ_wire_postgres::upstream::Upstream;

use crate::catalog::{Catalogs, Changes, SessionCatalog};
use crate::stream::Stream;

/// What masks a session's replies.
pub enum Masks {
    /// A mask that needs nothing of the target.
    Ready(Box<dyn Mask>),
    /// Rules, for a mask that is made once the target is there.
    Rules(Masking),
}

/// Where a session is logged in, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) target: &'a Target,
    pub(crate) database: &'a str,
    pub(crate) upstream: &'a Upstream,
    pub(crate) catalogs: &'a Catalogs,
}

/// What of a frame stands beside a value that is masked: other columns, headers.
const BESIDE: usize = 64 << 10;

impl Masks {
    /// The relay's settings: a mask by rules is told what replies are about and gets a value as a whole.
    #[must_use]
    pub fn relay_settings(&self) -> RelaySettings {
        let settings = RelaySettings::default();
        match self {
            Self::Ready(_) => settings,
            Self::Rules(Masking { rules, .. }) => {
                let window = settings.window.max(rules.max_masked_value.saturating_add(BESIDE));
                RelaySettings { tells: true, window, ..settings }
            }
        }
    }
}

impl Masks {
    /// The mask of a session that is logged in at its target.
    ///
    /// # Errors
    /// A fault where its texts cannot be masked as the server is set.
    pub(crate) async fn make(
        self,
        at: At<'_>,
        stream: &mut Stream,
        left: &mut Vec<u8>,
    ) -> Result<Box<dyn Mask>, Fault> {
        let masking = match self {
            Self::Ready(mask) => {
                let changes = at.catalogs.changes_of(at.target, at.database);
                return Ok(Box::new(Telling { mask, changes }));
            }
            Self::Rules(masking) => masking,
        };
        at.upstream.parameters().try_for_each(|(name, value)| setting(name, value))?;
        let catalog = at.catalogs.of(at.target, at.database, stream, left).await?;
        Ok(Box::new(Watched::new(masking, Arc::new(catalog))))
    }
}

/// A mask by rules that also watches the server's settings.
pub struct Watched {
    mask: PostgresMask,
    catalog: Arc<SessionCatalog>,
}

impl Watched {
    /// The mask of a session in the database that this catalog describes.
    #[must_use]
    pub fn new(masking: Masking, catalog: Arc<SessionCatalog>) -> Self {
        let mask = PostgresMask::new(masking.rules, masking.key, Arc::<SessionCatalog>::clone(&catalog));
        Self { mask, catalog }
    }
}

/// The mask of a session without rules, which tells the masks of others what the session changes.
struct Telling {
    mask: Box<dyn Mask>,
    changes: Arc<Changes>,
}

impl Mask for Telling {
    fn frames(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<Masked, Fault> {
        self.mask.frames(what, input, out)
    }

    fn part(&mut self, what: What, input: &[u8], last: bool, out: &mut Vec<u8>) -> Result<Masked, Fault> {
        self.mask.part(what, input, last, out)
    }

    fn learn(&mut self, context: Context<'_>) -> Result<(), Fault> {
        if let Context::Schema { tables } = context {
            self.changes.count(tables);
        }
        self.mask.learn(context)
    }
}

impl Mask for Watched {
    fn frames(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<Masked, Fault> {
        if what == What::Parameter {
            frames(input)?;
        }
        self.mask.frames(what, input, out)
    }

    fn part(&mut self, what: What, input: &[u8], last: bool, out: &mut Vec<u8>) -> Result<Masked, Fault> {
        self.mask.part(what, input, last, out)
    }

    fn learn(&mut self, context: Context<'_>) -> Result<(), Fault> {
        match context {
            Context::Schema { tables } => self.catalog.changed(tables),
            Context::Forget { .. } | Context::CopyEnd => {}
            // Another session has changed what relations mean: what was described before is not believed.
            _ if self.catalog.renew() => self.mask.learn(Context::Schema { tables: false })?,
            _ => {}
        }
        if let Context::CopyOf { binary, columns, text: Some(text) } = context
            && let Some((columns, format)) = self.catalog.copied(text, columns)
            && (format == CopyFormat::Binary) == binary
        {
            return self.mask.learn(Context::Copy { format, columns: Some(&columns) });
        }
        self.mask.learn(context)
    }
}

/// Checks the parameters in whole frames of ParameterStatus.
fn frames(input: &[u8]) -> Result<(), Fault> {
    let mut rest = input;
    while let Some(([_, a, b, c, d], after)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (body, next) = after.split_at_checked(length.saturating_sub(4)).unwrap_or((after, &[]));
        let mut texts = body.split(|byte| *byte == 0);
        if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            setting(name, value)?;
        }
        rest = next;
    }
    Ok(())
}

/// Checks a parameter of the server, at login or when it changes.
///
/// # Errors
/// A fault where its value keeps texts from being masked.
pub fn setting(name: &[u8], value: &[u8]) -> Result<(), Fault> {
    let (fits, help) = match name {
        b"client_encoding" => (value.eq_ignore_ascii_case(b"UTF8"), "set client_encoding to UTF8"),
        b"standard_conforming_strings" => (value == b"on", "leave standard_conforming_strings on"),
        _ => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    let name = String::from_utf8_lossy(name).into_owned();
    Err(Fault::new(
        "mask.setting",
        Blame::NotAllowed,
        format!("this session is masked, which `{name}` as it is set does not allow"),
    )
    .help(help))
}

/// Tells a mask what the machine tells.
///
/// # Errors
/// As [`Mask::learn`].
pub fn learn(mask: &mut dyn Mask, learn: &Learn) -> Result<(), Fault> {
    let key = |CommandId(number): &CommandId| *number;
    mask.learn(match learn {
        Learn::Query => Context::Query,
        Learn::Describes { statement } => Context::Describes { statement: key(statement) },
        Learn::Opens { statement, shown } => Context::Opens { statement: key(statement), shown: *shown },
        Learn::Executes { doubted } => Context::Executes { doubted: *doubted },
        Learn::Forget { statement } => Context::Forget { statement: key(statement) },
        Learn::Copy { binary, columns, text } => {
            Context::CopyOf { binary: *binary, columns: usize::from(*columns), text: text.as_deref() }
        }
        Learn::CopyEnd => Context::CopyEnd,
        Learn::Schema { tables } => Context::Schema { tables: *tables },
    })
}

#[cfg(test)]
mod tests;
