//! A recorded session, opened again by other policies: by what the broker and the recording know of it.

use std::net::SocketAddr;

use serde_json::Value;
use writ_broker_api::admin::Session;
use writ_core::target::{Address, Protocol, Target, UpstreamTls};
use writ_core::time::Timestamp;
use writ_core::workload::{Claims, TokenId, TokenKind, Workload};
use writ_gateway::evidence::ServerFacts;
use writ_policy::{ConnectContext, OwnFunctions, explain_connect};
use writ_record::known::{ServerKnown, SessionKnown};

use super::case::{Answer, SEARCH_PATH};
use super::judges::{self, Asked, Given, Judges, Known};

/// What becomes of it.
pub(crate) enum Reopened<'a> {
    /// It begins.
    Begins(Box<judges::Session<'a>>),
    /// It would not have been opened.
    Refused(Given),
}

/// Opens a session again. Where its recording does not say what was known of it, issuer and subject are its only claims, and the
/// server's usual search path is taken.
pub(crate) fn open<'a>(judges: &'a Judges, session: &Session, known: Option<&SessionKnown>) -> Reopened<'a> {
    let (workload, target) = (workload(session, known), target(session, known));
    let context = ConnectContext {
        now: session.writ.opened,
        client_address: session.client.parse::<SocketAddr>().ok().map(|address| address.ip().to_string()),
        database_role: None,
        database: known.map(|known| known.database.clone()),
        client_key: session.client_key.clone(),
        ttl_cap_seconds: session.writ.obligations.ttl_seconds,
    };
    let obligations = match explain_connect(judges.bundle(), &workload, &target, &context).decision {
        Ok(obligations) => obligations,
        Err(denied) => {
            return Reopened::Refused(Given {
                verdict: Answer::Deny,
                policies: denied.policies,
                code: Some(denied.code.to_owned()),
                reason: Some(denied.detail),
                asked: Asked::default(),
            });
        }
    };
    let server = known.and_then(|known| known.server.clone()).unwrap_or_else(|| ServerKnown {
        search_path: SEARCH_PATH.to_owned(),
        user_schema: false,
        role: session.writ.obligations.role.clone().unwrap_or_default(),
        functions: Some(Vec::new()),
    });
    let functions = server.functions.map_or_else(OwnFunctions::any, OwnFunctions::named);
    let known = Known {
        database: known.map(|known| known.database.clone()).unwrap_or_default(),
        facts: ServerFacts {
            search_path: server.search_path,
            user_schema: server.user_schema,
            role: server.role,
            functions,
        },
        limits: obligations.map(|obligations| *obligations.limits).unwrap_or_default(),
    };
    Reopened::Begins(Box::new(judges.session(&workload, &target, &known)))
}

fn workload(session: &Session, known: Option<&SessionKnown>) -> Workload {
    let writ = &session.writ;
    let claims: Claims = match known {
        Some(known) => known.claims.clone(),
        None => [("iss", writ.issuer.as_str()), ("sub", writ.subject.as_str())]
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .into(),
    };
    Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti(String::new()),
        token_expires: Timestamp::MAX,
        bound_target: None,
        claims,
    }
}

fn target(session: &Session, known: Option<&SessionKnown>) -> Target {
    Target {
        name: session.writ.target.clone(),
        labels: known.map(|known| known.labels.clone()).unwrap_or_default(),
        protocol: Protocol::Postgres,
        address: Address { host: String::new(), port: 5432, tls: UpstreamTls::VerifyFull, ca_pem: None },
        provider: "database".to_owned(),
    }
}
