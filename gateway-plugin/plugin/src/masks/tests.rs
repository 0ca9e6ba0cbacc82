use super::*;

const CARDS: &str = "rules = [{ name = \"cards\", detector = \"pan\", action = \"partial\" }]\n";
const PEOPLE: &str = "computed = \"mask\"\nmax_masked_value = 4096\n\n[[rules]]\nname = \"names\"\ncolumn = \"people.name\"\naction = \"redact\"\n";

fn set(name: &str, text: &str) -> (String, String) {
    (format!("{name}.mask.toml"), text.to_owned())
}

#[test]
fn sets_are_joined_to_the_strictest_of_both() {
    let bundle = Bundle::load(vec![set("cards", CARDS), set("people", PEOPLE)]).unwrap();
    let ready = Ready::default();
    let both = ready.rules(&bundle, &["cards".to_owned(), "people".to_owned()]).unwrap();
    assert_eq!((both.computed, both.max_masked_value), (Computed::Mask, 4096));
    assert!(both.wanted().has(writ_mask::detect::Detector::Pan));
    let again = ready.rules(&bundle, &["cards".to_owned(), "people".to_owned()]).unwrap();
    assert!(Arc::ptr_eq(&both, &again), "made once");
    let cards = ready.rules(&bundle, &["cards".to_owned()]).unwrap();
    assert_eq!((cards.computed, cards.max_masked_value), (Computed::Detect, 8 << 20));
}

#[test]
fn a_set_that_cannot_be_used_refuses_the_session() {
    let ready = Ready::default();
    for (text, why) in
        [("rules = 1", "not a set of masks"), ("rules = [{ name = \"a\", action = \"null\" }]", "exactly one")]
    {
        let bundle = Bundle::load(vec![set("bad", text), set("cards", CARDS)]).unwrap();
        let fault = ready.rules(&bundle, &["bad".to_owned(), "cards".to_owned()]).unwrap_err();
        assert!(fault.code == "mask.unusable" && fault.detail.to_string().contains(why), "{fault:?}");
        assert!(ready.rules(&bundle, &["cards".to_owned()]).is_ok());
        assert_eq!(ready.rules(&bundle, &["gone".to_owned()]).unwrap_err().code, "mask.unusable");
    }
}

#[test]
fn mistakes_have_a_file_and_a_line() {
    for (second, line, words) in [
        ("\nrules = [{ name = \"a\", detector = \"pan\", action = \"shred\" }]", 2, "unknown variant `shred`"),
        ("\n\n[[rules]]\nname = \"x\"\ndetector = \"panda\"\naction = \"null\"\n", 4, "names the detector `panda`"),
        (
            "\nrules = [{ name = \"cards\", detector = \"iban\", action = \"null\" }]",
            2,
            "together with the sets before it",
        ),
        ("colour = 1", 1, "unknown field"),
    ] {
        let problems = check(&[set("a", CARDS), set("b", second), ("c.cedar".to_owned(), "no policy".to_owned())]);
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!((problem.file.as_str(), problem.line), ("b.mask.toml", line), "{problem}");
        assert!(problem.message.contains(words), "{problem}");
    }
    assert_eq!(check(&[set("a", CARDS), set("b", PEOPLE)]), []);
}
