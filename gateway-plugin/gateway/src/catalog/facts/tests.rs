use super::*;

fn facts(rows: &[[&str; 4]]) -> Facts {
    let row = |row: &[&str; 4]| row.iter().chain(&["25"]).map(|value| Some((*value).to_owned())).collect();
    Facts::read(rows.iter().map(row).collect()).unwrap()
}

fn names(facts: &Facts, table: u32, attribute: i16) -> Option<String> {
    facts.columns(table, attribute).map(|source| source.names.join(" "))
}

/// A rule's tree whose first column is that of a relation, and whose second is computed.
fn tree(table: u32, attribute: i16) -> String {
    let entry = |number, table, attribute| {
        format!(
            "{{TARGETENTRY :expr {{X}} :resno {number} :resorigtbl {table} :resorigcol {attribute} :resjunk false}}"
        )
    };
    format!("({{QUERY :targetList ({} {}) :x 1}})", entry(1, table, attribute), entry(2, 0, 0))
}

#[test]
fn views_and_partitions_go_back_to_their_tables() {
    let (over_table, over_view) = (tree(20000, 2), tree(20001, 1));
    let facts = facts(&[
        ["r", "20000", "public", "cards"],
        ["a", "20000", "1", "id"],
        ["a", "20000", "2", "pan"],
        ["r", "20001", "app", "shown"],
        ["a", "20001", "1", "number"],
        ["a", "20001", "2", "made"],
        ["v", "20001", "0", &over_table],
        ["d", "20001", "20000", "1"],
        ["d", "20001", "20000", "2"],
        ["r", "20002", "app", "again"],
        ["a", "20002", "1", "it"],
        ["a", "20002", "2", "all"],
        ["v", "20002", "0", &over_view],
        ["d", "20002", "20001", "0"],
        ["r", "20003", "public", "cards_1"],
        ["a", "20003", "7", "pan"],
        ["i", "20003", "20000", "0"],
    ]);
    assert_eq!(names(&facts, 20000, 2).as_deref(), Some("public.cards.pan public.cards_1.pan"));
    assert_eq!(names(&facts, 20001, 1).as_deref(), Some("public.cards.pan app.shown.number public.cards_1.pan"));
    assert_eq!(
        names(&facts, 20001, 2).as_deref(),
        Some("public.cards.id public.cards.pan app.shown.made public.cards_1.pan")
    );
    assert_eq!(
        names(&facts, 20002, 1).as_deref(),
        Some("public.cards.pan app.shown.number app.again.it public.cards_1.pan")
    );
    assert_eq!(names(&facts, 20002, 2).unwrap().split(' ').count(), 6, "a whole row");
    assert_eq!(names(&facts, 20003, 7).as_deref(), Some("public.cards.pan public.cards_1.pan"));
    assert_eq!((names(&facts, 20000, 3), names(&facts, 9, 1)), (None, None));
    assert_eq!(names(&facts, 20000, -1).as_deref(), Some(""));
}

#[test]
fn what_may_hold_anything_is_not_known() {
    let over_table = tree(20000, 2);
    let facts = facts(&[
        ["r", "20000", "public", "cards"],
        ["a", "20000", "2", "pan"],
        ["r", "20001", "app", "calls"],
        ["a", "20001", "1", "number"],
        ["a", "20001", "2", "made"],
        ["v", "20001", "0", &over_table],
        ["d", "20001", "0", "0"],
        ["f", "2923", "0", "query_to_xml"],
        ["r", "20003", "app", "xml"],
        ["a", "20003", "1", "x"],
        [
            "v",
            "20003",
            "0",
            "({QUERY :targetList ({TARGETENTRY :expr {FUNCEXPR :funcid 2923} :resno 1 :resorigtbl 0 :resorigcol 0})})",
        ],
        ["d", "20003", "20000", "1"],
        ["r", "20002", "app", "strange"],
        ["a", "20002", "1", "x"],
        ["v", "20002", "0", "no tree"],
        ["r", "12000", "pg_catalog", "pg_stats"],
        ["a", "12000", "1", "most_common_vals"],
        ["r", "1249", "pg_catalog", "pg_attribute"],
        ["a", "1249", "2", "attname"],
        ["a", "1249", "26", "attmissingval"],
    ]);
    assert_eq!(names(&facts, 20001, 1).as_deref(), Some("public.cards.pan app.calls.number"));
    for (table, attribute) in [(20001, 2), (20002, 1), (20003, 1), (12000, 1), (1249, 26)] {
        assert_eq!(names(&facts, table, attribute), None, "{table}");
    }
    assert_eq!(names(&facts, 1249, 2).as_deref(), Some("pg_catalog.pg_attribute.attname"));
}

