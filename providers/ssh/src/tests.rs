use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use ssh_key::certificate::{CertType, Certificate};
use writ_core::id::WritId;
use writ_core::provider::{Pending, ProviderFault};
use writ_core::ssh::SshAuthority as _;
use writ_core::time::Timestamp;

use crate::certificate::{Content, Kind};
use crate::key::{ED25519, Pair};
use crate::wire::{Wire, split_string};
use crate::{Authority, CaKey, Permit, SshConfig, krl};

/// A key that signs, or gives something else.
#[derive(Debug)]
struct Keeper {
    pair: Ed25519KeyPair,
    gives: Gives,
}

#[derive(Debug, Clone, Copy)]
enum Gives {
    Signatures,
    Nothing,
    AnothersSignatures,
    Half,
}

impl CaKey for Keeper {
    fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        let signed = match self.gives {
            Gives::Signatures => self.pair.sign(message).as_ref().to_vec(),
            Gives::Nothing => Vec::new(),
            Gives::AnothersSignatures => keeper(9, Gives::Signatures).pair.sign(message).as_ref().to_vec(),
            Gives::Half => self.pair.sign(message).as_ref().get(..32).unwrap().to_vec(),
        };
        Box::pin(async { Ok(signed) })
    }
}

fn keeper(seed: u8, gives: Gives) -> Keeper {
    Keeper { pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(), gives }
}

fn authority(gives: Gives) -> Authority {
    Authority::new(Arc::new(keeper(1, gives)), &[]).unwrap()
}

fn content<'a>(
    principals: &'a [String],
    permits: &'a std::collections::BTreeSet<Permit>,
    key: &'a [u8],
) -> Content<'a> {
    Content {
        kind: Kind::User,
        key_type: ED25519,
        key,
        serial: u64::MAX,
        key_id: "writ-1",
        principals,
        valid_after: 1_800_000_000,
        valid_before: 1_800_000_300,
        command: Some("backup"),
        sources: &[],
        permits,
    }
}

#[tokio::test]
async fn another_implementation_reads_a_certificate_and_writes_the_same_bytes() {
    let pair = Pair::make().unwrap();
    let key = Wire::default().string(pair.public).finish();
    let (principals, permits) = (vec!["deploy".to_owned()], [Permit::Pty, Permit::X11Forwarding].into());
    let line = authority(Gives::Signatures).certify(&content(&principals, &permits, &key)).await.unwrap();
    let read = Certificate::from_openssh(line.trim_end()).unwrap();
    assert_eq!(format!("{}\n", read.to_openssh().unwrap()), line);
    assert_eq!((read.cert_type(), read.serial(), read.key_id()), (CertType::User, u64::MAX, "writ-1"));
    assert_eq!(read.valid_principals(), principals);
    assert_eq!((read.valid_after(), read.valid_before()), (1_800_000_000, 1_800_000_300));
    let options: Vec<(&str, &str)> =
        read.critical_options().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(options, [("force-command", "backup")]);
    let extensions: Vec<&str> = read.extensions().keys().map(String::as_str).collect();
    assert_eq!(extensions, ["permit-X11-forwarding", "permit-pty"]);
    let again = authority(Gives::Signatures).certify(&content(&principals, &permits, &key)).await.unwrap();
    assert_ne!(line, again, "each has a nonce of its own");
    let private = ssh_key::PrivateKey::from_openssh(pair.private.as_bytes()).unwrap();
    assert_eq!(private.public_key().key_data().ed25519().unwrap().0, pair.public);
    assert!(pair.private.ends_with("-----END OPENSSH PRIVATE KEY-----\n"));
}

