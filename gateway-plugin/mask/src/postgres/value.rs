//! One value: what the rules and detectors make of it, legal for its type in its format.

mod binary;
mod encode;
mod json;
mod written;

use std::sync::Arc;

use writ_core::fault::Fault;
use writ_core::mask::MaskMark;

use super::column::Column;
use super::types::{Catalog, Class};
use super::{marks, too_long};
use crate::action::{Action, MaskKey};
use crate::detect::{Detector, Hit, Scanner, Sight};
use crate::rules::{Duty, Otherwise, RuleSet};

/// How deep values may stand within values.
const DEPTH: u8 = 8;

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It may go on as it is.
    Keep,
    /// What was written goes on in its place.
    Replaced,
    /// NULL goes on in its place.
    Null,
    /// Its row does not go on.
    Drop,
}

/// What masks values.
pub(crate) struct Engine {
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) scanner: Scanner,
    /// Whether every value is to be looked at.
    pub(crate) looks_always: bool,
    key: Arc<MaskKey>,
    catalog: Arc<dyn Catalog>,
    by_detector: Vec<(Detector, Duty)>,
    hits: Vec<Hit>,
    counts: Vec<u64>,
    shown: Vec<u8>,
    depth: u8,
}

impl Engine {
    pub(crate) fn new(rules: Arc<RuleSet>, key: Arc<MaskKey>, scanner: Scanner, catalog: Arc<dyn Catalog>) -> Self {
        let user = (0..rules.user().len()).filter_map(|place| u8::try_from(place).ok().map(Detector::User));
        let all = Detector::ALL.iter().copied().chain(user);
        let by_detector = all.filter_map(|detector| Some((detector, rules.for_detector(detector)?))).collect();
        Self {
            looks_always: scanner.wants_all(),
            counts: vec![0; rules.len()],
            rules,
            scanner,
            key,
            catalog,
            by_detector,
            hits: Vec::new(),
            shown: Vec::new(),
            depth: 0,
        }
    }

    /// What was masked since this was last asked.
    pub(crate) fn take_marks(&mut self) -> Vec<MaskMark> {
        marks(&self.rules, &mut self.counts)
    }

    /// How often each rule has masked since that was last taken.
    pub(crate) fn counted(&self) -> &[u64] {
        &self.counts
    }

    /// Forgets what was masked since it had counted so.
    pub(crate) fn count_again(&mut self, counts: &[u64]) {
        self.counts.copy_from_slice(counts);
    }

    /// Whether any detector is asked for.
    pub(crate) const fn finds(&self) -> bool {
        !self.by_detector.is_empty()
    }

    /// Whether anything could be found in a text as it is.
    pub(crate) fn may_find(&mut self, text: &[u8]) -> bool {
        self.looks_always || self.scanner.may_find(text)
    }

    /// Whether the binary form of a type hides text from whoever reads its bytes.
    pub(crate) fn is_deep(&self, class: Class) -> bool {
        let looks = !self.by_detector.is_empty();
        looks && !matches!(class, Class::Text | Class::Json { .. } | Class::Bytes | Class::Integer(2 | 4))
    }

