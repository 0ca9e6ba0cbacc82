use super::*;

#[test]
fn settings_that_hide_texts_are_refused() {
    for (name, value, fits) in [
        ("client_encoding", "UTF8", true),
        ("client_encoding", "LATIN1", false),
        ("client_encoding", "SQL_ASCII", false),
        ("standard_conforming_strings", "on", true),
        ("standard_conforming_strings", "off", false),
        ("TimeZone", "off", true),
    ] {
        assert_eq!(setting(name.as_bytes(), value.as_bytes()).is_ok(), fits, "{name} {value}");
        let body = [name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat();
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        let frame = [b"S".as_slice(), &length, &body].concat();
        let other = b"S\0\0\0\x08a\0b\0";
        assert_eq!(frames(&[other, frame.as_slice()].concat()).is_ok(), fits, "{name} {value}");
    }
}