#[tokio::test]
async fn a_signature_that_is_none_of_the_authoritys_certifies_nothing() {
    let key = Wire::default().string([7; 32]).finish();
    let (principals, permits) = (vec!["deploy".to_owned()], Default::default());
    for gives in [Gives::Nothing, Gives::AnothersSignatures, Gives::Half] {
        let fault = authority(gives).certify(&content(&principals, &permits, &key)).await.unwrap_err();
        assert!(
            matches!(&fault, ProviderFault::Refused(text) if text.contains("no signature of its own")),
            "{fault:?}"
        );
        assert!(authority(gives).probe().await.is_err(), "{gives:?}");
    }
    authority(Gives::Signatures).probe().await.unwrap();
}

#[tokio::test]
async fn nobody_and_no_time_are_not_certified() {
    let key = Wire::default().string([7; 32]).finish();
    let (principals, permits) = (vec!["deploy".to_owned()], Default::default());
    let sound = content(&principals, &permits, &key);
    let nobody = Content { principals: &[], ..content(&principals, &permits, &key) };
    let never = Content { valid_before: sound.valid_after, ..sound };
    for content in [nobody, never] {
        let fault = authority(Gives::Signatures).certify(&content).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("not signed")), "{fault:?}");
    }
}

#[test]
fn a_key_of_another_kind_is_no_authoritys() {
    #[derive(Debug)]
    struct Short;
    impl CaKey for Short {
        fn public(&self) -> &[u8] {
            &[1; 31]
        }

        fn sign<'a>(&'a self, _: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }
    assert!(Authority::new(Arc::new(Short), &[]).unwrap_err().to_string().contains("none of Ed25519"));
    assert!(Authority::new(Arc::new(keeper(1, Gives::Signatures)), &[Arc::new(Short)]).is_err());
}

/// PROTOCOL.krl, field by field.
#[test]
fn a_list_has_the_bytes_of_the_protocol() {
    let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
    let writs: Vec<WritId> = [[0x11; 16], [0x01; 16]].map(WritId::from_bytes).into();
    let authority = Authority::new(Arc::new(keeper(1, Gives::Signatures)), &[Arc::new(keeper(2, Gives::Signatures))]);
    let authority = authority.unwrap();
    let list = authority.revocation_list(&[authority.key(), &authority.others()[0]], &writs, at);
    let head = [
        b"SSHKRL\n\0".as_slice(),
        &1_u32.to_be_bytes(),
        &1_800_000_000_123_u64.to_be_bytes(),
        &1_800_000_000_u64.to_be_bytes(),
        &0_u64.to_be_bytes(),
        &0_u32.to_be_bytes(),
        &4_u32.to_be_bytes(),
        b"writ",
    ]
    .concat();
    let mut rest = list.strip_prefix(head.as_slice()).unwrap();
    for seed in [1, 2] {
        let (section, after) = split_string(rest.strip_prefix(&[1]).unwrap()).unwrap();
        let (key, section) = split_string(section).unwrap();
        assert_eq!(key, crate::key::blob(keeper(seed, Gives::Signatures).public().try_into().unwrap()));
        let (reserved, section) = split_string(section).unwrap();
        assert_eq!(reserved, b"");
        let (serials, section) = split_string(section.strip_prefix(&[0x20]).unwrap()).unwrap();
        assert_eq!(serials, [[0x81, 1, 1, 1, 1, 1, 1, 1], [0x91, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11]].concat());
        let (ids, section) = split_string(section.strip_prefix(&[0x23]).unwrap()).unwrap();
        let (first, ids) = split_string(ids).unwrap();
        let (second, ids) = split_string(ids).unwrap();
        assert_eq!([first, second], [writs[1].to_string().as_bytes(), writs[0].to_string().as_bytes()]);
        assert_eq!((ids, section), (b"".as_slice(), b"".as_slice()));
        rest = after;
    }
    assert_eq!(rest, b"");
}

#[test]
fn serial_numbers_differ_and_are_never_zero() {
    assert_ne!(krl::serial(WritId::from_bytes([0; 16])), 0);
    let mut serials: Vec<u64> = (0..10_000).map(|_| krl::serial(WritId::fresh())).collect();
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), 10_000);
}

