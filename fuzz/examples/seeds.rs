//! Writes the first inputs of each corpus: `cargo run -p writ-fuzz --example seeds`. What fuzzing found is added by hand.

use std::fs;
use std::path::Path;

use writ_core::command::{CommandId, CommandTag};
use writ_core::event::SessionEnd;
use writ_core::id::SessionId;
use writ_core::time::Timestamp;
use writ_ledger::note::Signer;
use writ_ledger::{Checkpoint, hash, proof};
use writ_record::entry::{self, CommandRecord, Decision, Format, Parameter, Text};
use writ_record::spool::{SessionMeta, SessionWriter};
use writ_record::{DataKey, Kind};
use writ_wire_postgres::frame;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    write("startup", &startup())?;
    write("client_login", &client_login())?;
    write("upstream", &upstream())?;
    write("relay", &relay())?;
    write("names", &names())?;
    write("entry", &entries())?;
    write("segment", &segments())?;
    write("spool", &spool()?)?;
    write(
        "note",
        &[checkpoint()?.into_bytes(), b"log.example\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n".to_vec()],
    )?;
    write("tile", &[[&[2][..], &[1; 64]].concat(), b"\x02\0\x03one\0\x03two".to_vec()])?;
    write("proof", &proofs()?)
}

fn write(target: &str, inputs: &[Vec<u8>]) -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), input)?;
    }
    Ok(())
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, tag, |out| out.extend_from_slice(body));
    out
}

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_untagged(&mut out, |out| {
        out.extend_from_slice(&code.to_be_bytes());
        out.extend_from_slice(body);
    });
    out
}

fn startup() -> Vec<Vec<u8>> {
    let user = b"user\0payments\0database\0payments\0client_encoding\0UTF8\0\0";
    let bearer = b"OAUTHBEARER\0\0\0\0\x16n,,\x01auth=Bearer tok\x01\x01";
    let asks = b"OAUTHBEARER\0\0\0\0\x12n,,\x01auth=Bearer \x01\x01";
    let login = packet(0x0003_0000, user);
    [
        (0x80, [packet(80_877_103, b""), login.clone()].concat()),
        (0x80, [login.clone(), message(b'p', b"token\0")].concat()),
        (0x82, [packet(0x0003_0002, user), message(b'p', bearer)].concat()),
        (0x82, [login.clone(), message(b'p', asks), message(b'p', b"\x01")].concat()),
        (0x40, [packet(80_877_104, b""), login.clone(), message(b'p', b"token\0")].concat()),
        (0x80, packet(0x0003_0000, b"user\0payments\0options\0-c writ.auth=oauthbearer -c search_path=a\0\0")),
        (0x80, packet(80_877_102, b"\0\0\0\x07abcd")),
        (0x01, login),
    ]
    .map(|(choice, bytes)| [&[choice, 3], bytes.as_slice()].concat())
    .to_vec()
}

fn client_login() -> Vec<Vec<u8>> {
    let user = b"user\0ann\0database\0ann\0application_name\0psql\0options\0-c writ.auth=oauthbearer\0\0";
    let two = b"user\0ann\0user\0root\0database\0a\0database\0b\0\0";
    let client = [
        packet(80_877_103, b""),
        packet(80_877_104, b""),
        packet(80_877_102, b"\0\0\0\x07abcd"),
        packet(0x0003_0000, user),
        packet(0x0003_0002, two),
        packet(0x0003_0000, b"\0"),
    ];
    let name = b"application_name\0writ-00000000000000000000000000 psql\0";
    let opened = [message(b'R', &[0; 4]), message(b'S', name), message(b'Z', b"I")].concat();
    let gateway = [
        message(b'R', &[0, 0, 0, 3]),
        message(b'E', b"SFATAL\0C28000\0Mno\0Hask\0\0"),
        [message(b'N', b"SNOTICE\0\0"), message(b'R', &[0, 0, 0, 3])].concat(),
        opened,
    ];
    let client = client.map(|bytes| [&[0], bytes.as_slice()].concat());
    let gateway = gateway.map(|bytes| [&[3], bytes.as_slice()].concat());
    client.into_iter().chain(gateway).collect()
}

fn upstream() -> Vec<Vec<u8>> {
    let ready = [
        message(b'R', &[0; 4]),
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'K', &[0, 0, 0, 7, 1, 2, 3, 4]),
        message(b'Z', b"I"),
    ];
    let scram = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let challenge = message(b'R', b"\0\0\0\x0br=nonce,s=c2FsdA==,i=4096");
    let refused = message(b'E', b"SFATAL\0C28P01\0Mno\0\0");
    [
        (0, ready.concat()),
        (0, [scram, challenge].concat()),
        (0, refused),
        (1, b"S".to_vec()),
        (1, b"N".to_vec()),
        (2, ready.concat()),
    ]
    .map(|(choice, bytes)| [&[choice, 3], bytes.as_slice()].concat())
    .to_vec()
}

/// Turns: side, length, bytes.
fn turns(choice: u8, turns: &[(u8, Vec<Vec<u8>>)]) -> Vec<u8> {
    let mut out = vec![choice, 3];
    for (side, messages) in turns {
        let bytes = messages.concat();
        out.extend([*side, u8::try_from(bytes.len()).unwrap_or(u8::MAX)]);
        out.extend(bytes);
    }
    out
}

