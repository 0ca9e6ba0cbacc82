//! Near misses of the trust: each is refused by Google, and told with whose turn it is and what to do.

use serde_json::{Value, json};
use writ_core::provider::{Provider, ProviderFault};
use writ_core::target::TargetName;
use writ_fakes::gcp::PoolProvider;
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_provider_gcp::By;

use crate::canary;
use crate::documented;
use crate::providers::{gcp, mint, mint_showing, target, writ};
use crate::world::{DEADLINE, LIFE, REPORTS, World, shared};

const REFUSED: &str = "provider.refused";
const MISCONFIGURED: &str = "provider.misconfigured";
const ISSUER: &str = "the pool's provider must have the token's issuer and audience and map its claims";
const CONDITION: &str = "the provider's attribute condition must hold for the token";

/// No token, and a fault of this code with these words.
#[track_caller]
fn missed(world: &World, id: &str, minted: Result<impl Sized, ProviderFault>, code: &str, words: &[&str]) {
    let fault = minted.err().unwrap_or_else(|| panic!("{words:?}: a token was given"));
    assert_eq!(fault.code(), code, "{fault:?}");
    for word in words {
        assert!(fault.detail().contains(word), "`{word}` is not in {fault:?}");
    }
    let acting = ["https://www.googleapis.com/auth/iam"];
    let given = world.google.all_issued();
    assert!(given.iter().all(|issued| issued.reason.as_deref() != Some(id) || issued.scopes == acting), "{fault:?}");
}

/// Another setting than the project's, and how that is refused.
struct Miss {
    change: fn(&mut Value),
    code: &'static str,
    words: &'static [&'static str],
}

fn pool(settings: &mut Value, from: &str, to: &str) {
    let named = settings["federation"]["pool_provider"].as_str().unwrap().replace(from, to);
    settings["federation"]["pool_provider"] = json!(named);
}

const MISSES: [Miss; 9] = [
    Miss {
        change: |settings| {
            settings["federation"]["audience"] = json!("https://iam.googleapis.com/projects/123456789012")
        },
        code: REFUSED,
        words: &[
            "The audience in ID Token",
            "does not match the expected audience",
            "(invalid_grant, status 400)",
            ISSUER,
        ],
    },
    Miss {
        change: |settings| settings["federation"]["audience"] = json!("sts.amazonaws.com"),
        code: REFUSED,
        words: &["The audience in ID Token [sts.amazonaws.com]", ISSUER],
    },
    Miss {
        change: |settings| pool(settings, "123456789012", "210987654321"),
        code: MISCONFIGURED,
        words: &["invalid_target", "correct `pool_provider`", "see docs/providers/gcp.md"],
    },
    Miss {
        change: |settings| pool(settings, "providers/writ", "providers/writ2"),
        code: MISCONFIGURED,
        words: &["invalid_target", "correct `pool_provider`"],
    },
    Miss {
        change: |settings| pool(settings, "Pools/writ", "Pools/other"),
        code: MISCONFIGURED,
        words: &["invalid_target"],
    },
    // The pool trusts another issuer: GitHub's.
    Miss {
        change: |settings| {
            settings["federation"]["pool_provider"] = documented::workload_federation()["pool_provider"].clone()
        },
        code: REFUSED,
        words: &["The issuer in ID Token", "does not match the expected ones", ISSUER],
    },
    Miss {
        change: |settings| settings["service_account"] = json!("payments@acme-prod.iam.gserviceaccount.com"),
        code: REFUSED,
        words: &["iam.serviceAccounts.getAccessToken", "PERMISSION_DENIED, status 403"],
    },
    Miss {
        change: |settings| settings["service_account"] = json!("reports@acme-test.iam.gserviceaccount.com"),
        code: REFUSED,
        words: &["iam.serviceAccounts.getAccessToken"],
    },
    Miss {
        change: |settings| {
            settings["federation"]["delegates"] = json!(["reports-writer@acme-prod.iam.gserviceaccount.com"])
        },
        code: REFUSED,
        words: &["iam.serviceAccounts.getAccessToken"],
    },
];

#[tokio::test]
async fn each_near_miss_of_the_settings_is_named() {
    let world = shared();
    for Miss { change, code, words } in MISSES {
        let provider = gcp(&world, By::Issuer, world.google.url(), &change);
        let writ = writ(&world, None, LIFE);
        missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, code, words);
    }
    canary::check();
}

