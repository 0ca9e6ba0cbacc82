//! A token in a file that somebody keeps fresh: `WRIT_TOKEN_FILE`, `--token-file`, and what a kubelet projects into pods.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::{Look, kubernetes};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::token::{Audience, LONGEST, Misfit, Token};

const VARIABLE: &str = "WRIT_TOKEN_FILE";

pub(crate) fn look(environment: &Environment) -> Look {
    match environment.variable(VARIABLE) {
        Some(path) => Look::Serves(format!("`{VARIABLE}` is `{}`", path.as_str())),
        None => Look::Elsewhere(format!("`{VARIABLE}` is not set")),
    }
}

pub(crate) fn token(environment: &Environment, audience: &Audience) -> Result<Token, Fault> {
    let path = environment
        .variable(VARIABLE)
        .ok_or_else(|| Fault::new(format!("`{VARIABLE}` is not set")).help("name the file with the token in it"))?;
    at(Path::new(path.as_str()), audience)
}

/// The token in a file. A file that holds no JWT is taken as it is: the broker gives such tokens too.
pub(crate) fn at(path: &Path, audience: &Audience) -> Result<Token, Fault> {
    let token = read(path)?;
    let source = format!("`{}`", path.display());
    let of_pod = token.claims().is_some_and(|claims| claims.all().contains_key("kubernetes.io"));
    match token.fits(audience) {
        Ok(()) => Ok(token),
        Err(misfit @ Misfit::Audience(_)) if of_pod => {
            Err(misfit.fault(&source, audience).help(kubernetes::project(audience)))
        }
        Err(misfit @ Misfit::Audience(_)) => Err(misfit
            .fault(&source, audience)
            .help("ask with `--audience` for whom it is, or let whoever writes the file ask for this audience")),
        Err(misfit @ Misfit::Ended(_)) => {
            Err(misfit.fault(&source, audience).help("whoever writes the file must renew it before its token ends"))
        }
    }
}

/// Reads a file as a token.
pub(crate) fn read(path: &Path) -> Result<Token, Fault> {
    // It is not shown.
    if path.to_str().is_some_and(|path| path.starts_with("eyJ") && path.matches('.').count() == 2) {
        return Err(Fault::new("a token stands where a file should be named")
            .help("write the path of the file with the token in it"));
    }
    let unreadable =
        |error: std::io::Error| Fault::new(format!("the token in `{}` cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Fault::new(format!("`{}` is no file", path.display())));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(2);
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    let text =
        core::str::from_utf8(&bytes).map_err(|_| Fault::new(format!("what `{}` holds is no token", path.display())))?;
    Token::new(text, &format!("`{}`", path.display()))
}
