use super::*;

/// The signing key that AWS's documentation prints for this secret and day.
#[test]
fn the_signing_key_is_aws_own() {
    let key = key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam");
    let again = hmac::Key::new(
        hmac::HMAC_SHA256,
        &[
            0xf4, 0x78, 0x0e, 0x2d, 0x9f, 0x65, 0xfa, 0x89, 0x5f, 0x9c, 0x67, 0xb3, 0x2c, 0xe1, 0xba, 0xf0, 0xb0, 0xd8,
            0xa4, 0x35, 0x05, 0xa0, 0x00, 0xa1, 0xa9, 0xe0, 0x90, 0xd4, 0x14, 0xdb, 0x40, 0x4d,
        ],
    );
    assert_eq!(hmac::sign(&key, b"text").as_ref(), hmac::sign(&again, b"text").as_ref());
}

fn keys() -> Keys {
    Keys { access_key: "AKIAEXAMPLE".to_owned(), secret: "secret".to_owned(), token: Some("to/ken==".to_owned()) }
}

const NOW: i64 = 1_767_323_045;

fn signed(body: &[u8]) -> Vec<(String, String)> {
    let mut headers = vec![("host".to_owned(), "sts.us-east-1.amazonaws.com".to_owned())];
    let request = Heard { method: "POST", path: "/", query: "", headers: &headers, body };
    let own = sign(&request, &keys(), "us-east-1", "sts", NOW);
    headers.extend(own);
    headers
}

fn verified(headers: &[(String, String)], body: &[u8], now: i64) -> Result<(), Wrong> {
    let request = Heard { method: "POST", path: "/", query: "", headers, body };
    Claim::of(&request)?.verify(&request, "secret", now, SKEW)
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    let headers = signed(b"Action=GetCallerIdentity");
    assert_eq!(verified(&headers, b"Action=GetCallerIdentity", NOW), Ok(()));
    assert!(matches!(verified(&headers, b"Action=GetCallerIdentitz", NOW), Err(Wrong::Mismatch(_))));
    assert!(matches!(verified(&headers, b"Action=GetCallerIdentity", NOW + 900), Err(Wrong::Time(_))));
    assert!(matches!(verified(&headers, b"Action=GetCallerIdentity", NOW - 901), Err(Wrong::Time(_))));
    let mut more = headers.clone();
    more.push(("x-amz-more".to_owned(), "1".to_owned()));
    assert!(matches!(verified(&more, b"Action=GetCallerIdentity", NOW), Err(Wrong::Mismatch(_))));
    let mut twice = headers.clone();
    twice.push(("x-amz-security-token".to_owned(), "other".to_owned()));
    assert!(verified(&twice, b"Action=GetCallerIdentity", NOW).is_err());
    assert_eq!(verified(&[], b"", NOW), Err(Wrong::Missing));
}

#[test]
fn percent_encoding_is_strict() {
    assert_eq!(decode("a%2Fb+c").as_deref(), Some("a/b+c"));
    for broken in ["%", "%2", "%zz", "%ff"] {
        assert_eq!(decode(broken), None, "{broken}");
    }
    assert_eq!(encode("a b/ü".as_bytes(), false), "a%20b%2F%C3%BC");
    assert_eq!(encode(b"/a b", true), "/a%20b");
}
