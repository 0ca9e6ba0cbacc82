//! Columns: what `RowDescription` says of each, and what the rules ask for it.
//!
//! A rule for a column or a type may ask for what its type cannot hold, a word in an integer. Such a column is described as text from
//! then on: what a description says and what the rows hold must never differ.

use std::collections::HashMap;

use super::types::{Catalog, Class, Source, class};
use crate::CopyColumn;
use crate::action::Action;
use crate::rules::{Computed, Duty, RuleSet};

/// The type that a column is described as where its own cannot hold what stands in its values' place: `text`.
const TEXT: u32 = 25;
/// The first OID of what is no part of PostgreSQL itself (`FirstNormalObjectId`).
const FIRST_OWN: u32 = 16_384;
/// How deep types stand within types before every rule is taken to apply.
const DEPTH: u8 = 4;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) class: Class,
    pub(crate) binary: bool,
    /// What a rule for the column or its type asks for.
    pub(crate) duty: Option<Duty>,
    /// Whether a rule for a type applies to values within its values.
    pub(crate) inside: bool,
    /// Whether it is described as text, of which its values are read.
    pub(crate) retyped: bool,
}

impl Column {
    /// A text that no rule for a column or a type covers.
    pub(crate) const TEXT: Self = Self { class: Class::Text, binary: false, duty: None, inside: false, retyped: false };

    /// The same in another format.
    pub(crate) const fn in_format(mut self, binary: bool) -> Self {
        self.binary = binary;
        self
    }

    /// A column of which nothing is known: every rule applies.
    pub(crate) fn unknown(binary: bool, rules: &RuleSet) -> Self {
        let duty = RuleSet::stricter(rules.for_any_column(), rules.for_any_type());
        Self { class: Class::Unknown, binary, duty, inside: false, retyped: false }
    }

    /// The same as far as what is said of it may not hold: every rule applies. What it is described as is not changed by that.
    pub(crate) fn doubted(self, rules: &RuleSet) -> Self {
        Self { retyped: self.retyped, ..Self::unknown(self.binary, rules) }
    }

    /// The same for a client that was told that it is text, or was not. What was told of another column says nothing of this one.
    pub(crate) fn as_told(mut self, text: bool, rules: &RuleSet) -> Self {
        self.retyped = text;
        if text && self.duty.is_none() { self.doubted(rules) } else { self }
    }

