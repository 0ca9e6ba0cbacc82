//! Who is to blame when Google says no, in words that hold no secret, and whether the call may be made again.
//!
//! Kept are Google's code and the message beside it; bodies are never kept. STS answers as OAuth does (RFC 6749, 5.2), all else with
//! `google.rpc.Status`.

use core::error::Error;

use serde_json::Value;
use writ_core::provider::ProviderFault;
pub(crate) use writ_provider_calls::http::chain;
use writ_provider_calls::{Failed, http, plain};

const GUIDE: &str = "see docs/providers/gcp.md";

/// An answer that is none: cut short, or not Google's.
pub(crate) fn cut_short(doing: &str) -> Failed {
    let text =
        format!("{doing}: the answer was cut short or cannot be read, so that what became of the call is not known");
    Failed::ForGood(ProviderFault::Unreachable(text))
}

/// What came instead of an answer.
pub(crate) fn of_transport(doing: &str, error: &(dyn Error + 'static)) -> Failed {
    http::of_transport(doing, error, "check the endpoint, or what stands between the broker and Google")
}

/// What STS says of an exchange.
pub(crate) fn of_oauth(doing: &str, status: u16, body: &[u8]) -> Failed {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |member: &str| said.get(member).and_then(Value::as_str).unwrap_or_default();
    of_answer(doing, status, text("error"), text("error_description"), &OAUTH)
}

/// What another service says.
pub(crate) fn of_status(doing: &str, status: u16, body: &[u8]) -> Failed {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = said.get("error").unwrap_or(&Value::Null);
    let text = |member: &str| error.get(member).and_then(Value::as_str).unwrap_or_default();
    let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
    let reason = details.filter_map(|detail| detail.get("reason").and_then(Value::as_str)).next();
    let known = reason.filter(|reason| STATUS.iter().any(|(known, _, _)| known == reason));
    of_answer(doing, status, known.unwrap_or(text("status")), text("message"), &STATUS)
}

/// A code, whether it is in the broker's own configuration, and what to do about it.
type Help = (&'static str, bool, &'static str);

fn of_answer(doing: &str, status: u16, code: &str, message: &str, help: &[Help]) -> Failed {
    let text = format!("{doing}: {} ({}, status {status})", plain(message), plain(code));
    // Turned away before anything was done.
    if status == 429 {
        return Failed::Harmlessly(ProviderFault::Unreachable(text));
    }
    if status >= 500 {
        return Failed::ForGood(ProviderFault::Unreachable(text));
    }
    if status < 400 || code.is_empty() {
        return cut_short(doing);
    }
    if is_of_time(message) {
        return Failed::ForGood(ProviderFault::Refused(format!(
            "{text}: what was shown has ended or not begun by the clock of Google: set the clock of the broker's machine, and see \
             that `token_life` in `[broker.issues]` is long enough"
        )));
    }
    Failed::ForGood(match help.iter().find(|(known, _, _)| *known == code) {
        Some((_, true, help)) => ProviderFault::Misconfigured(format!("{text}: {help}, {GUIDE}")),
        Some((_, false, help)) => ProviderFault::Refused(format!("{text}: {help}, {GUIDE}")),
        None => ProviderFault::Refused(text),
    })
}

/// Whether a token was refused for its dates: the code is then that of any token that is not taken.
fn is_of_time(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["is stale", "expired", "in the future", "not yet valid"].iter().any(|words| message.contains(words))
}

const OAUTH: [Help; 6] = [
    (
        "invalid_grant",
        false,
        "the pool's provider must have the token's issuer and audience and map its claims, and the issuer's keys must be public",
    ),
    ("unauthorized_client", false, "the provider's attribute condition must hold for the token"),
    ("invalid_target", true, "there is no such provider of a pool, or it is disabled: correct `pool_provider`"),
    (
        "invalid_request",
        true,
        "Google does not understand the request: check `pool_provider`, and the scope's `boundary`",
    ),
    ("invalid_scope", true, "Google does not know the scope: correct `oauth` in `scopes`"),
    ("access_denied", false, "what was shown may not be exchanged"),
];

const STATUS: [Help; 7] = [
    (
        "PERMISSION_DENIED",
        false,
        "the service account's policy must give `roles/iam.workloadIdentityUser` to whom Google sees, or \
         `roles/iam.serviceAccountTokenCreator` where there are delegates",
    ),
    ("IAM_PERMISSION_DENIED", false, "the permission that is named must be given to whom Google sees"),
    ("SERVICE_DISABLED", true, "the project must have this API enabled"),
    ("UNAUTHENTICATED", false, "Google does not take the token that it was shown"),
    ("NOT_FOUND", true, "there is no such service account or key: correct its name"),
    (
        "INVALID_ARGUMENT",
        true,
        "write what Google accepts; tokens for more than an hour need the organization's leave, or a smaller \
         `max_lifetime_seconds`",
    ),
    ("FAILED_PRECONDITION", true, "it is disabled, or not ready for use: see its state"),
];