/// The very next target, by the same provider and the same broker.
#[tokio::test]
async fn another_target_is_not_trusted() {
    let world = shared();
    let provider = gcp(&world, By::Issuer, world.google.url(), &|_| ());
    for near in ["payments", "reports2", "report", "reports.", "reports-writer"] {
        let mut writ = writ(&world, None, LIFE);
        writ.target = TargetName::new(near).unwrap();
        missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, REFUSED, &["getAccessToken"]);
    }
    let mut other = target(&world);
    other.name = TargetName::new("payments").unwrap();
    let fault = provider.probe(&other, DEADLINE).await.unwrap_err();
    assert!(fault.code() == REFUSED && fault.detail().contains("getAccessToken"), "{fault:?}");
    provider.probe(&target(&world), DEADLINE).await.unwrap();
    canary::check();
}

/// What the account's own policy says is taken to the letter.
#[tokio::test]
async fn a_binding_holds_for_what_it_names_alone() {
    let world = World::start("reports");
    let provider = gcp(&world, By::Issuer, world.google.url(), &|_| ());
    let (role, member) = documented::bindings("reports").remove(0);
    for wrong in [
        member.replace("target:reports", "target:Reports"),
        member.replace("target:reports", "target:report"),
        member.replace("Pools/writ", "Pools/writ2"),
        member.replace("123456789012", "acme-prod"),
        member.replace("principal://", "principalSet://"),
        member
            .replace("principal://", "principalSet://")
            .replace("subject/target:reports", "attribute.target/payments"),
        member
            .replace("principal://", "principalSet://")
            .replace("subject/target:reports", "attribute.sub/target:reports"),
        "serviceAccount:reports@acme-prod.iam.gserviceaccount.com".to_owned(),
    ] {
        world.account(REPORTS, vec![(role.clone(), wrong.clone())]);
        let writ = writ(&world, None, LIFE);
        missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, REFUSED, &["getAccessToken"]);
    }
    let set =
        member.replace("principal://", "principalSet://").replace("subject/target:reports", "attribute.target/reports");
    for right in [member, set] {
        world.account(REPORTS, vec![(role.clone(), right)]);
        drop(mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap());
    }
    canary::check();
}

/// Claims of a workload's token that are another's.
#[tokio::test]
async fn a_token_of_the_workloads_must_be_the_one_that_the_project_trusts() {
    let world = shared();
    let provider = gcp(&world, By::Workload, world.google.url(), &|_| ());
    let with = |changes: Value| {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        world.token_of(&claims)
    };
    let now = world.claims()["iat"].as_i64().unwrap();
    let without = {
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().remove("environment");
        world.token_of(&claims)
    };
    let impostor = Issuer::start().unwrap().token(Algorithm::Rs256, &world.claims()).unwrap();
    let other_algorithm = world.workloads.token(Algorithm::Es384, &world.claims()).unwrap();
    let unsigned = {
        let sound = with(json!({}));
        format!("{}.", sound.rsplit_once('.').unwrap().0)
    };
    for (token, words) in [
        // Another repository under the same owner, and the same name under another.
        (with(json!({ "repository_id": "75" })), &["getAccessToken", "PERMISSION_DENIED"][..]),
        (with(json!({ "repository_owner_id": "66" })), &["rejected by the attribute condition", CONDITION]),
        (with(json!({ "repository_owner_id": 65 })), &["rejected by the attribute condition", CONDITION]),
        (with(json!({ "environment": "staging" })), &["rejected by the attribute condition", CONDITION]),
        (with(json!({ "environment": "Prod" })), &["rejected by the attribute condition", CONDITION]),
        (without, &["rejected by the attribute condition", CONDITION]),
        (with(json!({ "aud": "https://github.com/octo-org" })), &["The audience in ID Token", ISSUER]),
        (with(json!({ "iss": "https://token.actions.githubusercontent.com" })), &["The issuer in ID Token", ISSUER]),
        (with(json!({ "iss": format!("{}/", world.workloads.url()) })), &["The issuer in ID Token", ISSUER]),
        (with(json!({ "sub": format!("repo:{}", "x".repeat(128)) })), &["exceeds the 127 bytes limit", ISSUER]),
        (
            with(json!({ "exp": now - 1, "iat": now - 600, "nbf": now - 600 })),
            &["is stale to sign-in", "the clock of the broker's machine"],
        ),
        (with(json!({ "iat": now + 600 })), &["issued in the future", "the clock of the broker's machine"]),
        (with(json!({ "exp": now + 25 * 3_600 })), &["longer than 24 hours", ISSUER]),
        (impostor, &["The signature of the ID Token is invalid", ISSUER]),
        (other_algorithm, &["signature algorithm", ISSUER]),
        (unsigned, &["The signature of the ID Token is invalid", ISSUER]),
        ("abc".to_owned(), &["it has no form that Google takes"]),
    ] {
        let writ = writ(&world, None, LIFE);
        let minted = mint_showing(&world, &provider, &writ, &token).await;
        missed(&world, &writ.id.to_string(), minted, REFUSED, words);
    }
    // There is no falling back: the broker could have asked as itself.
    let writ = writ(&world, None, LIFE);
    let minted = provider.mint(&target(&world), writ_provider_kit::intended(&writ), DEADLINE).await;
    missed(&world, &writ.id.to_string(), minted, REFUSED, &["there is no token of the workload's to pass on"]);
    canary::check();
}

