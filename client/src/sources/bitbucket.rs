//! Bitbucket Pipelines: a step with `oidc` has its token in a variable.
//!
//! <https://support.atlassian.com/bitbucket-cloud/docs/integrate-pipelines-with-resource-servers-using-oidc/>

use super::{Look, put};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::token::{Audience, Token};

/// The variable that holds the token.
pub(crate) const VARIABLE: &str = "BITBUCKET_STEP_OIDC_TOKEN";

pub(crate) fn look(environment: &Environment) -> Look {
    if environment.has(VARIABLE) {
        Look::Serves(format!("`{VARIABLE}` is set"))
    } else if environment.has("BITBUCKET_PIPELINE_UUID") {
        Look::Cannot(missing("writ"))
    } else {
        Look::Elsewhere("no step of Bitbucket Pipelines".to_owned())
    }
}

fn missing(audience: &str) -> Fault {
    Fault::new("this step has no OIDC token").help(declare(audience))
}

fn declare(audience: &str) -> String {
    format!("write `oidc: {{ audiences: [{audience}] }}` at the step")
}

pub(crate) fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let text = environment.variable(VARIABLE).ok_or_else(|| missing(audience.as_str()))?;
    put(&text, VARIABLE, audience, &declare(audience.as_str()))
}
