//! The bundle: a set of policy files that was parsed and validated as a whole, and the hash that names it.
//!
//! A bundle exists only if every file is without a problem; there is no half-loaded policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::str::FromStr;

use aws_lc_rs::digest;
use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use writ_core::grant::PolicyHash;

use crate::governs::Governs;
use crate::judge::slices::Slices;
use crate::obligations::{On, Stated, is_set_name};
use crate::problem::Problem;
use crate::reads::{Reads, Unknowable};
use crate::schema;

/// The most bytes that all files of a bundle may hold together.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// What the hash is over, before the parts: a change of how decisions are made changes it.
const HASH_DOMAIN: &[u8] = b"writ policy v1\0";
const ID_LENGTH: usize = 128;

/// What the name of a file with a set of masks ends with; before it stands the set's own name.
pub const MASK_SUFFIX: &str = ".mask.toml";

/// A validated set of policies.
#[derive(Debug)]
pub struct Bundle {
    files: Vec<(String, String)>,
    hash: PolicyHash,
    schema: Schema,
    policies: PolicySet,
    stated: BTreeMap<String, Stated>,
    reads: Reads,
    governs: Governs,
    slices: Slices,
}

/// All problems of a set of files; empty where [`Bundle::load`] takes it.
#[must_use]
pub fn check(files: &[(String, String)]) -> Vec<Problem> {
    Bundle::load(files.to_vec()).err().unwrap_or_default()
}

impl Bundle {
    /// Parses and validates files, given as name and text. Their order does not matter.
    ///
    /// # Errors
    /// All problems found, by file and line: two files of one name, too many bytes, syntax, templates, anything that
    /// strict validation against the schema finds (its warnings included), names of claims that are computed, unknown
    /// or malformed annotations, two policies of one id.
    pub fn load(mut files: Vec<(String, String)>) -> Result<Self, Vec<Problem>> {
        files.sort();
        let schema = schema::parse().map_err(|problem| vec![problem])?;
        let mut loader = Loader::new(schema);
        loader.whole(&files);
        if loader.problems.is_empty() {
            for (name, text) in &files {
                match name.strip_suffix(MASK_SUFFIX) {
                    Some(set) => loader.mask_set(name, text, set),
                    None => loader.file(name, text),
                }
            }
            loader.name_known_sets();
        }
        loader
            .problems
            .sort_by(|one, other| (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column)));
        if !loader.problems.is_empty() {
            return Err(loader.problems);
        }
        let slices = loader.slices().map_err(|problem| vec![problem])?;
        Ok(Self {
            hash: hash(&files),
            files,
            slices,
            schema: loader.validator.schema().clone(),
            policies: loader.policies,
            stated: loader.stated,
            reads: loader.reads,
            governs: loader.governs,
        })
    }

    /// SHA-256 over the schema and the files, sorted by name.
    #[must_use]
    pub const fn hash(&self) -> &PolicyHash {
        &self.hash
    }

    /// The files, sorted by name.
    #[must_use]
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// The text of a set of masks, as its file holds it. Policies of this bundle name no set that it does not have; whether a text
    /// makes rules is for whoever applies them to say.
    #[must_use]
    pub fn mask_set(&self, set: &str) -> Option<&str> {
        let named = |name: &str| name.strip_suffix(MASK_SUFFIX) == Some(set);
        self.files.iter().find(|(name, _)| named(name)).map(|(_, text)| text.as_str())
    }

    /// The names of files of sets of masks, with their texts, sorted.
    pub fn mask_sets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(name, _)| name.ends_with(MASK_SUFFIX))
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(crate) const fn policies(&self) -> &PolicySet {
        &self.policies
    }

    pub(crate) const fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(crate) const fn governs(&self) -> &Governs {
        &self.governs
    }

    pub(crate) const fn slices(&self) -> &Slices {
        &self.slices
    }

    pub(crate) fn stated(&self, id: &str) -> Option<&Stated> {
        self.stated.get(id)
    }
}

/// Each part with its length before it, so that no two sets of files give the same bytes.
fn hash(files: &[(String, String)]) -> PolicyHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(HASH_DOMAIN);
    let parts = files.iter().flat_map(|(name, text)| [name.as_str(), text.as_str()]);
    for part in [schema::TEXT].into_iter().chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut hex = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        let _infallible = write!(hex, "{byte:02x}");
    }
    PolicyHash::new(hex)
}

struct Loader {
    validator: Validator,
    policies: PolicySet,
    stated: BTreeMap<String, Stated>,
    reads: Reads,
    governs: Governs,
    sets: BTreeSet<String>,
    /// Sets that an annotation names, and where.
    named: Vec<(String, Problem)>,
    problems: Vec<Problem>,
}

