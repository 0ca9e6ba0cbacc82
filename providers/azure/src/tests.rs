use serde_json::{Value, json};
use writ_core::assertion::AssertedSubject;
use writ_core::id::WritId;
use writ_core::provider::ProviderFault;
use writ_provider_calls::Failed;

use crate::claims::Claims;
use crate::config::AzureConfig;
use crate::fault::{of_answer, settled};
use crate::{AksAccessConfig, AzureDatabaseConfig, entra, vault};

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";

fn sound() -> Value {
    json!({ "tenant_id": TENANT, "client_id": CLIENT, "resource": "storage" })
}

fn with(mut settings: Value, change: &Value) -> Value {
    settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    settings
}

#[test]
fn each_mistake_says_what_to_write() {
    let config = |settings: Value| serde_json::from_value::<AzureConfig>(settings).unwrap();
    config(sound()).validate().unwrap();
    for (change, words) in [
        (json!({ "tenant_id": "contoso.onmicrosoft.com" }), "write the tenant's id, a GUID"),
        (json!({ "tenant_id": "common" }), "write the tenant's id, a GUID"),
        (json!({ "tenant_id": format!("{TENANT}/../x") }), "write the tenant's id, a GUID"),
        (json!({ "client_id": "writ" }), "`client_id` is `writ`: write the client id"),
        (json!({ "client_id": null }), "no `client_id`: write it, or `clients`"),
        (json!({ "clients": { "writer": "x" } }), "`clients.writer` is `x`"),
        (json!({ "resource": null }), "no `resource`: write it, or `resources`"),
        (json!({ "resource": "blob" }), "which is no resource: write `arm`, `storage`"),
        (json!({ "resource": "https://storage.azure.com" }), "one scope that ends in `/.default`"),
        (json!({ "resource": "https://a/.default https://b/.default" }), "which is no resource"),
        (json!({ "resource": "/.default" }), "which is no resource"),
        (json!({ "resources": { "all": "*" } }), "`resources.all` is `*`"),
        (json!({ "entra": { "authority": "http://login.microsoftonline.com" } }), "write `https://host`"),
        (json!({ "entra": { "authority": "https://user@login.example" } }), "write `https://host`"),
        (json!({ "entra": { "authority": "https://login.example/common" } }), "write `https://host`"),
        (json!({ "entra": { "authority_ca_file": "ca.pem" } }), "add that, or leave both out"),
        (json!({ "entra": { "audience": "api://with space" } }), "write the credential's, or leave it out"),
        (json!({ "entra": { "call_timeout_ms": 5 } }), "write a number from 100 to 60000"),
    ] {
        let said = config(with(sound(), &change)).validate().unwrap_err().to_string();
        assert!(said.contains(words), "{change}: {said}");
    }
    let unknown = serde_json::from_value::<AzureConfig>(with(sound(), &json!({ "client_secret": "x" }))).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `client_secret`"));
}

#[test]
fn each_user_of_a_database_is_of_a_client() {
    let config = |settings: Value| serde_json::from_value::<AzureDatabaseConfig>(settings).unwrap();
    let sound = json!({ "tenant_id": TENANT, "client_id": CLIENT, "user": "app" });
    config(sound.clone()).validate().unwrap();
    config(json!({ "tenant_id": TENANT, "users": { "r": "app" }, "clients": { "r": CLIENT } })).validate().unwrap();
    for (change, words) in [
        (json!({ "user": null }), "no `user`: write it, or `users`"),
        (json!({ "client_id": null }), "`user` logs in by no client"),
        (json!({ "user": "" }), "write 1 to 63 bytes"),
        (json!({ "user": "a\nb" }), "write 1 to 63 bytes"),
        (json!({ "user": "x".repeat(64) }), "write 1 to 63 bytes"),
        (json!({ "clients": { "reader": CLIENT } }), "`clients.reader` is of no user"),
        (json!({ "users": { "reader": "r" }, "clients": { "reader": "x" } }), "`clients.reader` is `x`"),
        (json!({ "tenant_id": "x" }), "write the tenant's id"),
    ] {
        let said = config(with(sound.clone(), &change)).validate().unwrap_err().to_string();
        assert!(said.contains(words), "{change}: {said}");
    }
}

#[test]
fn a_cluster_is_entered_as_the_target_alone() {
    let config: AksAccessConfig = serde_json::from_value(json!({
        "tenant_id": TENANT, "client_id": CLIENT, "entra": { "subject": "workload" }
    }))
    .unwrap();
    assert_eq!(config.entra.subject, AssertedSubject::Workload);
    let said = config.validate().unwrap_err().to_string();
    assert!(said.contains("write `\"target\"`, or leave it out"), "{said}");
}

#[test]
fn a_correlation_id_is_the_writs_bits() {
    let writ = WritId::from_bytes([
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe,
    ]);
    assert_eq!(entra::correlation(writ), "01234567-89ab-cdef-1032-547698badcfe");
}

