//! Answers that people give in a channel: theirs alone, and by the same rules as any.

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use writ_broker_api::approval::ApprovalRequest;
use writ_core::approval::ApprovalState;

use super::approvals::question;
use super::world::{PERMIT, Place, World};

const SECRET: &[u8] = b"what teams signs with, of some length";
const HUMANS: &str = r#"
permit (principal is Writ::Human, action == Writ::Action::"approve", resource == Writ::System::"writ")
when { principal.hasTag("channel") && principal.getTag("channel") == "ops"
    && principal.lists.hasTag("groups") && principal.lists.getTag("groups").contains("dba") };"#;

async fn world() -> World {
    use std::os::unix::fs::PermissionsExt as _;
    let mut place = Place::new(&format!("{PERMIT}{HUMANS}"));
    let file = |name: &str, secret: &[u8]| {
        let path = place.state.path().join(name);
        std::fs::write(&path, secret).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (notices, answers) = (file("notices", SECRET), file("answers", STANDARD.encode(SECRET).as_bytes()));
    let person = |id: &str, subject: &str, groups: &[&str]| json!({ "id": id, "issuer": "https://idp.test", "subject": subject, "groups": groups });
    let workload = json!({ "id": "U9", "issuer": super::world::ISSUER, "subject": "job:1", "groups": ["dba"] });
    let people = json!([
        person("U1", "ann", &["dba"]),
        person("U2", "eve", &["sales"]),
        person("U3", "bob", &["dba"]),
        workload
    ]);
    let hook = |name: &str, answers: Value| {
        let url = "http://127.0.0.1:9/hook";
        json!({ "name": name, "url": url, "secret_file": notices, "format": "teams", "answers": answers })
    };
    place.webhooks =
        json!([hook("ops", json!({ "secret_file": answers, "people": people })), hook("quiet", Value::Null)]);
    place.start().await
}

/// What somebody says in a channel, and what they are told; or the status of the refusal.
async fn says(world: &World, channel: &str, user: &str, text: &str) -> Result<String, (u16, String)> {
    let timestamp = world.broker.clock.now().to_string();
    let body = json!({ "type": "message", "timestamp": timestamp, "from": { "id": user }, "text": text }).to_string();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), body.as_bytes());
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("HMAC {}", STANDARD.encode(tag.as_ref())).parse().unwrap());
    let said = world.broker.answer(channel, &headers, body.as_bytes()).await;
    said.map_err(|(refusal, _)| (refusal.status, refusal.fault.public.into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_answer_where_they_are_known() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let request = ApprovalRequest { groups: vec!["dba".to_owned()], needed: 2, ..question(&opened) };
    let id = world.broker.ask_approval(&world.place.gateway, request.clone()).await.unwrap().approval;
    let yes = format!("<at>writ</at> approve {id} {} seen", request.digest.get(..16).unwrap());
    for (channel, user, text, status) in [
        ("nowhere", "U1", yes.as_str(), 404),
        ("quiet", "U1", &yes, 404),
        ("ops", "U1", "hello", 400),
        ("ops", "U7", &yes, 403),
        ("ops", "U2", &yes, 403),
        ("ops", "U9", &yes, 409),
        ("ops", "U1", &format!("approve {id} 000000000000"), 409),
    ] {
        assert_eq!(says(&world, channel, user, text).await.unwrap_err().0, status, "{channel} {user} {text}");
    }
    assert_eq!(says(&world, "ops", "U1", &yes).await.unwrap(), format!("{id} is asked"));
    assert!(says(&world, "ops", "U1", &yes).await.unwrap_err().1.contains("answered already"), "nor twice by a replay");
    assert_eq!(says(&world, "ops", "U3", &yes).await.unwrap(), format!("{id} is approved"));
    let approval = world.broker.approval(id).await.unwrap();
    let by: Vec<_> = approval.votes.iter().map(|vote| (vote.by.subject.as_str(), vote.reason.as_str())).collect();
    assert_eq!(by, [("ann", "in ops: seen"), ("bob", "in ops: seen")]);
    world.stop().await;
}

/// A notice shows the beginning of a statement, and no parameters: who has seen no more cannot say yes, but can say no.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_shown_whole_is_not_approved_in_a_channel() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let statement = format!("delete from orders where note = '{}'", "x".repeat(400));
    let about = writ_broker_api::approval::About {
        issuer: &opened.workload.issuer,
        subject: &opened.workload.subject,
        target: &opened.target.name,
        role: None,
        database: "shop",
        schemas: &[],
    };
    let digest = writ_broker_api::approval::digest(&about, &statement, &[], &opened.policy_hash);
    let request = ApprovalRequest { statement, digest, ..question(&opened) };
    let id = world.broker.ask_approval(&world.place.gateway, request.clone()).await.unwrap().approval;
    let answer = |word: &str| format!("{word} {id} {}", request.digest);
    let refused = says(&world, "ops", "U1", &answer("approve")).await.unwrap_err();
    assert!(refused.1.contains("not shown whole"), "{refused:?}");
    assert_eq!(says(&world, "ops", "U1", &answer("deny")).await.unwrap(), format!("{id} is denied"));
    assert_eq!(world.broker.approval(id).await.unwrap().state, ApprovalState::Denied);
    world.stop().await;
}
