//! A fresh password and what the server stores instead of it.
//!
//! MySQL's `caching_sha2_password` stores `$A$005$`, a salt of 20 bytes and SHA-256-crypt (Drepper, 2008) of the password with
//! 5000 rounds, which it does not let be fewer. MariaDB's `ed25519` stores the public key whose seed (RFC 8032) is the password.
//! From neither is there a way back to a password of random bits.

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use zeroize::Zeroizing;

use super::dialect::Server;
use super::sql;

const SALT: usize = 20;
const ROUNDS: u32 = 5000;

/// The 64 characters of crypt's own base64.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A fresh password for `server`, and its verifier as the statement that makes the user carries it.
pub(crate) fn fresh(server: Server) -> Result<(Secret, String), ProviderFault> {
    match server {
        Server::Mysql => {
            let password = password::<32>()?;
            let mut salt = [0_u8; SALT];
            rand::fill(&mut salt).map_err(|_| no_randomness())?;
            let salt = salt.map(|byte| character(u32::from(byte)));
            let verifier = sql::hex(caching_sha2(password.expose(), &salt).as_bytes());
            Ok((password, verifier))
        }
        Server::Mariadb => {
            let password = password::<24>()?;
            let verifier = ed25519(password.expose())?;
            Ok((password, verifier))
        }
    }
}

/// `BYTES` random bytes as base64url. 24 of them are 192 bits in 32 characters, the length of an Ed25519 seed.
fn password<const BYTES: usize>() -> Result<Secret, ProviderFault> {
    let mut bytes = Zeroizing::new([0_u8; BYTES]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| no_randomness())?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into_bytes()))
}

/// The public key of the seed that `password` is: MariaDB makes its key of SHA-512 over the password, as RFC 8032 does over a
/// seed of 32 bytes.
pub(crate) fn ed25519(password: &[u8]) -> Result<String, ProviderFault> {
    let keys = Ed25519KeyPair::from_seed_unchecked(password)
        .map_err(|_| ProviderFault::Refused("a password of 32 characters makes no key here".to_owned()))?;
    Ok(STANDARD_NO_PAD.encode(keys.public_key().as_ref()))
}

/// What MySQL stores of `password`, with a salt of its alphabet.
pub(crate) fn caching_sha2(password: &[u8], salt: &[u8]) -> String {
    let digest = sha256_crypt(password, salt, ROUNDS);
    format!("$A${:03X}${}{digest}", ROUNDS / 1000, String::from_utf8_lossy(salt))
}

/// SHA-256-crypt, its digest alone. Longer salts than crypt's own 16 bytes are MySQL's liberty.
fn sha256_crypt(password: &[u8], salt: &[u8], rounds: u32) -> String {
    let alternate = sha256(&[password, salt, password]);
    let mut first = digest::Context::new(&SHA256);
    first.update(password);
    first.update(salt);
    first.update(&repeated(&*alternate, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &*alternate } else { password });
        bits >>= 1;
    }
    let mut state = finished(first);
    let pass = Zeroizing::new(repeated(&*sha256(&vec![password; password.len()]), password.len()));
    let times = 16 + state.first().copied().map_or(0, usize::from);
    let salt = repeated(&*sha256(&vec![salt; times]), salt.len());
    for round in 0..rounds {
        let mut context = digest::Context::new(&SHA256);
        context.update(if round % 2 == 1 { &pass } else { &*state });
        if round % 3 != 0 {
            context.update(&salt);
        }
        if round % 7 != 0 {
            context.update(&pass);
        }
        context.update(if round % 2 == 1 { &*state } else { &pass });
        state = finished(context);
    }
    encoded(&state)
}

type Digest = Zeroizing<[u8; digest::SHA256_OUTPUT_LEN]>;

fn sha256(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    finished(context)
}

fn finished(context: digest::Context) -> Digest {
    let mut bytes = Zeroizing::new([0_u8; digest::SHA256_OUTPUT_LEN]);
    for (byte, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *byte = *from;
    }
    bytes
}

/// `bytes` again and again, `length` of them.
fn repeated(bytes: &[u8], length: usize) -> Vec<u8> {
    bytes.iter().copied().cycle().take(length).collect()
}

/// The digest in crypt's own order: three bytes, ten apart, make four characters.
fn encoded(state: &[u8; digest::SHA256_OUTPUT_LEN]) -> String {
    let at = |place: usize| state.get(place).copied().map_or(0, u32::from);
    let mut text = Vec::with_capacity(43);
    let mut push = |value: u32, characters: u32| {
        text.extend((0..characters).map(|place| character(value >> (6 * place))));
    };
    let mut places = [0_usize, 10, 20];
    for _ in 0..10 {
        let [high, middle, low] = places;
        push(at(high) << 16 | at(middle) << 8 | at(low), 4);
        // The next three: each one further, and the last in front.
        places = [(low + 1) % 30, (high + 1) % 30, (middle + 1) % 30];
    }
    push(at(31) << 8 | at(30), 3);
    text.into_iter().map(char::from).collect()
}

fn character(bits: u32) -> u8 {
    ALPHABET.get((bits & 63) as usize).copied().unwrap_or(b'.')
}

fn no_randomness() -> ProviderFault {
    ProviderFault::Refused("this machine gives no random numbers, so no password can be made".to_owned())
}
