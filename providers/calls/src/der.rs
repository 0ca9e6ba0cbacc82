//! The two structures in DER (X.690) that key management services give: a public key (RFC 5280, 4.1) and an ECDSA signature (RFC 3279, 2.2.3).
//! Read strictly: one form for each value, nothing behind it.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: &[u8] = &[0x05, 0x00];
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A public key.
#[derive(Debug, PartialEq, Eq)]
pub enum PublicKey<'a> {
    /// A point of P-256.
    P256 {
        /// Its first coordinate, 32 bytes.
        x: &'a [u8],
        /// Its second, 32 bytes.
        y: &'a [u8],
    },
    /// A key of RSA, its numbers without leading zeros.
    Rsa {
        /// The modulus.
        n: &'a [u8],
        /// The exponent.
        e: &'a [u8],
    },
}

/// The key in a `SubjectPublicKeyInfo`; none where it is of another kind, or not read as strictly as here.
#[must_use]
pub fn public_key(der: &[u8]) -> Option<PublicKey<'_>> {
    let info = only(der, SEQUENCE)?;
    let (algorithm, info) = next(info, SEQUENCE)?;
    let bits = only(info, BIT_STRING)?.strip_prefix(&[0])?;
    let (name, parameters) = next(algorithm, OID)?;
    match name {
        EC if only(parameters, OID)? == P256 => {
            let point = bits.strip_prefix(&[0x04]).filter(|point| point.len() == 64)?;
            let (x, y) = point.split_at_checked(32)?;
            Some(PublicKey::P256 { x, y })
        }
        RSA if parameters == NULL => {
            let (n, rest) = natural(only(bits, SEQUENCE)?)?;
            let (e, rest) = natural(rest)?;
            rest.is_empty().then_some(PublicKey::Rsa { n, e })
        }
        _ => None,
    }
}

/// R and S of an ECDSA signature on P-256, 32 bytes each (RFC 7518, 3.4).
#[must_use]
pub fn p256_signature(der: &[u8]) -> Option<Vec<u8>> {
    let (r, rest) = natural(only(der, SEQUENCE)?)?;
    let (s, rest) = natural(rest)?;
    let mut raw = vec![0; 64];
    for (number, end) in [(r, 32_usize), (s, 64)] {
        let fits = number.len() <= 32;
        raw.get_mut(end.checked_sub(number.len())?..end).filter(|_| fits)?.copy_from_slice(number);
    }
    rest.is_empty().then_some(raw)
}

/// A number that is not negative, without its leading zero.
fn natural(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (value, rest) = next(der, INTEGER)?;
    let number = match value {
        [] | [0x80..=0xff, ..] | [0, ..=0x7f, ..] => return None,
        [0, number @ ..] => number,
        number => number,
    };
    (!number.is_empty()).then_some((number, rest))
}

/// The value of the only thing in `der`.
fn only(der: &[u8], tag: u8) -> Option<&[u8]> {
    next(der, tag).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// The value of the next thing, and what is behind it.
fn next(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [found, ..] if *found != tag => return None,
        [_, short @ ..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [_, 0x81, long @ 0x80..=0xff, rest @ ..] => (usize::from(*long), rest),
        [_, 0x82, high @ 1..=0xff, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn every_signature_is_read_as_it_was_made() {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        // So many that some begin with a zero byte or with a high bit.
        for count in 0..2000_u32 {
            let message = count.to_be_bytes();
            let signature = pair.sign(&random, &message).unwrap();
            let raw = p256_signature(signature.as_ref()).unwrap();
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
            public.verify(&message, &raw).unwrap();
        }
    }

    #[test]
    fn what_is_not_der_is_refused() {
        let sound = [0x30, 6, 2, 1, 1, 2, 1, 2];
        assert!(p256_signature(&sound).is_some());
        let wrong: [&[u8]; 10] = [
            &[],
            &[0x30, 6, 2, 1, 1, 2, 1],
            &[0x30, 6, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 7, 2, 1, 1, 2, 1, 2, 0],
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 2],
            &[0x31, 6, 2, 1, 1, 2, 1, 2],
            &[0x30, 6, 2, 1, 0x81, 2, 1, 2],
            &[0x30, 7, 2, 2, 0, 1, 2, 1, 2],
            &[0x30, 6, 2, 1, 0, 2, 1, 2],
            &[0x30, 0x80, 2, 1, 1, 2, 1, 2],
        ];
        for der in wrong {
            assert_eq!(p256_signature(der), None, "{der:?}");
        }
        let mut long = vec![0x30, 38, 2, 33];
        long.extend([1; 33]);
        long.extend([2, 1, 2]);
        assert_eq!(p256_signature(&long), None);
        assert_eq!(public_key(&sound), None);
    }
}
