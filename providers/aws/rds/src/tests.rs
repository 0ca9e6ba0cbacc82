use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_lc_rs::{digest, hmac};

use super::*;

const TIME: u64 = 1_724_709_600;

fn login() -> Login<'static> {
    Login { host: "prod-instance.us-east-1.rds.amazonaws.com", port: 3306, user: "peccy", region: "us-east-1" }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn keys(token: Option<&str>) -> Credentials {
    Credentials::new("akid", "secret", token.map(str::to_owned), None, "test")
}

async fn signed(login: &Login<'_>, keys: &Credentials, seconds: u64) -> String {
    String::from_utf8(token(login, keys, at(seconds)).await.unwrap().expose().to_vec()).unwrap()
}

/// The SDK's own test of its signer.
#[tokio::test]
async fn the_sdks_vector() {
    let expected = "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy\
                    &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%2Faws4_request\
                    &X-Amz-Date=20240826T220000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
                    &X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89";
    assert_eq!(signed(&login(), &keys(None), TIME).await, expected);
}

/// The same by hand (AWS's documents on Signature Version 4), with a session token of every character that is escaped.
#[tokio::test]
async fn the_signature_is_as_computed_by_hand() {
    for (user, session) in [("app_reader", None), ("a.b-c", Some("FwoG/+=="))] {
        let login = Login { user, ..login() };
        let found = signed(&login, &keys(session), TIME).await;
        let (place, query) = found.split_once("/?").unwrap();
        assert_eq!(place, "prod-instance.us-east-1.rds.amazonaws.com:3306");
        let (signature, mut sorted): (Vec<&str>, Vec<&str>) =
            query.split('&').partition(|part| part.starts_with("X-Amz-Signature="));
        sorted.sort_unstable();
        assert_eq!(sorted.len(), if session.is_some() { 8 } else { 7 });
        let empty = hex(digest::digest(&digest::SHA256, b"").as_ref());
        let canonical = format!("GET\n/\n{}\nhost:{place}\n\nhost\n{empty}", sorted.join("&"));
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n20240826T220000Z\n20240826/us-east-1/rds-db/aws4_request\n{hashed}");
        let mut key = b"AWS4secret".to_vec();
        for part in ["20240826", "us-east-1", "rds-db", "aws4_request"] {
            key = mac(&key, part);
        }
        assert_eq!(signature, [format!("X-Amz-Signature={}", hex(&mac(&key, &text)))], "{found}");
        if session.is_some() {
            assert!(found.contains("&X-Amz-Security-Token=FwoG%2F%2B%3D%3D"), "{found}");
        }
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_would_be_signed_for_another_is_refused() {
    for user in ["", "a&DBUser=admin", "a b", "a%20b", "a/b", "a#b", "ä", "a+b", "a\n", &"x".repeat(64)] {
        let login = Login { user, ..login() };
        assert_eq!(token(&login, &keys(None), at(TIME)).await.err(), Some(TokenFault::User), "{user}");
    }
    for host in [
        "",
        "localhost",
        "A.us-east-1.rds.amazonaws.com",
        "a.rds.amazonaws.com:1",
        "a.rds.amazonaws.com/",
        "a@b.rds.amazonaws.com",
        "a..rds.amazonaws.com",
        "a.rds.amazonaws.com.",
        "-a.rds.amazonaws.com",
        "a-.rds.amazonaws.com",
        "xn--a.rds.amazonaws.com",
        "127.0.0.1",
        "1.0x7f",
        "a b.rds.amazonaws.com",
        "a%2e.rds.amazonaws.com",
        "a?b.rds.amazonaws.com",
        "[::1]",
        "ä.rds.amazonaws.com",
        &format!("{}.rds.amazonaws.com", "x".repeat(64)),
    ] {
        let login = Login { host, ..login() };
        assert_eq!(token(&login, &keys(None), at(TIME)).await.err(), Some(TokenFault::Host), "{host}");
    }
    let low = Login { port: 443, ..login() };
    assert_eq!(token(&low, &keys(None), at(TIME)).await.err(), Some(TokenFault::Port));
    for region in ["", "us east", "us/east"] {
        let login = Login { region, ..login() };
        assert_eq!(token(&login, &keys(None), at(TIME)).await.err(), Some(TokenFault::Region), "{region}");
    }
}

/// Of hosts of a few characters each, every one that is let through is signed for as it is.
#[tokio::test]
async fn what_is_let_through_is_signed_for_as_it_is() {
    let parts = ["a", "0", "-", "x", "n", "--", ".", "a-b", "b1"];
    let mut through = 0;
    for one in parts {
        for two in parts {
            for three in parts {
                let host = format!("{one}{two}{three}.eu-west-1.rds.amazonaws.com");
                if check_host(&host).is_ok() {
                    through += 1;
                    let login = Login { host: &host, ..login() };
                    let found = signed(&login, &keys(None), TIME).await;
                    assert!(found.starts_with(&format!("{host}:3306/?Action=connect&DBUser=peccy&")), "{found}");
                }
            }
        }
    }
    assert!(through > 100, "{through}");
}

/// Whoever gives an identity that is looked up sees the same as whoever gives its keys.
#[tokio::test]
async fn the_identity_is_the_given_one() {
    let looked_up = SharedCredentialsProvider::new(keys(None));
    let found = aws_credential_types::provider::ProvideCredentials::provide_credentials(&looked_up).await.unwrap();
    assert_eq!(signed(&login(), &found, TIME).await, signed(&login(), &keys(None), TIME).await);
    assert_ne!(signed(&login(), &found, TIME).await, signed(&login(), &keys(None), TIME + 1).await);
}
