//! A session's recording at the broker, whose list of it is not believed: each segment is held against the digest that was
//! logged and against the segment before it.

use writ_broker_api::admin::{RecordingKey, Session};
use writ_broker_api::sealed::Base64;
use writ_core::id::SessionId;
use writ_record::DataKey;
use writ_record::entry::Recorded;
use writ_record::segment::{Digest, Segment, SegmentHeader};

use crate::api::Api;
use crate::failure::{Doing as _, Failure};

/// A recording.
pub(crate) struct Recording<'a> {
    api: &'a Api,
    known: &'a Session,
    key: Option<DataKey>,
    /// What is missing.
    remarks: Vec<String>,
}

/// One stream of it, frame by frame.
pub(crate) struct Stream<'r, 'a> {
    recording: &'r mut Recording<'a>,
    name: &'static str,
    next: usize,
    any: bool,
    chain: Chain,
    /// The segment that is being read.
    current: Option<Fetched>,
}

/// A segment that is the one that was logged.
struct Fetched {
    sequence: u64,
    bytes: Vec<u8>,
    frame: usize,
}

impl<'a> Recording<'a> {
    /// The recording of a session as the broker lists it. Nothing is fetched yet.
    #[must_use]
    pub(crate) const fn new(api: &'a Api, known: &'a Session) -> Self {
        Self { api, known, key: None, remarks: Vec::new() }
    }

    /// Whose it is.
    #[must_use]
    pub(crate) const fn session(&self) -> SessionId {
        self.known.id
    }

    /// What is missing, as far as the streams were read.
    #[must_use]
    pub(crate) fn into_remarks(self) -> Vec<String> {
        self.remarks
    }

    /// `commands` or `rows`.
    pub(crate) fn stream(&mut self, name: &'static str) -> Stream<'_, 'a> {
        let chain = Chain::of(self.known.id);
        Stream { recording: self, name, next: 0, any: false, chain, current: None }
    }
}

impl Stream<'_, '_> {
    /// The entries of the next frame; `None` behind the last.
    ///
    /// # Errors
    /// If a segment cannot be read, or is not the one that was logged.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Recorded>>, Failure> {
        loop {
            if let Some(mut fetched) = self.current.take()
                && let Some(entries) = self.frame(&mut fetched)?
            {
                self.current = Some(fetched);
                return Ok(Some(entries));
            }
            self.current = self.fetch().await?;
            if self.current.is_none() {
                return Ok(None);
            }
        }
    }

    /// Fetches the next segment, and the key with the first.
    async fn fetch(&mut self) -> Result<Option<Fetched>, Failure> {
        let (api, known, name) = (self.recording.api, self.recording.known, self.name);
        let mut left = known.segments.iter().enumerate().skip(self.next);
        let Some((place, facts)) = left.find(|(_, facts)| facts.stream == name) else { return Ok(None) };
        (self.next, self.any) = (place + 1, true);
        let (session, sequence) = (known.id, facts.sequence);
        let bytes = api.get_bytes(&format!("/v1/sessions/{session}/segments/{name}/{sequence}")).await?;
        let segment = Segment::parse(&bytes).doing(unreadable(sequence))?;
        let found: String = segment.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != facts.digest {
            return Err(Failure::new(format!("segment {sequence} is not the one that was logged"))
                .help("somebody changed the recording: run `writ ledger verify`"));
        }
        self.chain.take(segment.header(), segment.digest(), segment.closes());
        let wrapped = segment.header().wrapped_key.clone();
        if self.recording.key.is_none() {
            self.recording.key = Some(data_key(api, session, wrapped).await?);
        }
        Ok(Some(Fetched { sequence, bytes, frame: 0 }))
    }

    /// The next frame of a segment.
    fn frame(&self, fetched: &mut Fetched) -> Result<Option<Vec<Recorded>>, Failure> {
        let segment = Segment::parse(&fetched.bytes).doing(unreadable(fetched.sequence))?;
        let Some(key) = self.recording.key.as_ref().filter(|_| fetched.frame < segment.frames().len()) else {
            return Ok(None);
        };
        let open = segment.open(key).doing("the recording's key does not open it")?;
        let entries = open.frame(fetched.frame).doing(unreadable(fetched.sequence))?;
        fetched.frame += 1;
        Ok(Some(entries))
    }

    /// Says whether there was a segment, and keeps what is missing.
    pub(crate) fn finish(self) -> bool {
        // The rows' last segment does not always know that it is the last.
        let ended = self.recording.known.closed.is_some() && self.name == "commands";
        self.recording.remarks.extend(self.chain.finish(self.any && ended));
        self.any
    }
}

fn unreadable(sequence: u64) -> String {
    format!("segment {sequence} cannot be read")
}

/// Holds each segment against the one before it.
struct Chain {
    session: SessionId,
    before: Option<(u64, Digest)>,
    closes: bool,
    remarks: Vec<String>,
}

impl Chain {
    const fn of(session: SessionId) -> Self {
        Self { session, before: None, closes: false, remarks: Vec::new() }
    }

    fn take(&mut self, header: &SegmentHeader, digest: Digest, closes: bool) {
        let own = header.session == self.session;
        let follows = match &self.before {
            None => header.sequence == 0 && header.previous == Digest::default(),
            Some((sequence, before)) => header.sequence == sequence + 1 && header.previous == *before,
        };
        if !own {
            self.remarks.push(format!("segment {} is of {}", header.sequence, header.session));
        } else if !follows {
            let sequence = header.sequence;
            self.remarks
                .push(format!("segment {sequence} does not follow the one before it: what stood between is missing"));
        }
        self.closes = closes;
        self.before = Some((header.sequence, digest));
    }

    /// What is missing, of a session that has ended or not.
    fn finish(mut self, ended: bool) -> Vec<String> {
        if ended && !self.closes {
            let what = "the session has ended, and its recording has no end: what stood there is missing";
            self.remarks.push(what.to_owned());
        }
        self.remarks
    }
}

async fn data_key(api: &Api, session: SessionId, wrapped: Vec<u8>) -> Result<DataKey, Failure> {
    let key: RecordingKey = api.post(&format!("/v1/sessions/{session}/recording-key"), &Base64(wrapped)).await?;
    let bytes = zeroize::Zeroizing::new(key.data_key.0);
    DataKey::from_slice(&bytes).doing("the recording's key is malformed")
}

#[cfg(test)]
mod tests;
