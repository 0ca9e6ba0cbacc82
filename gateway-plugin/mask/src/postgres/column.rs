//! Columns: what `RowDescription` says of each, and what the rules ask for it.

use super::types::{Catalog, Class, class};
use crate::CopyColumn;
use crate::rules::{Computed, Duty, RuleSet};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) class: Class,
    pub(crate) binary: bool,
    /// What a rule for the column or its type asks for.
    pub(crate) duty: Option<Duty>,
}

impl Column {
    /// The same in another format.
    pub(crate) const fn in_format(mut self, binary: bool) -> Self {
        self.binary = binary;
        self
    }

    /// A column of which nothing is known: every rule applies.
    pub(crate) fn unknown(binary: bool, rules: &RuleSet) -> Self {
        Self { class: Class::Unknown, binary, duty: RuleSet::stricter(rules.for_any_column(), rules.for_any_type()) }
    }

    /// The column of a copy.
    pub(crate) fn copied(column: CopyColumn, binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Self {
        Self::new(column.table, column.attribute, column.type_id, binary, rules, catalog)
    }

    fn new(table: u32, attribute: i16, type_id: u32, binary: bool, rules: &RuleSet, catalog: &dyn Catalog) -> Self {
        let by_name = if table == 0 || attribute == 0 {
            (rules.computed == Computed::Mask).then(|| rules.for_any_column()).flatten()
        } else {
            match catalog.columns(table, attribute) {
                Some(names) => rules.for_columns(&names),
                None => rules.for_any_column(),
            }
        };
        let by_type = if type_id == 0 { rules.for_any_type() } else { rules.for_type(type_id) };
        Self { class: class(type_id, catalog), binary, duty: RuleSet::stricter(by_name, by_type) }
    }
}

/// The columns that a frame of `RowDescription` describes.
pub(crate) fn described(frame: &[u8], rules: &RuleSet, catalog: &dyn Catalog) -> Option<Vec<Column>> {
    let (&[b'T', a, b, c, d], body) = frame.split_first_chunk()? else { return None };
    if usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()? != body.len() + 4 {
        return None;
    }
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let name = rest.iter().position(|byte| *byte == 0)?;
        let (fields, after) = rest.get(name + 1..)?.split_first_chunk::<18>()?;
        rest = after;
        let [t0, t1, t2, t3, a0, a1, y0, y1, y2, y3, _, _, _, _, _, _, f0, f1] = *fields;
        let binary = match u16::from_be_bytes([f0, f1]) {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (table, attribute) = (u32::from_be_bytes([t0, t1, t2, t3]), i16::from_be_bytes([a0, a1]));
        columns.push(Column::new(table, attribute, u32::from_be_bytes([y0, y1, y2, y3]), binary, rules, catalog));
    }
    rest.is_empty().then_some(columns)
}
