//! A GitHub App's installation as a target: a workload tries, the broker shows the token to GitHub, and takes it back.

use std::path::Path;

use serde_json::Value;
use writ_fakes::github::{App, Github, Installation, Repository};
use writ_world::sshd::write;
use writ_world::stack::Stack;

use super::evidence::{admin, eventually, holding};

fn configured(at: &Path, configuration: &str, github: &Github, key: &str) -> Result<String, String> {
    let policy = "@id(\"code\") @ttl(\"15m\") @scope(\"read\")\npermit (principal is Writ::Workload, action in \
                  Writ::Action::\"use\", resource == Writ::Target::\"code\");\n";
    std::fs::write(at.join("policies/code.cedar"), policy).map_err(|error| error.to_string())?;
    write(&at.join("app.pem"), key.as_bytes())?;
    let (at, api) = (at.display(), github.url());
    Ok(format!(
        "{configuration}\n[[broker.target]]\nname = \"code\"\nprotocol = \"github\"\nhost = \"api.github.com\"\n\n\
         [broker.target.provider.github]\napp = \"Iv23liWritStory00001\"\ninstallation = 7\napi = \"{api}\"\n\
         private_key_file = \"{at}/app.pem\"\n\n[broker.target.provider.github.scopes.read]\n\
         repositories = [\"octo-repo\"]\npermissions = {{ contents = \"read\" }}\n"
    ))
}

#[test]
fn a_trial_gets_a_narrowed_token_and_leaves_none() {
    let app = App::new(1, "Iv23liWritStory00001").unwrap();
    let key = app.pem().unwrap();
    let repository = |id, name: &str| Repository { id, name: name.to_owned() };
    let installation = Installation {
        id: 7,
        owner: "octo-org".to_owned(),
        repositories: vec![repository(1, "octo-repo"), repository(2, "other")],
        permissions: [("contents".to_owned(), "write".to_owned())].into(),
    };
    let github = Github::start(app, installation).unwrap();
    let stack = Stack::start_with(&[], |_, at, text| configured(at, &text, &github, &key)).unwrap();
    admin(&stack, &["targets", "probe", "code"]).unwrap();
    let token = stack.state().join("token");
    write(&token, stack.token().unwrap().as_bytes()).unwrap();
    let said = admin(&stack, &["try", "code", "--token-file", &token.to_string_lossy(), "--json"]).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["principal"], &said["presented"]), (&"octo-org/octo-repo".into(), &true.into()), "{said}");
    eventually(|| if github.living() == 0 { Ok(()) } else { Err("the token lives".to_owned()) }).unwrap();
    let asked: Vec<String> = github.seen().into_iter().map(|request| request.what).collect();
    assert_eq!(
        asked,
        [
            "GET /app/installations/7",
            "POST /app/installations/7/access_tokens",
            "GET /installation/repositories?per_page=100",
            "DELETE /installation/token",
        ]
    );
    admin(&stack, &["ledger", "verify"]).unwrap();
    let kept = holding(stack.state(), b"ghs_");
    assert!(kept.is_empty(), "a token is in {kept:?}");
}
