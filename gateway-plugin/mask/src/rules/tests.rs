use super::*;

fn read(text: &str) -> Result<RuleSet, String> {
    let rules: MaskRules = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    RuleSet::new(&rules).map_err(|error| error.to_string())
}

const RULES: &str = r#"
    computed = "mask"
    detectors = [{ name = "employee", pattern = 'EMP-\d{6}' }]
    rules = [
        { name = "cards", detector = "pan", action = "partial" },
        { name = "cards-in-full", detector = "pan", action = "redact" },
        { name = "staff", detector = "employee", action = "token" },
        { name = "names", column = "people.name", action = "redact", otherwise = "error" },
        { name = "all-of-hr", column = "hr.*.*", action = "null" },
        { name = "money", type = 790, action = "null" },
    ]
"#;

#[test]
fn the_strictest_rule_wins() {
    let rules = read(RULES).unwrap();
    let pan = rules.for_detector(Detector::Pan).unwrap();
    assert_eq!((rules.name(pan.rule), pan.action), ("cards-in-full", Action::Redact));
    let names = |name: &str| rules.for_columns(&[name.to_owned()]).map(|duty| rules.name(duty.rule).to_owned());
    assert_eq!(names("public.people.name").as_deref(), Some("names"));
    assert_eq!(names("hr.people.name").as_deref(), Some("all-of-hr"));
    assert_eq!(names("public.people.id"), None);
    assert_eq!(rules.for_any_column().unwrap().action, Action::Null);
    assert_eq!(rules.for_type(790).unwrap().action, Action::Null);
    assert_eq!(rules.for_type(25), None);
    assert!(rules.for_detector(Detector::User(0)).is_some() && rules.wanted().has(Detector::User(0)));
    assert_eq!((rules.max_masked_value, rules.computed), (8 << 20, Computed::Mask));
}

#[test]
fn rules_that_cannot_do_what_they_say_are_refused() {
    for (rules, why) in [
        (r#"rules = [{ name = "a", action = "null" }]"#, "exactly one of"),
        (r#"rules = [{ name = "a", action = "null", column = "a.b", type = 3 }]"#, "exactly one of"),
        (r#"rules = [{ name = "a", action = "null", column = "a" }]"#, "needs a column as"),
        (r#"rules = [{ name = "a", action = "null", type = 0 }]"#, "not 0"),
        (r#"rules = [{ name = "a", action = "null", detector = "panda" }]"#, "`panda`, which is neither"),
        (r#"rules = [{ name = "a b", action = "null", type = 3 }]"#, "a name of its own"),
        (
            r#"rules = [{ name = "a", action = "null", type = 3 }, { name = "a", action = "null", type = 4 }]"#,
            "of its own",
        ),
        (r#"rules = [{ name = "a", action = "shred", type = 3 }]"#, "unknown variant `shred`"),
        (r#"detectors = [{ name = "pan", pattern = "a" }]"#, "of its own"),
        (r#"detectors = [{ name = "x", pattern = "(" }]"#, "is refused"),
        ("max_masked_value = 10", "between 1 KiB"),
        ("maximum = 10", "unknown field"),
    ] {
        let error = read(rules).unwrap_err();
        assert!(error.contains(why), "{error}");
        assert!(!error.ends_with('.'));
    }
}
