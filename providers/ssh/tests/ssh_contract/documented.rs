//! What the documentation says to paste.

use serde_json::Value;
use writ_provider_ssh::{Permit, SshConfig};
use writ_world::sshd::Login;

use crate::world::{World, minted_as, secret};

const GUIDE: &str = include_str!("../../../../docs/providers/ssh.md");

/// The block number `number` of a kind.
fn block(kind: &str, number: usize) -> &'static str {
    let fence = format!("\n```{kind}\n");
    GUIDE.split(&fence).nth(number + 1).unwrap().split("```").next().unwrap()
}

fn settings() -> Value {
    let table: toml::Table = toml::from_str(block("toml", 0)).unwrap();
    serde_json::to_value(table).unwrap()["broker"]["target"][0]["provider"]["ssh"].clone()
}

#[tokio::test]
async fn the_settings_do_what_the_guide_says() {
    let mut settings = settings();
    let config: SshConfig = serde_json::from_value(settings.clone()).unwrap();
    config.validate().unwrap();
    assert_eq!(config.max_life_seconds, 900);
    assert!(config.scopes["shell"].permit.contains(&Permit::Pty));
    // The account is whoever runs the tests, and the client is here.
    let world = World::start();
    settings["users"]["operator"] = world.user.as_str().into();
    settings["source_addresses"] = serde_json::json!(["127.0.0.0/8"]);
    settings["scopes"]["nightly"]["command"] = "echo all".into();
    let provider = world.provider(settings);
    let (_, minted) = minted_as(&provider, Some("operator"), Some("nightly")).await;
    assert_eq!(world.runs(&Login::new(&world.user, secret(&minted), "echo one")), Ok("all\n".to_owned()));
}

/// The lines for `sshd_config`, with the files where this host has them, are what the tests' host runs by.
#[test]
fn the_hosts_lines_are_those_of_the_tests() {
    let lines: Vec<&str> = block("conf", 0).lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(lines, ["TrustedUserCAKeys", "RevokedKeys", "AuthorizedKeysFile"]);
    let world = World::start();
    let config = std::fs::read_to_string(world.host.directory().join("sshd_config")).unwrap();
    assert!(lines.iter().all(|line| config.lines().any(|set| set.starts_with(line))), "{config}");
}

#[test]
fn each_setting_stands_in_the_table() {
    let (_, table) = GUIDE.split_once("## Settings").unwrap();
    let written: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    // What serde says of a field that is not there names all that are.
    let said = serde_json::from_value::<SshConfig>(serde_json::json!({ "none": 1 })).unwrap_err().to_string();
    let known: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
    assert_eq!(written, known);
}
