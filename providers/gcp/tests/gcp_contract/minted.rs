//! What was minted, in the hands of whoever uses it, and what Google has on record of it.

use serde_json::{Value, json};
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::Provider;
use writ_fakes::gcp::{Account, Kind};
use writ_provider_gcp::{By, GcpProvider, GkeAccess, GkeAccessConfig, GkeConfig};

use crate::canary;
use crate::documented;
use crate::eyes::{read, write};
use crate::providers::{self, gcp, mint, target, writ};
use crate::world::{DEADLINE, LIFE, REPORTS, WRITER, World, shared};

const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";
const WAYS: [By; 3] = [By::Issuer, By::Workload, By::Broker];

fn text(credential: &writ_core::credential::Credential) -> String {
    String::from_utf8(credential.secret.expose().to_vec()).unwrap()
}

fn reason(entry: &Value) -> &str {
    entry["protoPayload"]["requestMetadata"]["requestAttributes"]["reason"].as_str().unwrap_or_default()
}

/// What is asked of Google, to the letter.
#[tokio::test]
async fn a_token_is_asked_for_as_google_describes_it() {
    let world = shared();
    for by in WAYS {
        let provider = gcp(&world, by, world.google.url(), &|_| ());
        let writ = writ(&world, None, LIFE);
        let minted = mint(&world, &provider, &writ).await.unwrap();
        let credential = minted.credential().unwrap();
        let id = writ.id.to_string();
        assert_eq!((credential.kind, credential.revocation), (CredentialKind::GcpToken, Revocation::None), "{by:?}");
        assert_eq!(credential.principal, REPORTS);
        assert_eq!(credential.audit, format!("{REPORTS} by request reason {id}"));
        assert!(credential.fingerprint.as_str().starts_with("gcp-access-token:"), "{:?}", credential.fingerprint);
        assert!(!text(credential).contains(credential.fingerprint.as_str().split_once(':').unwrap().1));

        let record = world.google.audit_naming(&id);
        assert!(record.iter().all(|entry| reason(entry) == id), "{by:?}: every request says why");
        let payload = |method: &str| {
            let found =
                record.iter().find(|entry| entry["protoPayload"]["methodName"].as_str().unwrap().ends_with(method));
            found.map(|entry| entry["protoPayload"].clone())
        };
        let given = payload("GenerateAccessToken").unwrap();
        let lifetime =
            given["request"]["lifetime"].as_str().unwrap().strip_suffix('s').unwrap().parse::<i64>().unwrap();
        assert!((295..=300).contains(&lifetime), "{by:?}: {lifetime}");
        assert_eq!(
            given["request"],
            json!({
                "delegates": [], "lifetime": format!("{lifetime}s"),
                "scope": ["https://www.googleapis.com/auth/devstorage.read_only", EMAIL],
            })
        );
        assert_eq!(given["resourceName"], format!("projects/-/serviceAccounts/{REPORTS}"));
        let exchanged = payload("ExchangeToken");
        match by {
            By::Broker => assert_eq!(exchanged, None),
            By::Issuer | By::Workload => {
                let exchanged = exchanged.unwrap();
                assert_eq!(exchanged["request"]["scope"], "https://www.googleapis.com/auth/iam", "{by:?}");
                let subject = exchanged["authenticationInfo"]["principalSubject"].as_str().unwrap();
                let named =
                    if by == By::Issuer { "/writ/subject/target:reports" } else { "/github/subject/repo:octo-org@65" };
                assert!(subject.contains(named), "{subject}");
                assert_eq!(given["authenticationInfo"]["principalSubject"], subject);
            }
        }
        let shown = record.iter().map(ToString::to_string).collect::<String>();
        assert!(!shown.contains(&text(credential)));
    }
    canary::check();
}

