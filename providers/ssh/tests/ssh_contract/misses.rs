//! What the host takes, and what it does not: each near miss is a good login with one thing changed. The host's own log says
//! why.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::json;
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::ProviderFault;
use writ_core::ssh::{HostRequest, SshAuthority as _};
use writ_core::time::{Timestamp, after};
use writ_provider_ssh::SshProvider;
use writ_world::sshd::{Login, keygen, split, write};

use crate::world::{LIFE, Off, World, mint, minted, minted_as, secret, writ_off};

#[tokio::test]
async fn the_host_takes_a_certificate_and_its_log_leads_to_the_writ() {
    let world = World::start();
    let (writ, minted) = minted(&world.provider(json!({}))).await;
    let credential = minted.credential().unwrap();
    assert!(world.lets_in(credential), "{}", world.host.log());
    assert_eq!((credential.kind, &credential.principal), (CredentialKind::SshCertificate, &world.user));
    assert_eq!((credential.audit.clone(), credential.revocation), (writ.id.to_string(), Revocation::Individual));
    let log = world.host.log();
    let line = log.lines().find(|line| line.starts_with("Accepted publickey")).unwrap();
    assert!(line.contains(&format!("ID {} (serial ", writ.id)), "{line}");
    let key = credential.fingerprint.as_str().strip_prefix("ssh:").unwrap();
    assert!(line.contains(&format!("ED25519-CERT {key} ID")), "{line}");
}

#[tokio::test]
async fn nothing_is_on_that_was_not_granted() {
    let world = World::start();
    let closed = minted(&world.provider(json!({}))).await.1;
    let open = world.provider(json!({ "permit": ["pty", "port-forwarding"] }));
    let open = minted(&open).await.1;
    let terminal = |minted| Login { arguments: &["-tt"], ..Login::new(&world.user, secret(minted), "test -t 0") };
    let refused = world.runs(&terminal(&closed)).unwrap_err();
    assert!(refused.contains("PTY allocation request failed"), "{refused}");
    // A server that is not root cannot hand a terminal over on every system, and then says something else: it was to.
    let given = world.runs(&terminal(&open));
    assert!(given.as_ref().err().is_none_or(|said| !said.contains("PTY allocation request failed")), "{given:?}");
    let forwarded = format!("[127.0.0.1]:{}", world.host.port());
    for (minted, works) in [(&closed, false), (&open, true)] {
        let asked = Login { arguments: &["-W", &forwarded], ..Login::new(&world.user, secret(minted), "") };
        let asked = world.host.login(&asked).unwrap();
        let seen = String::from_utf8_lossy(&asked.stdout).starts_with("SSH-2.0-OpenSSH");
        assert_eq!(seen, works, "{}", String::from_utf8_lossy(&asked.stderr));
    }
}

#[tokio::test]
async fn a_scope_decides_the_command() {
    let world = World::start();
    let provider = world.provider(json!({
        "command": "echo the usual", "scopes": { "backup": { "command": "echo a backup" }, "shell": { "permit": ["pty"] } },
    }));
    for (scope, asked, answer) in [
        (None, "echo mine", "the usual\n"),
        (Some("backup"), "echo mine", "a backup\n"),
        (Some("backup"), "echo $SSH_ORIGINAL_COMMAND; false", "a backup\n"),
        (Some("shell"), "echo mine", "mine\n"),
    ] {
        let (_, minted) = minted_as(&provider, None, scope).await;
        assert_eq!(world.runs(&Login::new(&world.user, secret(&minted), asked)), Ok(answer.to_owned()), "{scope:?}");
    }
    let mut writ = writ_provider_kit::writ(None, LIFE);
    writ.obligations.scope = Some("other".to_owned());
    let fault = mint(&provider, &writ).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("`backup`, `shell`")), "{fault:?}");
}

#[tokio::test]
async fn a_host_may_map_principals_to_accounts() {
    let file = tempfile::tempdir().unwrap();
    let listed = file.path().join("principals");
    write(&listed, b"writ-deploy\n").unwrap();
    let world = World::with(&format!("AuthorizedPrincipalsFile {}", listed.display()));
    let plain = minted(&world.provider(json!({}))).await.1;
    assert!(!world.lets_in(plain.credential().unwrap()), "the account's own name is not on the host's list");
    let named = world.provider(json!({ "principals": { &world.user: ["elsewhere", "writ-deploy"] } }));
    let (_, named) = minted(&named).await;
    assert!(world.lets_in(named.credential().unwrap()), "{}", world.host.log());
    assert_eq!(named.credential().unwrap().principal, world.user, "it is the account that is logged in to");
}