    /// The column of a copy.
    pub(crate) fn copied(column: CopyColumn, binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Self {
        Self::new(column.table, column.attribute, column.type_id, binary, rules, catalog)
    }

    /// Values of a type that stand within others.
    pub(crate) fn of_type(type_id: u32, binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Self {
        let duty = if type_id == 0 { rules.for_any_type() } else { rules.for_type(type_id) };
        let class = class(type_id, catalog);
        Self { class, binary, duty, inside: is_ruled_inside(class, rules, catalog, DEPTH), retyped: false }
    }

    fn new(table: u32, attribute: i16, type_id: u32, binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Self {
        let source = if table == 0 || attribute == 0 {
            Some(Source { filled: true, ..Source::default() })
        } else {
            catalog.columns(table, attribute)
        };
        Self::from(source.as_ref(), type_id, binary, rules, catalog)
    }

    /// A column whose values come from there.
    fn from(source: Option<&Source>, type_id: u32, binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Self {
        let by_name = match source {
            None => rules.for_any_column(),
            Some(Source { filled: true, .. }) if rules.computed == Computed::Mask => rules.for_any_column(),
            Some(Source { names, .. }) => rules.for_columns(names),
        };
        let mut column = Self::of_type(type_id, binary, rules, catalog);
        column.duty = RuleSet::stricter(by_name, column.duty);
        column
    }
}

/// The most columns of which it is kept what the rules ask for them.
const MOST_RESOLVED: usize = 4096;

/// What the rules ask for columns that were described before, since each execution describes its own anew.
#[derive(Debug, Default)]
pub(crate) struct Resolved(HashMap<(u32, i16, u32), Column>);

impl Resolved {
    /// What relations mean may have changed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn column(&mut self, of: (u32, i16, u32), binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Column {
        if let Some(column) = self.0.get(&of) {
            return column.in_format(binary);
        }
        let (table, attribute, type_id) = of;
        if table == 0 || attribute == 0 {
            return Column::new(table, attribute, type_id, binary, rules, catalog);
        }
        let source = catalog.columns(table, attribute);
        let column = Column::from(source.as_ref(), type_id, binary, rules, catalog);
        // What is not known now may be known the next time.
        if source.is_some() && (type_id < FIRST_OWN || catalog.type_fact(type_id).is_some()) {
            if self.0.len() >= MOST_RESOLVED {
                self.0.clear();
            }
            self.0.insert(of, column);
        }
        column
    }
}

/// Whether a rule for a type applies to what stands within values of a class. A row's columns may be of any type.
fn is_ruled_inside(outer: Class, rules: &RuleSet, catalog: &dyn Catalog, depth: u8) -> bool {
    match outer {
        Class::Composite => rules.for_any_type().is_some(),
        Class::Array(inner) | Class::Range(inner) if inner != 0 && depth > 0 => {
            rules.for_type(inner).is_some() || is_ruled_inside(class(inner, catalog), rules, catalog, depth - 1)
        }
        Class::Array(_) | Class::Range(_) => rules.for_any_type().is_some(),
        _ => false,
    }
}

/// Whether an action writes what values of a class may be.
const fn holds(class: Class, action: Action) -> bool {
    matches!(
        (class, action),
        (_, Action::Null | Action::DropRow)
            | (Class::Text | Class::Json { .. }, _)
            | (Class::Integer(_) | Class::Numeric, Action::FormatPreserving)
            | (Class::Bytes, Action::Token | Action::Hash | Action::Redact)
            | (Class::Uuid, Action::Token | Action::Hash)
    )
}

/// The columns that a frame of `RowDescription` describes. What it has to say instead is appended to `out`, where it differs.
pub(crate) fn described(
    frame: &[u8],
    rules: &RuleSet,
    catalog: &dyn Catalog,
    resolved: &mut Resolved,
    out: &mut Vec<u8>,
) -> Option<Vec<Column>> {
    let (&[b'T', a, b, c, d], body) = frame.split_first_chunk()? else { return None };
    if usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()? != body.len() + 4 {
        return None;
    }
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let (mut columns, start) = (Vec::new(), out.len());
    for _ in 0..u16::from_be_bytes(*count) {
        let name = rest.iter().position(|byte| *byte == 0)?;
        let (fields, after) = rest.get(name + 1..)?.split_first_chunk::<18>()?;
        let place = frame.len() - rest.len() + name + 1;
        rest = after;
        let [t0, t1, t2, t3, a0, a1, y0, y1, y2, y3, _, _, _, _, _, _, f0, f1] = *fields;
        let binary = match u16::from_be_bytes([f0, f1]) {
            0 => false,
            1 => true,
            _ => return None,
        };
        let of =
            (u32::from_be_bytes([t0, t1, t2, t3]), i16::from_be_bytes([a0, a1]), u32::from_be_bytes([y0, y1, y2, y3]));
        let mut column = resolved.column(of, binary, rules, catalog);
        column.retyped = column.duty.is_some_and(|duty| !holds(column.class, duty.action));
        if column.retyped {
            if out.len() == start {
                out.extend_from_slice(frame);
            }
            as_text(out.get_mut(start + place + 6..)?)?;
        }
        columns.push(column);
    }
    rest.is_empty().then_some(columns)
}

/// Writes the type `text`, of any length and without a modifier, over what a description says of a column's type.
fn as_text(fields: &mut [u8]) -> Option<()> {
    let fields = fields.first_chunk_mut::<10>()?;
    let [t0, t1, t2, t3, rest @ ..] = fields;
    [*t0, *t1, *t2, *t3] = TEXT.to_be_bytes();
    *rest = [0xff; 6];
    Some(())
}
