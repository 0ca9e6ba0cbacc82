use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use tempfile::TempDir;
use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::grant::RecordLevel;
use writ_core::id::{SessionId, WritId};
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_record::DataKey;
use writ_record::entry::{CommandRecord, Decision, Flow, Format, Kind, Parameter, Text};
use writ_record::segment::{Output, Progress, Sealer, Segment};
use writ_record::spool::SessionMeta;

use super::{
    Budget, Item, Problem, Recovered, SessionSpool, Settings, SpoolError, SpoolReader, WorkerSpool, recover, seal_left,
};

const NO_PARAMETERS: core::iter::Empty<Parameter<'static>> = core::iter::empty();

fn key_of(session: SessionId) -> DataKey {
    DataKey::from_slice(&session.to_bytes().repeat(2)).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn meta(session: SessionId) -> SessionMeta {
    SessionMeta {
        session,
        writ: WritId::fresh(),
        target: TargetName::new("payments").unwrap(),
        level: RecordLevel::Full,
        opened: at(0),
        sealed_key: session.to_bytes().to_vec(),
        wrapped_key: b"wrapped".to_vec(),
    }
}

fn record(id: u64, text: &[u8]) -> CommandRecord<'_> {
    CommandRecord {
        id: CommandId(id),
        tag: CommandTag::SqlQuery,
        at: at(id as i64),
        text: Text::Inline(text),
        decision: Decision::Allow,
        policy_hash: "abc",
        code: "",
        approval: None,
    }
}

struct Bench {
    dir: TempDir,
    budget: Budget,
}

impl Bench {
    fn new(cap: u64) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), budget: Budget::new(cap) }
    }

    fn spool(&self, settings: Settings) -> WorkerSpool {
        WorkerSpool::open(self.dir.path(), 3, settings, self.budget.clone()).unwrap()
    }
}

fn begin(spool: &mut WorkerSpool) -> SessionSpool {
    let session = SessionId::fresh();
    spool.open_session(&meta(session), &key_of(session)).unwrap()
}

fn open_key(meta: &SessionMeta) -> Option<DataKey> {
    DataKey::from_slice(&meta.sealed_key.repeat(2)).ok()
}

type Orders = BTreeMap<SessionId, Vec<u64>>;

fn recovered(dir: &Path) -> (Recovered, Orders) {
    let mut orders = Orders::new();
    let found = recover(dir, &Budget::new(u64::MAX), &mut open_key, &mut |item| {
        let (session, order) = match item {
            Item::Open { meta, order, .. } => (meta.session, order),
            Item::Record { session, order, .. } => (session, order),
        };
        orders.entry(session).or_default().push(order);
        Ok(())
    });
    (found.unwrap(), orders)
}

#[test]
fn what_was_flushed_is_read_while_the_spool_is_written() {
    let bench = Bench::new(1 << 20);
    let mut spool = bench.spool(Settings::default());
    let mut session = begin(&mut spool);
    let mut reader = SpoolReader::open(spool.path()).unwrap();
    let mut kinds = Vec::new();
    for id in 1..4 {
        let value = Parameter { type_id: 25, format: Format::Text, value: None };
        spool.command(&mut session, &record(id, b"select 1"), [value].into_iter()).unwrap();
        let mut read = |reader: &mut SpoolReader| {
            let each = &mut |item: Item<'_>| {
                kinds.push(if let Item::Record { kind, .. } = item { kind } else { Kind::Open });
                Ok(())
            };
            reader.read(false, &mut open_key, each).unwrap();
            kinds.len() as u64
        };
        assert_eq!(read(&mut reader), if id == 1 { 0 } else { id });
        spool.flush().unwrap();
        assert_eq!(read(&mut reader), id + 1);
    }
    assert_eq!(kinds, [Kind::Open, Kind::Command, Kind::Command, Kind::Command]);
    assert!(reader.problems().is_empty());
}

