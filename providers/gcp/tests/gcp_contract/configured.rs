//! Mistakes of configurations, each with what to write instead.

use serde_json::{Value, json};

use writ_provider_gcp::{CloudSqlConfig, GcpConfig, GkeAccessConfig};

const POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ";

fn sound() -> Value {
    json!({
        "service_account": "reports@acme-prod.iam.gserviceaccount.com",
        "default_scope": "read",
        "scopes": { "read": { "oauth": ["https://www.googleapis.com/auth/devstorage.read_only"] } },
        "federation": { "pool_provider": POOL },
    })
}

fn said(change: impl FnOnce(&mut Value)) -> String {
    let mut settings = sound();
    change(&mut settings);
    match serde_json::from_value::<GcpConfig>(settings) {
        Ok(config) => config.validate().err().map(|fault| fault.to_string()).unwrap_or_default(),
        Err(error) => error.to_string(),
    }
}

fn without(settings: &mut Value, name: &str) {
    settings.as_object_mut().unwrap().remove(name);
}

#[test]
fn what_is_sound_is_taken() {
    assert_eq!(said(|_| ()), "");
    assert_eq!(said(|settings| settings["federation"]["sts_endpoint"] = json!("https://sts.internal:8443")), "");
    assert_eq!(said(|settings| settings["federation"]["iam_endpoint"] = json!("http://127.0.0.1:1")), "");
    assert_eq!(said(|settings| settings["federation"]["max_lifetime_seconds"] = json!(43_200)), "");
    assert_eq!(
        said(|settings| settings["service_account"] = json!("123456789012-compute@developer.gserviceaccount.com")),
        ""
    );
}

#[test]
fn each_mistake_says_what_to_write() {
    for (change, words) in [
        (
            (|settings: &mut Value| without(settings, "service_account")) as fn(&mut Value),
            "no service account: write `service_account`",
        ),
        (|s| s["service_account"] = json!("reports"), "write `NAME@PROJECT.iam.gserviceaccount.com`"),
        (|s| s["service_account"] = json!("a/b@p.iam.gserviceaccount.com"), "is no service account's address"),
        (
            |s| s["service_account"] = json!("a@p.iam.gserviceaccount.com.evil.example"),
            "is no service account's address",
        ),
        (|s| s["service_accounts"] = json!({ "x": "Someone@example.com" }), "`service_accounts.x`"),
        (|s| without(s, "scopes"), "no scope: write `scopes`"),
        (|s| s["default_scope"] = json!("other"), "`default_scope` names `other`"),
        (|s| s["scopes"]["read"]["oauth"] = json!([]), "it allows nothing: write `oauth`"),
        (|s| s["scopes"]["read"]["oauth"] = json!(["devstorage"]), "`devstorage` is no OAuth scope"),
        (
            |s| s["scopes"]["read"]["boundary"] = json!([{ "resource": "reports", "permissions": ["inRole:roles/x"] }]),
            "is no bucket: write `//storage.googleapis.com/projects/_/buckets/NAME`",
        ),
        (
            |s| {
                s["scopes"]["read"]["boundary"] =
                    json!([{ "resource": "//storage.googleapis.com/projects/_/buckets/abc", "permissions": [] }])
            },
            "a rule without `permissions`",
        ),
        (
            |s| s["scopes"]["read"]["boundary"] = json!([{ "resource": "//storage.googleapis.com/projects/_/buckets/abc", "permissions": ["storage.objects.get"] }]),
            "write `inRole:roles/NAME`",
        ),
        (
            |s| s["scopes"]["read"]["boundary"] = json!([{ "resource": "//storage.googleapis.com/projects/_/buckets/abc", "permissions": ["inRole:roles/x"], "condition": " " }]),
            "write it in CEL",
        ),
        (|s| s["scopes"]["read"]["bondary"] = json!([]), "unknown field `bondary`"),
        (|s| without(s, "federation"), "no `pool_provider`"),
        (
            |s| s["federation"]["pool_provider"] = json!("//iam.googleapis.com/projects/1/x"),
            "is no provider of a workload identity pool",
        ),
        (
            |s| s["federation"]["pool_provider"] = json!(POOL.replace("123456789012", "acme-prod")),
            "by something else than its number",
        ),
        (
            |s| s["federation"]["pool_provider"] = json!(POOL.replace("/writ/", "/w/")),
            "has an id that no pool or provider can have",
        ),
        (|s| s["federation"]["by"] = json!("broker"), "`pool_provider` is of no use with `by = \"broker\"`"),
        (
            |s| s["federation"] = json!({ "by": "workload", "pool_provider": POOL, "audience": "x" }),
            "`audience` and `subject` are of assertions",
        ),
        (|s| s["federation"]["audience"] = json!("a b"), "`audience` is none"),
        (|s| s["federation"]["delegates"] = json!(["x"]), "`delegates`: `x` is no service account's address"),
        (|s| s["federation"]["max_lifetime_seconds"] = json!(43_201), "write a number from 60 to 43200"),
        (|s| s["federation"]["call_timeout_ms"] = json!(1), "write a number from 100 to 60000"),
        (
            |s| s["federation"]["sts_endpoint"] = json!("http://sts.example"),
            "which would carry credentials in the clear",
        ),
        (
            |s| s["federation"]["iam_endpoint"] = json!("https://iam.example/v1"),
            "which has more than a host and a port",
        ),
        (|s| s["direct"] = json!(true), "leave `service_account` and `service_accounts` out, or `direct`"),
        (|s| s["id_token_audience"] = json!("https://a.example"), "`scopes` and `default_scope` are of access tokens"),
        (
            |s| {
                without(s, "scopes");
                without(s, "default_scope");
                s["id_token_audience"] = json!("");
            },
            "write the service's address",
        ),
        (
            |s| {
                s["direct"] = json!(true);
                s["id_token_audience"] = json!("https://a.example");
            },
            "keep one",
        ),
        (
            |s| {
                without(s, "service_account");
                s["direct"] = json!(true);
                s["federation"] = json!({ "by": "broker" });
            },
            "write `by` as `issuer` or `workload`",
        ),
    ] {
        let said = said(change);
        assert!(said.contains(words), "`{words}` is not in `{said}`");
    }
}

