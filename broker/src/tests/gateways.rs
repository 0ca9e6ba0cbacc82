//! Gateways: joining once, being told what must end, telling what lives.

use futures_util::future::join_all;
use writ_broker_api::admin::JoinTokenRequest;
use writ_broker_api::gateway::{EnrolRequest, RenewRequest, SyncRequest};
use writ_broker_api::sealed::{Base64, OpeningKey, SealingKey};
use writ_core::event::{Event, SessionEnd};
use writ_core::id::{GatewayId, SessionId};

use super::world::{TARGET, World, ended, kinds, refusals, request, world};
use crate::broker::GatewayIdentity;
use crate::humans::Permitted;
use crate::store::Store as _;

fn joining(token: &str) -> EnrolRequest {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let csr_pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    EnrolRequest { join_token: token.to_owned(), csr_pem, sealing_key: OpeningKey::generate().unwrap().1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_enrols_one_gateway() {
    let world = world().await;
    let human = world.admin().await;
    let token = world.broker.make_join_token(JoinTokenRequest::default(), &human).await.unwrap().join_token;
    let spoilt = EnrolRequest { sealing_key: SealingKey(Base64(vec![1; 31])), ..joining(&token) };
    assert_eq!(world.broker.enrol(&spoilt).await.unwrap_err().status, 400);
    let spoilt = EnrolRequest { csr_pem: "no request".to_owned(), ..joining(&token) };
    assert_eq!(world.broker.enrol(&spoilt).await.unwrap_err().status, 400);

    let requests: Vec<_> = (0..5).map(|_| joining(&token)).collect();
    let outcomes = join_all(requests.iter().map(|request| world.broker.enrol(request))).await;
    let mut enrolled: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(enrolled.len(), 1);
    let gateway = enrolled.remove(0).gateway;
    for refusal in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(refusal.status, 401);
    }
    let known = world.broker.identify(Some(&(gateway, String::new()))).await.unwrap();
    assert_eq!(known.id, gateway);
    assert_eq!(world.broker.identify(None).await.unwrap_err().status, 401);
    let unknown = (GatewayId::fresh(), String::new());
    assert_eq!(world.broker.identify(Some(&unknown)).await.unwrap_err().status, 401);

    let late = world.broker.make_join_token(JoinTokenRequest::default(), &human).await.unwrap().join_token;
    world.place.clock.step(3601);
    assert_eq!(world.broker.enrol(&joining(&late)).await.unwrap_err().status, 401);
    assert_eq!(kinds(&world.events().await), ["join_token_made", "gateway_enrolled", "join_token_made"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_closes_what_the_gateway_lost_and_kills_what_the_broker_closed() {
    let world = world().await;
    let (lost, closed, living) =
        (world.open().await.unwrap(), world.open().await.unwrap(), world.open().await.unwrap());
    let gateway = &world.place.gateway;
    world.broker.close(gateway, closed.session, &ended()).await.unwrap();
    let unknown = SessionId::fresh();
    let request = SyncRequest { sessions: vec![closed.session, living.session, unknown], started: false };

    let reply = world.broker.sync(gateway, &request).await.unwrap();
    let mut kill: Vec<_> = reply.kill.iter().map(|kill| kill.session).collect();
    let mut expected = vec![closed.session, unknown];
    kill.sort();
    expected.sort();
    assert_eq!(kill, expected);
    let open = world.broker.session(lost.session).await.unwrap();
    assert_eq!(open.closed, None, "it may just be opening");

    world.place.clock.step(31);
    world.broker.sync(gateway, &request).await.unwrap();
    let session = world.broker.session(lost.session).await.unwrap();
    assert_eq!(session.end, Some(SessionEnd::Crash));
    let gone = |event: &Event| matches!(event, Event::CredentialRevoked { writ } if *writ == lost.writ);
    world.until_event("its credential is taken back", gone).await;
    let stored = world.store.gateway(gateway.id).await.unwrap().unwrap();
    assert_eq!(stored.seen, Some(writ_core::time::Clock::now(&*world.place.clock)));
    assert_eq!(world.broker.session(living.session).await.unwrap().closed, None);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_has_just_started_has_no_session_on_its_way() {
    let world = world().await;
    let (lost, recovered) = (world.open().await.unwrap(), world.open().await.unwrap());
    let request = SyncRequest { sessions: vec![recovered.session], started: true };
    world.broker.sync(&world.place.gateway, &request).await.unwrap();
    assert_eq!(world.broker.session(lost.session).await.unwrap().end, Some(SessionEnd::Crash));
    let recovered = world.broker.session(recovered.session).await.unwrap();
    assert_eq!(recovered.closed, None, "its end is still to come, with its recording");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_gateway_is_nobody_and_its_sessions_end() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    let human = world.admin().await;
    let id = world.place.gateway.id;
    world.broker.revoke_gateway(id, &human).await.unwrap();
    assert_eq!(world.broker.identify(Some(&(id, "01".to_owned()))).await.unwrap_err().status, 401);
    assert_eq!(world.broker.session(opened.session).await.unwrap().end, Some(SessionEnd::Revoked));
    world.until_nothing_lives().await;
    assert_eq!(world.broker.revoke_gateway(GatewayId::fresh(), &human).await.unwrap_err().status, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_began_before_a_revocation_opens_nothing_after_it() {
    let world = world().await;
    let human = world.admin().await;
    // What a gateway is once its head was read: it may take its time over the body.
    let stolen = world.place.gateway.clone();
    world.broker.revoke_gateway(stolen.id, &human).await.unwrap();
    let token = world.place.token();
    let refusal = world.broker.open(&stolen, &request(token.clone(), TARGET)).await.unwrap_err();
    assert_eq!((refusal.fault.code, refusal.status), ("gateway.revoked", 403));
    let fresh = joining("");
    let renewal = RenewRequest { csr_pem: fresh.csr_pem, sealing_key: fresh.sealing_key };
    assert_eq!(world.broker.renew(&stolen, &renewal).await.unwrap_err().status, 401);
    world.until_nothing_lives().await;
    let other = joined(&world, &human, &[]).await;
    world.broker.open(&other, &request(token, TARGET)).await.expect("the token was not used up");
    assert_eq!(refusals(&world.events().await).len(), 1);
    world.stop().await;
}

fn serving(labels: &[(&str, &str)]) -> JoinTokenRequest {
    JoinTokenRequest { serves: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
}

/// A gateway that joined for targets with these labels.
async fn joined(world: &World, human: &Permitted, labels: &[(&str, &str)]) -> GatewayIdentity {
    let token = world.broker.make_join_token(serving(labels), human).await.unwrap().join_token;
    let gateway = world.broker.enrol(&joining(&token)).await.unwrap().gateway;
    world.broker.identify(Some(&(gateway, String::new()))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_opens_only_what_it_was_enrolled_for() {
    let world = world().await;
    let human = world.admin().await;
    for (labels, opens) in [
        (&[][..], true),
        (&[("env", "test")], true),
        (&[("env", "production")], false),
        (&[("ENV", "test")], false),
        (&[("env", "test"), ("team", "payments")], false),
    ] {
        let gateway = joined(&world, &human, labels).await;
        let code = async |target| {
            let answer = world.broker.open(&gateway, &request(world.place.token(), target)).await;
            answer.map_or_else(|refusal| refusal.fault.code, |_| "opened")
        };
        assert_eq!(code(TARGET).await, if opens { "opened" } else { "access.refused" }, "{labels:?}");
        assert_eq!(code("absent").await, "access.refused", "it looks like a target that is not there");
    }
    let events = world.events().await;
    let codes: Vec<_> = refusals(&events).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "target.not_served").count(), 3, "{codes:?}");
    let enrolled: Vec<_> = events.iter().filter(|event| matches!(event, Event::GatewayEnrolled { .. })).collect();
    let production = |event: &&Event| matches!(event, Event::GatewayEnrolled { serves, .. } if serves.get("env").is_some_and(|value| value == "production"));
    assert_eq!((enrolled.len(), enrolled.iter().filter(|event| production(event)).count()), (5, 1));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_serves_outlives_its_renewal_and_a_restart() {
    let world = world().await;
    let human = world.admin().await;
    let gateway = joined(&world, &human, &[("env", "production")]).await;
    let fresh = joining("");
    let renewal = RenewRequest { csr_pem: fresh.csr_pem, sealing_key: fresh.sealing_key };
    let claims = GatewayIdentity { serves: [].into(), ..gateway.clone() };
    world.broker.renew(&claims, &renewal).await.unwrap();
    let id = gateway.id;
    let world = world.stop().await.start().await;
    let again = world.broker.identify(Some(&(id, String::new()))).await.unwrap();
    assert_eq!(again.serves, gateway.serves);
    let listed = world.broker.gateways().await.unwrap();
    assert!(listed.iter().any(|listed| listed.id == id && listed.serves == gateway.serves));
    let too_many: Vec<String> = (0..33).map(|number| number.to_string()).collect();
    let too_many: Vec<_> = too_many.iter().map(|name| (name.as_str(), "x")).collect();
    for labels in [too_many.as_slice(), &[("", "x")], &[("x", &"y".repeat(257))]] {
        let refusal = world.broker.make_join_token(serving(labels), &human).await.err().unwrap();
        assert_eq!(refusal.status, 400);
    }
    world.stop().await;
}
