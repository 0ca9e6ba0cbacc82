//! An SSH host, as its admin and a workload meet it: whom it trusts, what was taken back, a certificate of its own. The host is a
//! real one; no gateway speaks SSH yet, so that the workload tries.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use writ_world::sshd::{Login, Sshd, account, certified, keygen, write};
use writ_world::stack::{Part, Stack, printed};

use super::evidence::{admin, eventually, holding};

fn configured(at: &Path, configuration: &str, authority: &str) -> Result<String, String> {
    let policy = "@id(\"web\") @ttl(\"15m\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", \
                  resource == Writ::Target::\"web\");\n";
    std::fs::write(at.join("policies/web.cedar"), policy).map_err(|error| error.to_string())?;
    let target = format!(
        "\n[[broker.target]]\nname = \"web\"\nprotocol = \"ssh\"\nhost = \"web.test\"\n\n\
         [broker.target.provider.ssh]\nuser = \"deploy\"\n{authority}\n"
    );
    Ok(format!("{configuration}{target}"))
}

/// The writ of a trial that was let in, once it is over.
fn tried(stack: &Stack) -> String {
    let file = stack.state().join("token");
    write(&file, stack.token().unwrap().as_bytes()).unwrap();
    let said = admin(stack, &["try", "web", "--token-file", &file.to_string_lossy(), "--json"]).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["principal"], "deploy");
    let writ = said["writ"].as_str().unwrap().to_owned();
    assert_eq!(said["audit"], writ.as_str(), "the host's log will name it so");
    eventually(|| {
        let shown = admin(stack, &["writs", "show", &writ, "--json"])?;
        let shown: Value = serde_json::from_str(&shown).map_err(|error| error.to_string())?;
        if shown["state"] == "closed" { Ok(()) } else { Err(format!("not over: {shown}")) }
    })
    .unwrap();
    writ
}

/// The list as a host fetches it: with the broker's authority and no token.
fn fetched(stack: &Stack, url: &str) -> Result<PathBuf, String> {
    let file = stack.state().join("fetched.krl");
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "--cacert"]).arg(stack.authority()).arg("-o").arg(&file).arg(url);
    printed(&mut curl).map(|_| file)
}

fn listed(list: &Path) -> String {
    keygen(&["-Q", "-l", "-f", &list.to_string_lossy()]).unwrap()
}

#[test]
fn a_host_learns_whom_to_trust_and_what_was_taken_back() {
    let mut stack = Stack::start_with(&[], |_, at, text| configured(at, &text, "")).unwrap();
    let trusted = admin(&stack, &["ssh", "ca", "web"]).unwrap();
    let host = Sshd::start(std::slice::from_ref(&trusted), "").unwrap();
    let url = admin(&stack, &["ssh", "krl", "web"]).unwrap();
    let first = tried(&stack);
    let list = eventually(|| {
        let list = fetched(&stack, &url)?;
        if listed(&list).contains(&first) { Ok(list) } else { Err(listed(&list)) }
    })
    .unwrap();
    assert!(listed(&list).contains("serial: "));
    // The same by the command, and the same after a power cut: it is made from what the store has.
    stack.crash().unwrap();
    assert_eq!(admin(&stack, &["ssh", "ca", "web"]).unwrap(), trusted, "the key is the one of before");
    let second = tried(&stack);
    let file = stack.state().join("command.krl");
    eventually(|| {
        admin(&stack, &["ssh", "krl", "web", "--out", &file.to_string_lossy()])?;
        let said = listed(&file);
        if said.contains(&first) && said.contains(&second) { Ok(()) } else { Err(said) }
    })
    .unwrap();
    // Whoever does not know the authority's key learns nothing.
    let unknown = url.replace("/v1/ssh/", "/v1/ssh/0");
    assert!(fetched(&stack, &unknown).unwrap_err().contains("404"));

    let key = stack.state().join("host.pub");
    write(&key, host.host_key().unwrap().as_bytes()).unwrap();
    let certified = stack.state().join("host-cert.pub");
    let (key, out) = (key.to_string_lossy().into_owned(), certified.to_string_lossy().into_owned());
    let asked = ["ssh", "host-certificate", "web", "--key", &key, "--name", "web.test", "--life", "1h", "--out", &out];
    let said = admin(&stack, &asked).unwrap();
    assert!(said.contains("good until"), "{said}");
    let shown = keygen(&["-L", "-f", &out]).unwrap();
    assert!(shown.contains("host certificate") && shown.contains("web.test"), "{shown}");
    let refused = admin(&stack, &["ssh", "host-certificate", "web", "--key", &key, "--name", "*.test"]).unwrap_err();
    assert!(refused.contains("`*.test` is no host name"), "{refused}");
    let refused = admin(&stack, &["ssh", "ca", "payments"]).unwrap_err();
    assert!(refused.contains("provider is not `ssh`"), "{refused}");

    for words in ["\"ssh-authority\"", "\"host_certified\"", "[\"web.test\"]"] {
        let kept = || holding(&stack.state().join("broker/evidence/ledger"), words.as_bytes());
        eventually(|| if kept().is_empty() { Err(format!("the ledger has no {words}")) } else { Ok(()) }).unwrap();
    }
    admin(&stack, &["ledger", "verify"]).unwrap();
    let seed = std::fs::read(stack.state().join("broker/keys/ssh-authority-web.key")).unwrap();
    let elsewhere: Vec<_> = holding(stack.state(), &seed);
    assert_eq!(elsewhere.len(), 1, "the key stands in its file alone: {elsewhere:?}");
}