#[test]
fn a_boundary_has_ten_rules_at_most_and_is_of_accounts() {
    let rule =
        json!({ "resource": "//storage.googleapis.com/projects/_/buckets/abc", "permissions": ["inRole:roles/x"] });
    let rules = |count: usize| Value::Array(vec![rule.clone(); count]);
    assert_eq!(said(|settings| settings["scopes"]["read"]["boundary"] = rules(10)), "");
    let eleven = said(|settings| settings["scopes"]["read"]["boundary"] = rules(11));
    assert!(eleven.contains("has 11 rules, and Google takes 10"), "{eleven}");
    let direct = said(|settings| {
        without(settings, "service_account");
        settings["direct"] = json!(true);
        settings["scopes"]["read"]["boundary"] = rules(1);
    });
    assert!(direct.contains("`boundary` is of service accounts' tokens"), "{direct}");
}

#[test]
fn the_other_two_are_held_to_the_same() {
    let sql = |settings: Value| {
        let config: CloudSqlConfig = serde_json::from_value(settings).unwrap();
        config.validate().err().map(|fault| fault.to_string()).unwrap_or_default()
    };
    let account = "payments@acme-prod.iam.gserviceaccount.com";
    assert_eq!(sql(json!({ "service_account": account, "federation": { "pool_provider": POOL } })), "");
    assert!(sql(json!({ "federation": { "pool_provider": POOL } })).contains("no service account"));
    assert!(sql(json!({ "service_account": account })).contains("no `pool_provider`"));
    let gke = |settings: Value| {
        let config: GkeAccessConfig = serde_json::from_value(settings).unwrap();
        config.validate().err().map(|fault| fault.to_string()).unwrap_or_default()
    };
    assert_eq!(gke(json!({ "service_account": account, "federation": { "by": "broker" } })), "");
    let by_workload = json!({ "service_account": account, "federation": { "by": "workload", "pool_provider": POOL } });
    assert!(gke(by_workload).contains("the broker goes to the cluster as itself"));
    assert!(gke(json!({ "service_account": "x", "federation": { "by": "broker" } })).contains("`gke.service_account`"));
}
