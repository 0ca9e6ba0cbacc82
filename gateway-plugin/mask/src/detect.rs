//! Detectors: what a sensitive value looks like.
//!
//! Each detector is a function over bytes that runs in linear time and allocates nothing; the modules' heads say for each
//! what it matches by which source, and what it deliberately does not. [`Scanner`] runs those that are wanted, behind a
//! prefilter that reads many values at once and says which of them need a closer look. A detector must never be
//! asked for more than the bytes of one value, and must never change what it reads.

use core::ops::Range;

mod check;
mod fold;
mod iban;
mod literal;
mod national;
mod network;
mod number;
mod prefilter;
mod secret;
mod shape;
mod text;
mod user;

pub(crate) use check::{luhn, luhn_digit};
use fold::Folded;
use literal::Literals;
pub(crate) use prefilter::Region;
pub(crate) use shape::Shapes;
pub use user::{InvalidPattern, MOST_USER_DETECTORS, UserDetector};

macro_rules! detectors {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $shapes:expr;)*) => {
        /// A kind of sensitive value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Detector {
            $($(#[$doc])* $name,)*
            /// A detector that the rules define, by its place among them.
            User(u8),
        }

        impl Detector {
            /// All that are built in.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in rules and marks; `None` for one that the rules define.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    Self::User(_) => None,
                }
            }

            /// Without which shapes it matches nothing.
            const fn shapes(self) -> Shapes {
                match self {
                    $(Self::$name => $shapes,)*
                    Self::User(_) => Shapes::NONE,
                }
            }

            const fn bit(self) -> u64 {
                match self {
                    Self::User(place) => 1 << (32 + (place & 31)),
                    $(Self::$name => 1 << (Place::$name as u32),)*
                }
            }
        }

        #[derive(Clone, Copy)]
        enum Place {
            $($name,)*
        }
    };
}

detectors! {
    /// A payment card's number.
    Pan = "pan", Shapes::DIGITS;
    /// An international bank account number.
    Iban = "iban", Shapes::CODE;
    /// A social security number of the United States.
    UsSsn = "us-ssn", Shapes::GROUPS;
    /// A national insurance number of the United Kingdom.
    UkNino = "uk-nino", Shapes::CODE;
    /// A taxpayer number of a person in Brazil.
    BrCpf = "br-cpf", Shapes::DIGITS.with(Shapes::GROUPS);
    /// A taxpayer number of a firm in Brazil.
    BrCnpj = "br-cnpj", Shapes::DIGITS.with(Shapes::GROUPS);
    /// An identity number of India.
    InAadhaar = "in-aadhaar", Shapes::DIGITS.with(Shapes::GROUPS);
    /// A tax number of Germany.
    DeTaxId = "de-tax-id", Shapes::DIGITS.with(Shapes::GROUPS);
    /// A tax number of France.
    FrTaxId = "fr-tax-id", Shapes::DIGITS.with(Shapes::GROUPS);
    /// An identity number of Spain.
    EsTaxId = "es-tax-id", Shapes::CODE;
    /// A tax code of Italy.
    ItTaxId = "it-tax-id", Shapes::CODE;
    /// An e-mail address.
    Email = "email", Shapes::AT;
    /// A telephone number.
    Phone = "phone", Shapes::PLUS.with(Shapes::GROUPS);
    /// An IPv4 address.
    Ipv4 = "ipv4", Shapes::DOTS;
    /// An IPv6 address.
    Ipv6 = "ipv6", Shapes::COLONS;
    /// A JSON web token.
    Jwt = "jwt", Shapes::LITERAL;
    /// A private key in PEM or PGP armour.
    PrivateKey = "private-key", Shapes::LITERAL;
    /// An access key of AWS.
    AwsKey = "aws-key", Shapes::LITERAL;
    /// A key of Google Cloud.
    GcpKey = "gcp-key", Shapes::LITERAL;
    /// A key of Azure.
    AzureKey = "azure-key", Shapes::LITERAL;
    /// A token of GitHub.
    GithubKey = "github-key", Shapes::LITERAL;
    /// A token of Slack.
    SlackKey = "slack-key", Shapes::LITERAL;
    /// A key of Stripe.
    StripeKey = "stripe-key", Shapes::LITERAL;
    /// The value of a field of JSON that is named as a secret.
    SecretField = "secret-field", Shapes::KEY;
    /// A disordered word, as keys are.
    Entropy = "entropy", Shapes::WORD;
}

impl Detector {
    /// The one that is built in under this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|detector| detector.name() == Some(name))
    }
}

const NATIONAL_DIGITS: [Detector; 6] =
    [Detector::UsSsn, Detector::BrCpf, Detector::BrCnpj, Detector::InAadhaar, Detector::DeTaxId, Detector::FrTaxId];
const NATIONAL_CODES: [Detector; 3] = [Detector::UkNino, Detector::EsTaxId, Detector::ItTaxId];

