use serde_json::json;

use super::*;

fn token(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(header), part(claims))
}

fn broker() -> BrokerConfig<ProviderTable> {
    toml::from_str(
        r#"
        listen = "127.0.0.1:0"
        url = "https://localhost"
        state = "state"
        policies = "policies"
        audience = "group"
        [[issuer]]
        name = "ci"
        issuer = "https://ci.test"
        algorithms = ["ES256"]
        [[target]]
        name = "payments"
        labels = { env = "production" }
        host = "localhost"
        provider = { static = { user = "app", password_env = "APP_PASSWORD" } }
        "#,
    )
    .expect("a configuration")
}

fn claims(changes: &Value) -> Decoded {
    let mut claims = json!({ "iss": "https://ci.test", "sub": "job", "aud": "group", "exp": 4_000_000_000_i64 });
    let own = claims.as_object_mut().expect("an object");
    own.extend(changes.as_object().expect("an object").clone());
    own.clone()
}

fn bundle_of(policy: &str) -> writ_policy::Bundle {
    writ_policy::Bundle::load(vec![("a.cedar".to_owned(), policy.to_owned())]).expect("the policy loads")
}

fn explained(policy: &str, changes: &Value) -> String {
    let target = find(&broker(), "payments").expect("a target");
    let workload = workload(claims(changes)).expect("a workload");
    let context = ConnectContext {
        now: Timestamp::UNIX_EPOCH,
        client_address: None,
        database_role: None,
        database: None,
        client_key: None,
        ttl_cap_seconds: 600,
    };
    explain_connect(&bundle_of(policy), &workload, &target, &context).to_string()
}

const POLICY: &str = r#"@id("ci")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments")
when { principal.hasTag("environment") && principal.getTag("environment") == "production" };"#;

#[test]
fn claims_decide_and_every_policy_is_named() {
    let allowed = explained(POLICY, &json!({ "environment": "production" }));
    assert!(allowed.starts_with("allowed\n  ttl 600s"), "{allowed}");
    assert!(allowed.contains("permit ci: matched"), "{allowed}");
    let denied = explained(POLICY, &json!({ "environment": "test" }));
    assert!(denied.starts_with("denied (policy.no_permit)"), "{denied}");
    assert!(denied.contains("its conditions do not hold"), "{denied}");
}

#[test]
fn a_token_is_decoded_and_its_signature_is_not_looked_at() {
    let decoded = decode(&token(&json!({ "alg": "ES256" }), &json!({ "sub": "job" }))).expect("claims");
    assert_eq!(decoded.get("sub"), Some(&json!("job")));
}

#[test]
fn what_is_no_token_is_refused_without_repeating_it() {
    for text in ["", "secret", "a.b", "a.b.c", "a.b.c.d", "e30.W10.c2ln"] {
        let failure = decode(text).expect_err("no token").to_string();
        assert!(failure.contains("no signed JSON web token"), "{failure}");
        assert!(!failure.contains("secret"), "{failure}");
    }
}

#[test]
fn the_brokers_own_session_token_is_refused() {
    let failure = decode(&token(&json!({ "typ": writ_broker::identity::session_token::TYP }), &json!({})));
    assert!(failure.expect_err("refused").to_string().contains("session token"));
}

#[test]
fn doubts_name_what_the_broker_would_refuse() {
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let doubts = |changes: Value| doubts(&broker(), &claims(&changes), now).join("\n");
    assert_eq!(doubts(json!({})), "");
    assert_eq!(doubts(json!({ "aud": ["other", "group"] })), "");
    assert!(doubts(json!({ "iss": "https://else.test" })).contains("no issuer `https://else.test`"));
    assert!(doubts(json!({ "aud": "other" })).contains("it is not for `group`"));
    assert!(doubts(json!({ "exp": 1 })).contains("it has expired"));
    assert!(doubts(json!({ "exp": null })).contains("it has no `exp`"));
}

#[test]
fn an_unknown_target_names_the_known_ones() {
    let failure = find(&broker(), "orders").expect_err("unknown").to_string();
    assert!(failure.contains("`orders`") && failure.contains("`payments`"), "{failure}");
}

#[test]
fn a_token_without_a_subject_is_no_workload() {
    assert!(workload(claims(&json!({ "sub": null }))).expect_err("refused").to_string().contains("`sub`"));
}
