//! Types: what a value of each may become, and where other values are within it.

/// What the mask needs to know of a database. It is asked when columns are described, never for a row; answers come from memory.
pub trait Catalog: Send + Sync {
    /// Where the values of this attribute of this table come from. `None` where that is not known, and the column is masked as if
    /// every rule applied.
    fn columns(&self, table: u32, attribute: i16) -> Option<Source>;

    /// What is known of a type that is not built in.
    fn type_fact(&self, type_id: u32) -> Option<TypeFact>;
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The columns, `schema.relation.column` each, that it is or is made of: for a view also those of the tables behind it, for a table
    /// those of the tables that it inherits from and that inherit from it.
    pub names: Vec<String>,
    /// Whether statements can put values of any column there otherwise than by writing to a table: a setting, a sequence, a lock.
    /// Then it is a computed column too.
    pub filled: bool,
}

/// What is known of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeFact {
    /// Text in both formats: `citext`, an enumeration's label is not.
    Text,
    /// A domain over this type.
    Domain(u32),
    /// An array of this type.
    Array(u32),
    /// A row type.
    Composite,
    /// A range of this type.
    Range(u32),
}

/// A catalog that knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCatalog;

impl Catalog for NoCatalog {
    fn columns(&self, _table: u32, _attribute: i16) -> Option<Source> {
        None
    }

    fn type_fact(&self, _type_id: u32) -> Option<TypeFact> {
        None
    }
}

/// How values of a type are read and what may stand in their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Any text.
    Text,
    /// JSON, with a version byte before it in binary where it is `jsonb`.
    Json {
        version: bool,
    },
    /// An integer of so many bytes.
    Integer(usize),
    /// A floating point number.
    Float,
    Numeric,
    Bytes,
    Uuid,
    /// An address of a network or a machine in it.
    Network,
    /// Elements of this type, which a value in binary also states itself.
    Array(u32),
    Composite,
    Range(u32),
    /// Only NULL may stand in its place.
    Other,
    /// Not known. In binary it may be anything.
    Unknown,
}

/// The class of a type.
pub(crate) fn class(type_id: u32, catalog: &dyn Catalog) -> Class {
    built_in(type_id).unwrap_or_else(|| {
        let mut type_id = type_id;
        // A domain over a domain ends somewhere; a catalog that says otherwise is not believed.
        for _ in 0..16 {
            match catalog.type_fact(type_id) {
                Some(TypeFact::Text) => return Class::Text,
                Some(TypeFact::Array(inner)) => return Class::Array(inner),
                Some(TypeFact::Composite) => return Class::Composite,
                Some(TypeFact::Range(inner)) => return Class::Range(inner),
                Some(TypeFact::Domain(base)) => match built_in(base) {
                    Some(class) => return class,
                    None => type_id = base,
                },
                None => return Class::Unknown,
            }
        }
        Class::Unknown
    })
}

/// The types of `pg_type.dat` that are no other than this in every database.
pub(crate) fn built_in(type_id: u32) -> Option<Class> {
    Some(match type_id {
        // text, name, varchar, bpchar, unknown, xml, cstring, "char"
        25 | 19 | 1043 | 1042 | 705 | 142 | 2275 => Class::Text,
        114 => Class::Json { version: false },
        3802 => Class::Json { version: true },
        21 => Class::Integer(2),
        23 | 26 => Class::Integer(4),
        20 => Class::Integer(8),
        700 | 701 => Class::Float,
        1700 => Class::Numeric,
        17 => Class::Bytes,
        2950 => Class::Uuid,
        869 | 650 => Class::Network,
        // record
        2249 => Class::Composite,
        // int4range, numrange, tsrange, tstzrange, daterange, int8range
        3904 => Class::Range(23),
        3906 => Class::Range(1700),
        3908 => Class::Range(1114),
        3910 => Class::Range(1184),
        3912 => Class::Range(1082),
        3926 => Class::Range(20),
        // bool, "char", date, time, timestamp, timestamptz, interval, timetz, money, macaddr, macaddr8, bit, varbit
        16 | 18 | 1082 | 1083 | 1114 | 1184 | 1186 | 1266 | 790 | 829 | 774 | 1560 | 1562 => Class::Other,
        array => Class::Array(element(array)?),
    })
}

/// The type of the elements of an array that is built in.
const fn element(array: u32) -> Option<u32> {
    Some(match array {
        1000..=1003 => array - 984,
        1005..=1009 => array - 984,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1028 => 26,
        1040 => 829,
        1041 => 869,
        651 => 650,
        143 => 142,
        199 => 114,
        2287 => 2249,
        3807 => 3802,
        1115 | 1182 | 1183 | 1185 | 1187 | 1231 | 2951 | 3905 | 3907 | 3909 | 3911 | 3913 | 3927 => match array {
            1182 => 1082,
            1183 => 1083,
            1231 => 1700,
            _ => array - 1,
        },
        _ => return None,
    })
}
