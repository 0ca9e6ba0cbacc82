//! Who is to blame when AWS says no, in words that hold no secret, and whether the call may be made again.
//!
//! Kept are AWS's code and the message beside it; bodies are never kept. Codes come with and without `Exception` at their
//! end, depending on the service: they are compared without.

use core::error::Error;

use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use writ_core::provider::ProviderFault;
pub(crate) use writ_provider_calls::http::chain;
use writ_provider_calls::{Failed, http, plain};

const GUIDE: &str = "see docs/providers/aws.md";

/// What an SDK says of a call that was made while `doing`.
pub(crate) fn of_sdk<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Failed
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let (said, status) = (answer.err().meta(), answer.raw().status().as_u16());
            of_answer(doing, said.code().unwrap_or_default(), said.message().unwrap_or_default(), status)
        }
        SdkError::ConstructionFailure(_) => Failed::ForGood(no_identity(doing, error)),
        SdkError::DispatchFailure(_) => of_transport(doing, error),
        SdkError::TimeoutError(_) => {
            Failed::ForGood(ProviderFault::Unreachable(format!("{doing}: AWS did not answer in time")))
        }
        SdkError::ResponseError(_) => cut_short(doing),
        _ => Failed::ForGood(ProviderFault::Unreachable(format!("{doing}: {}", plain(&chain(error))))),
    }
}

/// An answer that is none: cut short, or not AWS's.
pub(crate) fn cut_short(doing: &str) -> Failed {
    let text =
        format!("{doing}: the answer was cut short or cannot be read, so that what became of the call is not known");
    Failed::ForGood(ProviderFault::Unreachable(text))
}

/// The broker has no identity at AWS of its own, or one that cannot sign.
pub(crate) fn no_identity(doing: &str, error: &(dyn Error + 'static)) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "{doing}: the broker has no identity at AWS: give its process an instance role, a web identity or a profile, {GUIDE} \
         ({})",
        plain(&chain(error))
    ))
}

/// What came instead of an answer.
pub(crate) fn of_transport(doing: &str, error: &(dyn Error + 'static)) -> Failed {
    http::of_transport(doing, error, "check `endpoint`, or what stands between the broker and AWS")
}

/// An error that AWS put in words.
pub(crate) fn of_answer(doing: &str, code: &str, message: &str, status: u16) -> Failed {
    let text = format!("{doing}: {} ({}, status {status})", plain(message), plain(code));
    let plain_code = code.strip_suffix("Exception").unwrap_or(code);
    if THROTTLED.contains(&plain_code) || status == 429 {
        return Failed::Harmlessly(ProviderFault::Unreachable(text));
    }
    if status >= 500 || BUSY.contains(&plain_code) {
        return Failed::ForGood(ProviderFault::Unreachable(text));
    }
    if status < 400 || plain_code.is_empty() {
        return cut_short(doing);
    }
    if CLOCK.contains(&plain_code) || is_of_time(message) {
        return Failed::ForGood(ProviderFault::Refused(format!(
            "{text}: what was shown has ended or not begun by the clock of AWS: set the clock of the broker's machine, and see \
             that the broker's own credentials are fresh"
        )));
    }
    Failed::ForGood(match HELP.iter().find(|(known, _, _)| *known == plain_code) {
        Some((_, true, help)) => ProviderFault::Misconfigured(format!("{text}: {help}, {GUIDE}")),
        Some((_, false, help)) => ProviderFault::Refused(format!("{text}: {help}, {GUIDE}")),
        None => ProviderFault::Refused(text),
    })
}

/// Whether a signature was refused for its date: the code is then that of any wrong signature.
fn is_of_time(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("not yet current") || message.contains("signature expired")
}

/// Turned away before anything was done.
const THROTTLED: [&str; 7] = [
    "Throttling",
    "Throttled",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequests",
    "SlowDown",
];

/// AWS is in trouble.
const BUSY: [&str; 6] =
    ["ServiceUnavailable", "InternalFailure", "InternalError", "KMSInternal", "KeyUnavailable", "DependencyTimeout"];

/// Two clocks differ, or what has an end was kept beyond it.
const CLOCK: [&str; 5] =
    ["ExpiredToken", "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture", "InvalidSignatureDate"];

/// What to do about an error, and whether it is in the broker's own configuration.
const HELP: [(&str, bool, &str); 17] = [
    (
        "AccessDenied",
        false,
        "the role's trust policy and the caller's permissions must allow the call, `sts:TagSession` and \
         `sts:SetSourceIdentity` with it",
    ),
    (
        "InvalidIdentityToken",
        false,
        "the account needs an OIDC provider with the token's issuer and audience, the issuer's keys must be public, and the \
         clock of the broker's machine must be right",
    ),
    // An answer: one workload's issuer that is down must not make the target rest for the workloads of others.
    ("IDPCommunicationError", false, "AWS could not fetch the documents of the token's issuer: they must be public"),
    ("IDPRejectedClaim", false, "the token's issuer does not vouch for it any more, or its claims are not accepted"),
    ("MalformedPolicyDocument", true, "AWS does not understand the scope: correct it in `scopes` or in its file"),
    ("PackedPolicyTooLarge", true, "scope and tags are too long together: write a shorter scope, or fewer `tags`"),
    (
        "RegionDisabled",
        true,
        "STS is off in this region for the role's account: turn it on in the account's settings, or write another `region`",
    ),
    (
        "ValidationError",
        true,
        "write what AWS accepts; sessions longer than the role's maximum need a smaller `max_duration_seconds` or a greater \
         maximum at the role",
    ),
    ("SignatureDoesNotMatch", true, "the broker's own credentials are wrong, or the clock of its machine"),
    ("InvalidSignature", true, "the broker's own credentials are wrong, or the clock of its machine"),
    ("IncompleteSignature", true, "what stands between the broker and AWS changes its requests"),
    ("InvalidClientTokenId", true, "AWS does not know the broker's own credentials: give its process valid ones"),
    ("UnrecognizedClient", true, "AWS does not know the broker's own credentials: give its process valid ones"),
    ("NoSuchEntity", true, "there is no such role in the account: correct `role_arn` or `roles`"),
    ("NotFound", true, "there is no such key in that account and region: correct the key's ARN"),
    ("Disabled", true, "the key is disabled: enable it, or name another"),
    ("KMSInvalidState", true, "the key is not ready for use: see its state"),
];
