//! The search for the literals that begin a secret, or a character that hides something: one pass for all, by the vectorised
//! search of `aho-corasick` where the machine has it.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};

use super::prefilter::Region;
use super::shape::Shapes;
use super::{fold, secret};

/// The search.
#[derive(Debug)]
pub(crate) struct Literals {
    search: Search,
    /// How many of the patterns begin secrets; the rest begin characters that are folded.
    secrets: usize,
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
        let fronts = if secrets { FRONTS } else { &[] };
        let patterns: Vec<&[u8]> = fronts.iter().chain(if folds { fold::FRONTS } else { &[] }).copied().collect();
        Self { search: Search::new(&patterns), secrets: fronts.len() }
    }

    /// Calls for the start of each literal of a secret.
    pub(crate) fn each(&self, text: &[u8], mut each: impl FnMut(usize)) {
        self.search.each(text, |pattern, start| {
            if pattern < self.secrets {
                each(start);
            }
        });
    }

    /// Appends a region for each literal.
    pub(crate) fn regions(&self, bytes: &[u8], out: &mut Vec<Region>) {
        self.search.each(bytes, |pattern, offset| {
            let shapes = if pattern < self.secrets { Shapes::LITERAL } else { Shapes::FOLD };
            out.push(Region { offset, starts: 1, shapes });
        });
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

    fn each(&self, bytes: &[u8], mut each: impl FnMut(usize, usize)) {
        match self {
            Self::Nothing => {}
            Self::Packed(searcher) => {
                let mut span = Span { start: 0, end: bytes.len() };
                while let Some(found) = searcher.find_in(bytes, span) {
                    each(found.pattern().as_usize(), found.start());
                    span.start = found.end();
                }
            }
            Self::Automaton(search) => {
                for found in search.find_iter(bytes) {
                    each(found.pattern().as_usize(), found.start());
                }
            }
        }
    }
}
