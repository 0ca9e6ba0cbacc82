//! Session tokens, DPoP proofs and the exchange.

use serde_json::{Value, json};
use writ_broker_api::token::ExchangeRequest;
use writ_core::target::TargetName;
use writ_core::workload::TokenKind;

use super::support::*;
use crate::duration::Span;
use crate::identity::dpop::{self, DpopFault};
use crate::identity::exchange::{
    self, ACCESS_TOKEN, AWS_REQUEST, CLIENT_CREDENTIALS, GRANT_TYPE, ID_TOKEN, JWT, Shown,
};
use crate::identity::jwks::Key;
use crate::identity::session_token::{Binding, SessionIssuer, binding};

const URL: &str = "https://broker.example/v1/token";

fn request(token: String) -> ExchangeRequest {
    ExchangeRequest {
        grant_type: GRANT_TYPE.into(),
        subject_token: token,
        subject_token_type: JWT.into(),
        audience: Some("payments".into()),
        ..ExchangeRequest::default()
    }
}

const fn shown<'s>(proofs: &'s [&'s str]) -> Shown<'s> {
    Shown { proofs, certificates: &[] }
}

fn proof_with(pair: &Pair, header: Value, claims: Value) -> String {
    let header = with(json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": public(pair)}), header);
    let claims = with(json!({"htm": "POST", "htu": URL, "iat": NOW, "jti": "p1"}), claims);
    token(pair, &header, &claims)
}

fn public(pair: &Pair) -> Value {
    without(pair.jwk("x"), "kid")
}

fn exchanged(token: String, proofs: &[&str]) -> Result<String, &'static str> {
    let verifier = verifier();
    let ask = exchange::ask(request(token)).map_err(|refusal| refusal.error)?;
    let admitted = wait(ask.admit(&verifier, shown(proofs), URL, now())).map_err(|refusal| refusal.error)?;
    let reply = admitted.grant(&sessions(), now()).map_err(|refusal| refusal.error)?;
    assert_eq!((reply.issued_token_type.as_str(), reply.expires_in), (ACCESS_TOKEN, 300));
    assert_eq!(reply.token_type, if proofs.is_empty() { "Bearer" } else { "DPoP" });
    Ok(reply.access_token)
}

#[test]
fn a_session_token_speaks_for_the_workload_at_one_target() {
    let session = exchanged(good(), &[]).unwrap();
    let verified = wait(verifier().verify(&session, now())).unwrap();
    let workload = verified.get();
    assert_eq!(workload.issuer.as_str(), ISSUER);
    assert_eq!(workload.subject.as_str(), "repo:acme/app:ref:main");
    assert_eq!(workload.claims["repository"], "acme/app");
    assert_eq!(workload.token_kind, TokenKind::Session);
    assert_eq!(workload.bound_target, Some(TargetName::new("payments").unwrap()));
    assert_eq!(binding(workload), Binding::Bearer);
    let late = wait(verifier().verify(&session, at(NOW + 300 + 5))).unwrap_err();
    assert_eq!(late.code(), "identity.expired");
}

#[test]
fn a_session_token_is_bound_to_the_key_that_was_proved() {
    let proof = proof_with(&FOREIGN, json!({}), json!({}));
    let session = exchanged(good(), &[&proof]).unwrap();
    let verified = wait(verifier().verify(&session, now())).unwrap();
    let thumbprint = Key::from_jwk(&public(&FOREIGN)).unwrap().thumbprint().to_owned();
    assert_eq!(binding(verified.get()), Binding::Key(thumbprint.clone()));
    let bound = |confirmation: Value| token(&EC, &header(), &with(claims(), json!({ "cnf": confirmation })));
    assert!(exchanged(bound(json!({ "jkt": thumbprint })), &[&proof]).is_ok());
    assert_eq!(exchanged(bound(json!({ "jkt": thumbprint })), &[]), Err("invalid_dpop_proof"));
    assert_eq!(exchanged(bound(json!({"jkt": "another"})), &[&proof]), Err("invalid_dpop_proof"));
    assert_eq!(exchanged(bound(json!({"x5t#S256": "x"})), &[&proof]), Err("invalid_dpop_proof"));
    assert_eq!(exchanged(bound(json!({"jkt": thumbprint, "x5t#S256": "x"})), &[&proof]), Err("invalid_dpop_proof"));
    assert_eq!(exchanged(good(), &[&proof, &proof]), Err("invalid_dpop_proof"));
}

#[test]
fn kinds_of_tokens_are_never_taken_for_each_other() {
    let session = exchanged(good(), &[]).unwrap();
    assert_eq!(exchanged(session, &[]), Err("invalid_request"));
    // Signed by the issuer's key, dressed as a session token.
    let dressed = token(&EC, &with(header(), json!({"typ": "writ-session+jwt"})), &claims());
    assert_eq!(outcome(&verifier(), &dressed), "identity.type");
    let claimed =
        with(claims(), json!({"iss": BROKER, "writ": {"issuer": ISSUER, "target": "payments", "claims": {}}}));
    let header = with(header(), json!({"typ": "writ-session+jwt"}));
    assert_eq!(outcome(&verifier(), &token(&EC, &without(header.clone(), "kid"), &claimed)), "identity.signature");
    // Signed by the broker's key for another group, and for another broker.
    for (issuer, audience, code) in [
        (BROKER, "writ:gateways/us", "identity.audience"),
        ("https://other-broker.example", AUDIENCE, "identity.unknown_issuer"),
    ] {
        let foreign = SessionIssuer::new(issuer, audience, Span::seconds(300), &SESSION_KEY, &[]).unwrap();
        let workload = wait(verifier().verify(&good(), now())).unwrap();
        let minted = foreign.mint(&workload, &TargetName::new("payments").unwrap(), None, now()).unwrap();
        assert_eq!(outcome(&verifier(), &minted), code);
    }
    assert_eq!(exchanged(proof_with(&EC, json!({}), json!({})), &[]), Err("invalid_request"));
}

#[test]
fn a_changed_key_leaves_former_session_tokens_good() {
    let former = exchanged(good(), &[]).unwrap();
    let Pair::Ed(_) = &*ED else { panic!("an Ed25519 key") };
    let pkcs8 = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let old = sessions();
    let old_keys: Vec<Key> =
        old.ring().load().keys().candidates(None, crate::identity::Algorithm::Es256).cloned().collect();
    let new = SessionIssuer::new(BROKER, AUDIENCE, Span::seconds(300), pkcs8.as_ref(), &old_keys).unwrap();
    let verifier = crate::identity::Verifier::new(&[config()], AUDIENCE, Some(&new)).unwrap();
    let workload = wait(verifier.verify(&good(), now())).unwrap();
    let fresh = new.mint(&workload, &TargetName::new("payments").unwrap(), None, now()).unwrap();
    assert_eq!(outcome(&verifier, &former), "accepted");
    assert_eq!(outcome(&verifier, &fresh), "accepted");
    let alone = SessionIssuer::new(BROKER, AUDIENCE, Span::seconds(300), pkcs8.as_ref(), &[]).unwrap();
    let alone = crate::identity::Verifier::new(&[config()], AUDIENCE, Some(&alone)).unwrap();
    assert_eq!(outcome(&alone, &former), "identity.unknown_key");
}

fn acts(request: &mut ExchangeRequest, token: String, kind: &str) {
    (request.actor_token, request.actor_token_type) = (Some(token), Some(kind.into()));
}

fn client(request: &mut ExchangeRequest) {
    *request = ExchangeRequest {
        grant_type: CLIENT_CREDENTIALS.into(),
        audience: request.audience.take(),
        ..ExchangeRequest::default()
    };
}

/// The actor's token for the subject's, by another issuer.
fn acting(subject: String, actor: String, proofs: &[&str]) -> Result<exchange::Admitted, exchange::Refusal> {
    let mut request = request(subject);
    acts(&mut request, actor, JWT);
    wait(exchange::ask(request)?.admit(&verifier(), shown(proofs), URL, now()))
}

fn agent(changes: Value) -> String {
    token(&FOREIGN, &header(), &with(with(claims(), json!({"iss": OTHER, "sub": "agent", "jti": "two"})), changes))
}

#[test]
fn an_actor_shows_a_token_of_its_own() {
    let admitted = acting(good(), agent(json!({})), &[]).unwrap();
    assert_eq!(admitted.workload.get().claims["act"], json!({"iss": OTHER, "sub": "agent"}));
    assert_eq!(admitted.workloads().count(), 2, "each is used once");
    let session = admitted.grant(&sessions(), now()).unwrap().access_token;
    let opened = wait(verifier().verify(&session, now())).unwrap();
    assert_eq!(opened.get().subject.as_str(), "repo:acme/app:ref:main");
    assert_eq!(opened.get().claims["act"], json!({"iss": OTHER, "sub": "agent"}), "the session token keeps it");

    for actor in [
        agent(json!({"exp": NOW - 100, "iat": NOW - 200})),
        agent(json!({"aud": "other"})),
        agent(json!({"iss": "https://unknown.example"})),
        agent(json!({"act": {"sub": "other"}})),
        token(&EC, &header(), &with(claims(), json!({"iss": OTHER, "sub": "agent"}))),
        exchanged(good(), &[]).unwrap(),
        good(),
        "x".to_owned(),
    ] {
        let refusal = acting(good(), actor, &[]).unwrap_err();
        assert_eq!((refusal.error, refusal.description), ("invalid_request", "the actor token was refused"));
    }
    let refusal = acting(agent(json!({"aud": "other"})), agent(json!({})), &[]).unwrap_err();
    assert_eq!((refusal.error, refusal.description), ("invalid_request", "the subject token was refused"));
}

#[test]
fn an_actors_token_that_is_bound_to_a_key_needs_its_proof() {
    let proof = proof_with(&FOREIGN, json!({}), json!({}));
    let thumbprint = Key::from_jwk(&public(&FOREIGN)).unwrap().thumbprint().to_owned();
    let bound = || agent(json!({"cnf": {"jkt": thumbprint}}));
    assert!(acting(good(), bound(), &[&proof]).is_ok());
    assert_eq!(acting(good(), bound(), &[]).unwrap_err().error, "invalid_dpop_proof");
    let other = proof_with(&EC, json!({}), json!({}));
    assert_eq!(acting(good(), bound(), &[&other]).unwrap_err().error, "invalid_dpop_proof");
}

#[test]
fn a_client_without_a_certificate_is_none() {
    let mut asked = request(good());
    client(&mut asked);
    let refusal = wait(exchange::ask(asked).unwrap().admit(&verifier(), shown(&[]), URL, now())).unwrap_err();
    assert_eq!((refusal.error, refusal.status(), refusal.code), ("invalid_client", 401, "identity.certificate"));
}

#[test]
fn only_session_tokens_are_to_be_had() {
    type Change = fn(&mut ExchangeRequest);
    let table: Vec<(Change, Result<(), &str>)> = vec![
        (|_| {}, Ok(())),
        (|request| request.subject_token_type = ID_TOKEN.into(), Ok(())),
        (|request| request.requested_token_type = Some(ACCESS_TOKEN.into()), Ok(())),
        (|request| request.requested_token_type = Some(JWT.into()), Ok(())),
        (|request| request.scope = Some(String::new()), Ok(())),
        (|request| request.grant_type = "password".into(), Err("unsupported_grant_type")),
        (
            |request| request.subject_token_type = "urn:ietf:params:oauth:token-type:saml2".into(),
            Err("invalid_request"),
        ),
        (|request| request.requested_token_type = Some("urn:writ:credential:postgres".into()), Err("invalid_request")),
        (|request| request.requested_token_type = Some(ID_TOKEN.into()), Err("invalid_request")),
        (|request| request.subject_token = String::new(), Err("invalid_request")),
        (|request| request.subject_token_type = AWS_REQUEST.into(), Err("invalid_request")),
        (|request| request.subject_token = super::sts::Signer::new().token(), Err("invalid_request")),
        (
            |request| {
                request.subject_token = super::sts::Signer::new().token();
                request.subject_token_type = AWS_REQUEST.into();
            },
            Ok(()),
        ),
        (|request| request.actor_token = Some("x".into()), Err("invalid_request")),
        (|request| request.actor_token_type = Some(JWT.into()), Err("invalid_request")),
        (|request| acts(request, good(), "urn:ietf:params:oauth:token-type:saml2"), Err("invalid_request")),
        (|request| acts(request, good(), AWS_REQUEST), Err("invalid_request")),
        (|request| acts(request, good(), ID_TOKEN), Ok(())),
        (|request| request.grant_type = CLIENT_CREDENTIALS.into(), Err("invalid_request")),
        (client, Ok(())),
        (
            |request| {
                client(request);
                request.actor_token = Some(good());
            },
            Err("invalid_request"),
        ),
        (
            |request| {
                client(request);
                request.audience = None;
            },
            Err("invalid_target"),
        ),
        (|request| request.scope = Some("admin".into()), Err("invalid_scope")),
        (|request| request.resource = Some("https://db.example".into()), Err("invalid_target")),
        (|request| request.audience = None, Err("invalid_target")),
        (|request| request.audience = Some("no target".into()), Err("invalid_target")),
    ];
    for (place, (change, expected)) in table.into_iter().enumerate() {
        let mut request = request(good());
        change(&mut request);
        assert_eq!(exchange::ask(request).map(drop).map_err(|refusal| refusal.error), expected, "case {place}");
    }
    let shown = format!("{:?}", exchange::ask(request(good())).unwrap());
    assert!(!shown.contains(good().split_once('.').unwrap().0), "{shown}");
}

#[test]
fn a_refused_subject_token_is_an_invalid_request_without_a_reason() {
    let expired = token(&EC, &header(), &with(claims(), json!({"exp": NOW - 100, "iat": NOW - 200})));
    let refusal =
        wait(exchange::ask(request(expired)).unwrap().admit(&verifier(), shown(&[]), URL, now())).unwrap_err();
    assert_eq!((refusal.error, refusal.description), ("invalid_request", "the subject token was refused"));
    assert_eq!((refusal.code, refusal.status()), ("identity.expired", 400));
    let body = serde_json::to_string(&refusal.body(writ_core::id::RequestId::fresh())).unwrap();
    assert!(!body.contains("expired"), "{body}");
}

#[test]
fn proofs_are_for_one_request_by_one_key() {
    let check = |proof: &str| dpop::verify(proof, "POST", URL, now());
    let good = check(&proof_with(&FOREIGN, json!({}), json!({}))).unwrap();
    assert_eq!(good.jti, "p1");
    assert!(check(&proof_with(&FOREIGN, json!({}), json!({"htu": "HTTPS://BROKER.example:443/v1/token?x#y"}))).is_ok());
    let claim = |changes: Value| check(&proof_with(&FOREIGN, json!({}), changes)).unwrap_err();
    assert_eq!(claim(json!({"htm": "GET"})), DpopFault::Claim("htm"));
    assert_eq!(claim(json!({"htm": "post"})), DpopFault::Claim("htm"));
    assert_eq!(claim(json!({"htu": "https://other.example/v1/token"})), DpopFault::Claim("htu"));
    assert_eq!(claim(json!({"htu": "/v1/token"})), DpopFault::Claim("htu"));
    assert_eq!(claim(json!({"iat": NOW - 61})), DpopFault::Claim("iat"));
    assert_eq!(claim(json!({"iat": NOW + 61})), DpopFault::Claim("iat"));
    assert_eq!(claim(json!({"iat": "now"})), DpopFault::Claim("iat"));
    assert_eq!(claim(json!({"jti": ""})), DpopFault::Claim("jti"));
    assert_eq!(claim(json!({"jti": 1})), DpopFault::Claim("jti"));
    let headed = |changes: Value| check(&proof_with(&FOREIGN, changes, json!({}))).unwrap_err();
    assert_eq!(headed(json!({"typ": "JWT"})), DpopFault::Type);
    assert_eq!(headed(json!({"alg": "HS256"})), DpopFault::Key);
    assert_eq!(headed(json!({"jwk": {"kty": "oct", "k": "AAAA"}})), DpopFault::Key);
    assert_eq!(headed(json!({"jwk": with(public(&FOREIGN), json!({"d": "AAAA"}))})), DpopFault::Key);
    assert_eq!(headed(json!({"jwk": public(&EC)})), DpopFault::Signature);
    assert!(matches!(headed(json!({"jku": "https://evil.example"})), DpopFault::Form(_)));
    assert!(matches!(check(&"a".repeat(9000)).unwrap_err(), DpopFault::TooLong(9000)));
}
