//! Detectors: what a sensitive value looks like.
//!
//! Each detector is a function over bytes that runs in linear time and allocates nothing; the modules' heads say for each
//! what it matches by which source, and what it deliberately does not. [`Scanner`] runs those that are wanted, behind a
//! prefilter that reads many values at once and says which of them need a closer look. A detector must never be
//! asked for more than the bytes of one value, and must never change what it reads.

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
        self.regions = regions;
        self.look(text, shapes, hits);
    }

    /// The same for a value of which the prefilter has said what it may hold.
    pub(crate) fn look(&mut self, text: &[u8], shapes: Shapes, hits: &mut Vec<Hit>) {
        let from = hits.len();
        self.detect(text, shapes, hits);
        if shapes.has(Shapes::FOLD) {
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
        self.detect(&folded.text, Shapes::ALL, hits);
        for hit in hits.iter_mut().skip(from) {
            if let Some((start, end)) = folded.source(hit.start, hit.end) {
                (hit.start, hit.end) = (start, end);
            }
        }
        self.folded = folded;
    }

    fn detect(&self, text: &[u8], shapes: Shapes, hits: &mut Vec<Hit>) {
        let wants = |detector: Detector| self.wanted.has(detector) && shapes.has(detector.shapes());
        if wants(Detector::Pan) {
            number::scan(text, hits);
        }
        if shapes.has(Shapes::DIGITS | Shapes::GROUPS | Shapes::CODE) {
            national::scan(text, self.wanted, shapes, hits);
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

/// Appends what a detector matches in a value.
type Scan = fn(&[u8], &mut Vec<Hit>);

/// The detectors that are one function each.
const SCANS: &[(Detector, Scan)] = &[
    (Detector::Iban, iban::scan),
    (Detector::Email, network::emails),
    (Detector::Phone, network::phones),
    (Detector::Ipv4, network::ipv4),
    (Detector::Ipv6, network::ipv6),
    (Detector::SecretField, secret::fields),
    (Detector::Entropy, secret::disorder),
];

#[cfg(test)]
mod tests;
