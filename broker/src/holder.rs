//! Whose a token is: how often it may be used, and by the key of its first use alone, or by none.
//!
//! What this must never do: take a token from another key because the one that holds it is not known.

use writ_core::client::ClientKey;
use writ_core::fault::{Blame, Fault};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{Issuer, TokenKind, Workload};

use crate::broker::Broker;
use crate::identity::session_token::{Binding, binding};
use crate::refusal::no_evidence;

/// What is counted of a token.
pub(crate) struct Counted {
    /// What the store calls it.
    pub(crate) key: String,
    /// How often it may be used in all.
    pub(crate) uses: u32,
}

/// Until when a use is remembered: what the token asks for at its very end may take its time to be written down.
pub(crate) fn remembered(workload: &Workload) -> Timestamp {
    after(workload.token_expires, 60)
}

impl Broker {
    /// Why a use was not taken.
    pub(crate) async fn not_counted(&self, counted: Option<Counted>, shown: Option<&ClientKey>) -> Fault {
        let Some(counted) = counted else { return used_up() };
        self.usable(&counted, shown).await.err().unwrap_or_else(used_up)
    }

    /// What is counted of the workload's token; `allowed` is what policy says.
    ///
    /// A session token may be used without end, but by its first holder alone. One that names a key has its holder already.
    pub(crate) fn counted(&self, workload: &Workload, allowed: u32) -> Option<Counted> {
        let counted = |issuer: &Issuer, uses| Some(Counted { key: workload.token_id.replay_key(issuer), uses });
        match (workload.token_kind, binding(workload)) {
            (TokenKind::Workload, _) => counted(&workload.issuer, allowed),
            (TokenKind::Session, Binding::Bearer) => counted(&Issuer::new(self.session_issuer.issuer()), u32::MAX),
            (TokenKind::Session, Binding::Key(_) | Binding::Unprovable) | (TokenKind::Certificate, _) => None,
        }
    }

    /// A token that was used as often as it may be, or that is another's, is refused.
    pub(crate) async fn usable(&self, counted: &Counted, shown: Option<&ClientKey>) -> Result<(), Fault> {
        let uses = self.store.uses(&counted.key).await.map_err(|fault| no_evidence(&fault.into()))?;
        let used = uses.as_ref().map_or(0, |uses| uses.used);
        match uses {
            Some(uses) if uses.holder.as_ref() != shown => Err(held(uses.holder.as_ref(), shown)),
            _ if used >= counted.uses => Err(used_up()),
            _ => Ok(()),
        }
    }
}

/// A token that names a key is taken from who proved that very key.
pub(crate) fn proved(binding: &Binding, shown: Option<&ClientKey>) -> Result<(), Fault> {
    let said = match (binding, shown) {
        (Binding::Bearer, _) => return Ok(()),
        (Binding::Key(named), Some(shown)) if named == shown.as_str() => return Ok(()),
        (Binding::Key(named), shown) => format!("the token names the key {named}, and {}", proof(shown)),
        (Binding::Unprovable, _) => "the token's `cnf` names no key by its thumbprint (`jkt`)".to_owned(),
    };
    Err(Fault::new("token.bound", Blame::NotAllowed, "the token is bound to a key that this connection did not prove")
        .help("connect with a client certificate of that key (`sslcert`, `sslkey`), or with a token that is bound to none")
        .detail(said))
}

/// A token was used with another key, or with none where there is one now.
fn held(holder: Option<&ClientKey>, shown: Option<&ClientKey>) -> Fault {
    let what = match (holder, shown) {
        (None, _) => "the token was used before without a key, so that no key can use it now",
        (Some(_), None) => "the token was used before with a key that this connection did not prove",
        (Some(_), Some(_)) => "the token was used before with another key",
    };
    let before = holder.map_or_else(|| "without a key".to_owned(), |key| format!("with the key {key}"));
    Fault::new("token.bound", Blame::NotAllowed, what)
        .help(
            "get a fresh token; where several programs use one token, let `writ listen --key` connect for all of them, or let \
             none show a key (`--no-key`)",
        )
        .detail(format!("the token was first used {before}, and {}", proof(shown)))
}

fn proof(shown: Option<&ClientKey>) -> String {
    shown.map_or_else(|| "this connection proved none".to_owned(), |key| format!("this connection proved {key}"))
}

fn used_up() -> Fault {
    Fault::new("token.used", Blame::NotAllowed, "the token was used as often as policy allows (@uses)")
        .help("get a fresh token, exchange one at /v1/token for clients that reconnect, or raise @uses in the policy")
}
