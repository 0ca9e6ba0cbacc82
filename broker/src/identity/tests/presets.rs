//! Presets: for each issuer a token of the form that it really has, what becomes of it, and what is nearly one.

mod ci;
mod clouds;
mod machines;

use serde_json::{Value, json};
use writ_core::workload::Workload;

use super::support::*;
use crate::identity::config::IssuerConfig;
use crate::identity::verify::Verifier;

/// A preset's configuration with keys of the tests' own.
fn preset(settings: Value) -> IssuerConfig {
    let keys = [RSA.jwk("rsa"), EC.jwk("ec"), P384.jwk("p384")];
    let config = with(json!({"name": "preset", "jwks": jwks(&keys)}), settings);
    serde_json::from_value(config).unwrap()
}

fn verifier_for(settings: Value) -> Verifier {
    verifier_of(preset(settings))
}

/// A token by the RSA key, with the claims that every token has. A claim that is null is left out.
fn signed(claims: &Value) -> String {
    let common = json!({"aud": AUDIENCE, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 290, "jti": "one"});
    let mut claims = with(common, claims.clone());
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    token(&RSA, &json!({"alg": "RS256", "typ": "JWT", "kid": "rsa"}), &claims)
}

fn read(verifier: &Verifier, claims: &Value) -> Workload {
    wait(verifier.verify(&signed(claims), now())).unwrap().into_inner()
}

/// Each near miss is the good token with some claims changed (or taken away, by null) and the refusal's code.
fn near_misses(verifier: &Verifier, good: &Value, misses: &[(Value, &str)]) {
    assert!(misses.len() >= 10, "ten near misses at least");
    assert_eq!(outcome(verifier, &signed(good)), "accepted");
    for (change, code) in misses {
        assert_eq!(outcome(verifier, &signed(&with(good.clone(), change.clone()))), *code, "{change}");
    }
}

/// What the configuration lacks, or has too much of.
fn problem(settings: Value) -> String {
    let mut config = with(json!({"name": "preset"}), settings);
    config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let config: IssuerConfig = serde_json::from_value(config).unwrap();
    config.validate().unwrap_err().problem
}

#[test]
fn a_preset_needs_what_it_cannot_know() {
    for (settings, expected) in [
        (json!({"preset": "kubernetes"}), "give `issuer`"),
        (json!({"preset": "aws"}), "give `issuer`"),
        (json!({"preset": "azure"}), "give `tenant`"),
        (json!({"preset": "circleci"}), "give `tenant`"),
        (json!({"preset": "bitbucket"}), "give `tenant`"),
        (json!({"preset": "spiffe"}), "give `tenant`"),
        (json!({"preset": "spiffe", "tenant": "example.org"}), "give `jwks_url`"),
        (json!({"preset": "gitlab", "tenant": "acme"}), "has none: remove it"),
        (json!({"preset": "github-actions", "tenant": "../x"}), "`tenant` is not an enterprise's slug"),
        (json!({"tenant": "acme", "issuer": ISSUER, "algorithms": ["RS256"]}), "without a `preset`"),
        (json!({"issuer": ISSUER}), "`algorithms` is empty"),
        (json!({"algorithms": ["RS256"]}), "`issuer` is empty"),
    ] {
        let found = problem(settings.clone());
        assert!(found.contains(expected), "{settings}: {found}");
    }
}

#[test]
fn a_preset_knows_its_issuer() {
    for (settings, issuer) in [
        (json!({"preset": "github-actions"}), "https://token.actions.githubusercontent.com"),
        (json!({"preset": "github-actions", "tenant": "octo"}), "https://token.actions.githubusercontent.com/octo"),
        (
            json!({"preset": "github-actions", "issuer": "https://ghe.example/_services/token"}),
            "https://ghe.example/_services/token",
        ),
        (json!({"preset": "gitlab"}), "https://gitlab.com"),
        (json!({"preset": "gcp"}), "https://accounts.google.com"),
        (json!({"preset": "buildkite"}), "https://agent.buildkite.com"),
        (json!({"preset": "terraform-cloud"}), "https://app.terraform.io"),
        (
            json!({"preset": "azure", "tenant": "11111111-2222-3333-4444-555555555555"}),
            "https://sts.windows.net/11111111-2222-3333-4444-555555555555/",
        ),
        (json!({"preset": "circleci", "tenant": "o"}), "https://oidc.circleci.com/org/o"),
        (
            json!({"preset": "bitbucket", "tenant": "acme"}),
            "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
        ),
        (json!({"preset": "spiffe", "tenant": "example.org"}), "spiffe://example.org"),
    ] {
        assert_eq!(preset(settings).issuer(), issuer);
    }
}
