//! SigV4 from its specification alone, to hold the signer to.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use aws_lc_rs::{digest, hmac};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The signature of a presigned URL whose one further header is `x-writ-audience`.
pub(crate) fn signature(url: &reqwest::Url, audience: &str, secret: &str, date: &str, region: &str) -> String {
    let mut query: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value)))
        .collect();
    query.sort();
    let (host, query) = (url.host_str().unwrap(), query.join("&"));
    let nothing = hex(digest::digest(&digest::SHA256, b"").as_ref());
    let request =
        format!("GET\n/\n{query}\nhost:{host}\nx-writ-audience:{audience}\n\nhost;x-writ-audience\n{nothing}");
    let day = date.get(..8).unwrap();
    let scope = format!("{day}/{region}/sts/aws4_request");
    let digest = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, "sts", "aws4_request"] {
        key = mac(&key, part).as_ref().to_vec();
    }
    hex(mac(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}")).as_ref())
}
