//! Application default credentials: a file that the environment names, one that `gcloud` wrote, or the machine's own identity.
//!
//! Such a file can say much: a program to run, further accounts to become, an address to send secrets to. It is read here, and
//! what goes beyond an identity of its own is refused. Whom the broker may become is written in its own configuration
//! (`federation`), where a reviewer sees it.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use google_cloud_auth::build_errors::Error;
use google_cloud_auth::credentials::service_account::AccessSpecifier;
use google_cloud_auth::credentials::{AccessTokenCredentials, external_account, mds, service_account, user_account};
use reqwest::Url;
use serde_json::Value;
use writ_core::provider::ProviderFault;
use writ_provider_calls::plain;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// What names the file.
pub(crate) const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Where `gcloud auth application-default login` writes, below the home directory.
const WELL_KNOWN: &str = ".config/gcloud/application_default_credentials.json";
/// The longest file, in bytes.
const LONGEST: u64 = 64 * 1024;
/// The file's member that makes it a chain of accounts.
const CHAIN: &str = "service_account_impersonation_url";

/// What there is in this process's environment.
pub(crate) fn found() -> Result<AccessTokenCredentials, ProviderFault> {
    found_by(env::var_os(VARIABLE), env::var_os("HOME"))
}

fn found_by(named: Option<OsString>, home: Option<OsString>) -> Result<AccessTokenCredentials, ProviderFault> {
    if let Some(path) = named.map(PathBuf::from) {
        let file = read(&path).map_err(|problem| unfit(&path, &problem.to_string()))?;
        return of(&path, file);
    }
    if let Some(path) = home.map(|home| PathBuf::from(home).join(WELL_KNOWN)) {
        match read(&path) {
            Ok(file) => return of(&path, file),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {}
            Err(problem) => return Err(unfit(&path, &problem.to_string())),
        }
    }
    mds::Builder::default().with_scopes([SCOPE]).build_access_token_credentials().map_err(|error| nobody(&error))
}

fn read(path: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut text)?;
    // What is wrong with it is not repeated: it may be a secret.
    serde_json::from_slice(&text).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not JSON"))
}

/// The credentials in a file, where it holds an identity of its own.
fn of(path: &Path, file: Value) -> Result<AccessTokenCredentials, ProviderFault> {
    let kind = file.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let built = match kind.as_str() {
        "service_account" => service_account::Builder::new(file)
            .with_access_specifier(AccessSpecifier::from_scopes([SCOPE]))
            .build_access_token_credentials(),
        "authorized_user" => {
            to_google(path, &file, "token_uri")?;
            user_account::Builder::new(file).with_scopes([SCOPE]).build_access_token_credentials()
        }
        "external_account" => {
            external(path, &file)?;
            external_account::Builder::new(file).with_scopes([SCOPE]).build_access_token_credentials()
        }
        "impersonated_service_account" => return Err(unfit(path, &chain("`type` is `impersonated_service_account`"))),
        kind => {
            return Err(unfit(
                path,
                &format!(
                    "its `type` is `{}`: it must be `service_account`, `external_account` or `authorized_user`",
                    plain(kind)
                ),
            ));
        }
    };
    built.map_err(|error| nobody(&error))
}

/// An identity elsewhere that Google trusts: shown by a file or an address, never by a program, and to Google alone.
fn external(path: &Path, file: &Value) -> Result<(), ProviderFault> {
    let source = file.get("credential_source").and_then(Value::as_object);
    if source.is_some_and(|source| source.contains_key("executable")) {
        let text = "`credential_source` is a program, which the broker does not run: let something else keep the token in a file, \
                    and name that (`credential_source.file`)";
        return Err(unfit(path, text));
    }
    let one =
        ["file", "url", "environment_id"].iter().filter(|key| source.is_some_and(|s| s.contains_key(**key))).count();
    // At AWS there is an address beside it.
    if one == 0 {
        return Err(unfit(path, "`credential_source` has no `file`, `url` or `environment_id`: write one"));
    }
    if file.get(CHAIN).is_some_and(|chain| !chain.is_null()) {
        return Err(unfit(path, &chain(&format!("it has `{CHAIN}`"))));
    }
    to_google(path, file, "token_url")
}

/// Whether what is shown goes to Google and nobody else.
fn to_google(path: &Path, file: &Value, member: &str) -> Result<(), ProviderFault> {
    let Some(value) = file.get(member).filter(|value| !value.is_null()) else { return Ok(()) };
    let url = value.as_str().and_then(|text| Url::parse(text).ok());
    let google = url.as_ref().is_some_and(|url| {
        let host = url.host_str().unwrap_or_default();
        url.scheme() == "https" && host.ends_with(".googleapis.com") && url.username().is_empty()
    });
    if google {
        return Ok(());
    }
    Err(unfit(
        path,
        &format!("`{member}` is no address of Google's: write `https://` and a name below `googleapis.com`"),
    ))
}

fn chain(said: &str) -> String {
    format!(
        "{said}, so that the broker would act through another account: name the identity alone there, and the accounts to act \
         through in the configuration (`federation.delegates`)"
    )
}

fn unfit(path: &Path, problem: &str) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "the broker's credentials at Google, `{}`, cannot be used: {problem} (`{VARIABLE}` names them; see docs/providers/gcp.md)",
        plain(&path.display().to_string())
    ))
}

fn nobody(error: &Error) -> ProviderFault {
    crate::ambient::nobody(&plain(&error.to_string()))
}

#[cfg(test)]
mod tests;