    /// Masks a value. What stands in its place is appended to `out` where it is [`Fate::Replaced`], and nothing otherwise.
    /// `sight` is what the prefilter saw in it.
    pub(crate) fn value(
        &mut self,
        column: &Column,
        value: &[u8],
        sight: Sight<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Fate, Fault> {
        if column.duty.is_none() && !column.inside && (sight.shapes().is_empty() || self.by_detector.is_empty()) {
            return Ok(Fate::Keep);
        }
        if value.len() > self.rules.max_masked_value {
            return match self.rules.too_long {
                Otherwise::Null => Ok(Fate::Null),
                Otherwise::Error => Err(too_long()),
            };
        }
        let start = out.len();
        let fate = match column.duty {
            Some(duty) => self.covered(column, duty, value, out)?,
            None => self.detected(column, value, sight, out)?,
        };
        if fate != Fate::Replaced {
            out.truncate(start);
        }
        Ok(fate)
    }

    /// A value that a rule covers as a whole, or a stricter one for what is found in it.
    fn covered(&mut self, column: &Column, duty: Duty, value: &[u8], out: &mut Vec<u8>) -> Result<Fate, Fault> {
        let duty = if duty.action < Action::Redact { self.stricter(column, duty, value) } else { duty };
        self.whole(column, duty, value, out)
    }

    fn stricter(&mut self, column: &Column, duty: Duty, value: &[u8]) -> Duty {
        let mut shown = core::mem::take(&mut self.shown);
        shown.clear();
        let text = if encode::text_of(column, value, &mut shown) { shown.as_slice() } else { value };
        let found = self.strictest_in(text, Sight::Unseen);
        self.shown = shown;
        RuleSet::stricter(Some(duty), found).unwrap_or(duty)
    }

    /// What the strictest rule asks for that a detector's match in this text brings on.
    fn strictest_in(&mut self, text: &[u8], sight: Sight<'_>) -> Option<Duty> {
        self.look(text, sight);
        let duties = &self.by_detector;
        let of = |hit: &Hit| duties.iter().find(|(detector, _)| *detector == hit.detector).map(|(_, duty)| *duty);
        self.hits.iter().filter_map(of).fold(None, |found, duty| RuleSet::stricter(found, Some(duty)))
    }

    fn look(&mut self, text: &[u8], sight: Sight<'_>) {
        self.hits.clear();
        self.scanner.look(text, sight, &mut self.hits);
    }

    /// Applies an action to the whole of a value.
    fn whole(&mut self, column: &Column, duty: Duty, value: &[u8], out: &mut Vec<u8>) -> Result<Fate, Fault> {
        self.count(duty);
        match duty.action {
            Action::Null => Ok(Fate::Null),
            Action::DropRow => Ok(Fate::Drop),
            action if encode::whole(&self.key, column, action, value, out) => Ok(Fate::Replaced),
            _ => otherwise(duty),
        }
    }

    fn detected(&mut self, column: &Column, value: &[u8], sight: Sight<'_>, out: &mut Vec<u8>) -> Result<Fate, Fault> {
        match column.class {
            Class::Text => self.spans(value, sight, false, out),
            Class::Json { version: true } if column.binary => {
                let Some((version, text)) = value.split_first() else { return Ok(Fate::Keep) };
                out.push(*version);
                self.spans(text, sight.from(1), true, out)
            }
            Class::Json { .. } => self.spans(value, sight, true, out),
            Class::Array(_) | Class::Composite | Class::Range(_) if column.binary => {
                self.nested(column.class, value, out)
            }
            Class::Array(_) | Class::Composite | Class::Range(_) => self.written(column, value, sight, out),
            _ => self.found(column, value, sight, out),
        }
    }

    /// A value of which no part can be replaced.
    fn found(&mut self, column: &Column, value: &[u8], sight: Sight<'_>, out: &mut Vec<u8>) -> Result<Fate, Fault> {
        let mut shown = core::mem::take(&mut self.shown);
        shown.clear();
        let found = if encode::text_of(column, value, &mut shown) {
            self.strictest_in(&shown, Sight::Unseen)
        } else {
            let raw = self.strictest_in(value, sight);
            // Eight bytes of an unknown type may be a number.
            shown.clear();
            let number = column.binary && encode::number_text(column.class, value, &mut shown);
            if number { RuleSet::stricter(raw, self.strictest_in(&shown, Sight::Unseen)) } else { raw }
        };
        self.shown = shown;
        match found {
            Some(duty) => self.whole(column, duty, value, out),
            None if column.binary && column.class == Class::Unknown && !is_readable(value) => self.unread(),
            None => Ok(Fate::Keep),
        }
    }

    /// A binary value of which it is not known how to read it: a detector may have found anything in it.
    fn unread(&mut self) -> Result<Fate, Fault> {
        let strictest = self.by_detector.iter().fold(None, |found, (_, duty)| RuleSet::stricter(found, Some(*duty)));
        let Some(duty) = strictest else { return Ok(Fate::Keep) };
        self.count(duty);
        otherwise(duty)
    }

    /// Replaces what detectors match within a text.
    fn spans(&mut self, text: &[u8], sight: Sight<'_>, is_json: bool, out: &mut Vec<u8>) -> Result<Fate, Fault> {
        self.look(text, sight);
        if self.hits.is_empty() {
            return Ok(Fate::Keep);
        }
        let hits = core::mem::take(&mut self.hits);
        let fate = self.replace(text, &hits, is_json, out);
        self.hits = hits;
        fate
    }

    fn replace(&mut self, text: &[u8], hits: &[Hit], is_json: bool, out: &mut Vec<u8>) -> Result<Fate, Fault> {
        let (mut done, mut reader, mut rest) = (0, json::Reader::new(text), hits);
        while let Some((hit, duty, after)) = self.cluster(rest) {
            rest = after;
            self.count(duty);
            match duty.action {
                Action::Null => return Ok(Fate::Null),
                Action::DropRow => return Ok(Fate::Drop),
                _ => {}
            }
            let Some(place) = (if is_json { reader.place(&hit) } else { Some(json::Place::plain(text, &hit)) }) else {
                return otherwise(duty);
            };
            // A second match in one number of JSON.
            if place.end <= done {
                continue;
            }
            out.extend_from_slice(text.get(done..place.start).unwrap_or_default());
            out.extend_from_slice(place.quote);
            let found = text.get(place.start..place.end).unwrap_or_default();
            if !self.key.apply(duty.action, Some(hit.detector), found, out) {
                return otherwise(duty);
            }
            out.extend_from_slice(place.quote);
            done = place.end;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
        Ok(if done == 0 { Fate::Keep } else { Fate::Replaced })
    }

    /// The next hit with all that overlap it as one, what the strictest rule asks for it, and the hits behind it.
    fn cluster<'h>(&self, hits: &'h [Hit]) -> Option<(Hit, Duty, &'h [Hit])> {
        let of =
            |hit: &Hit| self.by_detector.iter().find(|(detector, _)| *detector == hit.detector).map(|(_, duty)| *duty);
        let (first, mut rest) = hits.split_first()?;
        let (mut all, mut duty) = (*first, of(first));
        while let Some((next, after)) = rest.split_first().filter(|(next, _)| next.start < all.end) {
            all.end = all.end.max(next.end);
            if let Some(other) = of(next).filter(|other| duty.is_none_or(|duty| other.action > duty.action)) {
                (duty, all.detector) = (Some(other), next.detector);
            }
            rest = after;
        }
        Some((all, duty?, rest))
    }

    fn count(&mut self, duty: Duty) {
        if let Some(count) = self.counts.get_mut(duty.rule) {
            *count += 1;
        }
    }
}

/// Whether a value of a type that is not known can be read all the same: a text, or too short for anything but one number.
fn is_readable(value: &[u8]) -> bool {
    let plain = |letter: char| !letter.is_control() || letter.is_ascii_whitespace();
    value.len() <= 8 || core::str::from_utf8(value).is_ok_and(|text| text.chars().all(plain))
}

fn otherwise(duty: Duty) -> Result<Fate, Fault> {
    match duty.otherwise {
        Otherwise::Null => Ok(Fate::Null),
        Otherwise::Error => Err(too_strict()),
    }
}

fn too_strict() -> Fault {
    use writ_core::fault::Blame;
    Fault::new(
        "mask.unmaskable",
        Blame::NotAllowed,
        "a value cannot be masked in its type, and policy asks for an error then",
    )
    .help("leave the column out, or cast it to text")
}