/// A set of detectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Set(u64);

impl Set {
    /// None.
    pub const NONE: Self = Self(0);
    /// All that are built in.
    pub const ALL: Self = {
        let (mut set, mut rest) = (0, Detector::ALL);
        while let [first, others @ ..] = rest {
            set |= first.bit();
            rest = others;
        }
        Self(set)
    };

    /// The same with one more.
    #[must_use]
    pub const fn with(self, detector: Detector) -> Self {
        Self(self.0 | detector.bit())
    }

    /// Whether it is in the set.
    #[must_use]
    pub const fn has(self, detector: Detector) -> bool {
        self.0 & detector.bit() != 0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has_any(self, detectors: &[Detector]) -> bool {
        detectors.iter().any(|detector| self.has(*detector))
    }
}

/// Where a detector matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The first byte.
    pub start: usize,
    /// Behind the last.
    pub end: usize,
    /// What matched.
    pub detector: Detector,
}

/// Runs detectors. It keeps room for its work, so that no value allocates.
#[derive(Debug)]
pub struct Scanner {
    wanted: Set,
    shapes: Shapes,
    literals: Literals,
    user: Vec<UserDetector>,
    folded: Folded,
    regions: Vec<Region>,
}

impl Scanner {
    /// A scanner for these detectors and those that the rules define.
    #[must_use]
    pub fn new(wanted: Set, user: &[UserDetector]) -> Self {
        let built_in = Detector::ALL.iter().filter(|detector| wanted.has(**detector));
        let shapes = built_in.fold(Shapes::NONE, |shapes, detector| shapes | detector.shapes());
        let literals = Literals::new(shapes.has(Shapes::LITERAL), !shapes.is_empty());
        let shapes = if shapes.is_empty() { shapes } else { shapes | Shapes::FOLD };
        Self { wanted, shapes, literals, user: user.to_vec(), folded: Folded::default(), regions: Vec::new() }
    }

    /// Whether every value has to be looked at closely: a regular expression has no shape.
    pub(crate) fn wants_all(&self) -> bool {
        self.user.iter().enumerate().any(|(place, _)| self.wanted.has(user::detector(place)))
    }

    /// Appends where in bytes that hold many values something may stand, in order of place.
    pub(crate) fn regions(&self, bytes: &[u8], out: &mut Vec<Region>) {
        let from = out.len();
        let shapes = self.shapes.without(Shapes::LITERAL | Shapes::FOLD);
        if !shapes.is_empty() {
            prefilter::regions(bytes, shapes, out);
        }
        let shaped = out.len();
        self.literals.regions(bytes, out);
        if shaped != from && out.len() != shaped {
            out.get_mut(from..).unwrap_or_default().sort_unstable_by_key(|region| region.offset);
        }
    }

    /// Whether the prefilter sees anything in a value.
    pub(crate) fn may_find(&mut self, text: &[u8]) -> bool {
        let mut regions = core::mem::take(&mut self.regions);
        regions.clear();
        self.regions(text, &mut regions);
        self.regions = regions;
        !self.regions.is_empty()
    }

    /// Appends what the detectors match in one value, in order of place. Hits may overlap.
    pub fn find(&mut self, text: &[u8], hits: &mut Vec<Hit>) {
        let mut regions = core::mem::take(&mut self.regions);
        regions.clear();
        self.regions(text, &mut regions);
        let shapes = regions.iter().fold(Shapes::NONE, |shapes, region| shapes | region.shapes);
        self.look_at(text, Sight::Near { regions: &regions, base: 0, shapes }, hits);
        self.regions = regions;
    }

    /// The same for a value of which the prefilter may have said what it holds.
    pub(crate) fn look(&mut self, text: &[u8], sight: Sight<'_>, hits: &mut Vec<Hit>) {
        match sight {
            Sight::Unseen => self.find(text, hits),
            _ => self.look_at(text, sight, hits),
        }
    }

    fn look_at(&mut self, text: &[u8], sight: Sight<'_>, hits: &mut Vec<Hit>) {
        let from = hits.len();
        self.detect(text, sight, hits);
        if sight.shapes().has(Shapes::FOLD) {
            self.look_folded(text, hits);
        }
        for (place, user) in self.user.iter().enumerate() {
            if self.wanted.has(user::detector(place)) {
                user.scan(text, user::detector(place), hits);
            }
        }
        if let Some(found) = hits.get_mut(from..).filter(|found| found.len() > 1) {
            found.sort_unstable_by_key(|hit| (hit.start, core::cmp::Reverse(hit.end)));
        }
    }

    fn look_folded(&mut self, text: &[u8], hits: &mut Vec<Hit>) {
        let mut folded = core::mem::take(&mut self.folded);
        folded.read(text);
        let from = hits.len();
        self.detect(&folded.text, Sight::Anywhere(Shapes::ALL), hits);
        for hit in hits.iter_mut().skip(from) {
            if let Some((start, end)) = folded.source(hit.start, hit.end) {
                (hit.start, hit.end) = (start, end);
            }
        }
        self.folded = folded;
    }

