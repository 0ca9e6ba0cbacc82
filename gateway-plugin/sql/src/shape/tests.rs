use proptest::prelude::*;

use super::*;

fn shape(text: &str) -> Shape {
    outline(text.as_bytes()).unwrap().shape
}

#[test]
fn what_differs_in_literals_case_and_space_alone_has_one_shape() {
    let base = shape("SELECT a, 'x' FROM t WHERE b = 1 AND c = 1.5 AND d = $1");
    for text in [
        "select A,'it''s' from T where B=2 and C=2.5e7 and D=$1",
        "SELECT a, E'\\'' /* ; */ FROM t -- ;\n WHERE b = 0x10 AND c = .5 AND d = $1;",
        ";; SELECT a, $q$;$q$ FROM t WHERE b = 1_0 AND c = 1. AND d = $1 ;;",
    ] {
        assert_eq!(shape(text), base, "{text}");
    }
}

#[test]
fn what_differs_in_anything_else_has_another() {
    let texts = [
        "SELECT a FROM t WHERE b = 1",
        "SELECT a FROM t WHERE b = '1'",
        "SELECT a FROM t WHERE b = 1.0",
        "SELECT a FROM t WHERE b = B'1'",
        "SELECT a FROM t WHERE b = $1",
        "SELECT a FROM t WHERE b = $2",
        "SELECT a FROM t WHERE b = -1",
        "SELECT a FROM u WHERE b = 1",
        "SELECT a FROM \"t\" WHERE b = 1",
        "SELECT a FROM \"T\" WHERE b = 1",
        "SELECT a FROM U&\"t\" WHERE b = 1",
        "SELECT a FROM s.t WHERE b = 1",
        "SELECT a FROM t; WHERE b = 1",
        "SELECT a FROM t WHERE b = 1; SELECT 1",
        "SELECT a FROM t WHERE b = (1)",
        "SELECT a FROM t WHERE b = 1 1",
        "SELECT afrom t WHERE b = 1",
    ];
    let shapes: std::collections::BTreeSet<_> = texts.iter().map(|text| shape(text)).collect();
    assert_eq!(shapes.len(), texts.len());
}

#[test]
fn the_character_that_escapes_a_name_is_part_of_the_shape() {
    assert_ne!(shape("SELECT * FROM U&\"d!0061t\" UESCAPE '!'"), shape("SELECT * FROM U&\"d!0061t\" UESCAPE '#'"));
}

#[test]
fn statements_are_counted_outside_parentheses_and_empty_ones_are_not() {
    for (text, statements) in [
        ("", 0),
        (" ; -- ;\n ; /* ; */ ", 0),
        ("SELECT ';'", 1),
        ("SELECT 1;", 1),
        ("SELECT 1; SELECT 2", 2),
        ("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", 1),
        ("DO $$ BEGIN; END $$; SELECT 1;;", 2),
    ] {
        assert_eq!(outline(text.as_bytes()).unwrap().statements, statements, "{text}");
    }
}

#[test]
fn long_texts_hash_as_short_ones_do() {
    for length in [1, 1022, 1023, 1024, 1025, 5000] {
        let name = "n".repeat(length);
        let upper = shape(&format!("SELECT * FROM a, {} WHERE x = 'b'", name.to_ascii_uppercase()));
        assert_eq!(upper, shape(&format!("SELECT * FROM a, {name} WHERE x = 'c'")), "{length}");
        assert_ne!(upper, shape(&format!("SELECT * FROM a, {name}n WHERE x = 'c'")), "{length}");
    }
    let columns = "col, ".repeat(2000);
    assert_eq!(shape(&format!("SELECT {columns} 1")), shape(&format!("select {columns} 2")));
}

#[test]
fn a_fingerprint_is_of_the_statement_alone_and_zero_for_what_cannot_be_cut() {
    assert_eq!(fingerprint(b"SELECT 1"), fingerprint(b" select 2 ; "));
    assert_ne!(fingerprint(b"DELETE FROM a x"), fingerprint(b"DELETE FROM b x"));
    assert_eq!(fingerprint(b"SELECT 'open"), Fingerprint::default());
    assert_eq!(outline(b"SELECT '\xff'"), Err(Uncut::Encoding));
}

proptest! {
    #[test]
    fn letter_case_and_space_never_change_a_shape(words in proptest::collection::vec("[a-z_]{1,8}|,|\\(|\\)|[0-9]{1,3}", 0..40)) {
        let plain = words.join(" ");
        let spread = words.join("\n/* , ( */\t").to_ascii_uppercase();
        prop_assert_eq!(shape(&plain), shape(&spread));
    }

    #[test]
    fn any_text_has_a_shape_or_an_error(text in "\\PC*") {
        let _ = outline(text.as_bytes());
    }

    #[test]
    fn any_bytes_have_a_shape_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = outline(&bytes);
    }
}