/// A rule for a child holds for its rows where they are read through a parent; one for a sibling does not.
#[test]
fn rows_of_a_parent_are_those_of_its_children() {
    let tables = [("20000", "all"), ("20001", "part"), ("20002", "leaf"), ("20003", "other"), ("20004", "second")];
    let view = tree(20003, 1);
    let mut rows: Vec<[&str; 4]> = Vec::new();
    for (oid, name) in &tables {
        rows.extend([["r", oid, "s", name], ["a", oid, "1", "pan"]]);
    }
    rows.extend([["r", "20005", "s", "both"], ["a", "20005", "1", "x"], ["v", "20005", "0", &view]]);
    rows.extend([["i", "20001", "20000", "0"], ["i", "20002", "20001", "0"], ["i", "20003", "20000", "0"]]);
    rows.push(["i", "20002", "20004", "0"]);
    let facts = facts(&rows);
    for (table, expected) in [
        (20000, "all part leaf other second"),
        (20001, "all part leaf second"),
        (20002, "all part leaf second"),
        (20003, "all other"),
        (20004, "all part leaf second"),
        (20005, "all other both"),
    ] {
        let found = names(&facts, table, 1).unwrap().replace("s.", "").replace(".pan", "").replace(".x", "");
        assert_eq!(found, expected, "{table}");
    }
}

#[test]
fn what_statements_fill_is_computed_too() {
    let sequence = ["r", "20000", "s", "numbers", "S"];
    let row = |row: &[&str; 5]| row.iter().map(|value| Some((*value).to_owned())).collect();
    let facts = Facts::read(
        [
            sequence,
            ["a", "20000", "1", "last_value", "20"],
            ["r", "12100", "pg_catalog", "pg_settings", "v"],
            ["a", "12100", "2", "setting", "25"],
            ["r", "1259", "pg_catalog", "pg_class", "r"],
            ["a", "1259", "2", "relname", "19"],
            ["r", "20001", "s", "pg_settings", "v"],
            ["a", "20001", "1", "x", "25"],
            ["v", "20001", "0", &tree(12100, 2), "25"],
            ["r", "20002", "s", "t", "r"],
            ["a", "20002", "1", "x", "25"],
        ]
        .iter()
        .map(row)
        .collect(),
    )
    .unwrap();
    for (table, attribute, filled) in
        [(20000, 1, true), (12100, 2, true), (20001, 1, true), (1259, 2, false), (20002, 1, false)]
    {
        assert_eq!(facts.columns(table, attribute).unwrap().filled, filled, "{table}");
    }
}

#[test]
fn views_that_never_end_are_not_known() {
    let rows: Vec<[String; 4]> = (20000..20100_u32)
        .flat_map(|oid| {
            let row =
                |kind: &str, third: &str, fourth: String| [kind.to_owned(), oid.to_string(), third.to_owned(), fourth];
            [row("r", "public", format!("v{oid}")), row("a", "1", "x".to_owned()), row("v", "0", tree(oid + 1, 1))]
        })
        .collect();
    let rows: Vec<[&str; 4]> = rows.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    assert_eq!(names(&facts(&rows), 20000, 1), None);
    assert_eq!(Facts::read(vec![vec![Some("x".to_owned())]]).unwrap_err().code, "mask.catalog");
}

#[test]
fn the_columns_of_a_copy_are_those_of_one_table_alone() {
    let facts = facts(&[
        ["r", "20000", "public", "cards"],
        ["a", "20000", "3", "pan"],
        ["a", "20000", "1", "id"],
        ["r", "20001", "old", "cards"],
        ["r", "20002", "public", "one"],
        ["a", "20002", "1", "x"],
    ]);
    let copied = |schema, table, named: &[&str]| {
        let named: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        let columns = facts.copied(schema, table, (!named.is_empty()).then_some(named.as_slice()))?;
        Some(columns.iter().map(|column| (column.table, column.attribute, column.type_id)).collect::<Vec<_>>())
    };
    assert_eq!(copied("public", "cards", &[]), Some(vec![(20000, 1, 25), (20000, 3, 25)]));
    assert_eq!(copied("public", "cards", &["pan", "id"]), Some(vec![(20000, 3, 25), (20000, 1, 25)]));
    assert_eq!(copied("public", "one", &[]), Some(vec![(20002, 1, 25)]));
    for (schema, table, named) in [("other", "cards", ""), ("public", "cards", "gone"), ("pg_temp", "one", "")] {
        let named: Vec<&str> = if named.is_empty() { Vec::new() } else { vec![named] };
        assert_eq!(copied(schema, table, &named), None, "{table}");
    }
}