#[test]
fn a_live_worker_is_left_alone_and_a_dead_one_is_sealed_as_crashed() {
    let bench = Bench::new(1 << 20);
    let mut spool = bench.spool(Settings { strict: true, ..Settings::default() });
    let (mut ended, mut cut) = (begin(&mut spool), begin(&mut spool));
    for id in 1..=5 {
        spool.command(&mut ended, &record(id, b"select 1"), NO_PARAMETERS).unwrap();
        spool.command(&mut cut, &record(id, b"select 2"), NO_PARAMETERS).unwrap();
        spool.rows(&mut cut, Some(CommandId(id)), at(id as i64), Flow::Rows, &[1; 1000], true).unwrap();
    }
    let (ended_id, cut_id) = (ended.session(), cut.session());
    spool.close(ended, at(9), SessionEnd::Client, "", 5).unwrap();
    spool.flush().unwrap();
    assert!(recovered(bench.dir.path()).0.files.is_empty());
    drop(spool);
    let used = bench.budget.used();
    let budget = Budget::new(1 << 20);
    let (mut sealer, mut ends) = (Sealer::new(Default::default()).unwrap(), BTreeMap::new());
    let mut store = |output| {
        match output {
            Output::Closed(closed) => drop(ends.insert(closed.session, (closed.end, closed.commands))),
            Output::Segment(sealed) => {
                let segment = Segment::parse(&sealed.bytes).unwrap();
                assert!(segment.open(&key_of(sealed.session)).unwrap().entries().all(|entry| entry.is_ok()));
            }
        }
        Ok(())
    };
    let none = |_| Progress::default();
    let found =
        seal_left(bench.dir.path(), &budget, &mut sealer, &mut open_key, &none, &BTreeSet::new(), &mut store).unwrap();
    assert_eq!(ends, BTreeMap::from([(ended_id, (SessionEnd::Client, 5)), (cut_id, (SessionEnd::Crash, 5))]));
    assert_eq!(found.unfinished, BTreeMap::from([(cut_id, at(5))]));
    assert_eq!(budget.used(), used);
    found.files.into_iter().for_each(|left| left.delete(&budget).unwrap());
    assert_eq!((budget.used(), std::fs::read_dir(bench.dir.path()).unwrap().count()), (0, 0));
}

#[test]
fn a_file_cut_anywhere_gives_every_whole_record_before_the_cut() {
    let bench = Bench::new(1 << 20);
    let mut spool = bench.spool(Settings::default());
    let (mut session, mut ends) = (begin(&mut spool), Vec::new());
    for id in 1..=6 {
        spool.command(&mut session, &record(id, b"select 1"), NO_PARAMETERS).unwrap();
        spool.flush().unwrap();
        ends.push(spool.written());
    }
    let (path, whole) = (spool.path().to_owned(), std::fs::read(spool.path()).unwrap());
    drop(spool);
    for length in 0..=whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let (found, orders) = recovered(bench.dir.path());
        let commands = ends.iter().filter(|end| **end <= length as u64).count();
        let read = orders.values().next().map_or(0, Vec::len);
        assert!(read == commands + 1 || (commands == 0 && read == 0), "{length} bytes: {read} records");
        let torn = found.files[0].problems.iter().all(|problem| matches!(problem, Problem::Torn { .. }));
        assert!(torn && found.files[0].problems.len() <= 1);
    }
}

#[test]
fn damage_in_the_middle_costs_no_other_record_and_is_reported() {
    let bench = Bench::new(1 << 20);
    let mut spool = bench.spool(Settings::default());
    let (mut session, mut ends) = (begin(&mut spool), Vec::new());
    for id in 1..=6 {
        spool.command(&mut session, &record(id, b"select 1"), NO_PARAMETERS).unwrap();
        spool.flush().unwrap();
        ends.push(usize::try_from(spool.written()).unwrap());
    }
    let (path, whole) = (spool.path().to_owned(), std::fs::read(spool.path()).unwrap());
    drop(spool);
    for place in ends[1]..ends[2] {
        let mut changed = whole.clone();
        changed[place] ^= 0x80;
        std::fs::write(&path, &changed).unwrap();
        let (found, orders) = recovered(bench.dir.path());
        assert_eq!(orders[&session.session()], [0, 1, 2, 4, 5, 6], "byte {place}");
        // A changed session id also reads as a session whose opening is missing.
        let damage = Problem::Damaged { offset: ends[1] as u64, bytes: (ends[2] - ends[1]) as u64 };
        let others = found.files[0].problems.iter().filter(|problem| **problem != damage);
        assert!(found.files[0].problems.contains(&damage), "byte {place}");
        assert!(others.into_iter().all(|problem| matches!(problem, Problem::NoKey { .. })));
    }
}

