//! The search for the literals that begin a secret, by the vectorised search of `aho-corasick` where the machine has it, and for
//! the characters that hide something, by the three bytes that begin them.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};

use super::prefilter::Region;
use super::shape::Shapes;
use super::{fold, secret};

/// The search.
#[derive(Debug)]
pub(crate) struct Literals {
    search: Search,
    /// Whether characters that are folded are searched for.
    folds: bool,
}

#[derive(Debug)]
enum Search {
    Nothing,
    Packed(Searcher),
    Automaton(Box<AhoCorasick>),
}

/// The fronts by which all of [`secret::BODIES`] are found, as few as will do.
const FRONTS: &[&[u8]] = &[
    b"AKIA",
    b"ASIA",
    b"ABIA",
    b"ACCA",
    b"AIza",
    b"ya29.",
    b"GOCSPX-",
    b"AccountKey=",
    b"SharedAccessKey=",
    b"github_pat_",
    b"ghp_",
    b"gho_",
    b"ghu_",
    b"ghs_",
    b"ghr_",
    b"xox",
    b"xapp-",
    b"hooks.slack.com/",
    b"sk_live_",
    b"sk_test_",
    b"rk_live_",
    b"rk_test_",
    b"whsec_",
    secret::ENTRA,
    secret::TOKEN,
    secret::ARMOUR,
];

impl Literals {
    /// A search for the literals of secrets, for characters that are folded, for both or for neither.
    pub(crate) fn new(secrets: bool, folds: bool) -> Self {
        Self { search: Search::new(if secrets { FRONTS } else { &[] }), folds }
    }

    /// Calls for the start of each literal of a secret.
    pub(crate) fn each(&self, text: &[u8], each: impl FnMut(usize)) {
        self.search.each(text, each);
    }

    /// Appends a region for each literal, and for each character that is folded.
    pub(crate) fn regions(&self, bytes: &[u8], out: &mut Vec<Region>) {
        self.search.each(bytes, |offset| out.push(Region { offset, starts: 1, shapes: Shapes::LITERAL }));
        if !self.folds {
            return;
        }
        for offset in memchr::memchr3_iter(0xEF, 0xE2, 0xC2, bytes) {
            let rest = bytes.get(offset..).unwrap_or_default();
            if fold::FRONTS.iter().any(|front| rest.starts_with(front)) {
                out.push(Region { offset, starts: 1, shapes: Shapes::FOLD });
            }
        }
    }
}

impl Search {
    fn new(patterns: &[&[u8]]) -> Self {
        if patterns.is_empty() {
            return Self::Nothing;
        }
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(patterns).build();
        match packed {
            Some(searcher) => Self::Packed(searcher),
            None => AhoCorasick::new(patterns).map_or(Self::Nothing, |search| Self::Automaton(Box::new(search))),
        }
    }

    fn each(&self, bytes: &[u8], mut each: impl FnMut(usize)) {
        match self {
            Self::Nothing => {}
            Self::Packed(searcher) => {
                let mut span = Span { start: 0, end: bytes.len() };
                while let Some(found) = searcher.find_in(bytes, span) {
                    each(found.start());
                    span.start = found.end();
                }
            }
            Self::Automaton(search) => {
                for found in search.find_iter(bytes) {
                    each(found.start());
                }
            }
        }
    }
}
