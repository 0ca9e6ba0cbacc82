//! Prints the login token for what standard input says in JSON: `host`, `port`, `user`, `region`, `time` (seconds since 1970),
//! `access_key`, `secret_key` and, for temporary keys, `session_token`. For comparing with other signers, by keys made for that.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde::Deserialize;
use writ_aws_rds::{Login, token};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    host: String,
    port: u16,
    user: String,
    region: String,
    time: u64,
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().take(1 << 20).read_to_string(&mut text)?;
    let asked: Asked = serde_json::from_str(&text)?;
    let identity = Credentials::new(asked.access_key, asked.secret_key, asked.session_token, None, "example");
    let login = Login { host: &asked.host, port: asked.port, user: &asked.user, region: &asked.region };
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(asked.time);
    let signed = token(&login, &identity, at).await?;
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, signed.expose())?;
    std::io::Write::write_all(&mut out, b"\n")?;
    Ok(())
}
