//! What receivers are told: signed, again where they fail, and no markup of anybody's.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Webhook;
use crate::config::{WebhookConfig, WebhookFormat};

const SECRET: &[u8] = b"a secret of the tests, of some length";

fn config(directory: &std::path::Path, url: String, format: WebhookFormat) -> WebhookConfig {
    use std::os::unix::fs::PermissionsExt as _;
    let secret_file = directory.join("secret");
    std::fs::write(&secret_file, SECRET).unwrap();
    std::fs::set_permissions(&secret_file, std::fs::Permissions::from_mode(0o600)).unwrap();
    WebhookConfig { name: "test".to_owned(), url, secret_file, format, answers: None }
}

fn approval() -> writ_core::approval::Approval {
    serde_json::from_value(serde_json::json!({
        "id": writ_core::id::ApprovalId::fresh(), "version": 1, "gateway": writ_core::id::GatewayId::fresh(),
        "session": writ_core::id::SessionId::fresh(), "writ": writ_core::id::WritId::fresh(),
        "issuer": "https://issuer.test", "subject": "job", "target": "main", "role": null,
        "statement": "delete from t -- <!channel> *bold* <http://evil.test|click>", "parameters": [],
        "fingerprint": vec![0; 16], "digest": "00", "policies": ["hold"], "policy_hash": "00", "groups": [],
        "needed": 1, "asked": "2026-01-01T00:00:00Z", "expires": "2026-01-01T00:10:00Z", "state": "asked",
        "settled": null, "votes": [], "window": null, "by_window": null,
    }))
    .unwrap()
}

/// Answers each request with the next status, and gives the requests.
fn receiver(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.to_ascii_lowercase();
                let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    requests.push(text);
                    break;
                }
            }
            write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
        requests
    });
    (url, heard)
}

fn header<'t>(request: &'t str, name: &str) -> &'t str {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[tokio::test]
async fn it_is_signed_and_said_again_under_one_id_until_it_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (url, heard) = receiver(&[500, 200]);
    let webhook = Webhook::new(&config(directory.path(), url, WebhookFormat::Json)).unwrap();
    assert!(webhook.tell("apr-1-asked", &approval(), "https://broker.test/v1/approvals/x").await);
    let requests = heard.join().unwrap();
    for request in &requests {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let signed = format!("apr-1-asked.{}.{body}", header(request, "webhook-timestamp"));
        let tag = STANDARD.decode(header(request, "webhook-signature").strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes(), &tag).unwrap();
        assert_eq!(header(request, "webhook-id"), "apr-1-asked");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((body["type"].as_str(), body["digest"].as_str()), (Some("approval.asked"), Some("00")));
    }
    assert_eq!(requests.len(), 2);
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_said_again() {
    let directory = tempfile::tempdir().unwrap();
    let (url, heard) = receiver(&[404]);
    let webhook = Webhook::new(&config(directory.path(), url, WebhookFormat::Json)).unwrap();
    assert!(!webhook.tell("apr-1-asked", &approval(), "place").await);
    assert_eq!(heard.join().unwrap().len(), 1);
}

#[test]
fn a_statement_becomes_no_markup_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let of = |format| {
        let config = config(directory.path(), "https://hooks.test/x".to_owned(), format);
        Webhook::new(&config).unwrap().body(&approval(), "place")
    };
    let slack = of(WebhookFormat::Slack);
    assert!(!slack["text"].as_str().unwrap().contains("channel"), "the text of a message is markup");
    for block in slack["blocks"].as_array().unwrap() {
        assert_eq!(block["text"]["type"], "plain_text");
    }
    let teams = of(WebhookFormat::Teams);
    let about = &teams["attachments"][0]["content"]["body"][1];
    assert_eq!(
        (about["type"].as_str(), about["inlines"][0]["type"].as_str()),
        (Some("RichTextBlock"), Some("TextRun"))
    );
    let pagerduty = of(WebhookFormat::Pagerduty);
    assert_eq!(
        (pagerduty["event_action"].as_str(), pagerduty["payload"]["source"].as_str()),
        (Some("trigger"), Some("main"))
    );
}

#[test]
fn a_receiver_that_cannot_be_used_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let of = |url: &str| config(directory.path(), url.to_owned(), WebhookFormat::Json);
    assert!(Webhook::new(&of("http://hooks.test/x")).unwrap_err().contains("not https"));
    assert!(Webhook::new(&of("no address")).unwrap_err().contains("no address"));
    let missing = WebhookConfig { secret_file: directory.path().join("nowhere"), ..of("https://hooks.test/x") };
    assert!(Webhook::new(&missing).unwrap_err().contains("is not there"));
    let short = of("https://hooks.test/x");
    std::fs::write(&short.secret_file, "short").unwrap();
    assert!(Webhook::new(&short).unwrap_err().contains("less than"));
    let shown = format!("{:?}", Webhook::new(&of("https://hooks.test/x")).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}
