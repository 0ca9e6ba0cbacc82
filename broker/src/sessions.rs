//! Sessions and their recordings: segments taken once, ends taken once, readings written down.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use writ_broker_api::admin::{ListQuery, Page, RecordingKey, Segment, Session, SessionsQuery};
use writ_broker_api::gateway::{CloseRequest, SegmentFacts};
use writ_broker_api::sealed::Base64;
use writ_core::event::Event;
use writ_core::id::{RequestId, SessionId, WritId};
use writ_core::writ::Writ;

use crate::broker::{Broker, GatewayIdentity};
use crate::evidence::EvidenceFault;
use crate::humans::Permitted;
use crate::keys::files::hex;
use crate::refusal::Refusal;
use crate::store::{Change, Condition, Rows};

/// The streams of a recording.
const STREAMS: [&str; 2] = ["commands", "rows"];
/// The greatest number that JSON carries exactly (RFC 8785, 3.2.2.3): no counter of a gateway is greater.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Rows of a page where the caller names no number.
const DEFAULT_LIMIT: u32 = 100;

impl Broker {
    /// Takes a sealed segment: stored once, its digest in the ledger. The same segment again is the same answer.
    ///
    /// # Errors
    /// [`Refusal`] if the digest is wrong, the session is not this gateway's, another segment stands in its place, or the
    /// checkpoint that it names is not of this ledger.
    pub async fn put_segment(
        &self,
        gateway: &GatewayIdentity,
        session: SessionId,
        stream: &str,
        sequence: u64,
        facts: &SegmentFacts,
        bytes: Vec<u8>,
    ) -> Result<(), Refusal> {
        if !STREAMS.contains(&stream) {
            return Err(Refusal::malformed("the stream is `commands` or `rows`"));
        }
        check_numbers(&[sequence, facts.seen_size])?;
        let known = self.own_session(gateway, session).await?;
        let found = hex(digest(&SHA256, &bytes).as_ref());
        if found != facts.digest {
            return Err(Refusal::malformed("the segment's digest is not that of its bytes"));
        }
        if let Some(stored) = find_segment(&known, stream, sequence) {
            return same(stored, &found);
        }
        self.check_seen(facts).await?;
        let segment = Segment { stream: stream.to_owned(), sequence, digest: found.clone(), bytes: bytes.len() as u64 };
        let events = self.segment_events(&known, &segment, facts);
        let path = self.segment_path(session, &segment);
        tokio::task::spawn_blocking(move || store_once(&path, &bytes))
            .await
            .map_err(|error| EvidenceFault::Unwritable(error.to_string()))?
            .map_err(|error| EvidenceFault::Unwritable(error.to_string()))?;
        let absent = Condition::SegmentAbsent { session, stream: stream.to_owned(), sequence };
        match self.evidence.write(events, vec![absent], vec![Change::Segment { session, segment }]).await {
            // Somebody stored the same number meanwhile: the one that is in the ledger counts.
            Err(EvidenceFault::Refused) => {
                let known = self.own_session(gateway, session).await?;
                let stored = find_segment(&known, stream, sequence).ok_or_else(|| Refusal::not_found("segment"))?;
                same(stored, &found)
            }
            other => other.map_err(Refusal::from),
        }
    }

    /// Holds the checkpoint that a gateway says it has seen against the ledger. One that is not of it would stand in the ledger as
    /// the sign of a fork, for ever, whether there was one or a gateway lied: it is not taken, and stays with the gateway.
    async fn check_seen(&self, facts: &SegmentFacts) -> Result<(), Refusal> {
        let size = facts.seen_size;
        let (ledger, published) = (self.ledger.clone(), self.evidence.published().borrow().size);
        let root = tokio::task::spawn_blocking(move || ledger.root_at(size, published)).await;
        let root = root.map_err(|error| EvidenceFault::Unwritable(error.to_string()))??;
        // Before its first checkpoint a gateway has seen none.
        if size == 0 || root.to_hex() == facts.seen_root {
            return Ok(());
        }
        tracing::error!(size, "a gateway has seen another ledger, or says so");
        Err(Refusal::conflict("the checkpoint that the segment names is not of this ledger"))
    }