/// Whether the host lets in whoever has a certificate with this key id, signed by the key of this authority: what somebody has who
/// took it from a gateway.
fn lets_in(host: &Sshd, stack: &Stack, authority: &str, key_id: &str) -> bool {
    let seed = std::fs::read(stack.state().join(format!("broker/keys/ssh-authority-{authority}.key"))).unwrap();
    let account = account().unwrap();
    let secret = certified(&seed, &account, key_id).unwrap();
    let output = host.login(&Login::new(&account, &secret, "echo let in")).unwrap();
    assert_eq!(output.status.success(), output.stdout == b"let in\n", "{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// A key that takes another's place is announced first. Lists cover both, and stand where they stood.
#[test]
fn an_authority_is_changed_without_shutting_anybody_out_or_letting_anybody_in() {
    let stack = Stack::start_with(&[], |_, at, text| configured(at, &text, "other_authorities = [\"next\"]")).unwrap();
    let both = admin(&stack, &["ssh", "ca", "web"]).unwrap();
    let both: Vec<String> = both.lines().map(str::to_owned).collect();
    assert_eq!(both.len(), 2);
    let host = Sshd::start(&both, "").unwrap();
    let former = admin(&stack, &["ssh", "krl", "web"]).unwrap();
    let before = tried(&stack);
    let file = stack.state().join("writ.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let turned = text.replace("other_authorities = [\"next\"]", "authority = \"next\"\nother_authorities = [\"web\"]");
    assert_ne!(turned, text);
    std::fs::write(&file, turned).unwrap();
    stack.hang_up().unwrap();
    let swapped = [both[1].as_str(), &both[0]].join("\n");
    eventually(|| {
        let now = admin(&stack, &["ssh", "ca", "web"])?;
        if now == swapped { Ok(()) } else { Err(now) }
    })
    .unwrap();
    let after = tried(&stack);
    let now = admin(&stack, &["ssh", "krl", "web"]).unwrap();
    assert_ne!(now, former);
    for url in [&now, &former] {
        eventually(|| {
            let said = listed(&fetched(&stack, url)?);
            let twice = |writ: &str| said.matches(&format!("id: {writ}")).count() == 2;
            if twice(&before) && twice(&after) { Ok(()) } else { Err(format!("not under both keys: {said}")) }
        })
        .unwrap();
    }
    // The host goes on fetching where it was told to when it was set up.
    let stolen = [("web", before.as_str()), ("next", after.as_str())];
    assert!(stolen.iter().all(|(authority, writ)| lets_in(&host, &stack, authority, writ)), "{}", host.log());
    host.revoke(&std::fs::read(fetched(&stack, &former).unwrap()).unwrap()).unwrap();
    assert!(!stolen.iter().any(|(authority, writ)| lets_in(&host, &stack, authority, writ)), "{}", host.log());
    assert!(host.log().contains("revoked"), "{}", host.log());
    assert!(["web", "next"].iter().all(|authority| lets_in(&host, &stack, authority, "another")), "{}", host.log());
}

fn target(name: &str) -> String {
    format!(
        "\n[[broker.target]]\nname = \"{name}\"\nprotocol = \"ssh\"\nhost = \"{name}.test\"\n\n\
         [broker.target.provider.ssh]\nuser = \"deploy\"\n"
    )
}

/// What `writ serve` says that does not start.
fn refused(stack: &Stack, configuration: &Path) -> String {
    let output = Command::new(stack.binary()).args(["serve", "--config"]).arg(configuration).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The ledger has each key before it is used, and nothing is made in a state that another broker uses.
#[test]
fn a_key_that_a_failed_start_made_is_introduced_by_the_next() {
    let mut stack = Stack::start_with(&[], |_, at, text| configured(at, &text, "")).unwrap();
    let (file, state) = (stack.state().join("writ.toml"), stack.state().join("broker"));
    let key = |name: &str| state.join(format!("keys/ssh-authority-{name}.key"));
    let new = |name: &str| state.join(format!("keys/ssh-authority-{name}.key.new"));
    let text = std::fs::read_to_string(&file).unwrap();
    let second = stack.state().join("second.toml");
    std::fs::write(&second, format!("{text}{}", target("second"))).unwrap();
    let said = refused(&stack, &second);
    assert!(said.contains("another broker runs on the state"), "{said}");
    assert!(!key("second").exists() && !new("second").exists(), "it made a key");

    stack.terminate(Part::Serve);
    std::fs::write(&file, format!("{text}{}", target("late"))).unwrap();
    let (evidence, aside) = (state.join("evidence"), state.join("evidence.aside"));
    std::fs::rename(&evidence, &aside).unwrap();
    std::fs::write(&evidence, "no directory").unwrap();
    let said = refused(&stack, &file);
    assert!(said.contains("cannot be used"), "{said}");
    assert!(!key("late").exists() && new("late").exists(), "a key that no ledger has bears the name of one");
    let seed = std::fs::read(new("late")).unwrap();
    std::fs::remove_file(&evidence).unwrap();
    std::fs::rename(&aside, &evidence).unwrap();
    stack.begin(Part::Serve).unwrap();
    stack.wait_until_ready().unwrap();
    assert!(!new("late").exists() && std::fs::read(key("late")).unwrap() == seed, "it is the one that was made");
    admin(&stack, &["ledger", "verify"]).unwrap();
    let line = admin(&stack, &["ssh", "ca", "late"]).unwrap();
    let blob = STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap();
    let public: String = blob[blob.len() - 32..].iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = || holding(&evidence.join("ledger"), public.as_bytes());
    eventually(|| if kept().is_empty() { Err("the ledger does not have the key".to_owned()) } else { Ok(()) }).unwrap();
}
