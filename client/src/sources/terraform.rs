//! HCP Terraform and Terraform Enterprise: a run has its tokens in variables, one for each audience of the workspace.
//!
//! <https://developer.hashicorp.com/terraform/cloud-docs/workspaces/dynamic-provider-credentials/manual-generation>

use super::{Look, put};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::token::{Audience, Token};

/// The variables that may hold the token: the one that is Writ's by its tag, then the workspace's only one.
pub(crate) const VARIABLES: [&str; 2] = ["TFC_WORKLOAD_IDENTITY_TOKEN_WRIT", "TFC_WORKLOAD_IDENTITY_TOKEN"];

pub(crate) fn look(environment: &Environment) -> Look {
    if let Some(name) = VARIABLES.into_iter().find(|name| environment.has(name)) {
        Look::Serves(format!("`{name}` is set"))
    } else if environment.has("TFC_RUN_ID") {
        Look::Cannot(missing("writ"))
    } else {
        Look::Elsewhere("no run of HCP Terraform".to_owned())
    }
}

fn missing(audience: &str) -> Fault {
    Fault::new("this run has no workload identity token").help(declare(audience))
}

fn declare(audience: &str) -> String {
    format!(
        "set the workspace's environment variable `TFC_WORKLOAD_IDENTITY_AUDIENCE` to `{audience}`, or \
         `TFC_WORKLOAD_IDENTITY_AUDIENCE_WRIT` where the other one is for somebody else"
    )
}

pub(crate) fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let mut failure = missing(audience.as_str());
    for name in VARIABLES {
        let Some(text) = environment.variable(name) else { continue };
        match put(&text, name, audience, &declare(audience.as_str())) {
            Ok(token) => return Ok(token),
            Err(fault) => failure = fault,
        }
    }
    Err(failure)
}
