//! Certificates of hosts: OpenSSH's client takes a host by its certificate, for its names alone.

use std::fs;

use serde_json::json;
use writ_core::provider::ProviderFault;
use writ_core::ssh::{HostRequest, SshAuthority as _};
use writ_core::time::{Timestamp, after};
use writ_world::sshd::{Login, keygen, write};

use crate::world::{World, minted, secret};

fn request(world: &World, names: &[&str]) -> HostRequest {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    HostRequest { key: world.host.host_key().unwrap(), names, expires: after(Timestamp::now(), 3600) }
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_takes_the_host_by_its_names() {
    let world = World::start();
    let authority = world.authority("web");
    let signed = authority.certify_host(&request(&world, &["web.test", "127.0.0.1"])).await.unwrap();
    world.host.host_certificate(&signed.line).unwrap();
    let shown = keygen(&["-l", "-f", &world.host.directory().join("host.pub").to_string_lossy()]).unwrap();
    assert!(shown.contains(&signed.key), "{shown}");
    let known = world.state.path().join("known");
    let trusts = |who: &str| write(&known, format!("@cert-authority * {who}\n").as_bytes()).unwrap();
    let (_, minted) = minted(&world.provider(json!({}))).await;
    let file = format!("UserKnownHostsFile={}", known.display());
    for (name, by, taken) in [("web.test", "web", true), ("db.test", "web", false), ("web.test", "other", false)] {
        trusts(&world.authority(by).trusted()[0]);
        let alias = format!("HostKeyAlias={name}");
        let options = [file.as_str(), "StrictHostKeyChecking=yes", alias.as_str()];
        let login = Login { options: &options, ..Login::new(&world.user, secret(&minted), "echo in") };
        let seen = world.runs(&login);
        assert_eq!(seen == Ok("in\n".to_owned()), taken, "{name} by {by}: {seen:?}");
    }
    assert_eq!(fs::read_to_string(&known).unwrap().lines().count(), 1, "nothing was learnt beside");
}

#[tokio::test]
async fn keys_of_every_good_type_are_certified_and_weak_ones_are_not() {
    let world = World::start();
    let authority = world.authority("web");
    for (number, (arguments, words)) in [
        (["-t", "ecdsa", "-b", "256"], None),
        (["-t", "ecdsa", "-b", "384"], None),
        (["-t", "ecdsa", "-b", "521"], None),
        (["-t", "rsa", "-b", "2048"], None),
        (["-t", "rsa", "-b", "1024"], Some("fewer than 2048 bits")),
    ]
    .into_iter()
    .enumerate()
    {
        let file = world.state.path().join(format!("host-{number}"));
        let path = file.to_string_lossy().into_owned();
        keygen(&[&arguments[..], &["-q", "-N", "", "-f", &path]].concat()).unwrap();
        let key = fs::read_to_string(format!("{path}.pub")).unwrap();
        let signed = authority.certify_host(&HostRequest { key, ..request(&world, &["web.test"]) }).await;
        match (signed, words) {
            (Ok(signed), None) => {
                let certified = format!("{path}-cert.pub");
                write(std::path::Path::new(&certified), signed.line.as_bytes()).unwrap();
                let shown = keygen(&["-L", "-f", &certified]).unwrap();
                assert!(shown.contains("host certificate") && shown.contains("web.test"), "{shown}");
                assert!(shown.contains(&format!("Serial: {}", signed.serial)), "{shown}");
            }
            (Err(ProviderFault::Misconfigured(text)), Some(words)) => assert!(text.contains(words), "{text}"),
            (seen, _) => panic!("{arguments:?}: {seen:?}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_a_host_is_not_certified() {
    let world = World::start();
    let authority = world.authority("web");
    let sound = || request(&world, &["web.test"]);
    let named = |name: &str| HostRequest { names: vec![name.to_owned()], ..sound() };
    let ends = |seconds| HostRequest { expires: after(Timestamp::now(), seconds), ..sound() };
    for (asked, words) in [
        (HostRequest { key: "ssh-ed25519 AAAA".to_owned(), ..sound() }, "no public key of OpenSSH's"),
        (HostRequest { key: String::new(), ..sound() }, "no public key of OpenSSH's"),
        (HostRequest { names: Vec::new(), ..sound() }, "0 names"),
        (HostRequest { names: vec!["web.test".to_owned(); 33], ..sound() }, "33 names"),
        (named("*.test"), "`*.test` is no host name"),
        (named("web.test,db.test"), "is no host name"),
        (named("-oProxyCommand"), "is no host name"),
        (named(""), "is no host name"),
        (ends(0), "366 days"),
        (ends(367 * 86_400), "366 days"),
    ] {
        let fault = authority.certify_host(&asked).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(words)), "{words}: {fault:?}");
    }
    authority.certify_host(&sound()).await.unwrap();
}
