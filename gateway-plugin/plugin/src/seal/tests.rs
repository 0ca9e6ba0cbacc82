use std::sync::mpsc::channel;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::grant::RecordLevel;
use writ_core::id::WritId;
use writ_core::target::TargetName;
use writ_record::entry::{CommandRecord, Decision, Entry, Parameter, Text};
use writ_record::segment::{Segment, Settings as SealSettings};

use super::*;
use crate::spool::{SessionSpool, Settings, WorkerSpool};

fn key_of(session: SessionId) -> DataKey {
    DataKey::from_slice(&session.to_bytes().repeat(2)).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A worker's spool, and the sealing behind it. Each turn ends the segments that were begun.
struct Bench {
    dir: TempDir,
    spool: WorkerSpool,
    sealing: Sealing,
    work: Work,
    followed: PathBuf,
    _ready: UnboundedReceiver<SessionId>,
}

impl Bench {
    fn new(rotate_bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (spools, outbox) = (dir.path().join("spool"), dir.path().join("outbox"));
        std::fs::create_dir(&spools).unwrap();
        let budget = Budget::new(1 << 30);
        let settings = Settings { rotate_bytes, ..Settings::default() };
        let spool = WorkerSpool::open(&spools, 0, settings, budget.clone()).unwrap();
        let (ready, _ready) = unbounded_channel();
        let sealing = Sealing {
            notices: channel().1,
            outbox: Outbox::open(&outbox).unwrap(),
            budget,
            sealer: Sealer::new(SealSettings { segment_seconds: 0, ..SealSettings::default() }).unwrap(),
            open_key: Box::new(|meta| Some(key_of(meta.session))),
            seen: Arc::default(),
            ready,
        };
        let mut work = Work::default();
        let followed = spool.path().to_owned();
        work.follow(followed.clone());
        Self { dir, spool, sealing, work, followed, _ready }
    }

    fn begin(&mut self) -> SessionSpool {
        let session = SessionId::fresh();
        let meta = SessionMeta {
            session,
            writ: WritId::fresh(),
            target: TargetName::new("payments").unwrap(),
            level: RecordLevel::Commands,
            opened: at(0),
            sealed_key: Vec::new(),
            wrapped_key: b"wrapped".to_vec(),
        };
        self.spool.open_session(&meta, &key_of(session)).unwrap()
    }

    fn say(&mut self, session: &mut SessionSpool, number: u64) {
        let text = format!("select {number}");
        let record = CommandRecord {
            id: CommandId(number),
            tag: CommandTag::SqlQuery,
            at: at(1),
            text: Text::Inline(text.as_bytes()),
            decision: Decision::Allow,
            policy_hash: "abc",
            code: "",
            approval: None,
        };
        self.spool.command(session, &record, core::iter::empty::<Parameter<'static>>()).unwrap();
        self.flush();
    }

    fn end(&mut self, session: SessionSpool, commands: u64) {
        self.spool.close(session, at(2), SessionEnd::Client, "", commands).unwrap();
        self.flush();
    }

    fn flush(&mut self) {
        self.spool.flush().unwrap();
        if self.spool.path() != self.followed {
            self.followed = self.spool.path().to_owned();
            self.work.follow(self.followed.clone());
        }
    }

    fn turn(&mut self) {
        self.work.mended = None;
        self.sealing.turn(&mut self.work, false);
    }

    /// The numbers of the commands that the outbox has of a session, in order, from segments that follow one another.
    fn kept(&self, session: SessionId) -> Vec<u64> {
        let waiting = self.sealing.outbox.waiting(session);
        let sequences: Vec<u64> = waiting.iter().map(|waiting| waiting.sequence).collect();
        assert_eq!(sequences, (0..waiting.len() as u64).collect::<Vec<_>>(), "no segment is missing");
        let mut numbers = Vec::new();
        for waiting in waiting {
            let (bytes, facts) = self.sealing.outbox.segment(&waiting).unwrap();
            let segment = Segment::parse(&bytes).unwrap();
            assert_eq!(facts.digest, crate::outbox::hex(&segment.digest()));
            let opened = segment.open(&key_of(session)).unwrap();
            for recorded in opened.entries() {
                match recorded.unwrap().entry {
                    Entry::Command(command) => numbers.push(command.id.0),
                    Entry::Gap(gap) => panic!("records are missing: {gap:?}"),
                    _ => {}
                }
            }
        }
        numbers
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("spool")).unwrap().count()
    }
}

#[test]
fn a_session_that_goes_on_pins_no_file_whose_records_are_kept() {
    let mut bench = Bench::new(4096);
    let mut long = bench.begin();
    let id = long.session();
    for number in 0..400 {
        bench.say(&mut long, number);
    }
    assert!(bench.files() > 5, "{} files", bench.files());
    bench.turn();
    bench.turn();
    assert_eq!(bench.files(), 1, "only the newest is left");
    assert_eq!(bench.sealing.budget.used(), std::fs::metadata(bench.spool.path()).unwrap().len());
    for number in 400..500 {
        bench.say(&mut long, number);
    }
    bench.end(long, 500);
    bench.turn();
    assert_eq!(bench.kept(id), (0..500).collect::<Vec<_>>());
    assert_eq!(bench.sealing.outbox.close(id).unwrap().commands, 500);
}

#[test]
fn what_cannot_be_kept_stays_in_the_spool_and_is_sealed_again() {
    let mut bench = Bench::new(4096);
    let (mut one, mut other) = (bench.begin(), bench.begin());
    let (id, other_id) = (one.session(), other.session());
    // What stands in the way of one session's folder stands in nobody else's.
    let folder = bench.dir.path().join("outbox").join(id.to_string());
    for number in 0..50 {
        bench.say(&mut one, number);
        bench.say(&mut other, number);
    }
    bench.turn();
    let before = bench.kept(id);
    assert_eq!(before, (0..50).collect::<Vec<_>>());
    let aside = bench.dir.path().join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    for number in 50..100 {
        bench.say(&mut one, number);
        bench.say(&mut other, number);
        bench.turn();
    }
    bench.end(one, 100);
    bench.end(other, 100);
    bench.turn();
    assert_eq!(bench.kept(other_id), (0..100).collect::<Vec<_>>(), "another session is not held up");
    assert!(bench.sealing.outbox.close(other_id).is_some());
    assert!(bench.files() > 1, "what is not kept is not deleted");

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    bench.turn();
    assert_eq!(bench.kept(id), (0..100).collect::<Vec<_>>());
    assert_eq!(bench.sealing.outbox.close(id).unwrap().commands, 100);
    bench.turn();
    assert_eq!(bench.files(), 1);
}

#[test]
fn a_kept_segment_is_one_file_and_is_refused_without_its_facts() {
    let mut bench = Bench::new(4096);
    let mut session = bench.begin();
    let id = session.session();
    bench.say(&mut session, 0);
    bench.turn();
    let folder = bench.dir.path().join("outbox").join(id.to_string());
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: std::collections::BTreeSet<String> = names.collect();
    assert_eq!(names, ["commands-0".to_owned(), "progress".to_owned()].into());
    assert_eq!(bench.kept(id), [0]);
    let waiting = bench.sealing.outbox.waiting(id);
    for broken in [&b""[..], b"{}", b"{}\nsealed", b"sealed\n"] {
        std::fs::write(folder.join("commands-0"), broken).unwrap();
        assert!(bench.sealing.outbox.segment(&waiting[0]).is_err(), "{broken:?}");
    }
}

#[test]
fn a_session_of_which_all_was_kept_is_ended_after_a_crash() {
    let mut bench = Bench::new(4096);
    let mut session = bench.begin();
    let id = session.session();
    for number in 0..10 {
        bench.say(&mut session, number);
    }
    bench.turn();
    assert!(bench.sealing.outbox.close(id).is_none());
    assert_eq!(bench.sealing.outbox.end_left().unwrap(), 1);
    let end = bench.sealing.outbox.close(id).unwrap();
    assert_eq!((end.end, end.commands, end.command_segments), (SessionEnd::Crash, 10, 1));
    assert_eq!(bench.sealing.outbox.end_left().unwrap(), 0);
}

/// What the upload does once the broker has everything.
fn upload(outbox: &Outbox, session: SessionId) {
    assert!(outbox.close(session).is_some());
    outbox.waiting(session).iter().for_each(|waiting| outbox.taken(waiting));
    outbox.done(session);
    assert!(outbox.sessions().is_empty());
}

#[test]
fn what_the_broker_has_whole_is_not_sealed_again_at_the_next_start() {
    let mut bench = Bench::new(1 << 20);
    let mut session = bench.begin();
    let id = session.session();
    bench.say(&mut session, 0);
    bench.end(session, 1);
    bench.turn();
    upload(&bench.sealing.outbox, id);
    assert_eq!((bench.files(), bench.sealing.outbox.marked()), (1, [id].into()));

    let Bench { dir, spool, mut sealing, work, .. } = bench;
    drop((spool, work));
    let spools = dir.path().join("spool");
    let mut sealer = Sealer::new(SealSettings::default()).unwrap();
    let crashed = recover(&spools, &sealing.budget, &mut sealer, &mut sealing.open_key, &sealing.outbox).unwrap();
    assert_eq!((crashed, sealing.outbox.sessions().len()), (0, 0));
    assert_eq!((std::fs::read_dir(spools).unwrap().count(), sealing.outbox.marked().len()), (0, 0));
}

#[test]
fn a_session_is_marked_as_taken_for_as_long_as_the_spool_holds_it() {
    for upload_first in [true, false] {
        let mut bench = Bench::new(4096);
        let mut session = bench.begin();
        let id = session.session();
        bench.say(&mut session, 0);
        bench.end(session, 1);
        bench.turn();
        if upload_first {
            upload(&bench.sealing.outbox, id);
            assert_eq!(bench.sealing.outbox.marked(), [id].into());
        }
        let first = bench.spool.path().to_owned();
        let mut other = bench.begin();
        for number in 0..100 {
            bench.say(&mut other, number);
            bench.turn();
        }
        assert!(!first.exists(), "{}", bench.files());
        assert!(!bench.sealing.outbox.folder(other.session()).join("unspooled").exists(), "it goes on");
        bench.end(other, 100);
        if !upload_first {
            bench.sealing.outbox.done(id);
        }
        assert!(bench.sealing.outbox.marked().is_empty());
        assert!(!bench.sealing.outbox.sessions().contains(&id));
    }
}
