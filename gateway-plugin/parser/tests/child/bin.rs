//! What the tests run as a child: the parser, or one that misbehaves, by its first argument.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, ExitCode};

use writ_parser::analyse;
use writ_parser::child::{Limits, confine, serve};
use writ_sql::wire::{self, HEAD, LONGEST_TEXT};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let mut arguments = arguments.iter().map(String::as_str).skip(1);
    let ended = match (arguments.next(), arguments.next()) {
        (Some("serve"), None) => serve(Limits::default()),
        (Some("serve"), Some(bytes)) => serve(Limits { address_space: bytes.parse().unwrap_or(0) }),
        (Some("report"), None) => report(),
        (Some("silent"), None) => io::copy(&mut io::stdin(), &mut io::sink()).map(drop),
        (Some("noise"), None) => noise(),
        (Some("torn"), None) => answers(|frame| frame.chunks(5).try_for_each(said)),
        (Some("twice"), None) => answers(|frame| said(&[frame, frame].concat())),
        _ => return ExitCode::FAILURE,
    };
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Answers whatever comes with what is no answer.
fn noise() -> io::Result<()> {
    io::stdin().read_exact(&mut [0; 1])?;
    io::stdout().write_all(&[0x55; 4096])
}

/// Answers each question as a parser does, as `say` has it.
fn answers(say: impl Fn(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut head = [0; HEAD];
    loop {
        io::stdin().read_exact(&mut head)?;
        let wire::Head { number, body } = wire::head(&head, LONGEST_TEXT).map_err(io::Error::other)?;
        let (mut text, mut frame) = (vec![0; body], Vec::new());
        io::stdin().read_exact(&mut text)?;
        wire::answer(number, &analyse(&text), &mut frame).map_err(io::Error::other)?;
        say(&frame)?;
    }
}

fn said(bytes: &[u8]) -> io::Result<()> {
    io::stdout().write_all(bytes)?;
    io::stdout().flush()
}

/// Says what is left to a confined process, one `name value` to a line.
fn report() -> io::Result<()> {
    confine(Limits::default())?;
    let failed =
        |result: io::Result<()>| result.err().map_or("allowed".to_owned(), |error| format!("{:?}", error.kind()));
    // Closing says whether it was open; standard output is needed yet.
    let others = (3..1024).filter(|descriptor| nix::unistd::close(*descriptor).is_ok()).count();
    let lines = [
        ("environment", std::env::vars_os().count().to_string()),
        ("descriptors", others.to_string()),
        ("read", failed(std::fs::File::open("/etc/hostname").map(drop))),
        ("write", failed(std::fs::File::create("/tmp/writ-parser-was-here").map(drop))),
        ("connect", failed(TcpStream::connect("127.0.0.1:1").map(drop))),
        ("unix", failed(UnixDatagram::unbound().map(drop))),
        ("execute", failed(Command::new("/bin/true").spawn().map(drop))),
        ("thread", failed(std::thread::Builder::new().spawn(|| {}).map(drop))),
    ];
    let mut out = io::stdout().lock();
    lines.iter().try_for_each(|(name, value)| writeln!(out, "{name} {value}"))
}
