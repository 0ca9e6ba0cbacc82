use super::*;

#[test]
fn nothing_is_sent_in_the_clear_beyond_loopback() {
    assert!(endpoint("https://login.test/token", "https://login.test").is_ok());
    assert!(endpoint("http://127.0.0.1:9/token", "http://127.0.0.1:9").is_ok());
    assert!(endpoint("http://login.test/token", "https://login.test").is_err());
    assert!(endpoint("http://127.0.0.1:9/token", "https://login.test").is_err());
    assert!(endpoint("http://login.test/token", "http://127.0.0.1:9").is_err());
}
