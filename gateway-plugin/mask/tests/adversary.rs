//! Values that are dressed up: each is caught here, or `docs/masking.md` names it as out of reach.

use writ_mask::detect::{Scanner, Set};

/// How a card's number is dressed, what that looks like, and whether it is caught.
const CASES: &[(&str, &str, bool)] = &[
    ("plain", "4111111111111111", true),
    ("full-width digits", "\u{FF14}111\u{FF11}11111111111", true),
    ("zero-width characters", "4111\u{200B}1111\u{200D}1111\u{2060}1111", true),
    ("soft hyphens", "4111\u{AD}1111\u{AD}1111\u{AD}1111", true),
    ("in JSON", "{\"a\":\"\\n4111111111111111\"}", true),
    ("in XML", "<a b='4111111111111111'/>", true),
    ("in a query string", "?pan=4111111111111111&x", true),
    ("base64", "NDExMTExMTExMTExMTExMQ==", false),
    ("hexadecimal", "34313131313131313131313131313131", false),
    ("reversed", "1111111111111114", false),
    ("concatenated with other digits", "99411111111111111199", false),
    ("split over two columns", "41111111", false),
    ("other separators", "4111_1111_1111_1111", false),
    ("other scripts' digits", "\u{0664}\u{0661}\u{0661}\u{0661}111111111111", false),
    ("JSON escapes", "\\u0034111111111111111", false),
    ("entities of XML", "&#52;111111111111111", false),
];

#[test]
fn each_dress_is_caught_or_documented() {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/masking.md")).unwrap();
    let mut scanner = Scanner::new(Set::ALL, &[]);
    for (name, text, caught) in CASES {
        let mut hits = Vec::new();
        scanner.find(text.as_bytes(), &mut hits);
        assert_eq!(!hits.is_empty(), *caught, "{name}");
        assert!(*caught || manual.contains(&format!("- {name}")), "docs/masking.md does not name `{name}`");
    }
}
