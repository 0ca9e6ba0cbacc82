use super::*;

#[test]
fn what_looks_like_ascii_is_read_as_ascii() {
    let text = "a\u{FF14}\u{200B}1\u{FF21}\u{FF5E}\u{AD}z";
    let mut folded = Folded::default();
    folded.read(text.as_bytes());
    assert_eq!(folded.text, b"a41A~z");
    let (start, end) = folded.source(1, 3).unwrap();
    assert_eq!(text.get(start..end).unwrap(), "\u{FF14}\u{200B}1");
    assert_eq!(folded.source(0, 6), Some((0, text.len())));
}