#[tokio::test]
async fn a_token_works_within_its_scope() {
    let world = shared();
    for by in WAYS {
        let provider = gcp(&world, by, world.google.url(), &|_| ());
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        let credential = minted.credential().unwrap();
        let token = text(credential);
        for bucket in ["reports", "elsewhere"] {
            assert_eq!(read(&world, &token, bucket, "2025/march").await.unwrap(), format!("{bucket} 2025/march"));
        }
        // The account may write: it is the OAuth scope that takes it away.
        let (status, said) = write(&world, &token, "reports", "planted").await.unwrap_err();
        assert_eq!((status, &said["error"]["details"][0]["reason"]), (403, &json!("ACCESS_TOKEN_SCOPE_INSUFFICIENT")));
        let presented = provider.present(&target(&world), credential, DEADLINE).await.unwrap().unwrap();
        assert_eq!((presented.principal.as_str(), &presented.audit), (REPORTS, &credential.audit), "{by:?}");
    }
    canary::check();
}

#[tokio::test]
async fn a_policy_picks_account_and_boundary() {
    let world = shared();
    let provider = gcp(&world, By::Issuer, world.google.url(), &|_| ());
    let mut writ = writ(&world, Some("writer"), LIFE);
    writ.obligations.scope = Some("march".to_owned());
    let minted = mint(&world, &provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!(credential.principal, WRITER);
    assert!(credential.fingerprint.as_str().starts_with("gcp-bounded-token:"));
    let token = text(credential);
    assert_eq!(read(&world, &token, "reports", "2026/march").await.unwrap(), "reports 2026/march");
    // All of this the account may, with the same OAuth scope: it is the boundary that takes it away.
    for (bucket, object) in [("reports", "2025/march"), ("elsewhere", "2026/march")] {
        let (status, said) = read(&world, &token, bucket, object).await.unwrap_err();
        assert_eq!((status, &said["error"]["status"]), (403, &json!("PERMISSION_DENIED")), "{bucket} {object}");
    }
    assert_eq!(write(&world, &token, "reports", "2026/march").await.unwrap_err().0, 403);
    // The wider token that it was made of is in nobody's hands, and ends with it.
    let id = writ.id.to_string();
    let given: Vec<_> =
        world.google.all_issued().into_iter().filter(|issued| issued.reason.as_deref() == Some(&id)).collect();
    let wide = given.iter().find(|issued| issued.kind == Kind::Access).unwrap();
    let narrow = given.iter().find(|issued| issued.kind == Kind::Bounded).unwrap();
    assert_eq!((wide.expires, narrow.expires), (narrow.expires, credential.expires.unwrap().as_second()));
    assert_eq!(
        narrow.boundary,
        Some(json!([{
            "availableResource": "//storage.googleapis.com/projects/_/buckets/reports",
            "availablePermissions": ["inRole:roles/storage.objectViewer"],
            "availabilityCondition": {
                "expression": "resource.name.startsWith('projects/_/buckets/reports/objects/2026/march')",
            },
        }]))
    );
    assert_eq!(provider.present(&target(&world), credential, DEADLINE).await.unwrap(), None);
    canary::check();
}

/// Fail closed: a scope that is not there opens nothing.
#[tokio::test]
async fn there_is_no_token_without_a_scope() {
    let world = shared();
    let none = |settings: &mut Value| drop(settings.as_object_mut().unwrap().remove("default_scope"));
    let provider = gcp(&world, By::Issuer, world.google.url(), &none);
    let unscoped = writ(&world, None, LIFE);
    let fault = mint(&world, &provider, &unscoped).await.unwrap_err();
    assert!(fault.detail().contains("no scope: write `@scope`"), "{fault:?}");
    let mut other = writ(&world, None, LIFE);
    other.obligations.scope = Some("everything".to_owned());
    let fault = mint(&world, &provider, &other).await.unwrap_err();
    assert!(
        fault.detail().contains("policy names the scope `everything`, and the provider knows `march`, `read`"),
        "{fault:?}"
    );
    for writ in [unscoped, other] {
        assert_eq!(world.google.audit_naming(&writ.id.to_string()), Vec::<Value>::new(), "Google was asked");
    }
    canary::check();
}

#[tokio::test]
async fn a_token_lives_no_longer_than_is_allowed() {
    let world = World::start("reports");
    let long = Account { longest: 7_200, ..Account::of(REPORTS, &[]) };
    world.google.account(Account { bindings: documented::bindings("reports"), ..long }).unwrap();
    let lifetime = async |most: u64, life: u64| {
        let change = |settings: &mut Value| settings["federation"]["max_lifetime_seconds"] = json!(most);
        let provider = gcp(&world, By::Issuer, world.google.url(), &change);
        let minted = mint(&world, &provider, &writ(&world, None, std::time::Duration::from_secs(life))).await.unwrap();
        let credential = minted.credential().unwrap();
        let issued = world.google.issued(&text(credential)).unwrap();
        assert_eq!(credential.expires.unwrap().as_second(), issued.expires);
        issued.expires - issued.issued
    };
    assert_eq!(lifetime(3_600, 40_000).await, 3_600);
    assert_eq!(lifetime(7_200, 40_000).await, 7_200);
    assert_eq!(lifetime(60, 300).await, 60);
    assert!((85..=90).contains(&lifetime(3_600, 90).await));
    canary::check();
}

#[tokio::test]
async fn an_id_token_is_for_its_audience_alone() {
    let world = shared();
    for by in WAYS {
        let provider = gcp(&world, by, world.google.url(), &providers::identity);
        assert!(!provider.describe().scoped);
        let writ = writ(&world, None, LIFE);
        let minted = mint(&world, &provider, &writ).await.unwrap();
        let credential = minted.credential().unwrap();
        let token = text(credential);
        let issued = world.google.issued(&token).unwrap();
        assert_eq!((issued.kind, issued.principal.as_str()), (Kind::Identity, REPORTS));
        assert_eq!(issued.audience.as_deref(), Some("https://reports-abc123-ew.a.run.app"));
        assert_eq!(credential.expires.unwrap().as_second() - issued.issued, 3_600);
        assert_eq!(read(&world, &token, "reports", "2026/march").await.unwrap_err().0, 401);
        let presented = provider.present(&target(&world), credential, DEADLINE).await.unwrap().unwrap();
        assert_eq!(presented.principal, REPORTS);
        let record = world.google.audit_naming(&writ.id.to_string());
        let asked = record
            .iter()
            .find(|entry| entry["protoPayload"]["methodName"].as_str().unwrap().ends_with("GenerateIdToken"));
        let request = &asked.unwrap()["protoPayload"]["request"];
        let expected =
            json!({ "delegates": [], "audience": "https://reports-abc123-ew.a.run.app", "includeEmail": true });
        assert_eq!(*request, expected, "{by:?}");
    }
    canary::check();
}

#[tokio::test]
async fn a_federated_token_is_of_the_pools_principal() {
    let world = World::start("reports");
    for (by, subject) in [
        (By::Issuer, "writ/subject/target:reports"),
        (By::Workload, "github/subject/repo:octo-org@65/octo-repo@74:environment:prod"),
    ] {
        let provider = gcp(&world, by, world.google.url(), &providers::direct);
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        let credential = minted.credential().unwrap();
        let principal = format!(
            "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/{subject}"
        );
        assert_eq!(credential.principal, principal);
        let token = text(credential);
        assert_eq!(world.google.issued(&token).unwrap().principal, principal);
        assert_eq!(read(&world, &token, "reports", "2026/march").await.unwrap_err().0, 403);
        world.may(&principal, "reports", "roles/storage.objectViewer");
        read(&world, &token, "reports", "2026/march").await.unwrap();
        assert_eq!(provider.present(&target(&world), credential, DEADLINE).await.unwrap(), None);
        let fault = mint(&world, &provider, &writ(&world, Some("writer"), LIFE)).await.unwrap_err();
        assert!(fault.detail().contains("remove `@role`, or `direct`"), "{fault:?}");
    }
    canary::check();
}

/// Through two accounts, each of which may make tokens of the next.
#[tokio::test]
async fn delegates_are_gone_through_in_their_order() {
    let world = World::start("reports");
    let chain = ["first@acme-prod.iam.gserviceaccount.com", "second@acme-prod.iam.gserviceaccount.com"];
    let creator = "roles/iam.serviceAccountTokenCreator".to_owned();
    let whom = documented::bindings("reports")[0].1.clone();
    world.account(chain[0], vec![(creator.clone(), whom)]);
    world.account(chain[1], vec![(creator.clone(), format!("serviceAccount:{}", chain[0]))]);
    world.account(REPORTS, vec![(creator, format!("serviceAccount:{}", chain[1]))]);
    let through = |accounts: Value| {
        let change = |settings: &mut Value| {
            settings["federation"]["delegates"] = accounts.clone();
            settings["service_accounts"] = json!({});
        };
        gcp(&world, By::Issuer, world.google.url(), &change)
    };
    let provider = through(json!(chain));
    let sound = writ(&world, None, LIFE);
    let minted = mint(&world, &provider, &sound).await.unwrap();
    assert_eq!(minted.credential().unwrap().principal, REPORTS);
    let record = world.google.audit_naming(&sound.id.to_string());
    let named = chain.map(|email| format!("projects/-/serviceAccounts/{email}"));
    assert_eq!(record.last().unwrap()["protoPayload"]["request"]["delegates"], json!(named));
    provider.probe(&target(&world), DEADLINE).await.unwrap();
    for wrong in [json!([]), json!([chain[1], chain[0]]), json!([chain[0]]), json!([chain[1]])] {
        let fault = mint(&world, &through(wrong.clone()), &writ(&world, None, LIFE)).await.unwrap_err();
        assert_eq!(fault.code(), "provider.refused", "{wrong}");
    }
    canary::check();
}

#[tokio::test]
async fn a_cluster_of_gke_sees_the_brokers_account() {
    let world = World::start("prod-cluster");
    let mut settings = documented::gke_access();
    let email = settings["service_account"].as_str().unwrap().to_owned();
    world.account(&email, documented::bindings("prod-cluster"));
    for by in [By::Issuer, By::Broker] {
        if by == By::Broker {
            settings["federation"] = json!({ "by": "broker" });
        }
        for service in ["sts_endpoint", "iam_endpoint"] {
            settings["federation"][service] = json!(world.google.url());
        }
        let config: GkeAccessConfig = serde_json::from_value(settings.clone()).unwrap();
        let access = GkeAccess::with_ambient(&config, Some(&world.assertions), world.ambient()).unwrap();
        assert_eq!(access.account(), email);
        let target = target(&world).name;
        let writ = writ(&world, None, LIFE);
        let intended = writ_provider_kit::intended(&writ);
        for intended in [None, Some(&intended)] {
            let token = access.token(&target, intended).await.unwrap();
            let token = std::str::from_utf8(token.expose()).unwrap();
            canary::note(token);
            let scopes = ["https://www.googleapis.com/auth/cloud-platform", EMAIL];
            assert_eq!(world.google.who(token, &scopes).as_deref(), Some(email.as_str()), "{by:?}");
        }
        assert!(!world.google.audit_naming(&writ.id.to_string()).is_empty(), "{by:?}");
    }
    canary::check();
}

#[tokio::test]
async fn a_cluster_of_gke_sees_the_account_of_a_writ() {
    let world = World::start("prod-cluster");
    let mut settings = documented::gke_settings();
    let email = settings["service_account"].as_str().unwrap().to_owned();
    world.account(&email, documented::bindings("prod-cluster"));
    for service in ["sts_endpoint", "iam_endpoint", "tokeninfo_endpoint"] {
        settings["federation"][service] = json!(world.google.url());
    }
    let config: GkeConfig = serde_json::from_value(settings).unwrap();
    let provider = GcpProvider::for_clusters_with_ambient(&config, Some(&world.assertions), world.ambient()).unwrap();
    assert_eq!((provider.describe().kind, provider.describe().scoped), ("gke", false));
    provider.probe(&target(&world), DEADLINE).await.unwrap();
    let writ = writ(&world, None, LIFE);
    let minted = mint(&world, &provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.kind, credential.principal.as_str()), (CredentialKind::GcpToken, email.as_str()));
    let scopes = ["https://www.googleapis.com/auth/cloud-platform", EMAIL];
    assert_eq!(world.google.who(&text(credential), &scopes).as_deref(), Some(email.as_str()));
    let presented = provider.present(&target(&world), credential, DEADLINE).await.unwrap().unwrap();
    assert_eq!((presented.principal, &presented.audit), (email, &credential.audit));
    assert!(!world.google.audit_naming(&writ.id.to_string()).is_empty());
    canary::check();
}
