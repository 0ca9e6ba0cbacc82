use super::*;

#[test]
fn patterns_are_bounded() {
    for (pattern, why) in [("(", "unclosed"), (r"\w{5000}", "compiles to more"), ("a*", "nothing at all")] {
        assert!(UserDetector::new("x", pattern).unwrap_err().0.contains(why), "{pattern}");
    }
    assert!(UserDetector::new("x", &"a".repeat(5000)).unwrap_err().0.contains("longer"));
}

#[test]
fn matches_are_hits() {
    let (mut hits, user) = (Vec::new(), UserDetector::new("employee", r"EMP-\d{6}").unwrap());
    user.scan(b"a EMP-123456, EMP-12345", detector(0), &mut hits);
    assert_eq!(hits, [Hit { start: 2, end: 12, detector: Detector::User(0) }]);
}
