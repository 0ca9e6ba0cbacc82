//! GitLab CI: the job declares its ID tokens, and GitLab puts each into a variable.
//!
//! <https://docs.gitlab.com/ci/secrets/id_token_authentication/>

use super::{Look, put};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::token::{Audience, Token};

/// The variable's usual name.
const USUAL: &str = "WRIT_ID_TOKEN";
/// Where another name stands.
const OTHER: &str = "WRIT_ID_TOKEN_VARIABLE";

/// The name of the variable that holds the token. What is no name is not shown: it may be the token itself.
fn variable(environment: &Environment) -> Result<String, Fault> {
    let Some(name) = environment.variable(OTHER) else { return Ok(USUAL.to_owned()) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.len() > 64 || !name.bytes().all(plain) {
        return Err(Fault::new(format!("`{OTHER}` is no variable's name"))
            .help("write the name that stands under `id_tokens`, not what is in it"));
    }
    Ok(name.as_str().to_owned())
}

/// The variable, where it has a name.
pub(crate) fn named(environment: &Environment) -> Option<String> {
    variable(environment).ok()
}

pub(crate) fn look(environment: &Environment) -> Look {
    if !environment.says("GITLAB_CI") {
        return Look::Elsewhere("no job of GitLab CI".to_owned());
    }
    match variable(environment) {
        Ok(name) if environment.has(&name) => Look::Serves(format!("`{name}` is set")),
        Ok(name) => Look::Cannot(missing(&name)),
        Err(fault) => Look::Cannot(fault),
    }
}

fn missing(name: &str) -> Fault {
    Fault::new(format!("this job has no `{name}`")).help(declare(name, "writ"))
}

fn declare(name: &str, audience: &str) -> String {
    format!("write `id_tokens: {{ {name}: {{ aud: {audience} }} }}` at the job; another name stands in `{OTHER}`")
}

pub(crate) fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let name = variable(environment)?;
    let text = environment.variable(&name).ok_or_else(|| missing(&name))?;
    put(&text, &name, audience, &declare(&name, audience.as_str()))
}
