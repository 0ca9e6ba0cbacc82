//! The detectors' page of the manual, made from what is measured: `WRIT_BLESS=1 cargo test -p writ-mask` writes it anew.

use std::fmt::Write as _;

use writ_mask::detect::Detector;

use crate::precision::{NEAR, PLANTED, SEED, measure};

const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/masking.md");
const BEGIN: &str = "<!-- detectors: written by a test, see WRIT_BLESS -->\n";
const END: &str = "<!-- end of detectors -->\n";

/// What it matches, what it checks, and what it deliberately does not match.
const fn words(detector: Detector) -> [&'static str; 3] {
    match detector {
        Detector::Pan => [
            "13 to 19 digits, in one run or with single spaces or hyphens between them",
            "the networks' ranges and lengths, Luhn",
            "within a word or a longer number, behind a decimal point, Maestro's 12 digits",
        ],
        Detector::Iban => [
            "15 to 33 letters and digits, in one run or in fours",
            "country and its length, MOD 97-10",
            "countries that SWIFT's registry does not have",
        ],
        Detector::UsSsn => [
            "`ddd-dd-dddd`, also with spaces",
            "no area 000, 666, 9xx, no group 00, no serial 0000",
            "nine plain digits, which have no check digit",
        ],
        Detector::UkNino => [
            "two letters, six digits, A to D, also with spaces between pairs",
            "letters and prefixes that are given out",
            "numbers without the last letter",
        ],
        Detector::BrCpf => ["11 digits, or `ddd.ddd.ddd-dd`", "two check digits", "eleven equal digits"],
        Detector::BrCnpj => ["14 digits, or `dd.ddd.ddd/dddd-dd`", "two check digits", "the form with letters"],
        Detector::InAadhaar => ["12 digits, or in fours", "first digit 2 to 9, Verhoeff", "virtual ids of 16 digits"],
        Detector::DeTaxId => {
            ["11 digits, or `dd ddd ddd ddd`", "which digits repeat, MOD 11,10", "the older Steuernummer"]
        }
        Detector::FrTaxId => {
            ["13 digits, or `dd dd ddd ddd ddd`", "first digit 0 to 3, remainder by 511", "the social security number"]
        }
        Detector::EsTaxId => ["DNI and NIE: 8 characters and a letter", "letter by modulo 23", "the CIF of firms"],
        Detector::ItTaxId => ["16 characters", "form, month, check character", "letters in place of digits"],
        Detector::Email => [
            "a local part of up to 64 characters, `@`, a domain of two labels or more",
            "RFC 5321's form",
            "quoted local parts, hosts without a dot",
        ],
        Detector::Phone => [
            "`+` and 8 to 15 digits; `(415) 555-2671`; `020 7946 0958`, `07700 900123`; `01 23 45 67 89`",
            "E.164's length; area and exchange of North America",
            "digits without a plus sign, other countries' national forms",
        ],
        Detector::Ipv4 => ["four numbers with points", "0 to 255, no leading zeros", "longer dotted numbers"],
        Detector::Ipv6 => ["hexadecimal groups with colons", "RFC 4291's form", "`::` alone, MAC addresses, times"],
        Detector::Jwt => ["`eyJ` and three to five parts", "lengths of header and payload", "other headers"],
        Detector::PrivateKey => ["PEM and PGP armour, to its end", "the label", "certificates, public keys"],
        Detector::AwsKey => ["`AKIA`, `ASIA`, `ABIA`, `ACCA` and 16", "base32", "secret access keys: `entropy`"],
        Detector::GcpKey => ["`AIza` and 35, `ya29.`, `GOCSPX-` and 28", "alphabet, length", "service accounts"],
        Detector::AzureKey => {
            ["`AccountKey=`, `SharedAccessKey=`, Entra's client secrets", "alphabet, length", "access signatures"]
        }
        Detector::GithubKey => ["`ghp_` and its kin, `github_pat_`", "alphabet, length", "40 hexadecimal digits"],
        Detector::SlackKey => ["`xoxb-` and its kin, `xapp-`, webhooks", "alphabet, length", ""],
        Detector::StripeKey => ["`sk_`, `rk_` live and test, `whsec_`", "alphabet, length", "publishable keys"],
        Detector::SecretField => [
            "in JSON, the value of a field named as a secret",
            "the end of the name",
            "objects and arrays by themselves",
        ],
        Detector::Entropy => [
            "words of base64 of 24 to 512 bytes",
            "upper, lower, digits, changes of class, 3.6 bits for each byte",
            "hexadecimal digits alone",
        ],
        Detector::User(_) => ["", "", ""],
    }
}

fn section() -> String {
    let mut text = format!(
        "\nMeasured over {PLANTED} values of each kind and {NEAR} that come near to one, from the seed {SEED}.\n\n\
         | detector | matches | checks | not, deliberately | precision | recall | in other kinds |\n|---|---|---|---|---|---|---|\n"
    );
    for detector in Detector::ALL {
        let ([matches, checks, not], found) = (words(*detector), measure(*detector));
        let name = detector.name().unwrap();
        writeln!(
            text,
            "| `{name}` | {matches} | {checks} | {not} | {} % | {} % | {} % |",
            found.precision, found.recall, found.others
        )
        .unwrap();
    }
    text + "\n"
}

#[test]
fn the_page_says_what_is_measured() {
    let manual = std::fs::read_to_string(MANUAL).unwrap();
    let (front, rest) = manual.split_once(BEGIN).unwrap();
    let (found, back) = rest.split_once(END).unwrap();
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(MANUAL, [front, BEGIN, &section(), END, back].concat()).unwrap();
        return;
    }
    assert!(found == section(), "`docs/masking.md` is out of date: run this test with WRIT_BLESS=1");
}
