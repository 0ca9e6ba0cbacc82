//! Opening sessions.

use futures_util::future::join_all;
use serde_json::json;
use writ_broker_api::sealed::{OpenedSession, OpeningKey, Purpose, SealedSession};
use writ_core::event::Event;
use writ_core::id::SessionId;
use writ_core::target::TargetName;
use writ_core::time::{Clock as _, after};
use writ_core::writ::WritState;

use super::provider::Mode;
use super::world::{PERMIT, Place, TARGET, kinds, refusals, request, world};
use crate::store::Store as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_and_its_credential_opens_for_its_gateway_alone() {
    let world = world().await;
    let reply = world.open().await.unwrap();
    let now = world.place.clock.now();
    assert_eq!((reply.expires, reply.remaining_seconds, reply.obligations.uses), (after(now, 600), 600, 3));
    assert_eq!((reply.target.name.as_str(), reply.workload.subject.as_str()), (TARGET, "job:1"));

    let target = TargetName::new(TARGET).unwrap();
    let purpose =
        Purpose { writ: reply.writ, session: reply.session, gateway: world.place.gateway.id, target: &target };
    let sealed = SealedSession { credential: &reply.credential, data_key: &reply.data_key, mask_key: None };
    let OpenedSession { principal, secret, data_key, .. } = world.place.opening.session(sealed, purpose).unwrap();
    assert_eq!(principal, format!("role_{}", reply.writ));
    assert_eq!(secret.expose(), world.place.provider.secret_of(reply.writ).unwrap().as_bytes());
    let unwrapped = world.broker.keys.recording.unwrap_key(reply.session, &reply.wrapped_data_key.0).unwrap();
    assert_eq!(data_key, unwrapped);

    let another = Purpose { session: SessionId::fresh(), ..purpose };
    assert!(world.place.opening.session(sealed, another).is_err());
    let (stranger, _) = OpeningKey::generate().unwrap();
    assert!(stranger.session(sealed, purpose).is_err());

    let writ = world.broker.writ(reply.writ).await.unwrap();
    assert_eq!((writ.state, writ.policies.as_slice()), (WritState::Issued, ["p".to_owned()].as_slice()));
    assert_eq!(writ.credential.unwrap().principal, principal);
    assert_eq!(kinds(&world.events().await), ["writ_intended", "writ_issued"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_policys_to_judge_and_stands_in_the_evidence() {
    let forbid = "@id(\"other\") forbid (principal, action == Writ::Action::\"connect\", resource) \
                  when { context has database && context.database != \"payments\" };";
    let policy = format!("{forbid}\n{PERMIT}");
    let world = Place::new(&policy).start().await;
    let code = async |database: Option<&str>| {
        let open = writ_broker_api::gateway::OpenRequest {
            database: database.map(str::to_owned),
            ..request(world.place.token(), TARGET)
        };
        world.broker.open(&world.place.gateway, &open).await.map_or_else(|refusal| refusal.fault.code, |_| "opened")
    };
    assert_eq!(code(Some("postgres")).await, "access.refused");
    assert_eq!(code(Some("payments")).await, "opened");
    let named = |event: &Event| matches!(event, Event::WritIntended { database: Some(name), .. } if name == "payments");
    assert!(world.events().await.iter().any(named));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_exactly_as_many_sessions_as_policy_says() {
    let world = world().await;
    let token = world.place.token();
    let outcomes = join_all((0..10).map(|_| world.open_with(token.clone(), TARGET))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!(world.place.provider.minted().len(), 3, "nothing was minted for the others");
    for refusal in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!((refusal.status, refusal.fault.code), (403, "token.used"));
    }
    assert_eq!(refusals(&world.events().await).len(), 7);
    // A restart does not forget.
    let world = world.stop().await.start().await;
    assert_eq!(world.open_with(token, TARGET).await.unwrap_err().fault.code, "token.used");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_unknown_looks_like_one_that_is_forbidden() {
    let world = world().await;
    let mut problems = Vec::new();
    for target in ["other", "absent", "No Name!", ""] {
        let refusal = world.open_with(world.place.token(), target).await.unwrap_err();
        let mut problem = serde_json::to_value(refusal.problem()).unwrap();
        assert!(problem.as_object_mut().unwrap().remove("request").is_some());
        problems.push(problem.to_string());
    }
    assert!(problems.iter().all(|problem| *problem == problems[0]), "{problems:?}");
    // The ledger knows the difference.
    let codes: Vec<_> = refusals(&world.events().await).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["policy.no_permit", "target.unknown", "target.unknown", "target.unknown"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_in_the_ledger_under_the_request_that_the_caller_knows() {
    let world = world().await;
    let now = world.place.clock.now().as_second();
    let spoilt = [
        ("identity.parts", "no token".to_owned()),
        ("identity.expired", world.place.token_with(json!({"exp": now - 3600, "iat": now - 7200}))),
        ("identity.audience", world.place.token_with(json!({"aud": "another"}))),
        ("identity.unknown_issuer", world.place.token_with(json!({"iss": "https://other.example"}))),
        ("identity.signature", {
            let mut token = world.place.token();
            token.replace_range(token.len() - 8..token.len() - 4, "AAAA");
            token
        }),
        ("token.bound", world.place.token_with(json!({"cnf": {"jkt": "x"}}))),
    ];
    let mut told = Vec::new();
    for (code, token) in spoilt {
        let refusal = world.open_with(token, TARGET).await.unwrap_err();
        let public = if code.starts_with("identity.") { "identity.refused" } else { code };
        assert_eq!((refusal.status, refusal.fault.code), (403, public));
        assert_eq!(refusal.problem().code, public);
        told.push((refusal.request.to_string(), code.to_owned()));
    }
    world.place.provider.on_mint(Mode::Refused);
    let refusal = world.open().await.unwrap_err();
    told.push((refusal.request.to_string(), "provider.refused".to_owned()));
    assert_eq!(refusals(&world.events().await), told);
    let codes: std::collections::BTreeSet<_> = told.iter().map(|(_, code)| code).collect();
    assert_eq!(codes.len(), told.len(), "each has a code of its own: {codes:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_fails_is_settled() {
    for (mode, code, revoked) in [
        (Mode::Refused, "provider.refused", false),
        (Mode::Verbose, "provider.refused", false),
        (Mode::NotPersisted, "provider.unreachable", true),
        (Mode::Persisted, "provider.unreachable", true),
        (Mode::Hanging, "provider.unreachable", true),
    ] {
        let world = world().await;
        world.place.provider.on_mint(mode);
        let refusal = world.open().await.unwrap_err();
        assert_eq!((refusal.status, refusal.fault.code), (502, code), "{mode:?}");
        let writ = world.place.provider.minted()[0];
        let failed = |event: &Event| matches!(event, Event::WritFailed { writ: failed, code: with, .. } if *failed == writ && with == code);
        world.until_event("the failure is written down", failed).await;
        if revoked {
            let gone = |event: &Event| matches!(event, Event::CredentialRevoked { writ: gone } if *gone == writ);
            world.until_event("the credential is taken back", gone).await;
            assert_eq!(world.place.provider.revoked(), [writ]);
        }
        assert!(world.place.provider.living().is_empty());
        let stored = world.broker.writ(writ).await.unwrap();
        assert_eq!((stored.state, stored.credential.is_none()), (WritState::Failed, true), "{mode:?}");
        assert!(world.store.open_sessions(world.place.gateway.id).await.unwrap().is_empty());
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_evidence_is_too_long_is_refused_alone() {
    let many: String = (0..700)
        .map(|number| PERMIT.replace("@id(\"p\")", &format!("@id(\"{number}-{}\")", "x".repeat(120))))
        .collect();
    let world = Place::new(&many).start().await;
    let outcomes = join_all((0..4).map(|_| world.open())).await;
    for refusal in outcomes.into_iter().map(Result::unwrap_err) {
        assert_eq!(refusal.fault.code, "evidence.unwritable");
    }
    assert!(world.place.provider.minted().is_empty());
    assert_eq!(refusals(&world.events().await).len(), 4, "the refusals themselves are written down");
    assert!(world.broker.is_ready());
    world.place.policies(PERMIT);
    world.broker.reload(&world.place.config(), world.place.targets(), "again".to_owned()).await.unwrap();
    world.open().await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_claims_and_texts_from_outside_do_not_hide_a_refusal() {
    let world = world().await;
    let long = "\u{1}".repeat(1024);
    let token = world.place.token_with(json!({"sub": long, "more": "y".repeat(20_000)}));
    let open = writ_broker_api::gateway::OpenRequest {
        client: "\u{2}".repeat(60_000),
        ..request(token, &"\u{3}".repeat(60_000))
    };
    let refusal = world.broker.open(&world.place.gateway, &open).await.unwrap_err();
    let written = refusals(&world.events().await);
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].0, refusal.request.to_string());
    world.stop().await;
}