    fn detect(&self, text: &[u8], sight: Sight<'_>, hits: &mut Vec<Hit>) {
        let shapes = sight.shapes();
        let wants = |detector: Detector| self.wanted.has(detector) && shapes.has(detector.shapes());
        for (detector, scan) in NEAR {
            if wants(*detector) {
                sight.each(text, detector.shapes(), hits, scan);
            }
        }
        let digits = Shapes::DIGITS | Shapes::GROUPS;
        if shapes.has(digits) && self.wanted.has_any(&NATIONAL_DIGITS) {
            sight.each(text, digits, hits, |text, near, hits| national::digits(text, near, self.wanted, hits));
        }
        if shapes.has(Shapes::CODE) && self.wanted.has_any(&NATIONAL_CODES) {
            sight.each(text, Shapes::CODE, hits, |text, near, hits| national::words(text, near, self.wanted, hits));
        }
        for (detector, scan) in SCANS {
            if wants(*detector) {
                scan(text, hits);
            }
        }
        if shapes.has(Shapes::LITERAL) && self.shapes.has(Shapes::LITERAL) {
            let mut from = hits.len();
            let mut done = 0;
            self.literals.each(text, |at| {
                if at >= done {
                    secret::literals(text, at, self.wanted, hits);
                }
                if let Some(hit) = hits.get(from..).and_then(<[Hit]>::last) {
                    (from, done) = (hits.len(), hit.end);
                }
            });
        }
    }
}

/// How far before a shape a match that has it may begin: `30 23 217 600 053` has its first one at the third group.
const BEFORE: usize = 8;

/// What the prefilter has seen in a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sight<'r> {
    /// It was not asked.
    Unseen,
    /// These shapes, anywhere.
    Anywhere(Shapes),
    /// Where which shapes begin, in order, of bytes in which the value begins at `base`.
    Near {
        /// From the first that reaches into the value on.
        regions: &'r [Region],
        base: usize,
        /// The shapes that begin in the value.
        shapes: Shapes,
    },
}

impl Sight<'_> {
    /// Which shapes there may be.
    pub(crate) const fn shapes(&self) -> Shapes {
        match self {
            Self::Unseen => Shapes::ALL,
            Self::Anywhere(shapes) | Self::Near { shapes, .. } => *shapes,
        }
    }

    /// What was seen of the value from a place within it on.
    pub(crate) const fn from(self, place: usize) -> Self {
        match self {
            Self::Near { regions, base, shapes } => Self::Near { regions, base: base + place, shapes },
            other => other,
        }
    }

    /// Runs a detector where matches of these shapes may begin, never twice at one place.
    fn each(
        &self,
        text: &[u8],
        shapes: Shapes,
        hits: &mut Vec<Hit>,
        scan: impl Fn(&[u8], Range<usize>, &mut Vec<Hit>),
    ) {
        let Self::Near { regions, base, .. } = *self else { return scan(text, 0..text.len(), hits) };
        let within = regions.iter().take_while(|region| region.offset < base + text.len());
        let mut done = 0;
        for region in within.filter(|region| region.shapes.has(shapes)) {
            let before = base.saturating_sub(region.offset);
            let starts = if before < 64 { region.starts >> before << before } else { 0 };
            if starts == 0 {
                continue;
            }
            let first = region.offset + starts.trailing_zeros() as usize - base;
            let end = region.offset + 64 - starts.leading_zeros() as usize - base;
            let near = first.saturating_sub(BEFORE).max(done)..end.min(text.len());
            if near.is_empty() {
                continue;
            }
            let known = hits.len();
            done = near.end;
            scan(text, near, hits);
            done = hits.get(known..).and_then(<[Hit]>::last).map_or(done, |hit| hit.end.max(done));
        }
    }
}

/// Appends what a detector matches in a value, of matches that begin in this range.
type Near = fn(&[u8], Range<usize>, &mut Vec<Hit>);

/// The detectors that are one function each and can begin in the middle of a value.
const NEAR: &[(Detector, Near)] =
    &[(Detector::Pan, number::scan), (Detector::Iban, iban::scan), (Detector::Phone, network::phones)];

/// Appends what a detector matches in a value.
type Scan = fn(&[u8], &mut Vec<Hit>);

/// The others that are one function each: what they look for is rare.
const SCANS: &[(Detector, Scan)] = &[
    (Detector::Email, network::emails),
    (Detector::Ipv4, network::ipv4),
    (Detector::Ipv6, network::ipv6),
    (Detector::SecretField, secret::fields),
    (Detector::Entropy, secret::disorder),
];

#[cfg(test)]
mod tests;
