//! SPIFFE: a JWT-SVID from the Workload API, over the agent's Unix socket.
//!
//! <https://spiffe.io/docs/latest/spiffe-about/spiffe-concepts/>

use std::time::Duration;

use spiffe::workload_api::WorkloadApiError;
use spiffe::{SpiffeId, WorkloadApiClient};
use zeroize::Zeroizing;

use super::{Look, given};
use crate::environment::Environment;
use crate::fault::{Fault, chain};
use crate::token::{Audience, Token};

const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
const ID: &str = "WRIT_SPIFFE_ID";
const WHO: &str = "the Workload API";
/// How long the agent may take: it may have to ask its server.
const LIMIT: Duration = Duration::from_secs(15);

pub(crate) fn look(environment: &Environment) -> Look {
    match environment.variable(SOCKET) {
        Some(socket) => Look::Serves(format!("`{SOCKET}` is `{}`", socket.as_str())),
        None => Look::Elsewhere(format!("`{SOCKET}` is not set")),
    }
}

pub(crate) async fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let socket = environment.variable(SOCKET).ok_or_else(|| {
        Fault::new(format!("`{SOCKET}` is not set"))
            .help("name the agent's socket: `unix:///run/spire/sockets/agent.sock`")
    })?;
    // By TCP the token would travel in the clear, and the agent could not know who asks.
    if !socket.starts_with("unix:") {
        return Err(Fault::new(format!("`{SOCKET}` names no Unix socket")).help("write `unix:///path/of/the/socket`"));
    }
    let id = environment.variable(ID).map(|id| {
        SpiffeId::new(id.as_str()).map_err(|_| {
            Fault::new(format!("`{ID}` is no SPIFFE ID: `{}`", id.as_str())).help("write `spiffe://TRUST-DOMAIN/PATH`")
        })
    });
    let id = id.transpose()?;
    let ask = async {
        let client = WorkloadApiClient::connect_to(socket.as_str()).await?;
        client.fetch_jwt_token([audience.as_str()], id.as_ref()).await.map(Zeroizing::new)
    };
    let answer = tokio::time::timeout(LIMIT, ask)
        .await
        .map_err(|_| Fault::new(format!("{WHO} at `{}` does not answer", socket.as_str())))?;
    let text = answer.map_err(|error| refused(&error, &socket))?;
    given(Token::new(&text, WHO)?, WHO, audience)
}

fn refused(error: &WorkloadApiError, socket: &str) -> Fault {
    match error {
        WorkloadApiError::NoIdentityIssued | WorkloadApiError::PermissionDenied(_) => {
            Fault::new(format!("{WHO} at `{socket}` knows no identity of this workload")).help(
                "register one whose selectors fit this process: `spire-server entry create -spiffeID ... -parentID ... -selector ...`",
            )
        }
        error => Fault::new(format!("{WHO} at `{socket}` gave no token: {}", chain(error)))
            .help("is the agent running, and may this user open its socket?"),
    }
}
