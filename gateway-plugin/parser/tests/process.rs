//! A child is asked, dies, hangs, lies; the text that it was asked about is not understood, and the next one is.

use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio::io::AsyncReadExt as _;
use writ_core::statement::{Kind, Statement};
use writ_parser::{Parser, Settings};
use writ_sql::wire::{Answer, LONGEST_TEXT, Reason};

fn settings(arguments: &[&str]) -> Settings {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let mut settings = Settings::new(env!("CARGO_BIN_EXE_writ-test-sql-parser").into(), arguments);
    // A loaded machine is no reason for a test to fail.
    (settings.limit, settings.queue, settings.start) =
        (Duration::from_secs(20), Duration::from_secs(60), Duration::from_secs(60));
    settings
}

fn kinds(answer: &Answer) -> Vec<Kind> {
    match answer {
        Answer::Statements(statements) => statements.iter().map(|statement| statement.accesses[0].kind).collect(),
        Answer::Unknown(_) => Vec::new(),
    }
}

#[tokio::test]
async fn a_child_answers_one_question_after_the_other() {
    let parser = Parser::new(settings(&["serve"]));
    for _ in 0..100 {
        assert_eq!(kinds(&parser.analyse(b"SELECT 1; DELETE FROM t").await), [Kind::Select, Kind::Delete]);
        assert_eq!(parser.analyse(b"SELEC").await, Answer::Unknown(Reason::Syntax));
    }
    assert_eq!(parser.analyse(&vec![b' '; LONGEST_TEXT + 1]).await, Answer::Unknown(Reason::Long));
    assert_eq!(parser.analyse(&vec![b' '; LONGEST_TEXT]).await, Answer::Statements(Vec::new()));
    assert_eq!(parser.deaths(), 0);
}

#[tokio::test]
async fn many_ask_at_once_and_each_gets_its_own_answer() {
    let parser = Arc::new(Parser::new(settings(&["serve"])));
    let ask = |n: usize| {
        let parser = Arc::clone(&parser);
        tokio::spawn(async move { parser.analyse(vec!["SELECT 1"; n].join(";").as_bytes()).await })
    };
    let asked: Vec<_> = (0..50).map(|n| (n, ask(n))).collect();
    for (n, answer) in asked {
        assert_eq!(kinds(&answer.await.unwrap()).len(), n);
    }
}

#[tokio::test]
async fn an_answer_is_whole_however_it_arrives() {
    // Shorter and longer than what is read at once.
    let texts = [
        "SELECT 1".to_owned(),
        format!("SELECT {} FROM t", (0..2000).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",")),
    ];
    for how in ["serve", "torn"] {
        let parser = Parser::new(settings(&[how]));
        for text in texts.iter().chain(&texts) {
            assert_eq!(parser.analyse(text.as_bytes()).await, writ_parser::analyse(text.as_bytes()), "{how}");
        }
        assert_eq!(parser.deaths(), 0, "{how}");
    }
}

#[tokio::test]
async fn one_that_answers_more_than_it_was_asked_is_given_up() {
    let parser = Parser::new(settings(&["twice"]));
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(parser.analyse(b"SELECT 1").await);
    }
    assert!(answers.contains(&Answer::Unknown(Reason::Died)), "{answers:?}");
    assert!(parser.deaths() > 0);
}

/// A tree that needs more memory than the child has, so that it aborts.
fn killer() -> String {
    format!("SELECT {}", vec!["f(a)"; 20_000].join(","))
}

#[tokio::test]
async fn a_statement_that_kills_the_child_is_unknown_and_the_next_is_not() {
    let parser = Parser::new(settings(&["serve", "170000000"]));
    for deaths in 1..4 {
        assert_eq!(kinds(&parser.analyse(b"SELECT 1").await), [Kind::Select]);
        let answer = parser.analyse(killer().as_bytes()).await;
        assert_eq!(answer, Answer::Unknown(Reason::Died));
        assert_eq!(answer.into_statements(), [Statement::unknown()]);
        assert_eq!(parser.deaths(), deaths);
    }
    let roomy = Parser::new(settings(&["serve"]));
    assert_ne!(roomy.analyse(killer().as_bytes()).await, Answer::Unknown(Reason::Died));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_unknown_and_the_next_is_not() {
    let mut settings = settings(&["serve"]);
    settings.limit = Duration::from_millis(1);
    let slow = format!("SELECT {}", vec!["a.b"; 24_000].join(","));
    let parser = Parser::new(settings);
    assert_eq!(parser.analyse(slow.as_bytes()).await, Answer::Unknown(Reason::Late));
    assert_eq!(parser.deaths(), 1);
    // A quick one has room in a millisecond, sooner or later.
    let begun = Instant::now();
    while kinds(&parser.analyse(b"SELECT 1").await) != [Kind::Select] {
        assert!(begun.elapsed() < Duration::from_secs(60), "no question is answered any more");
    }
}

#[tokio::test]
async fn one_that_never_answers_or_answers_noise_is_given_up() {
    for (how, cap) in [("silent", Duration::from_millis(100)), ("noise", Duration::from_secs(60))] {
        let mut settings = settings(&[how]);
        settings.start = cap;
        let parser = Parser::new(settings);
        assert!(!parser.start().await, "{how}");
        assert_eq!(parser.deaths(), 1, "{how}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_is_tried_again_after_a_pause_alone() {
    let mut settings = settings(&["no such way"]);
    settings.pause = Duration::from_secs(3600);
    settings.longest_pause = Duration::from_secs(3600);
    let parser = Parser::new(settings);
    for _ in 0..10 {
        assert_eq!(parser.analyse(b"SELECT 1").await, Answer::Unknown(Reason::Died));
    }
    assert_eq!(parser.deaths(), 1);
    let absent = Parser::new(Settings::new("/no/such/program".into(), Vec::new()));
    assert_eq!(absent.analyse(b"SELECT 1").await, Answer::Unknown(Reason::Died));
}

#[tokio::test]
async fn a_question_that_is_given_up_leaves_no_answer_to_the_next() {
    let parser = Parser::new(settings(&["serve"]));
    assert!(parser.start().await);
    let long = format!("SELECT {}", vec!["a.b"; 24_000].join(","));
    for _ in 0..3 {
        let dropped = tokio::time::timeout(Duration::from_micros(200), parser.analyse(long.as_bytes())).await;
        assert!(dropped.is_err());
        assert_eq!(kinds(&parser.analyse(b"DELETE FROM t").await), [Kind::Delete]);
    }
}

#[tokio::test]
async fn a_child_has_no_environment_file_socket_process_or_inherited_descriptor() {
    let kept = tempfile::tempfile().unwrap();
    fcntl(kept.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let mut child = settings(&["report"]).command().stdin(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(child.wait().await.unwrap().success(), "{said}");
    let denied = "PermissionDenied";
    let expected = [
        ("environment", "0"),
        ("descriptors", "0"),
        ("read", denied),
        ("write", denied),
        ("connect", denied),
        ("unix", denied),
        ("execute", denied),
        ("thread", denied),
    ];
    assert_eq!(said.lines().filter_map(|line| line.split_once(' ')).collect::<Vec<_>>(), expected);
    drop(kept);
}