#[test]
fn a_session_without_its_key_keeps_the_file() {
    let bench = Bench::new(1 << 20);
    let mut spool = bench.spool(Settings::default());
    let (lost, mut kept) = (begin(&mut spool), begin(&mut spool));
    spool.command(&mut kept, &record(1, b"select 1"), NO_PARAMETERS).unwrap();
    spool.flush().unwrap();
    drop(spool);
    let mut only = |meta: &SessionMeta| open_key(meta).filter(|_| meta.session != lost.session());
    let mut count = 0;
    let budget = Budget::new(u64::MAX);
    let found = recover(bench.dir.path(), &budget, &mut only, &mut |_| {
        count += 1;
        Ok(())
    });
    let found = found.unwrap();
    assert_eq!(count, 2);
    assert!(found.files[0].must_stay());
    assert_eq!(found.files[0].problems, [Problem::NoKey { session: lost.session() }]);
}

#[test]
fn at_the_cap_nothing_goes_on_until_space_is_free_and_nothing_is_lost() {
    let bench = Bench::new(2000);
    let mut spool = bench.spool(Settings::default());
    let mut session = begin(&mut spool);
    spool.flush().unwrap();
    spool.rows(&mut session, None, at(1), Flow::Rows, &[7; 3000], true).unwrap();
    for _ in 0..3 {
        assert!(matches!(spool.flush(), Err(SpoolError::Full)));
        assert!(matches!(spool.command(&mut session, &record(1, b"x"), NO_PARAMETERS), Err(SpoolError::Full)));
    }
    assert!(bench.budget.used() <= 2000);
    let larger = bench.budget.used() - 100;
    bench.budget.give_back(larger);
    assert!(matches!(spool.flush(), Err(SpoolError::Full)), "3000 bytes never fit into 2000");
    drop(spool);
    let (_, orders) = recovered(bench.dir.path());
    assert_eq!(orders[&session.session()], [0]);
}

#[test]
fn what_was_staged_at_the_cap_is_written_when_space_is_free() {
    let bench = Bench::new(2000);
    let mut spool = bench.spool(Settings::default());
    let mut session = begin(&mut spool);
    spool.rows(&mut session, None, at(1), Flow::Rows, &[7; 1200], true).unwrap();
    spool.flush().unwrap();
    spool.rows(&mut session, None, at(2), Flow::Rows, &[7; 1200], true).unwrap();
    assert!(matches!(spool.flush(), Err(SpoolError::Full)));
    bench.budget.give_back(1300);
    spool.command(&mut session, &record(1, b"x"), NO_PARAMETERS).unwrap();
    spool.flush().unwrap();
    drop(spool);
    let (found, orders) = recovered(bench.dir.path());
    assert_eq!(orders[&session.session()], [0, 1, 2, 3]);
    assert!(found.files[0].problems.is_empty());
}

#[test]
fn sessions_go_on_over_many_files() {
    let bench = Bench::new(1 << 20);
    let mut spool = bench.spool(Settings { rotate_bytes: 600, ..Settings::default() });
    let (mut one, mut two) = (begin(&mut spool), begin(&mut spool));
    for id in 1..=20 {
        spool.command(&mut one, &record(id, b"select 1"), NO_PARAMETERS).unwrap();
        spool.command(&mut two, &record(id, b"select 2"), NO_PARAMETERS).unwrap();
        spool.flush().unwrap();
    }
    drop(spool);
    let (found, orders) = recovered(bench.dir.path());
    assert!(found.files.len() > 4);
    for session in [&one, &two] {
        assert!(orders[&session.session()].iter().copied().eq(0..session.records()));
    }
}

#[test]
fn staging_is_bounded_and_rows_are_split() {
    let bench = Bench::new(1 << 30);
    let mut spool = bench.spool(Settings { stage_bytes: 64 << 10, ..Settings::default() });
    let mut session = begin(&mut spool);
    for _ in 0..8 {
        spool.rows(&mut session, None, at(1), Flow::Copy, &vec![1; 1 << 20], false).unwrap();
        assert!(spool.staged() < 256 << 10);
    }
    spool.flush().unwrap();
    let path = spool.path().to_owned();
    drop(spool);
    let mut total = 0;
    let each = &mut |item: Item<'_>| -> io::Result<()> {
        if let Item::Record { kind, payload, .. } = item {
            let writ_record::Entry::Rows(rows) = writ_record::Entry::decode(kind, payload).unwrap() else {
                panic!("another kind")
            };
            assert!(rows.continues);
            total += rows.bytes.len();
        }
        Ok(())
    };
    SpoolReader::open(&path).unwrap().read(true, &mut open_key, each).unwrap();
    assert_eq!(total, 8 << 20);
}
