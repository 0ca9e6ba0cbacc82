//! Issuers of clusters and of workloads wherever they run.

use super::*;

const CLUSTER: &str = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE";
const UID: &str = "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798";

fn kubernetes() -> Value {
    json!({
        "iss": CLUSTER, "sub": "system:serviceaccount:payments:reporter", "aud": [AUDIENCE],
        "kubernetes.io": {
            "namespace": "payments",
            "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "reporter-7d4b9-x2x1z", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "reporter", "uid": UID},
        },
    })
}

fn in_object(change: Value) -> Value {
    json!({"kubernetes.io": with(kubernetes()["kubernetes.io"].clone(), change)})
}

#[test]
fn a_pod_has_named_attributes() {
    let verifier = verifier_for(json!({"preset": "kubernetes", "issuer": CLUSTER}));
    let found = read(&verifier, &kubernetes()).claims["kubernetes"].clone();
    for (name, value) in [
        ("namespace", "payments"),
        ("service_account", "reporter"),
        ("service_account_uid", UID),
        ("pod", "reporter-7d4b9-x2x1z"),
        ("node", "node-1"),
    ] {
        assert_eq!(found[name], json!(value), "{name}");
    }
}

#[test]
fn what_is_nearly_a_pods_token_is_refused() {
    let verifier = verifier_for(json!({"preset": "kubernetes", "issuer": CLUSTER}));
    near_misses(
        &verifier,
        &kubernetes(),
        &[
            (json!({"iss": "https://kubernetes.default.svc"}), "identity.unknown_issuer"),
            (json!({"iss": format!("{CLUSTER}/")}), "identity.unknown_issuer"),
            (json!({"aud": ["https://kubernetes.default.svc"]}), "identity.audience"),
            (json!({"sub": "system:serviceaccount:payments:other"}), "identity.shape"),
            (json!({"sub": "system:serviceaccount:kube-system:reporter"}), "identity.shape"),
            (json!({"sub": "system:node:node-1"}), "identity.shape"),
            (json!({"kubernetes.io": null}), "identity.missing_claim"),
            (in_object(json!({"namespace": "kube-system"})), "identity.shape"),
            (in_object(json!({"serviceaccount": {"name": "reporter"}})), "identity.missing_claim"),
            (in_object(json!({"serviceaccount": {"name": "reporter", "uid": "x"}})), "identity.malformed_claim"),
            (in_object(json!({"warnafter": NOW + 3600})), "identity.shape"),
            (in_object(json!({"pod": "reporter"})), "identity.malformed_claim"),
            (json!({"exp": NOW + 365 * 86_400}), "identity.lifetime"),
            (json!({"kubernetes": {"namespace": "payments"}}), "identity.shape"),
        ],
    );
}

fn svid() -> Value {
    json!({"sub": "spiffe://prod.example.org/ns/payments/sa/reporter"})
}

fn spiffe() -> Verifier {
    let key = with(RSA.jwk("rsa"), json!({"use": "jwt-svid"}));
    // The bundle's X.509 authority is no key for JWT-SVIDs.
    let authority = with(EC.jwk("ec"), json!({"use": "x509-svid"}));
    verifier_for(json!({"preset": "spiffe", "tenant": "prod.example.org", "jwks": jwks(&[key, authority])}))
}

#[test]
fn a_jwt_svid_is_known_by_its_trust_domain() {
    let verifier = spiffe();
    let workload = read(&verifier, &svid());
    assert_eq!(workload.issuer.as_str(), "spiffe://prod.example.org");
    assert_eq!(
        workload.claims["spiffe"],
        json!({
            "id": "spiffe://prod.example.org/ns/payments/sa/reporter", "trust_domain": "prod.example.org",
            "path": "/ns/payments/sa/reporter",
        })
    );
    let named = with(svid(), json!({"iss": "https://oidc.prod.example.org"}));
    assert_eq!(read(&verifier, &named).issuer, workload.issuer, "what `iss` says makes no other workload of it");
}

#[test]
fn what_is_nearly_a_jwt_svid_is_refused() {
    let verifier = spiffe();
    near_misses(
        &verifier,
        &svid(),
        &[
            (json!({"sub": "spiffe://example.org/ns/payments/sa/reporter"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://prod.example.org"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://prod.example.org/"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://prod.example.org/ns//sa"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://prod.example.org/ns/../sa"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://PROD.example.org/ns"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://prod.example.org:8443/ns"}), "identity.missing_claim"),
            (json!({"sub": "spiffe://prod.example.org/n%2fs"}), "identity.missing_claim"),
            (json!({"sub": "https://prod.example.org/ns"}), "identity.missing_claim"),
            (json!({"sub": "/ns", "iss": "spiffe://prod.example.org"}), "identity.malformed_claim"),
            (json!({"sub": "spiffe://other.org/ns", "iss": "spiffe://prod.example.org"}), "identity.shape"),
            (json!({"exp": null}), "identity.missing_claim"),
            (json!({"aud": null}), "identity.missing_claim"),
        ],
    );
    let by_authority = token(&EC, &json!({"alg": "ES256", "kid": "ec"}), &with(claims(), svid()));
    assert_eq!(outcome(&verifier, &by_authority), "identity.unknown_key");
}