impl Loader {
    fn new(schema: Schema) -> Self {
        Self {
            validator: Validator::new(schema),
            policies: PolicySet::new(),
            stated: BTreeMap::new(),
            reads: Reads::default(),
            governs: Governs::default(),
            sets: BTreeSet::new(),
            named: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn whole(&mut self, files: &[(String, String)]) {
        let mut names = BTreeSet::new();
        let mut bytes = 0_usize;
        for (name, text) in files {
            bytes = bytes.saturating_add(name.len()).saturating_add(text.len());
            if !names.insert(name) {
                let problem = Problem::at(name, text, 0, format!("two policy files have the name `{name}`"));
                self.problems.push(problem.help("give each file a name of its own"));
            }
        }
        if let Some((name, text)) = files.first().filter(|_| bytes > MAX_BYTES) {
            let message = format!("the policy files hold {bytes} bytes, more than {MAX_BYTES}");
            self.problems.push(Problem::at(name, text, 0, message).help("decide by claims and labels, not one by one"));
        }
    }

    fn file(&mut self, name: &str, text: &str) {
        let parsed = match PolicySet::from_str(text) {
            Ok(parsed) => parsed,
            Err(error) => return self.cedar(name, text, [DetailedError::from(&error)]),
        };
        if let Some(template) = parsed.templates().next() {
            let core = template.as_ref();
            let offset = core.loc().map_or(0, |loc| loc.start());
            let problem = Problem::at(name, text, offset, "a policy template is never linked, so it decides nothing");
            self.problems.push(problem.help("write the entity in place of `?principal` or `?resource`"));
        }
        let valid = self.validator.validate(&parsed, ValidationMode::Strict);
        self.cedar(name, text, valid.validation_errors().map(DetailedError::from));
        self.cedar(name, text, valid.validation_warnings().map(DetailedError::from));
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        policies.sort_by_key(|policy| policy.as_ref().loc().map_or(0, |loc| loc.start()));
        for (index, policy) in policies.into_iter().enumerate() {
            self.policy(name, text, index, policy);
        }
    }

    fn mask_set(&mut self, name: &str, text: &str, set: &str) {
        if !is_set_name(set) {
            let problem = Problem::at(name, text, 0, format!("`{set}` cannot name a set of masks"));
            self.problems.push(problem.help("name it by 1 to 63 of letters, digits, `-` and `_`, before `.mask.toml`"));
        }
        self.sets.insert(set.to_owned());
    }

    /// A set that a policy names and that is not there would be a mask that silently does not hold.
    fn name_known_sets(&mut self) {
        let unknown = self.named.drain(..).filter(|(set, _)| !self.sets.contains(set));
        self.problems.extend(unknown.map(|(_, problem)| problem));
    }

    fn cedar(&mut self, name: &str, text: &str, errors: impl IntoIterator<Item = DetailedError>) {
        self.problems.extend(errors.into_iter().flat_map(|error| Problem::from_cedar(name, text, error)));
    }

    fn policy(&mut self, name: &str, text: &str, index: usize, policy: &Policy) {
        let offset = policy.as_ref().loc().map_or(0, |loc| loc.start());
        let at = |message: String| Problem::at(name, text, offset, message);
        let id = match policy.annotation("id") {
            None => format!("{name}#{}", index + 1),
            Some(id) if well_formed(id) => id.to_owned(),
            Some(id) => {
                let help = "write 1 to 128 of letters, digits, `-`, `_`, `.`, `/`, like @id(\"payments-read\")";
                return self.problems.push(at(format!("`{id}` cannot be an `@id`")).help(help));
            }
        };
        if let Err(unknowable) = self.reads.add(policy) {
            let (message, help) = match unknowable {
                Unknowable::Computed => ("the name of a claim is computed", "write the claim's name as a literal text"),
                Unknowable::Opaque => ("the policy cannot be read back", "write it in simpler terms"),
            };
            self.problems.push(at(message.to_owned()).help(help));
        }
        self.governs.add(&id, policy);
        let stated = self.annotations(name, text, policy);
        if self.policies.add(policy.new_id(PolicyId::new(&id))).is_err() {
            self.problems
                .push(at(format!("two policies have the id `{id}`")).help("give each policy an @id of its own"));
        }
        self.stated.insert(id, stated);
    }

    /// What questions about statements are put to; nothing where there are none.
    fn slices(&self) -> Result<Slices, Problem> {
        if !self.governs.statements {
            return Ok(Slices::default());
        }
        let unusable = |unusable| Problem::at(schema::FILE, schema::TEXT, 0, format!("no slices: {unusable:?}"));
        Slices::of(&self.policies, self.validator.schema()).map_err(unusable)
    }

    fn annotations(&mut self, name: &str, text: &str, policy: &Policy) -> Stated {
        let mut on = On::default();
        for env in policy.get_valid_request_envs(self.validator.schema()) {
            match env.action().id().unescaped() {
                "connect" => on.connect = true,
                action => on.statement |= action.starts_with("sql:"),
            }
        }
        let mut stated = Stated::default();
        for (key, value) in policy.as_ref().annotations() {
            let offset = value.loc.as_ref().map_or(0, |loc| loc.start());
            if let Err(mistake) = stated.read(policy.effect(), on, key.as_ref(), value.as_ref()) {
                self.problems.push(Problem::at(name, text, offset, mistake.message).help(mistake.help));
            } else if key.as_ref() == "mask" {
                let unknown = |set: &str| {
                    let problem = Problem::at(name, text, offset, format!("there is no set of masks `{set}`"));
                    (
                        set.to_owned(),
                        problem.help(format!("put its rules into `{set}{MASK_SUFFIX}` beside the policies")),
                    )
                };
                self.named.extend(stated.masks().map(unknown));
            }
        }
        if let Some(mistake) = stated.terms.mistake() {
            let offset = policy.as_ref().loc().map_or(0, |loc| loc.start());
            self.problems.push(Problem::at(name, text, offset, mistake.message).help(mistake.help));
        }
        stated
    }
}

fn well_formed(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    (1..=ID_LENGTH).contains(&id.len()) && id.bytes().all(plain)
}
