//! Revocation lists, as `ssh-keygen` reads them and beside those that it writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use writ_core::id::WritId;
use writ_core::ssh::SshAuthority as _;
use writ_core::time::Timestamp;
use writ_provider_ssh::Authority;
use writ_world::sshd::{keygen, split, write};

use crate::world::{World, key, list as revoked, minted, secret};

fn certificate(world: &World, name: &str, secret: &[u8]) -> PathBuf {
    let file = world.state.path().join(format!("{name}-cert.pub"));
    write(&file, split(secret).unwrap().1).unwrap();
    file
}

/// Whether `ssh-keygen` finds the certificate on the list; it fails where it does.
fn is_listed(list: &Path, certificate: &Path) -> bool {
    let said = keygen(&["-Q", "-f", &list.to_string_lossy(), &certificate.to_string_lossy()]);
    let (found, text) = match &said {
        Ok(text) => (false, text),
        Err(text) => (true, text),
    };
    assert_eq!(text.contains("REVOKED"), found, "{text}");
    found
}

#[tokio::test]
async fn openssh_finds_who_is_on_a_list_and_nobody_else() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let ((one, first), (_, second)) = (minted(&provider).await, minted(&provider).await);
    let (first, second) = (certificate(&world, "one", secret(&first)), certificate(&world, "two", secret(&second)));
    let list = world.state.path().join("list");
    let authority = world.authority("web");
    let mut ended: Vec<WritId> = (0..2_000).map(|_| WritId::fresh()).collect();
    write(&list, &revoked(&authority, &ended)).unwrap();
    assert!(!is_listed(&list, &first) && !is_listed(&list, &second));
    ended.insert(1_000, one.id);
    ended.push(one.id);
    write(&list, &revoked(&authority, &ended)).unwrap();
    assert!(is_listed(&list, &first) && !is_listed(&list, &second));
    let said = keygen(&["-Q", "-l", "-f", &list.to_string_lossy()]).unwrap();
    assert!(said.contains(&format!("id: {}", one.id)), "{said}");
    assert_eq!(said.matches("id: writ-").count(), 2_001, "each once");
    assert_eq!(said.matches("serial: ").count(), 2_001, "by serial number too");
    write(&list, &revoked(&authority, &[])).unwrap();
    assert!(!is_listed(&list, &first));
}

/// The serial number and the key id that a list names are those of the certificate: OpenSSH's own lists by either find it.
#[tokio::test]
async fn either_of_the_two_names_is_enough() {
    let world = World::start();
    let (writ, minted) = minted(&world.provider(json!({}))).await;
    let certificate = certificate(&world, "one", secret(&minted));
    let shown = keygen(&["-L", "-f", &certificate.to_string_lossy()]).unwrap();
    let serial = shown.lines().find_map(|line| line.trim().strip_prefix("Serial: ")).unwrap();
    let (ca, spec) = (world.host.directory().join("ca.pub"), world.state.path().join("spec"));
    let theirs = world.state.path().join("theirs");
    for named in [format!("serial: {serial}"), format!("id: {}", writ.id)] {
        write(&spec, format!("{named}\n").as_bytes()).unwrap();
        let [ca, spec, file] = [&ca, &spec, &theirs].map(|path| path.to_string_lossy().into_owned());
        keygen(&["-q", "-k", "-f", &file, "-s", &ca, &spec]).unwrap();
        assert!(is_listed(&theirs, &certificate), "{named}");
    }
    let ours = world.state.path().join("ours");
    write(&ours, &revoked(&world.authority("web"), &[writ.id])).unwrap();
    let said = keygen(&["-Q", "-l", "-f", &ours.to_string_lossy()]).unwrap();
    assert!(said.contains(&format!("serial: {serial}")) && said.contains(&format!("id: {}", writ.id)), "{said}");
}

#[tokio::test]
async fn a_list_is_of_its_authority_and_those_that_are_trusted_beside() {
    let world = World::start();
    let (writ, minted) = minted(&world.provider(json!({}))).await;
    let certificate = certificate(&world, "one", secret(&minted));
    let list = world.state.path().join("list");
    write(&list, &revoked(&world.authority("other"), &[writ.id])).unwrap();
    assert!(!is_listed(&list, &certificate), "another authority's list says nothing of it");
    let next = Authority::new(Arc::new(key(&world.state, "next")), &[Arc::new(key(&world.state, "web"))]).unwrap();
    assert_eq!(next.trusted().len(), 2);
    assert_eq!(next.trusted()[1], world.authority("web").trusted()[0]);
    write(&list, &revoked(&next, &[writ.id])).unwrap();
    assert!(is_listed(&list, &certificate), "the former's certificates are on its successor's");
}

#[tokio::test]
async fn what_a_certificate_says_is_what_openssh_reads() {
    let world = World::start();
    let provider = world.provider(json!({
        "permit": ["user-rc", "pty", "x11-forwarding", "agent-forwarding", "port-forwarding"], "command": "echo \"one\" 'two'",
        "source_addresses": ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"], "max_life_seconds": 60,
        "principals": { &world.user: ["one", "two"] },
    }));
    let (writ, minted) = minted(&provider).await;
    let shown = certificate(&world, "one", secret(&minted));
    let shown = keygen(&["-L", "-f", &shown.to_string_lossy()]).unwrap();
    let said: Vec<&str> = shown.lines().map(str::trim).collect();
    for line in [
        "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
        &format!("Key ID: \"{}\"", writ.id),
        "force-command echo \"one\" 'two'",
        "source-address 192.0.2.0/24,2001:db8::/32,198.51.100.7/32",
    ] {
        assert!(said.contains(&line), "{line}: {shown}");
    }
    let from = |head: &str| said.iter().position(|line| line.starts_with(head)).unwrap();
    assert_eq!(said[from("Principals:") + 1..from("Critical Options:")], ["one", "two"]);
    let extensions: Vec<&str> =
        said[from("Extensions:") + 1..].iter().copied().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        extensions,
        ["permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"]
    );
    let expires = minted.credential().unwrap().expires.unwrap().as_second();
    assert!((58..=60).contains(&(expires - Timestamp::now().as_second())), "the shorter of the two lives");
}
