//! Answers of channels: what is not signed, late or no answer is not heard.

use axum::http::HeaderMap;

use super::*;
use crate::config::PersonConfig;

/// Slack's own example ("Verifying requests from Slack").
const SLACK_SECRET: &[u8] = b"8f742231b10e8888abcd99yyyzzz85a5";
const SLACK_AT: i64 = 1_531_420_618;
const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&\
    user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F\
    T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SLACK_TAG: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const DIGEST: &str = "47ddae5922310cb9f1b2aa506a389a1eb3e9c02f215ece47241a3756e0d191f8";

fn answers(format: WebhookFormat, secret: &[u8]) -> Answers {
    let person = PersonConfig {
        id: "U1".to_owned(),
        issuer: "https://idp.test".to_owned(),
        subject: "ann".to_owned(),
        groups: vec!["dba".to_owned()],
    };
    let config = AnswersConfig { secret_file: "/nowhere".into(), people: vec![person] };
    Answers::new(format, &config, secret).unwrap()
}

fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(secret: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), bytes).as_ref().to_vec()
}

#[test]
fn slacks_own_example_is_signed() {
    let slack = answers(WebhookFormat::Slack, SLACK_SECRET);
    let ask = |tag: &str, time: &str, body: &str, now| {
        let headers = headers(&[("x-slack-signature", tag), ("x-slack-request-timestamp", time)]);
        slack.hear(&headers, body.as_bytes(), at(now)).unwrap_err()
    };
    let time = SLACK_AT.to_string();
    assert_eq!(
        ask(SLACK_TAG, &time, SLACK_BODY, SLACK_AT),
        Unheard::Nothing,
        "signed, and a command, which is no answer"
    );
    assert_eq!(ask(SLACK_TAG, &time, SLACK_BODY, SLACK_AT + 301), Unheard::Late);
    assert_eq!(ask(SLACK_TAG, &time, SLACK_BODY, SLACK_AT - 301), Unheard::Late);
    for (tag, time, body) in [
        (SLACK_TAG, "1531420619", SLACK_BODY),
        (SLACK_TAG, time.as_str(), "payload={}"),
        (SLACK_TAG.get(3..).unwrap(), &time, SLACK_BODY),
        (SLACK_TAG.get(..20).unwrap(), &time, SLACK_BODY),
        ("v0=", &time, SLACK_BODY),
        ("v0=zz", &time, SLACK_BODY),
    ] {
        assert_eq!(ask(tag, time, body, SLACK_AT), Unheard::Unsigned, "{tag} {time}");
    }
    assert_eq!(slack.hear(&HeaderMap::new(), b"", at(SLACK_AT)).unwrap_err(), Unheard::Unsigned);
}

#[test]
fn a_button_of_slack_is_an_answer() {
    let slack = answers(WebhookFormat::Slack, SLACK_SECRET);
    let id = ApprovalId::fresh();
    let hear = |payload: &serde_json::Value| {
        let mut form = Url::parse("form:").unwrap();
        form.query_pairs_mut().append_pair("payload", &payload.to_string());
        let body = form.query().unwrap().to_owned();
        let tag = format!("v0={}", hex(&sign(SLACK_SECRET, format!("v0:{SLACK_AT}:{body}").as_bytes())));
        let time = SLACK_AT.to_string();
        let headers = headers(&[("x-slack-signature", &tag), ("x-slack-request-timestamp", &time)]);
        slack.hear(&headers, body.as_bytes(), at(SLACK_AT + 60))
    };
    let pressed = |action: &str, value: &str| serde_json::json!({ "type": "block_actions", "user": { "id": "U1" }, "actions": [{ "action_id": action, "value": value }] });
    let value = format!("{id} {DIGEST}");
    let said = hear(&pressed("approve", &value)).unwrap();
    assert_eq!((said.user.as_str(), said.approve, said.approval, said.digest.as_str()), ("U1", true, id, DIGEST));
    assert!(!hear(&pressed("deny", &value)).unwrap().approve);
    for wrong in [
        pressed("shrug", &value),
        pressed("approve", DIGEST),
        pressed("approve", &id.to_string()),
        serde_json::json!({}),
    ] {
        assert_eq!(hear(&wrong).unwrap_err(), Unheard::Nothing, "{wrong}");
    }
    assert_eq!(slack.person("U1").unwrap().groups, ["dba"]);
    assert!(slack.person("U2").is_none());
}