#[test]
fn of_a_token_only_ids_are_read_and_of_anything_else_nothing() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = |claims: &Value| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let read = Claims::read(&token(
        &json!({ "uti": "aB-_9", "oid": CLIENT, "azp": CLIENT, "tid": TENANT.to_uppercase(), "exp": 7 }),
    ));
    assert_eq!((read.uti.as_deref(), read.client.as_deref()), (Some("aB-_9"), Some(CLIENT)));
    assert_eq!((read.tenant.as_deref(), read.end), (Some(TENANT), Some(7)));
    let read = Claims::read(&token(&json!({ "uti": "a b", "oid": "x\ny", "appid": "x".repeat(65), "tid": "" })));
    assert_eq!(read, Claims::default());
    for other in ["", "opaque", "a.b", "a.b.c.d.e", "e30.!.c2ln", "e30.e30", "e30.W10.c2ln"] {
        assert_eq!(Claims::read(other), Claims::default(), "{other}");
    }
}

fn fault(status: u16, code: i64, error: &str) -> ProviderFault {
    let body = json!({
        "error": error, "error_codes": [code],
        "error_description": format!("AADSTS{code}: No.\r\nTrace ID: 1\r\nCorrelation ID: 2"),
    });
    settled(of_answer("asking", status, body.to_string().as_bytes()))
}

#[test]
fn entras_numbers_name_who_is_to_act() {
    for (code, whose) in [
        (70_021, "refused"),
        (700_211, "refused"),
        (700_212, "refused"),
        (700_213, "refused"),
        (7_002_138, "refused"),
        (700_024, "refused"),
        (700_027, "refused"),
        (53_003, "refused"),
        (7_000_112, "refused"),
        (700_016, "misconfigured"),
        (90_002, "misconfigured"),
        (900_023, "misconfigured"),
        (50_049, "misconfigured"),
        (50_166, "misconfigured"),
        (500_011, "misconfigured"),
        (1_002_012, "misconfigured"),
        (7_000_215, "misconfigured"),
        (90_033, "unreachable"),
    ] {
        let fault = fault(401, code, "invalid_client");
        assert_eq!(fault.code(), format!("provider.{whose}"), "{code}");
        let said = fault.detail();
        assert!(said.contains(&format!("AADSTS{code}: No. (invalid_client, status 401)")), "{said}");
        assert!(
            !said.contains("Trace ID") && (whose == "unreachable" || said.ends_with("see docs/providers/azure.md")),
            "{said}"
        );
    }
    // A number that is not known is a refusal, in Entra's words alone.
    assert_eq!(fault(400, 1, "invalid_client").detail(), "asking: AADSTS1: No. (invalid_client, status 400)");
    assert_eq!(fault(503, 700_213, "x").code(), "provider.unreachable");
    // The number is in the words too.
    let body = json!({ "error": "invalid_client", "error_description": "AADSTS700213: No." });
    let said = settled(of_answer("asking", 401, body.to_string().as_bytes()));
    assert!(said.detail().contains("to the letter"), "{said:?}");
    assert!(matches!(of_answer("asking", 429, b""), Failed::Harmlessly(ProviderFault::Unreachable(_))));
    for (status, code) in [(404, "misconfigured"), (302, "unreachable"), (500, "unreachable")] {
        assert_eq!(settled(of_answer("asking", status, b"<html>")).code(), format!("provider.{code}"), "{status}");
    }
}

#[test]
fn a_key_is_named_with_its_version_and_by_nothing_else() {
    let version = "0123456789abcdef0123456789abcdef";
    for host in
        ["writ.vault.azure.net", "writ.managedhsm.azure.net", "writ.vault.usgovcloudapi.net", "writ.vault.azure.cn"]
    {
        vault::check(&format!("https://{host}/keys/issuer/{version}"), None).unwrap();
    }
    for wrong in [
        "https://writ.vault.azure.net/keys/issuer".to_owned(),
        format!("http://writ.vault.azure.net/keys/issuer/{version}"),
        format!("https://writ.vault.azure.net.evil.example/keys/issuer/{version}"),
        format!("https://evilvault.azure.net/keys/issuer/{version}"),
        format!("https://a@writ.vault.azure.net/keys/issuer/{version}"),
        format!("https://a.b.vault.azure.net/keys/issuer/{version}"),
        format!("https://.vault.azure.net/keys/issuer/{version}"),
        format!("https://writ.vault.azure.net:8443/keys/issuer/{version}"),
        format!("https://writ.vault.azure.net/secrets/issuer/{version}"),
        format!("https://writ.vault.azure.net/keys/issuer/{version}/sign"),
        format!("https://writ.vault.azure.net/keys/issuer/{version}?x"),
        format!("https://writ.vault.azure.net/keys/../{version}"),
    ] {
        let said = vault::check(&wrong, None).unwrap_err().to_string();
        assert!(said.contains("write the key's identifier with its version"), "{wrong}: {said}");
    }
    let key = format!("https://writ.vault.azure.net/keys/issuer/{version}");
    let said = vault::check(&key, Some("http://localhost")).unwrap_err().to_string();
    assert!(said.contains("`kms_endpoint` is no address"), "{said}");
}
