//! Tests of the gate: nothing is proved that the spool did not take.

use writ_core::command::CommandTag;
use writ_core::grant::PolicyHash;
use writ_core::id::WritId;
use writ_core::target::TargetName;

use super::*;
use crate::spool::{Budget, Settings};

fn verdict(tag: CommandTag) -> Verdict {
    if tag == CommandTag::SqlPrepare {
        return Verdict::Deny(Fault::new("test.denied", Blame::NotAllowed, "denied"));
    }
    #[expect(clippy::disallowed_methods, reason = "a judge of the tests")]
    let clearance = Clearance::by_policy(PolicyHash::new("00"));
    Verdict::Allow(clearance)
}

fn meta(level: RecordLevel) -> SessionMeta {
    SessionMeta {
        session: SessionId::fresh(),
        writ: WritId::fresh(),
        target: TargetName::new("payments").unwrap(),
        level,
        opened: Timestamp::UNIX_EPOCH,
        sealed_key: b"sealed".to_vec(),
        wrapped_key: b"wrapped".to_vec(),
    }
}

fn gate(directory: &std::path::Path, cap: u64) -> WorkerGate {
    let spool = WorkerSpool::open(directory, 0, Settings::default(), Budget::new(cap)).unwrap();
    WorkerGate::new(spool, std::sync::mpsc::channel().0)
}

fn ask(gate: &mut WorkerGate, session: &mut SessionGate, tag: CommandTag) -> Result<Judged, Fault> {
    let command = Command { id: CommandId(1), tag, text: Some(b"select 1") };
    let (text, verdict) = (Text::Inline(b"select 1"), (verdict(tag), None));
    gate.stage(session, &command, Timestamp::UNIX_EPOCH, text, core::iter::empty(), verdict)
}

#[test]
fn a_command_is_written_before_it_can_be_proved() {
    let directory = tempfile::tempdir().unwrap();
    let mut gate = gate(directory.path(), 1 << 20);
    let mut session = gate
        .begin(&meta(RecordLevel::Commands), &DataKey::new(zeroize::Zeroizing::new([1; 32])), PolicyHash::new("00"))
        .unwrap();
    let before = gate.spool.written();
    let Judged::Allow(allowed) = ask(&mut gate, &mut session, CommandTag::SqlQuery).unwrap() else { panic!("denied") };
    assert_eq!(gate.spool.written(), before);
    let flushed = gate.commit().unwrap();
    assert!(gate.spool.written() > before);
    assert_eq!(gate.prove(allowed, &flushed).get().policy_hash().as_str(), "00");
}

#[test]
fn a_denied_command_is_recorded_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut gate = gate(directory.path(), 1 << 20);
    let mut session = gate
        .begin(&meta(RecordLevel::Commands), &DataKey::new(zeroize::Zeroizing::new([1; 32])), PolicyHash::new("00"))
        .unwrap();
    let before = gate.spool.written();
    assert!(matches!(ask(&mut gate, &mut session, CommandTag::SqlPrepare).unwrap(), Judged::Deny(_)));
    gate.commit().unwrap();
    assert!(gate.spool.written() > before);
}

#[test]
fn a_full_spool_lets_nothing_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut gate = gate(directory.path(), 1500);
    let mut session = gate
        .begin(&meta(RecordLevel::Full), &DataKey::new(zeroize::Zeroizing::new([1; 32])), PolicyHash::new("00"))
        .unwrap();
    let mut refused = None;
    for _ in 0..100 {
        let step = ask(&mut gate, &mut session, CommandTag::SqlQuery).and_then(|_| gate.commit());
        if let Err(fault) = step {
            refused = Some(fault);
            break;
        }
    }
    assert_eq!(refused.unwrap().code, "record.unwritable");
}