/// Ten near misses, and more.
#[tokio::test]
async fn near_misses_stay_out() {
    let world = World::start();
    let plain = world.provider(json!({}));
    let refused = |why: &str, secret: &[u8], words: &str| {
        let before = world.host.log().len();
        let seen = world.runs(&Login::new(&world.user, secret, "echo in"));
        assert!(seen.is_err(), "{why}: {seen:?}");
        let log = world.host.log();
        let said = log.get(before..).unwrap();
        assert!(said.contains(words) && !said.contains("Accepted"), "{why}: {said}");
    };

    let ours = SshProvider::new(&world.config(json!({})), world.authority("other")).unwrap();
    let (_, by_another) = minted(&ours).await;
    refused("another target's authority", secret(&by_another), "Failed publickey");

    let principal = world.provider(json!({ "principals": { &world.user: ["another"] } }));
    let (_, principal) = minted(&principal).await;
    refused("another principal", secret(&principal), "not a listed principal");

    let near = format!("{}x", world.user);
    let longer = world.provider(json!({ "principals": { &world.user: [near] } }));
    refused("a principal that begins alike", secret(&minted(&longer).await.1), "not a listed principal");

    let elsewhere = world.provider(json!({ "source_addresses": ["127.0.0.2"] }));
    let (_, elsewhere) = minted(&elsewhere).await;
    refused("from another address", secret(&elsewhere), "permitted source address");
    let there = Login { from: Ipv4Addr::new(127, 0, 0, 2), ..Login::new(&world.user, secret(&elsewhere), "echo in") };
    assert_eq!(world.runs(&there), Ok("in\n".to_owned()), "from its own address it is good");

    let config = world.config(json!({}));
    for (why, by, words) in [("expired", -301, "expired"), ("not yet valid", 120, "not yet valid")] {
        let provider = SshProvider::by_clock(&config, world.authority("web"), Arc::new(Off(by))).unwrap();
        refused(why, secret(&mint(&provider, &writ_off(by)).await.unwrap()), words);
    }

    let (writ, revoked) = minted(&plain).await;
    let (_, other) = minted(&plain).await;
    world.revoke(&[writ.id]);
    refused("revoked", secret(&revoked), "revoked");
    assert!(world.lets_in(other.credential().unwrap()), "another writ's is good still");

    let (key, _) = split(secret(&other)).unwrap();
    let (_, certificate) = split(secret(&principal)).unwrap();
    let crossed = [key, certificate].concat();
    let seen = world.runs(&Login::new(&world.user, &crossed, "echo in"));
    assert!(seen.is_err(), "another writ's certificate with this key: {seen:?}");

    let bare = [key, b"\n".as_slice()].concat();
    let seen = world.runs(&Login::new(&world.user, &bare, "echo in"));
    assert!(seen.is_err(), "the key without its certificate: {seen:?}");

    let (_, sound) = split(secret(&other)).unwrap();
    let changed = [key, changed(sound).as_slice()].concat();
    let seen = world.runs(&Login::new(&world.user, &changed, "echo in"));
    assert!(seen.is_err(), "one bit of the certificate changed: {seen:?}");

    let host = HostRequest {
        key: public_of(&world, key),
        names: vec![world.user.clone()],
        expires: after(Timestamp::now(), 300),
    };
    let host = world.authority("web").certify_host(&host).await.unwrap();
    let as_user = [key, host.line.as_bytes()].concat();
    refused("a host's certificate", &as_user, "Failed publickey");

    assert!(world.lets_in(other.credential().unwrap()), "and the good one is good to the end");
}

/// The certificate with one bit of its signature turned.
fn changed(line: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let line = String::from_utf8(line.to_vec()).unwrap();
    let mut words = line.split(' ');
    let (kind, body) = (words.next().unwrap(), words.next().unwrap());
    let mut bytes = STANDARD.decode(body).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    format!("{kind} {} changed\n", STANDARD.encode(bytes)).into_bytes()
}

fn public_of(world: &World, key: &[u8]) -> String {
    let file = world.state.path().join("one-key");
    write(&file, key).unwrap();
    keygen(&["-y", "-f", &file.to_string_lossy()]).unwrap()
}

#[tokio::test]
async fn a_writ_that_ended_and_a_role_that_nobody_knows_get_nothing() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let fault = mint(&provider, &writ_off(-301)).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("has ended")), "{fault:?}");
    let writ = writ_provider_kit::writ(Some("admin".to_owned()), LIFE);
    let fault = mint(&provider, &writ).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("the role `admin`")), "{fault:?}");
    let only = world.config(json!({ "user": null, "users": { "deployer": "deploy" } }));
    let only = SshProvider::new(&only, world.authority("web")).unwrap();
    let fault = mint(&only, &writ_provider_kit::writ(None, LIFE)).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("`@role`")), "{fault:?}");
}
