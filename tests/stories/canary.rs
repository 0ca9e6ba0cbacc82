//! Recognisable secrets, and a search for them in every form that they may have taken.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use writ_core::credential::{Fingerprint, Secret};

/// A secret, the forms in which it is looked for, and the files that are there to hold it.
pub(crate) struct Canary {
    pub(crate) name: String,
    forms: Vec<Vec<u8>>,
    own: Vec<PathBuf>,
}

impl Canary {
    /// Looked for as it is, in hexadecimal, and in base64 wherever it may begin.
    pub(crate) fn new(name: impl Into<String>, secret: &[u8], own: &[PathBuf]) -> Self {
        assert!(secret.len() >= 8, "a short secret is found everywhere");
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![secret.to_vec(), hex.to_ascii_uppercase().into_bytes(), hex.into_bytes()];
        for before in 0..3 {
            forms.push(within(&STANDARD_NO_PAD.encode(padded(before, secret)), before, secret.len()));
            forms.push(within(&URL_SAFE_NO_PAD.encode(padded(before, secret)), before, secret.len()));
        }
        Self { name: name.into(), forms, own: own.to_vec() }
    }

    /// The secret part of a private key in a file: PEM or DER with an octet string of 32 bytes, or the bytes themselves.
    pub(crate) fn key(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let der = match text.strip_prefix("-----BEGIN") {
            Some(_) => {
                let lines: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
                STANDARD.decode(lines).unwrap()
            }
            None => bytes.clone(),
        };
        let octets = der.windows(2).position(|pair| pair == [4, 32]).and_then(|at| der.get(at + 2..at + 34));
        let secret = if der.len() == 32 { der.as_slice() } else { octets.unwrap_or(&der) };
        Self::new(format!("the key {}", path.file_name().unwrap().display()), secret, &[path.to_owned()])
    }

    pub(crate) fn forms(&self) -> &[Vec<u8>] {
        &self.forms
    }

    /// Whether this is a file that is there to hold it.
    pub(crate) fn owned_by(&self, place: &Place) -> bool {
        self.own.iter().any(|own| place.name == own.display().to_string())
    }
}

fn padded(before: usize, secret: &[u8]) -> Vec<u8> {
    [vec![0; before], secret.to_vec()].concat()
}

/// The characters that are made of nothing but the secret's bits.
fn within(encoded: &str, before: usize, length: usize) -> Vec<u8> {
    let begin = [0, 2, 3][before];
    let end = if (before + length).is_multiple_of(3) { encoded.len() } else { encoded.len() - 1 };
    encoded.as_bytes()[begin..end].to_vec()
}

/// Something that somebody can read, and what it says.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Place {
    pub(crate) fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// How many bytes of each form lead to it.
const LEAD: usize = 8;

/// Which secret is where; never the secret.
pub(crate) fn found(canaries: &[Canary], places: &[Place]) -> Vec<String> {
    let mut leads: HashMap<[u8; LEAD], Vec<(usize, &[u8])>> = HashMap::new();
    for (number, canary) in canaries.iter().enumerate() {
        for form in &canary.forms {
            leads.entry(*form.first_chunk().unwrap()).or_default().push((number, form));
        }
    }
    let mut all = Vec::new();
    for place in places {
        // PEM breaks base64 into lines.
        let whole: Vec<u8> = place.bytes.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        let seen: BTreeSet<usize> = seen(&leads, &place.bytes).chain(seen(&leads, &whole)).collect();
        let stray = seen.into_iter().map(|number| &canaries[number]).filter(|canary| !canary.owned_by(place));
        all.extend(stray.map(|canary| format!("{} in {}", canary.name, place.name)));
    }
    all
}

fn seen<'a>(
    leads: &'a HashMap<[u8; LEAD], Vec<(usize, &'a [u8])>>,
    bytes: &'a [u8],
) -> impl Iterator<Item = usize> + 'a {
    let starts = bytes.windows(LEAD).enumerate();
    let led = starts.filter_map(|(at, lead)| leads.get(lead).map(|forms| (&bytes[at..], forms)));
    led.flat_map(|(rest, forms)| forms.iter().filter(|(_, form)| rest.starts_with(form)).map(|(number, _)| *number))
}

/// The places that hold the secret of one of these fingerprints: a minted password that nobody was ever shown.
pub(crate) fn minted(fingerprints: &[String], places: &[Place]) -> Vec<String> {
    // 32 bytes in base64url.
    const LENGTH: usize = 43;
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_one = |window: &[u8]| {
        let fingerprint = Fingerprint::of_random(&Secret::new(window.to_vec()));
        fingerprints.iter().any(|known| known == fingerprint.as_str())
    };
    let holds_one = |place: &&Place| {
        let runs = place.bytes.split(|byte| !letter(byte)).filter(|run| run.len() >= LENGTH);
        runs.flat_map(|run| run.windows(LENGTH)).any(is_one)
    };
    places.iter().filter(holds_one).map(|place| format!("a minted password in {}", place.name)).collect()
}

/// Every file below a directory.
pub(crate) fn files(below: &Path) -> Vec<Place> {
    let mut all = Vec::new();
    for path in std::fs::read_dir(below).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            all.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            all.push(Place::new(path.display().to_string(), bytes));
        }
    }
    all
}

/// What the kernel shows of a process and of those that it started: arguments and environment.
pub(crate) fn processes(root: u32) -> Vec<Place> {
    let mut all = Vec::new();
    let mut pids = vec![root];
    while let Some(pid) = pids.pop() {
        for what in ["cmdline", "environ", "comm"] {
            let path = format!("/proc/{pid}/{what}");
            // What cannot be read shows nothing; a process may have ended.
            all.extend(std::fs::read(&path).map(|bytes| Place::new(path, bytes)));
        }
        for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            pids.extend(children.split_whitespace().map(|child| child.parse::<u32>().unwrap()));
        }
    }
    all
}