/// The provider's condition and mapping, against the same assertion.
#[tokio::test]
async fn what_the_provider_demands_of_assertions_must_hold() {
    let world = World::start("reports");
    let provider = gcp(&world, By::Issuer, world.google.url(), &|_| ());
    let sound = documented::provider_of_issuer(world.assertions.issuer());
    for (change, words) in [
        (
            (|provider: &mut PoolProvider| {
                provider.condition = Some("assertion.sub.startsWith('workload:')".to_owned())
            }) as fn(&mut PoolProvider),
            &["rejected by the attribute condition", CONDITION][..],
        ),
        (
            |provider| provider.condition = Some("assertion.repository == 'octo-org/octo-repo'".to_owned()),
            &["attribute condition"],
        ),
        (|provider| provider.condition = Some("assertion.target in ['payments']".to_owned()), &["attribute condition"]),
        (
            |provider| drop(provider.mapping.insert("attribute.team".to_owned(), "assertion.team".to_owned())),
            &["could not be computed", ISSUER],
        ),
        (|provider| provider.allowed_audiences = vec!["writ".to_owned()], &["The audience in ID Token", ISSUER]),
        (|provider| provider.issuer = "http://127.0.0.1:1".to_owned(), &["The issuer in ID Token", ISSUER]),
    ] {
        let mut changed = sound.clone();
        change(&mut changed);
        world.google.pool_provider(changed).unwrap();
        let writ = writ(&world, None, LIFE);
        missed(&world, &writ.id.to_string(), mint(&world, &provider, &writ).await, REFUSED, words);
    }
    world.google.pool_provider(sound).unwrap();
    drop(mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap());
    canary::check();
}

/// An account that may make its own tokens is not thereby the broker's to use, nor is a token for longer than the organization lets it.
#[tokio::test]
async fn the_brokers_own_identity_needs_the_accounts_leave() {
    let world = World::start("reports");
    let provider = gcp(&world, By::Broker, world.google.url(), &|_| ());
    drop(mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap());
    let others =
        documented::bindings("reports").into_iter().filter(|(_, member)| !member.starts_with("serviceAccount:"));
    world.account(REPORTS, others.collect());
    let refused = writ(&world, None, LIFE);
    missed(&world, &refused.id.to_string(), mint(&world, &provider, &refused).await, REFUSED, &["getAccessToken"]);
    world.account(REPORTS, documented::bindings("reports"));
    let long = |settings: &mut Value| settings["federation"]["max_lifetime_seconds"] = json!(7_200);
    let provider = gcp(&world, By::Broker, world.google.url(), &long);
    let refused = writ(&world, None, LIFE * 24);
    let words = ["cannot exceed 3600 seconds", "a smaller `max_lifetime_seconds`"];
    missed(&world, &refused.id.to_string(), mint(&world, &provider, &refused).await, MISCONFIGURED, &words);
    canary::check();
}
