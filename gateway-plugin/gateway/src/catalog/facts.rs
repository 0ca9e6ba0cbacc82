//! What a database says of its relations and types, and whose columns a column is.

use std::collections::{BTreeMap, HashMap, HashSet};

use writ_core::fault::{Blame, Fault};
use writ_mask::CopyColumn;
use writ_mask::postgres::{Source, TypeFact};
use writ_wire_postgres::ask::Row;

use super::own::is_definition;
use super::tree::{self, Origin};

/// How deep views may stand on views.
const DEEPEST: u8 = 32;
/// The most names that one column may go back to.
const MOST_NAMES: usize = 16_384;
/// The first OID of what is no part of PostgreSQL itself (`FirstNormalObjectId`).
const FIRST_OWN: u32 = 16_384;
/// Relations of PostgreSQL's own that hold values of others.
const HOLD_VALUES: [&str; 6] =
    ["pg_statistic", "pg_stats", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic_ext_data", "pg_largeobject"];

/// Asks for it all. Each row begins with a letter that says what it is. Temporary relations are left out, so that nothing is
/// known of them; functions are those of PostgreSQL's own that read what no column of a query shows. The names are looked for
/// where nobody but a superuser can put any.
pub(super) const QUESTION: &str = "BEGIN READ ONLY; SET LOCAL search_path TO pg_catalog, pg_temp; \
 SELECT 'f', oid, 0, proname FROM pg_proc WHERE oid < 16384 AND proname ~ \
 '_to_xml|^ts_(stat|rewrite)$|^lo(_|read$)|^pg_(read|ls|logical|cursor|prepared|stat_get_(backend_)?activity)'; \
 SELECT 'r', c.oid, n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'; \
 SELECT 'a', a.attrelid, a.attnum, a.attname, a.atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped; \
 SELECT 'i', inhrelid, inhparent, 0 FROM pg_inherits; \
 SELECT 'v', ev_class, 0, ev_action FROM pg_rewrite WHERE ev_type = '1' AND is_instead AND ev_class >= 16384; \
 SELECT DISTINCT 'd', r.ev_class, CASE WHEN d.refclassid = 'pg_class'::regclass THEN d.refobjid ELSE 0 END, d.refobjsubid \
 FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid \
 WHERE r.ev_type = '1' AND r.ev_class >= 16384 AND d.refobjid <> r.ev_class \
 AND d.refclassid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass); \
 SELECT 't', t.oid, CASE WHEN t.typtype = 'd' THEN t.typbasetype WHEN t.typtype = 'r' THEN r.rngsubtype ELSE t.typelem END, \
 CASE WHEN t.typtype IN ('d', 'c', 'r') THEN t.typtype::text WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'a' \
 WHEN t.typtype = 'b' AND t.typcategory = 'S' THEN 's' ELSE '-' END \
 FROM pg_type t LEFT JOIN pg_range r ON r.rngtypid = t.oid WHERE t.oid >= 16384; \
 ROLLBACK";

#[derive(Debug, Default)]
struct Relation {
    /// `schema.relation`.
    name: String,
    /// By attribute: name and type.
    columns: HashMap<i16, (Box<str>, u32)>,
    /// Relations of which its rows are rows too, and those whose rows are rows of it.
    parents: Vec<u32>,
    children: Vec<u32>,
    view: Option<View>,
    /// Whether it holds values of relations that nobody names.
    hides: bool,
    /// Whether statements put values there otherwise than by writing to it.
    filled: bool,
}

#[derive(Debug, Default)]
struct View {
    origins: Vec<Origin>,
    /// Relations and attributes that its query reads, 0 for all of them.
    reads: Vec<(u32, i16)>,
    /// Whether it calls what may read anything.
    opaque: bool,
}

/// What is known of a database.
#[derive(Debug, Default)]
pub(super) struct Facts {
    relations: HashMap<u32, Relation>,
    types: HashMap<u32, TypeFact>,
    /// Functions of PostgreSQL's own that read what their arguments do not show.
    readers: HashSet<u32>,
    bytes: usize,
}

impl Facts {
    /// Reads what [`QUESTION`] brought.
    pub(super) fn read(rows: Vec<Row>) -> Result<Self, Fault> {
        let mut facts = Self::default();
        for row in rows {
            facts.row(&row).ok_or_else(|| {
                Fault::new(
                    "mask.catalog",
                    Blame::Target,
                    "the target describes its tables in a way that is not understood",
                )
                .help("tell the operator of the gateway")
                .detail(format!("{row:?}").chars().take(200).collect::<String>())
            })?;
        }
        Ok(facts)
    }

    fn row(&mut self, row: &Row) -> Option<()> {
        let [Some(kind), Some(oid), third, Some(fourth), more @ ..] = row.as_slice() else { return None };
        let (oid, third) = (oid.parse::<u32>().ok()?, third.as_deref().unwrap_or("0"));
        self.bytes += 64 + third.len() + fourth.len();
        match kind.as_str() {
            "r" => {
                let is_sequence = more.first().is_some_and(|kind| kind.as_deref() == Some("S"));
                let relation = self.relations.entry(oid).or_default();
                relation.name = format!("{third}.{fourth}");
                relation.hides = oid < FIRST_OWN && HOLD_VALUES.contains(&fourth.as_str());
                relation.filled = is_sequence || oid < FIRST_OWN && !is_definition(third, fourth);
            }
            "a" => {
                // The default of a column that was added is a value of rows.
                if !(oid < FIRST_OWN && fourth == "attmissingval") {
                    let type_id = more.first()?.as_deref()?.parse().ok()?;
                    let columns = &mut self.relations.entry(oid).or_default().columns;
                    columns.insert(third.parse().ok()?, (fourth.as_str().into(), type_id));
                }
            }
            "f" => drop(self.readers.insert(oid)),
            "i" => {
                let parent = third.parse().ok()?;
                self.relations.entry(oid).or_default().parents.push(parent);
                self.relations.entry(parent).or_default().children.push(oid);
            }
            "v" => {
                self.bytes -= fourth.len();
                let tree = tree::read(fourth);
                let reads = tree.as_ref().is_some_and(|tree| tree.calls.iter().any(|call| self.readers.contains(call)));
                let view = self.view(oid);
                match tree {
                    Some(tree) => (view.origins, view.opaque) = (tree.origins, view.opaque || reads),
                    None => view.opaque = true,
                }
            }
            "d" => {
                let view = self.view(oid);
                match third.parse().ok()? {
                    0 => view.opaque = true,
                    table => view.reads.push((table, fourth.parse().ok()?)),
                }
            }
            "t" => {
                let of = third.parse().ok()?;
                let fact = match fourth.as_str() {
                    "d" => TypeFact::Domain(of),
                    "c" => TypeFact::Composite,
                    "r" => TypeFact::Range(of),
                    "a" => TypeFact::Array(of),
                    "s" => TypeFact::Text,
                    _ => return Some(()),
                };
                self.types.insert(oid, fact);
            }
            _ => return None,
        }
        Some(())
    }

    fn view(&mut self, oid: u32) -> &mut View {
        self.relations.entry(oid).or_default().view.get_or_insert_default()
    }

    /// About how many bytes it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn type_fact(&self, type_id: u32) -> Option<TypeFact> {
        self.types.get(&type_id).copied()
    }

    /// Where the values of a column come from; `None` where that is not known for certain.
    pub(super) fn columns(&self, table: u32, attribute: i16) -> Option<Source> {
        let mut found = Found::default();
        self.follow(table, attribute, Rows::AllOfIt, DEEPEST, &mut found)?;
        let name = |(table, attribute): &(u32, i16)| {
            let relation = self.relations.get(table)?;
            Some(format!("{}.{}", relation.name, relation.columns.get(attribute)?.0))
        };
        let names = found.columns.keys().map(name).collect::<Option<_>>()?;
        Some(Source { names, filled: found.filled })
    }

    /// The columns of a table as a copy has them, in order: those named, or all.
    pub(super) fn copied(&self, schema: &str, table: &str, named: Option<&[String]>) -> Option<Vec<CopyColumn>> {
        let full = format!("{schema}.{table}");
        let mut meant = self.relations.iter().filter(|(_, relation)| relation.name == full);
        let ((oid, relation), None) = (meant.next()?, meant.next()) else { return None };
        let copied = |attribute: i16, type_id: u32| CopyColumn { table: *oid, attribute, type_id };
        let mut all: Vec<_> = relation.columns.iter().collect();
        all.sort_by_key(|(attribute, _)| **attribute);
        let Some(named) = named else {
            return Some(all.iter().map(|(attribute, (_, type_id))| copied(**attribute, *type_id)).collect());
        };
        let column = |wanted: &String| {
            let found = all.iter().find(|(_, (name, _))| **name == **wanted);
            found.map(|(attribute, (_, type_id))| copied(**attribute, *type_id))
        };
        named.iter().map(column).collect()
    }

    fn follow(&self, table: u32, attribute: i16, rows: Rows, depth: u8, found: &mut Found) -> Option<()> {
        // The system's own columns of a table hold no values.
        if attribute < 0 || found.columns.get(&(table, attribute)).is_some_and(|known| *known >= rows) {
            return Some(());
        }
        let (relation, depth) = (self.relations.get(&table)?, depth.checked_sub(1)?);
        let (column, _) = relation.columns.get(&attribute)?;
        if relation.name.is_empty() || relation.hides || found.columns.len() >= MOST_NAMES {
            return None;
        }
        found.columns.insert((table, attribute), rows);
        found.filled |= relation.filled;
        let children = if rows == Rows::AllOfIt { relation.children.as_slice() } else { &[] };
        let parents = relation.parents.iter().map(|parent| (parent, Rows::SomeOfIt));
        for (other, rows) in parents.chain(children.iter().map(|child| (child, Rows::AllOfIt))) {
            let known = self.relations.get(other)?;
            if let Some((same, _)) = known.columns.iter().find(|(_, (name, _))| name == column) {
                self.follow(*other, *same, rows, depth, found)?;
            }
        }
        let Some(view) = &relation.view else { return Some(()) };
        let mut all_of = |table, attribute| self.follow(table, attribute, Rows::AllOfIt, depth, found);
        match view.origins.iter().find(|origin| origin.attribute == attribute) {
            Some(Origin { from: (table @ 1.., origin), .. }) if *origin != 0 => all_of(*table, *origin),
            // One that reads nothing that is known may read what nobody names.
            _ if view.opaque || view.reads.is_empty() => None,
            _ => view.reads.iter().try_for_each(|(table, attribute)| match attribute {
                0 => {
                    let all = self.relations.get(table)?.columns.keys();
                    all.copied().try_for_each(|attribute| all_of(*table, attribute))
                }
                one => all_of(*table, *one),
            }),
        }
    }
}

/// Which rows of a relation are read: those that are a child's too, or all, its children's among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rows {
    SomeOfIt,
    AllOfIt,
}

/// What a column goes back to.
#[derive(Debug, Default)]
struct Found {
    columns: BTreeMap<(u32, i16), Rows>,
    filled: bool,
}

#[cfg(test)]
mod tests;
