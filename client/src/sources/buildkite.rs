//! Buildkite: the agent asks for the job.
//!
//! <https://buildkite.com/docs/agent/v3/cli-oidc>

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::program;
use crate::token::{Audience, Token};

const AGENT: &str = "buildkite-agent";

pub(crate) fn look(environment: &Environment) -> Look {
    if environment.says("BUILDKITE") {
        Look::Serves("`BUILDKITE` is set".to_owned())
    } else {
        Look::Elsewhere("no job of Buildkite".to_owned())
    }
}

/// With the ids, which are not given again and which Buildkite writes only where they are asked for.
pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let arguments = [
        "oidc",
        "request-token",
        "--audience",
        audience.as_str(),
        "--claim",
        "organization_id",
        "--claim",
        "pipeline_id",
    ];
    let token = program::token(environment, AGENT, &arguments.map(str::to_owned))
        .await
        .map_err(|fault| Fault::new(fault.what()).help("the job runs where `buildkite-agent` is in its PATH"))?;
    given(token, "`buildkite-agent`", audience)
}
