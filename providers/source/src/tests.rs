use std::path::Path;

use super::*;

fn file(bytes: &[u8]) -> (tempfile::TempDir, Source) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, bytes).unwrap();
    (directory, Source::File(path))
}

#[test]
fn exactly_one_place_is_chosen() {
    let path = Path::new("/run/password");
    assert_eq!(Source::chosen(Some(path), None), Ok(Source::File(path.to_owned())));
    assert_eq!(Source::chosen(None, Some("PASSWORD")), Ok(Source::Variable("PASSWORD".to_owned())));
    for (file, variable, words) in [
        (None, None, "no password"),
        (Some(path), Some("PASSWORD"), "both"),
        (None, Some(""), "is not a name"),
        (None, Some("A=B"), "is not a name"),
    ] {
        let fault = Source::chosen(file, variable).unwrap_err().to_string();
        assert!(fault.contains(words), "{fault}");
    }
}

#[test]
fn one_line_end_is_not_part_of_a_password() {
    for (bytes, password) in [
        (&b"secret"[..], &b"secret"[..]),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\n\n", b"secret\n"),
    ] {
        let (_directory, source) = file(bytes);
        assert_eq!(source.read().unwrap().expose(), password);
    }
}

#[test]
fn what_is_no_password_is_refused_and_said() {
    for (bytes, words) in [(&b""[..], "is empty"), (b"\n", "is empty"), (&[b'x'; LIMIT + 1], "is larger")] {
        let (_directory, source) = file(bytes);
        assert!(source.read().unwrap_err().to_string().contains(words));
    }
    let nowhere = Source::File("/nowhere/at/all".into());
    assert!(nowhere.read().unwrap_err().to_string().contains("cannot read"));
    let device = Source::File("/dev/zero".into());
    assert!(device.read().unwrap_err().to_string().contains("not a regular file"));
    let unset = Source::Variable("WRIT_TEST_NO_SUCH_VARIABLE".to_owned());
    assert!(unset.read().unwrap_err().to_string().contains("is not set"));
}