    fn segment_events(&self, session: &Session, segment: &Segment, facts: &SegmentFacts) -> Vec<Event> {
        let stored = session.segments.iter().filter(|stored| stored.stream == segment.stream);
        let next = stored.map(|stored| stored.sequence + 1).max().unwrap_or(0);
        let gap = (segment.sequence > next).then(|| Event::SegmentGap {
            session: session.id,
            stream: segment.stream.clone(),
            first: next,
            last: segment.sequence - 1,
            detail: "a later segment arrived first".to_owned(),
        });
        let sealed = Event::SegmentSealed {
            session: session.id,
            sequence: segment.sequence,
            stream: segment.stream.clone(),
            digest: segment.digest.clone(),
            bytes: segment.bytes,
            seen_size: facts.seen_size,
            seen_root: crate::issue::cut(&facts.seen_root),
        };
        gap.into_iter().chain([sealed]).collect()
    }

    /// Ends a session; its credential is taken back. Told again, nothing happens.
    ///
    /// # Errors
    /// [`Refusal`] if the session is not this gateway's, or the end cannot be written down.
    pub async fn close(
        &self,
        gateway: &GatewayIdentity,
        session: SessionId,
        close: &CloseRequest,
    ) -> Result<(), Refusal> {
        check_numbers(&[close.commands, close.command_segments, close.row_segments])?;
        let known = self.own_session(gateway, session).await?;
        if known.closed.is_some() {
            return Ok(());
        }
        let mut events = missing_segments(&known, close);
        events.push(Event::SessionClosed {
            session,
            writ: known.writ.id,
            end: close.end,
            code: close.code.as_deref().map(crate::issue::cut),
            commands: close.commands,
            command_segments: close.command_segments,
            row_segments: close.row_segments,
        });
        let now = self.clock.now();
        let changes = vec![
            Change::CloseSession { session, at: now, end: close.end, commands: close.commands },
            Change::Revoke { writ: known.writ.id, due: now, attempts: 0 },
        ];
        match self.evidence.write(events, vec![Condition::SessionOpen(session)], changes).await {
            Ok(()) | Err(EvidenceFault::Refused) => {}
            Err(fault) => return Err(fault.into()),
        }
        self.due.notify_one();
        Ok(())
    }

    pub(crate) async fn own_session(&self, gateway: &GatewayIdentity, session: SessionId) -> Result<Session, Refusal> {
        let found = self.store.session(session).await?;
        found.filter(|found| found.writ.gateway == gateway.id).ok_or_else(|| Refusal::not_found("session"))
    }

    /// Where a segment is kept. Its digest is part of the name, so that one which lost a race, or whose commit failed, never
    /// stands in the place of the one that the ledger names.
    fn segment_path(&self, session: SessionId, segment: &Segment) -> PathBuf {
        let name = format!("{}-{}-{}", segment.stream, segment.sequence, segment.digest);
        self.settings.recordings.join(session.to_string()).join(name)
    }

