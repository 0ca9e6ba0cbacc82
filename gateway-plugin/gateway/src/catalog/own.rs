//! PostgreSQL's own relations: which of them hold nothing but definitions.
//!
//! A statement can put what it read into others (`set_config` into `pg_settings`, an advisory lock's number into `pg_locks`, a large
//! object's OID into `pg_largeobject_metadata` and `pg_shdepend`, `setval` into `pg_sequences`), from where it comes back under the name of another
//! column. What this must never do: name a relation that a statement fills otherwise than by the words of its own text.

/// Those of `pg_catalog`, in order.
const DEFINITIONS: [&str; 67] = [
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_config",
    "pg_constraint",
    "pg_conversion",
    "pg_database",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_matviews",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_rewrite",
    "pg_roles",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_sequence",
    "pg_shdescription",
    "pg_statistic_ext",
    "pg_tables",
    "pg_tablespace",
    "pg_timezone_abbrevs",
    "pg_timezone_names",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user",
    "pg_views",
];

/// Whether a relation of PostgreSQL's own holds nothing but definitions.
pub(super) fn is_definition(schema: &str, relation: &str) -> bool {
    match schema {
        "pg_catalog" => DEFINITIONS.binary_search(&relation).is_ok(),
        // Its views show definitions alone.
        "information_schema" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_statements_fill_is_no_definition() {
        assert!(DEFINITIONS.is_sorted());
        for relation in ["pg_class", "pg_type", "pg_aggregate", "pg_user"] {
            assert!(is_definition("pg_catalog", relation), "{relation}");
        }
        let filled =
            ["pg_settings", "pg_stat_activity", "pg_locks", "pg_largeobject_metadata", "pg_sequences", "pg_shdepend"];
        for relation in filled {
            assert!(!is_definition("pg_catalog", relation), "{relation}");
        }
        assert!(is_definition("information_schema", "columns") && !is_definition("pg_toast", "pg_toast_2619"));
    }
}
