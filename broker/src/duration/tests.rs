//! Tests of durations.

use proptest::prelude::*;

use super::*;

#[test]
fn durations_are_numbers_with_units() {
    for (text, millis) in
        [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("2d", 172_800_000), ("0s", 0)]
    {
        assert_eq!(Span::parse(text).map(Span::as_millis), Ok(millis), "{text}");
    }
}

#[test]
fn anything_else_is_refused() {
    for text in ["", "5", "m", "5 m", "-5m", "5m5m", "5s1m", "1.5h", "5M", "5min", "99999999999999999d", "ä", "5ä"] {
        assert_eq!(Span::parse(text), Err(InvalidSpan), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,24}") {
        let _ = Span::parse(&text);
    }

    #[test]
    fn what_is_shown_parses_again(millis in 0_u64..10_000_000_000) {
        let span = Span(Duration::from_millis(millis));
        prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
    }
}