fn relay() -> Vec<Vec<u8>> {
    let query = |text: &str| message(b'Q', format!("{text}\0").as_bytes());
    let parse = |name: &str, text: &str| message(b'P', format!("{name}\0{text}\0\0\0").as_bytes());
    let bind = |name: &str| message(b'B', format!("\0{name}\0\0\0\0\x01\0\0\0\x01x\0\0").as_bytes());
    let (execute, sync) = (message(b'E', b"\0\0\0\0\0"), message(b'S', b""));
    let done = |tag: &str| message(b'C', format!("{tag}\0").as_bytes());
    let ready = message(b'Z', b"I");
    let row = message(b'D', b"\0\x01\0\0\0\x01x");
    let copied = [message(b'd', b"1\n"), message(b'c', b"")].concat();
    let simple = vec![
        (0, vec![query("select 1")]),
        (1, vec![message(b'T', &[0, 0]), row.clone(), done("SELECT 1"), ready.clone()]),
    ];
    let extended = vec![
        (0, vec![parse("a", "select $1"), message(b'D', b"Sa\0"), bind("a"), execute.clone(), sync.clone()]),
        (1, vec![message(b'1', b""), message(b't', b"\0\x01\0\0\0\x19"), message(b'n', b""), message(b'2', b"")]),
        (1, vec![row, done("SELECT 1"), ready.clone()]),
    ];
    let refused = vec![
        (0, vec![parse("", "denied"), bind(""), execute, sync, query("denied")]),
        (1, vec![message(b'E', b"C26000\0\0"), ready.clone(), message(b'E', b"C42601\0\0"), ready.clone()]),
    ];
    let copy = vec![
        (0, vec![query("copy t from stdin"), copied, query("deallocate a; prepare a as select 2")]),
        (1, vec![message(b'G', &[0, 0, 0]), done("COPY 1"), ready.clone(), done("DEALLOCATE"), done("PREPARE"), ready]),
        (0, vec![message(b'X', b"")]),
    ];
    let all = [simple, extended, refused, copy];
    all.iter().flat_map(|story| [turns(0, story), turns(1, story)]).collect()
}

/// Messages as bytes: see the target.
fn names() -> Vec<Vec<u8>> {
    let stories = [
        &[0x40, 0xd0, 0xf0, 0x1b, 0xf0, 0x74, 0x90, 0xd0, 0xf0][..],
        &[0x40, 0x74, 0x90, 0xd0, 0x02, 0x04, 0x74, 0x90, 0xd0, 0xf0],
        &[0x06, 0x30, 0x71, 0x91, 0xd0, 0x1c, 0x91, 0xd0, 0xf0, 0x07],
        &[0x40, 0xd0, 0x0a, 0x74, 0x90, 0xd0, 0xf0],
    ];
    (0..4).flat_map(|choice| stories.map(|story| [&[choice], story].concat())).collect()
}

fn record(id: u64, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let record = CommandRecord {
        id: CommandId(id),
        tag: CommandTag::SqlQuery,
        at: Timestamp::UNIX_EPOCH,
        text: Text::Inline(text),
        decision: Decision::Allow,
        policy_hash: "abc",
        code: "",
        approval: None,
    };
    let parameters = [Some(b"x".as_slice()), None];
    let parameters = parameters.into_iter().map(|value| Parameter { type_id: 25, format: Format::Text, value });
    entry::command(&mut out, &record, parameters);
    out
}

fn payloads() -> Vec<(Kind, Vec<u8>)> {
    let (mut event, mut close, mut gap) = (Vec::new(), Vec::new(), Vec::new());
    entry::event(&mut event, Some(CommandId(1)), Timestamp::UNIX_EPOCH, "held", b"detail");
    entry::close(&mut close, Timestamp::UNIX_EPOCH, SessionEnd::Client, "code", 1);
    entry::gap(&mut gap, Timestamp::UNIX_EPOCH, 2, 3);
    vec![(Kind::Command, record(1, b"select 1")), (Kind::Event, event), (Kind::Gap, gap), (Kind::Close, close)]
}

fn entries() -> Vec<Vec<u8>> {
    payloads().iter().map(|(kind, payload)| [&[kind.number()], payload.as_slice()].concat()).collect()
}

fn segments() -> Vec<Vec<u8>> {
    let mut all = vec![0];
    for (kind, payload) in payloads() {
        all.extend([kind.number(), u8::try_from(payload.len()).unwrap_or(u8::MAX)]);
        all.extend(payload);
    }
    vec![all]
}

fn spool() -> Result<Vec<Vec<u8>>, Failure> {
    let session = SessionId::from_bytes([1; 16]);
    let key = DataKey::from_slice(&[7; 32])?;
    let fields = b"\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\0\0\0\0\0\0\0\0\x02\x08\0payments\x06\0\0\0sealed\x07\0\0\0wrapped";
    let meta = SessionMeta::decode(session, fields)?;
    let (mut writer, mut out) = (SessionWriter::new(session, &key)?, vec![0; 8]);
    writer.append(Kind::Open, &mut out, |out| out.extend(meta.encode()))?;
    for (kind, payload) in payloads() {
        writer.append(kind, &mut out, |out| out.extend(payload))?;
    }
    Ok(vec![out, fields.to_vec()])
}

fn signer() -> Result<Signer, Failure> {
    Ok(Signer::from_seed("log.example", &[5; 32])?)
}

fn checkpoint() -> Result<String, Failure> {
    Ok(Checkpoint::sign(&signer()?, 1, &hash::leaf(b"entry")))
}

fn proofs() -> Result<Vec<Vec<u8>>, Failure> {
    let bundle = proof::Bundle { entry: b"entry".to_vec(), index: 0, proof: Vec::new(), checkpoint: checkpoint()? };
    let sizes = [3_u64.to_be_bytes(), 7_u64.to_be_bytes()].concat();
    Ok(vec![bundle.to_text().into_bytes(), [sizes.as_slice(), &[1; 128]].concat()])
}
