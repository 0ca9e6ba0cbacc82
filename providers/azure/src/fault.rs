//! Who is to blame when Entra says no, in words that hold no secret, and whether the call may be made again.
//!
//! Kept are the number after `AADSTS`, the first line of the description and the call's correlation id; bodies are never kept.

use core::error::Error;

use serde::Deserialize;
use writ_core::provider::ProviderFault;
pub(crate) use writ_provider_calls::http::chain;
use writ_provider_calls::{Failed, http, plain};

const GUIDE: &str = "see docs/providers/azure.md";

/// What Entra answers instead of a token (RFC 6749, 5.2, and its own members).
#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<i64>,
}

/// An answer that is no token.
pub(crate) fn of_answer(doing: &str, status: u16, body: &[u8]) -> Failed {
    if status == 429 {
        let text = format!("{doing}: Entra asks to come back later (status 429)");
        return Failed::Harmlessly(ProviderFault::Unreachable(text));
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        if (400..500).contains(&status) {
            let text = format!(
                "{doing}: status {status} without words of Entra's: check `authority`, or what stands between the broker and Entra"
            );
            return Failed::ForGood(ProviderFault::Misconfigured(text));
        }
        return if status >= 500 { failed(doing, status) } else { cut_short(doing) };
    };
    let Refusal { error, error_description, error_codes } = refusal;
    // What follows the first sentence is for support: a trace id and the time.
    let said = error_description.split("Trace ID:").next().unwrap_or_default();
    let said = plain(said.split(['\r', '\n']).next().unwrap_or_default());
    let code = error_codes.first().copied().or_else(|| number(&error_description)).unwrap_or_default();
    let text = format!("{doing}: {} ({}, status {status})", said.trim(), plain(&error));
    if status >= 500 || error == "temporarily_unavailable" || BUSY.contains(&code) {
        return Failed::ForGood(ProviderFault::Unreachable(text));
    }
    Failed::ForGood(match HELP.iter().find(|(codes, _, _)| codes.contains(&code)) {
        Some((_, true, help)) => ProviderFault::Misconfigured(format!("{text}: {help}, {GUIDE}")),
        Some((_, false, help)) => ProviderFault::Refused(format!("{text}: {help}, {GUIDE}")),
        None => ProviderFault::Refused(text),
    })
}

/// `AADSTS700213: ...`.
fn number(description: &str) -> Option<i64> {
    let (_, rest) = description.split_once("AADSTS")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn failed(doing: &str, status: u16) -> Failed {
    Failed::ForGood(ProviderFault::Unreachable(format!("{doing}: it failed there (status {status})")))
}

/// An answer that is none: cut short, or not what was asked for.
pub(crate) fn cut_short(doing: &str) -> Failed {
    let text =
        format!("{doing}: the answer was cut short or cannot be read, so that what became of the call is not known");
    Failed::ForGood(ProviderFault::Unreachable(text))
}

/// The fault, where the call is not made again.
pub(crate) fn settled(failed: Failed) -> ProviderFault {
    match failed {
        Failed::Harmlessly(fault) | Failed::ForGood(fault) => fault,
    }
}

/// What came instead of an answer.
pub(crate) fn of_transport(doing: &str, error: &(dyn Error + 'static)) -> Failed {
    http::of_transport(doing, error, "check the address and its authorities, or what stands between the broker and it")
}

/// Entra, or what it asks in its turn, is in trouble: 90012 and 90033 of its own, 50196 too many calls of one client.
const BUSY: [i64; 3] = [90_012, 90_033, 50_196];

/// What to do about Entra's numbers, and whether it is in the broker's own configuration.
const HELP: [(&[i64], bool, &str); 16] = [
    (
        &[70_021, 700_213, 7_002_131],
        false,
        "no federated credential of the client has this issuer, subject and audience to the letter: add one, or correct it; a \
         new one takes minutes to be known everywhere",
    ),
    (
        &[7_002_137, 7_002_138],
        false,
        "the federated credential's subject differs in case or form: write it to the letter",
    ),
    (
        &[700_211],
        false,
        "no federated credential of the client names this issuer: it is `url` of `[broker.issues]` to the letter, without a slash \
         at its end",
    ),
    (&[700_212], false, "the federated credential names another audience: write the same there and in `audience`"),
    (
        &[700_024],
        false,
        "what was shown has ended or not begun by the clock of Entra: set the clock of the broker's machine",
    ),
    (
        &[700_027, 50_027, 5_002_723, 7_000_110],
        false,
        "Entra does not find the key that signed, or the signature is wrong: the issuer's keys must be public, of `RS256`, and \
         announced for as long as Entra keeps an old set",
    ),
    (
        &[50_166, 501_661],
        true,
        "Entra cannot fetch the issuer's documents: they must be public, below `url` of `[broker.issues]`",
    ),
    (&[700_016], true, "the tenant has no such client: correct `client_id` or `clients`, or `tenant_id`"),
    (
        &[90_002, 90_023, 900_023, 50_034, 50_059],
        true,
        "there is no such tenant in this cloud: correct `tenant_id`, or `cloud`",
    ),
    (&[50_049], true, "this is no address of the tenant's cloud: correct `cloud` or `authority`"),
    (
        &[500_011, 650_057],
        true,
        "the tenant does not know the resource: correct `resource`, or let an admin consent to it",
    ),
    (&[70_011, 1_002_012, 28_003], true, "Entra does not know the scope: correct `resource`"),
    (
        &[7_000_215, 7_000_222, 7_000_216, 7_000_218],
        true,
        "the assertion did not arrive as one: check what stands before Entra",
    ),
    (&[7_000_112, 7_000_113], false, "the application is disabled in the tenant: let an admin enable it"),
    (
        &[7_000_229, 50_105, 501_051],
        false,
        "the application has no service principal in the tenant, or no role there: let an admin add it",
    ),
    (
        &[53_003, 53_000, 53_001],
        false,
        "a policy of Conditional Access for workload identities says no: see the sign-in log",
    ),
];