#[test]
fn a_message_that_mentions_the_webhook_of_teams_is_an_answer() {
    let secret = STANDARD.encode(b"a key of teams");
    let teams = answers(WebhookFormat::Teams, secret.as_bytes());
    let id = ApprovalId::fresh();
    let hear = |text: &str, by: &[u8], now| {
        let activity = serde_json::json!({ "type": "message", "timestamp": "2026-01-01T00:00:00.5Z", "from": { "id": "U1" }, "text": text });
        let body = activity.to_string();
        let tag = format!("HMAC {}", STANDARD.encode(sign(by, body.as_bytes())));
        teams.hear(&headers(&[("authorization", &tag)]), body.as_bytes(), at(now))
    };
    let now = at(0).as_second() + 1_767_225_600;
    let said = hear(
        &format!("<at>Writ</at>&nbsp;Approve {id} {} all good", DIGEST.get(..12).unwrap()),
        b"a key of teams",
        now,
    )
    .unwrap();
    assert_eq!(
        (said.approve, said.approval, said.digest.as_str(), said.reason.as_str()),
        (true, id, DIGEST.get(..12).unwrap(), "all good")
    );
    assert_eq!(hear(&format!("deny {id} {DIGEST}"), b"another key", now).unwrap_err(), Unheard::Unsigned);
    assert_eq!(hear(&format!("deny {id} {DIGEST}"), b"a key of teams", now + 400).unwrap_err(), Unheard::Late);
    for text in [
        "",
        "<at>Writ",
        "approve",
        &format!("approve {id}"),
        &format!("approve {id} 47ddae"),
        &format!("perhaps {id} {DIGEST}"),
    ] {
        assert_eq!(hear(text, b"a key of teams", now).unwrap_err(), Unheard::Nothing, "{text}");
    }
    let config = AnswersConfig { secret_file: "/nowhere".into(), people: Vec::new() };
    assert!(Answers::new(WebhookFormat::Teams, &config, b"no base64!").is_err());
    assert!(Answers::new(WebhookFormat::Json, &config, b"anything").is_err());
}

#[test]
fn a_note_on_an_incident_of_pagerduty_is_an_answer() {
    let pager = answers(WebhookFormat::Pagerduty, b"a key of pagerduty");
    let id = ApprovalId::fresh();
    let delivery = |kind: &str| {
        serde_json::json!({ "event": {
            "id": "01", "event_type": kind, "occurred_at": "2026-01-01T00:00:00Z", "agent": { "id": "U1", "type": "user_reference" },
            "data": { "type": "incident_note", "content": format!("approve {id} {DIGEST} seen") },
        } })
        .to_string()
    };
    let hear = |body: &str, tags: &str| {
        pager.hear(&headers(&[("x-pagerduty-signature", tags)]), body.as_bytes(), at(1_767_225_700))
    };
    let body = delivery("incident.annotated");
    let tag = hex(&sign(b"a key of pagerduty", body.as_bytes()));
    let old = hex(&sign(b"the key before", body.as_bytes()));
    assert_eq!(
        hear(&body, &format!("v1={old},v1={tag}")).unwrap().approval,
        id,
        "while its secret is being changed there are two"
    );
    for tags in [String::new(), format!("v1={old}"), format!("v2={tag}"), tag] {
        assert_eq!(hear(&body, &tags).unwrap_err(), Unheard::Unsigned, "{tags}");
    }
    let other = delivery("incident.triggered");
    let tag = hex(&sign(b"a key of pagerduty", other.as_bytes()));
    assert_eq!(hear(&other, &format!("v1={tag}")).unwrap_err(), Unheard::Nothing);
}
