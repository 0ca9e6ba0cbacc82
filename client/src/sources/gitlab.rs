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

/// The name of the variable that holds the token.
pub(crate) fn variable(environment: &Environment) -> String {
    environment.variable(OTHER).map_or_else(|| USUAL.to_owned(), |name| name.as_str().to_owned())
}

pub(crate) fn look(environment: &Environment) -> Look {
    let name = variable(environment);
    if !environment.says("GITLAB_CI") {
        return Look::Elsewhere("no job of GitLab CI".to_owned());
    }
    if environment.has(&name) { Look::Serves(format!("`{name}` is set")) } else { Look::Cannot(missing(&name)) }
}

fn missing(name: &str) -> Fault {
    Fault::new(format!("this job has no `{name}`")).help(declare(name, "writ"))
}

fn declare(name: &str, audience: &str) -> String {
    format!("write `id_tokens: {{ {name}: {{ aud: {audience} }} }}` at the job; another name stands in `{OTHER}`")
}

pub(crate) fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let name = variable(environment);
    let text = environment.variable(&name).ok_or_else(|| missing(&name))?;
    put(&text, &name, audience, &declare(&name, audience.as_str()))
}
