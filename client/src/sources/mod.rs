//! One file for each place: whether this workload is there, and a token from it.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod bitbucket;
pub(crate) mod buildkite;
pub(crate) mod circleci;
pub(crate) mod file;
pub(crate) mod gcp;
pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod kubernetes;
pub(crate) mod spiffe;
pub(crate) mod terraform;

use crate::fault::Fault;
use crate::token::{Audience, Misfit, Token};

/// What a look at a place shows.
pub(crate) enum Look {
    /// The workload is there, and can get a token; how that shows.
    Serves(String),
    /// The workload is not there; how that shows.
    Elsewhere(String),
    /// The workload is there, and can get none until something is changed.
    Cannot(Fault),
}

/// A token that its platform put into a variable. `again` says what to write where it is for somebody else.
pub(crate) fn put(text: &str, variable: &str, audience: &Audience, again: &str) -> Result<Token, Fault> {
    let source = format!("`{variable}`");
    let token = Token::new(text, &source)?;
    if token.claims().is_none() {
        return Err(Fault::new(format!("what stands in {source} is no JWT")).help(again));
    }
    match token.fits(audience) {
        Ok(()) => Ok(token),
        Err(misfit @ Misfit::Audience(_)) => Err(misfit.fault(&source, audience).help(again)),
        Err(misfit @ Misfit::Ended(_)) => Err(misfit.fault(&source, audience).help(
            "the platform gives this job one token, at its start: connect earlier, or let the token live longer",
        )),
    }
}

/// A token that was asked for.
pub(crate) fn given(token: Token, source: &str, audience: &Audience) -> Result<Token, Fault> {
    match token.fits(audience) {
        Ok(()) => Ok(token),
        Err(misfit) => {
            Err(misfit.fault(source, audience).help("is this machine's clock right, and the audience the broker's?"))
        }
    }
}