fn refusal(changes: Value) -> String {
    let mut settings = json!({ "user": "deploy" });
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    match serde_json::from_value::<SshConfig>(settings) {
        Ok(config) => config.validate().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_mistake_says_what_to_write() {
    for (changes, words) in [
        (json!({ "user": null }), "no account: write `user`, or `users`"),
        (json!({ "user": "" }), "`` is no account"),
        (json!({ "user": "a b" }), "`a b` is no account"),
        (json!({ "user": "-oProxyCommand=x" }), "is no account"),
        (json!({ "user": "a*" }), "without spaces, commas or wildcards"),
        (json!({ "users": { "deployer": "root\n" } }), "`root` is no account"),
        (json!({ "principals": { "root": ["a"] } }), "the account `root`, which no session logs in to"),
        (json!({ "principals": { "deploy": [] } }), "`principals` has 0 for `deploy`"),
        (json!({ "principals": { "deploy": ["a,b"] } }), "`a,b` is no principal"),
        (json!({ "principals": { "deploy": vec!["a"; 257] } }), "write 1 to 256"),
        (json!({ "source_addresses": ["gateway.test"] }), "`gateway.test`, which is no network"),
        (json!({ "source_addresses": ["192.0.2.1/24"] }), "write `192.0.2.0/24`"),
        (json!({ "command": "" }), "`command` is none"),
        (json!({ "command": "a\nb" }), "write one line"),
        (json!({ "scopes": { "x": { "command": "\u{1b}" } } }), "the scope `x`: `command` is none"),
        (
            json!({ "source_addresses": ["192.0.2.0/24"], "scopes": { "x": { "source_addresses": ["192.0.0.0/16"] } } }),
            "the scope `x`: `source_addresses` has `192.0.0.0/16`, which is not within the target's own",
        ),
        (json!({ "permit": ["tty"] }), "unknown variant `tty`"),
        (json!({ "max_life_seconds": 59 }), "write a number from 60 to 86400"),
        (json!({ "max_life_seconds": 86_401 }), "write a number from 60 to 86400"),
        (json!({ "authority": "../web" }), "`../web` is no name of an authority"),
        (json!({ "other_authorities": [""] }), "`` is no name of an authority"),
        (json!({ "authority": "web", "other_authorities": ["web"] }), "`web`, which signs: leave it out"),
        (json!({ "key": "x" }), "unknown field `key`"),
        (json!({ "scopes": { "x": { "user": "root" } } }), "unknown field `user`"),
    ] {
        let said = refusal(changes.clone());
        assert!(said.contains(words), "{changes}: {said}");
        assert!(!said.contains('\n') || words.starts_with("unknown"), "{said}");
    }
}

#[test]
fn sound_settings_are_taken() {
    for changes in [
        json!({}),
        json!({ "user": "svc.deploy@corp.test" }),
        json!({ "user": null, "users": { "deployer": "deploy", "admin": "root" } }),
        json!({ "source_addresses": ["192.0.2.0/24", "2001:db8::1"], "scopes": { "x": { "source_addresses": ["192.0.2.7"] } } }),
        json!({ "scopes": { "x": { "source_addresses": ["192.0.2.7"] } } }),
        json!({ "command": "/usr/bin/backup --to \"a b\"", "permit": ["pty"], "authority": "fleet", "other_authorities": ["next"] }),
    ] {
        let mut settings = json!({ "user": "deploy" });
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let config: SshConfig = serde_json::from_value(settings).unwrap();
        config.validate().unwrap();
    }
    let target = writ_core::target::TargetName::new("web").unwrap();
    let named =
        |authority: Value| serde_json::from_value::<SshConfig>(json!({ "user": "a", "authority": authority })).unwrap();
    assert_eq!(named(Value::Null).authority(&target), "web");
    assert_eq!(named("fleet".into()).authority(&target), "fleet");
}