    /// One writ.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    pub async fn writ(&self, writ: WritId) -> Result<Writ, Refusal> {
        self.store.writ(writ).await?.ok_or_else(|| Refusal::not_found("writ"))
    }

    /// Writs, newest first.
    ///
    /// # Errors
    /// [`Refusal`] if the query is malformed.
    pub async fn writs(&self, query: &ListQuery) -> Result<Page<Writ>, Refusal> {
        let rows = rows(query)?;
        let items = self.store.writs(rows).await?;
        let next = next(&items, rows.limit, |writ| writ.id.to_string());
        Ok(Page { items, next })
    }

    /// One session.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    pub async fn session(&self, session: SessionId) -> Result<Session, Refusal> {
        self.store.session(session).await?.ok_or_else(|| Refusal::not_found("session"))
    }

    /// Sessions, newest first; all, or those of one client's key.
    ///
    /// # Errors
    /// [`Refusal`] if the query is malformed.
    pub async fn sessions(&self, query: SessionsQuery) -> Result<Page<Session>, Refusal> {
        let SessionsQuery { limit, after, live, key } = query;
        let rows = rows(&ListQuery { limit, after, live })?;
        let items = self.store.sessions(rows, key.as_ref()).await?;
        let next = next(&items, rows.limit, |session| session.id.to_string());
        Ok(Page { items, next })
    }

    /// A segment as it is stored: ciphertext.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    pub async fn segment(&self, session: SessionId, stream: &str, sequence: u64) -> Result<Vec<u8>, Refusal> {
        let known = self.session(session).await?;
        let segment = find_segment(&known, stream, sequence).ok_or_else(|| Refusal::not_found("segment"))?;
        let path = self.segment_path(session, segment);
        tokio::fs::read(&path).await.map_err(|_| Refusal::not_found("segment"))
    }

    /// The key to a session's recording. That it was asked for is in the ledger first.
    ///
    /// # Errors
    /// [`Refusal`] if there is no recording, its key is gone, or the reading cannot be written down.
    pub async fn recording_key(
        &self,
        session: SessionId,
        wrapped: &[u8],
        by: &Permitted,
    ) -> Result<RecordingKey, Refusal> {
        self.session(session).await?;
        self.evidence.event(Event::RecordingRead { session, by: by.actor() }).await?;
        let key = self.keys.recording.unwrap_key(session, wrapped);
        let key = key.map_err(|_| Refusal::malformed("the wrapped key is not of this session, or its key is gone"))?;
        Ok(RecordingKey { data_key: Base64(key.to_vec()) })
    }
}

fn find_segment<'a>(session: &'a Session, stream: &str, sequence: u64) -> Option<&'a Segment> {
    session.segments.iter().find(|segment| segment.stream == stream && segment.sequence == sequence)
}

/// The same segment again is the same answer; another one in its place is refused.
fn same(stored: &Segment, digest: &str) -> Result<(), Refusal> {
    if stored.digest == digest { Ok(()) } else { Err(Refusal::conflict("another segment stands there")) }
}

fn check_numbers(numbers: &[u64]) -> Result<(), Refusal> {
    if numbers.iter().all(|number| *number <= MAX_NUMBER) {
        Ok(())
    } else {
        Err(Refusal::malformed("a number is greater than 2^53 - 1"))
    }
}

/// Segments that the gateway sealed and the broker does not have.
fn missing_segments(session: &Session, close: &CloseRequest) -> Vec<Event> {
    let counts = [("commands", close.command_segments), ("rows", close.row_segments)];
    counts
        .into_iter()
        .filter_map(|(stream, count)| {
            let stored = session.segments.iter().filter(|segment| segment.stream == stream);
            let next = stored.map(|segment| segment.sequence + 1).max().unwrap_or(0);
            (next < count).then(|| Event::SegmentGap {
                session: session.id,
                stream: stream.to_owned(),
                first: next,
                last: count - 1,
                detail: "the session was closed before they arrived".to_owned(),
            })
        })
        .collect()
}

/// Writes a file that is never changed again; one that a crash left half is under another name.
fn store_once(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let Some(folder) = path.parent() else { return Err(std::io::Error::other("a segment has no folder")) };
    std::fs::create_dir_all(folder)?;
    // Two that store the same bytes at once do not write into one file.
    let partial = folder.join(format!("{}.partial", RequestId::fresh()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    std::fs::File::open(folder)?.sync_all()
}

fn rows<T: core::str::FromStr>(query: &ListQuery) -> Result<Rows<T>, Refusal> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::malformed("`limit` is 1 to 1000"));
    }
    let after = query.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| Refusal::malformed("`after` is what the page before gave as `next`"))?;
    Ok(Rows { limit, after, live: query.live.unwrap_or(false) })
}

fn next<T>(items: &[T], limit: u32, id: impl Fn(&T) -> String) -> Option<String> {
    if items.len() < limit as usize { None } else { items.last().map(id) }
}
