//! Keys of the key management service that sign, each of one version.
//!
//! <https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign>

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Cloud;
use super::refusal::Refusal;
use super::service::{Entry, Heard};

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `EC_SIGN_P256_SHA256`.
    P256,
    /// `RSA_SIGN_PKCS1_2048_SHA256`.
    Rsa2048,
    /// `EC_SIGN_P384_SHA384`, which signs no assertion.
    P384,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoilt {
    /// A bit of the signature flipped on its way.
    Signature,
    /// KMS did not look at the digest's checksum.
    Unverified,
    /// Another version of the key signed.
    Version,
    /// A bit of the public key flipped on its way.
    Public,
    /// A bit of a secret of Secret Manager flipped on its way.
    Secret,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

pub(crate) struct Key {
    form: KeyForm,
    pair: Pair,
    bindings: Vec<(String, String)>,
}

impl Key {
    pub(crate) fn make(form: KeyForm, bindings: &[(&str, &str)]) -> Result<Self, String> {
        let broken = |_| "cannot make a key".to_owned();
        let pair = match form {
            KeyForm::P256 => {
                Pair::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).map_err(broken)?)
            }
            KeyForm::P384 => {
                Pair::Ec(EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).map_err(broken)?)
            }
            KeyForm::Rsa2048 => Pair::Rsa(RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).map_err(broken)?),
        };
        let bindings = bindings.iter().map(|(role, member)| ((*role).to_owned(), (*member).to_owned()));
        Ok(Self { form, pair, bindings: bindings.collect() })
    }

    const fn algorithm(&self) -> &'static str {
        match self.form {
            KeyForm::P256 => "EC_SIGN_P256_SHA256",
            KeyForm::Rsa2048 => "RSA_SIGN_PKCS1_2048_SHA256",
            KeyForm::P384 => "EC_SIGN_P384_SHA384",
        }
    }

    fn pem(&self) -> Option<String> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_der().ok()?,
            Pair::Rsa(pair) => pair.public_key().as_der().ok()?,
        };
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
        Some(format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")))
    }

    fn sign(&self, digest: &[u8]) -> Option<Vec<u8>> {
        let digest = Digest::import_less_safe(digest, &SHA256).ok()?;
        match &self.pair {
            Pair::Ec(pair) => pair.sign_digest(&digest).ok().map(|signature| signature.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&signature::RSA_PKCS1_SHA256, &digest, &mut out).ok()?;
                Some(out)
            }
        }
    }
}

pub(super) fn serve(cloud: &Cloud, heard: &Heard, name: &str, entry: &mut Entry) -> Result<Value, Refusal> {
    entry.service = "cloudkms.googleapis.com";
    let project = cloud.project();
    let caller = project.shown(heard.authorization(), cloud.clock.now())?;
    caller.principal.clone_into(&mut entry.principal);
    let scopes = ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloudkms"];
    if !caller.scopes.iter().any(|scope| scopes.contains(&scope.as_str())) {
        return Err(Refusal::scope());
    }
    let not_found = || Refusal::rpc(404, "NOT_FOUND", "There is no such CryptoKeyVersion.");
    let find = |name: &str| project.keys.get(name).ok_or_else(not_found);
    let may = |key: &Key, roles: &[&str], permission: &str| {
        let held =
            key.bindings.iter().any(|(role, member)| roles.contains(&role.as_str()) && caller.members.contains(member));
        if held { Ok(()) } else { Err(Refusal::permission(permission, "")) }
    };
    let spoilt = |kind: Spoilt| project.spoilt == Some(kind);
    if let Some(name) = name.strip_suffix("/publicKey") {
        (entry.method, entry.resource) = ("GetPublicKey", name.to_owned());
        let key = find(name)?;
        may(
            key,
            &["roles/cloudkms.publicKeyViewer", "roles/cloudkms.signerVerifier"],
            "cloudkms.cryptoKeyVersions.viewPublicKey",
        )?;
        let pem = key.pem().ok_or_else(not_found)?;
        let sum = if spoilt(Spoilt::Public) { sum(pem.as_bytes()) ^ 1 } else { sum(pem.as_bytes()) };
        return Ok(json!({
            "name": name, "algorithm": key.algorithm(), "pem": pem, "pemCrc32c": sum.to_string(), "protectionLevel": "HSM",
        }));
    }
    let name = name.strip_suffix(":asymmetricSign").ok_or_else(not_found)?;
    (entry.method, entry.resource) = ("AsymmetricSign", name.to_owned());
    let key = find(name)?;
    may(key, &["roles/cloudkms.signer", "roles/cloudkms.signerVerifier"], "cloudkms.cryptoKeyVersions.useToSign")?;
    let asked = heard.object(&["digest", "digestCrc32c"])?;
    let digest = asked.pointer("/digest/sha256").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok());
    let digest = digest.filter(|digest| digest.len() == 32);
    let digest = digest.ok_or_else(|| Refusal::argument("The digest is of another algorithm than the key's."))?;
    if asked.get("digestCrc32c").and_then(Value::as_str) != Some(&sum(&digest).to_string()) {
        return Err(Refusal::argument("The checksum in field digest_crc32c did not match the data in field digest."));
    }
    let mut signature = key.sign(&digest).ok_or_else(|| Refusal::argument("The key does not sign this digest."))?;
    let checksum = sum(&signature);
    if spoilt(Spoilt::Signature)
        && let Some(last) = signature.last_mut()
    {
        *last ^= 1;
    }
    let by = if spoilt(Spoilt::Version) {
        name.replace("cryptoKeyVersions/1", "cryptoKeyVersions/2")
    } else {
        name.to_owned()
    };
    let mut answer = json!({
        "name": by, "signature": STANDARD.encode(&signature), "signatureCrc32c": checksum.to_string(), "protectionLevel": "HSM",
    });
    // As in all of Google's JSON, what is false is left out.
    if !spoilt(Spoilt::Unverified)
        && let Some(members) = answer.as_object_mut()
    {
        members.insert("verifiedDigestCrc32c".to_owned(), true.into());
    }
    Ok(answer)
}

/// CRC-32C by a table, apart from the client's own way.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|entry| (0..8).fold(entry, |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 }))
        .collect();
    let step = |sum: u32, byte: &u8| {
        let at = usize::from(sum.to_le_bytes()[0] ^ byte);
        (sum >> 8) ^ table.get(at).copied().unwrap_or_default()
    };
    !bytes.iter().fold(!0, step)
}
