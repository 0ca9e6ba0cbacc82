//! `writ connect`: ordinary programs behind a socket, each connection with a token of its own, and none of them sees one.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use writ_world::stack::{Stack, TARGET};

use super::shared;

const LIMIT: Duration = Duration::from_secs(60);
/// What the job shows its issuer. The platform puts it into the job's environment.
const REQUEST: &str = "request-token-of-the-job";

/// A fake of GitHub's token endpoint that signs with the stack's issuer: one more token whenever it is asked as GitHub is.
struct Issuer {
    url: String,
}

impl Issuer {
    fn start(stack: &Arc<Stack>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap());
        let stack = Arc::downgrade(stack);
        // It ends with the process; without the stack it gives nothing.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let token = stack.upgrade().map(|stack| stack.token().unwrap());
                answer(socket.unwrap(), token);
            }
        });
        Self { url }
    }
}

fn answer(mut socket: TcpStream, token: Option<String>) {
    let mut head = Vec::new();
    for byte in BufReader::new(&socket).bytes() {
        head.push(byte.unwrap());
        if head.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let asked = head.starts_with("GET /token?api-version=2.0&audience=writ HTTP/1.1\r\n")
        && head.contains(&format!("authorization: Bearer {REQUEST}\r\n"))
        && !head.to_lowercase().contains("x-forwarded-for");
    let (status, body) = match token {
        Some(token) if asked => ("200 OK", format!("{{\"value\":\"{token}\"}}")),
        _ => ("403 Forbidden", String::new()),
    };
    write!(socket, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
}

/// A job with an issuer, and the command line of `writ` in it.
struct Job {
    stack: Arc<Stack>,
    issuer: Issuer,
    temporary: tempfile::TempDir,
}

impl Job {
    fn new() -> Self {
        let stack = shared().unwrap();
        let issuer = Issuer::start(&stack);
        Self { stack, issuer, temporary: tempfile::Builder::new().prefix("t").tempdir_in("/tmp").unwrap() }
    }

    fn writ(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.stack.binary());
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("TMPDIR", self.temporary.path())
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", &self.issuer.url)
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST)
            .stdin(Stdio::null());
        command
    }

    /// `writ connect`, with the stack's gateway and what vouches for it.
    fn connect(&self, target: &str, words: &[&str]) -> Command {
        let gateway = format!("localhost:{}", self.stack.gateway_port());
        let roots = self.stack.roots().display().to_string();
        self.writ(&[&["connect", target, "--gateway", &gateway, "--ca-file", &roots, "--"], words].concat())
    }

    /// What is left of the directories that were made for sockets.
    fn left(&self) -> Vec<PathBuf> {
        fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// No token that was ever signed stands here.
    fn holds_none(&self, what: &str, text: &[u8]) {
        for secret in self.stack.secrets() {
            assert!(!contains(text, secret.as_bytes()), "{what} holds a token");
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A command that runs, and what it prints.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PSQL: &str = "psql -X -A -t -v ON_ERROR_STOP=1";

#[test]
fn each_connection_of_a_job_has_a_token_of_its_own() {
    let job = Job::new();
    let script = format!("{PSQL} -c 'select current_user, current_database()'; {PSQL} -U somebody -c 'select 2'");
    let output = job.connect(TARGET, &["sh", "-ec", &script]).output().unwrap();
    assert_eq!(said(&output), ("app|payments\n2".to_owned(), String::new()));
    assert!(output.status.success());
    // Many at once, again and again: as many tokens as connections.
    let before = job.stack.secrets().len();
    let bench =
        "printf 'select 1;' > \"$TMPDIR/one\"; pgbench -n -C -f \"$TMPDIR/one\" -c 4 -j 2 -t 5 && rm \"$TMPDIR/one\"";
    let output = job.connect(TARGET, &["sh", "-ec", bench]).output().unwrap();
    let (out, error) = said(&output);
    assert!(
        output.status.success() && out.contains("number of transactions actually processed: 20/20"),
        "{out}\n{error}"
    );
    assert!(job.stack.secrets().len() >= before + 20);
    assert_eq!(job.left(), Vec::<PathBuf>::new());
}

#[test]
fn while_it_runs_no_token_is_anywhere_near_it() {
    let job = Job::new();
    let script = format!("{PSQL} -c 'select 6 * 7'; env | grep ^PG | sort; echo $$; read line; exit 7");
    let mut command = job.connect(TARGET, &["sh", "-c", &script]);
    for (name, value) in [
        ("PGPASSWORD", "old"),
        ("PGSSLMODE", "verify-full"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGREQUIREAUTH", "scram-sha-256"),
    ] {
        command.env(name, value);
    }
    let mut running = Running::start(command);
    assert_eq!(running.line(), "42");
    assert_eq!(running.line(), "PGDATABASE=payments");
    let directory = running.line();
    let directory = PathBuf::from(directory.strip_prefix("PGHOST=").unwrap());
    assert_eq!([running.line(), running.line()], ["PGPORT=5432", "PGUSER=payments"]);
    let process = running.line();

    for what in ["environ", "cmdline"] {
        job.holds_none(what, &fs::read(format!("/proc/{process}/{what}")).unwrap());
    }
    job.holds_none("the arguments of writ", &fs::read(format!("/proc/{}/cmdline", running.child.id())).unwrap());
    assert!(directory.starts_with(job.temporary.path()), "{}", directory.display());
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    let names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [".s.PGSQL.5432"]);
    // Nor in what the child could open of it: it shares no descriptor but what both have from their caller.
    let open = |process: &str| -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(format!("/proc/{process}/fd")).unwrap().filter_map(Result::ok);
        entries.filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
    };
    let (own, writ, child) = (open("self"), open(&running.child.id().to_string()), open(&process));
    assert!(!child.is_empty() && !writ.is_empty());
    let shared: Vec<_> = child.intersection(&writ).filter(|link| !own.contains(*link)).collect();
    assert_eq!(shared, Vec::<&PathBuf>::new());

    running.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(running.ended(), Some(7));
    assert!(!directory.exists());
}

#[test]
fn a_job_does_not_hand_the_token_on_that_its_platform_gave_it() {
    let job = Job::new();
    let token = job.stack.token().unwrap();
    let mut command = job.connect(TARGET, &["sh", "-ec", &format!("{PSQL} -c 'select 1'; env")]);
    command.env_remove("ACTIONS_ID_TOKEN_REQUEST_URL").env("GITLAB_CI", "true").env("WRIT_ID_TOKEN", &token);
    let output = command.output().unwrap();
    let (out, error) = said(&output);
    assert!(out.starts_with("1\n") && out.contains("GITLAB_CI=true"), "{out}{error}");
    assert!(!out.contains(&token) && !out.contains("WRIT_ID_TOKEN"), "{out}");
}

#[test]
fn signals_reach_the_command_and_the_socket_goes_however_it_ends() {
    let job = Job::new();
    let trap = "trap 'exit 9' HUP INT TERM; echo $PGHOST; while :; do sleep 0.05; done";
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        let mut running = Running::start(hearing_signals(&job.connect(TARGET, &["sh", "-c", trap])));
        let directory = PathBuf::from(running.line());
        assert!(directory.exists());
        running.signal(signal);
        assert_eq!(running.ended(), Some(9), "{signal}");
        assert!(!directory.exists(), "{signal}");
    }
    // What `nohup` makes deaf stays so.
    let deaf = "trap 'exit 9' TERM; echo $PGHOST; while :; do sleep 0.05; done";
    let mut running = Running::start(without_hangup(&job.connect(TARGET, &["sh", "-c", deaf])));
    running.line();
    running.signal(Signal::SIGHUP);
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended(), Some(9));
    // Without a trap it ends by the signal, and its caller hears it as from a shell.
    let mut running = Running::start(job.connect(TARGET, &["sh", "-c", "echo $PGHOST; exec sleep 60"]));
    running.line();
    running.signal(Signal::SIGTERM);
    assert_eq!(running.ended(), Some(128 + 15));
    let none = job.connect(TARGET, &["/nonexistent/psql"]).output().unwrap();
    assert!(said(&none).1.contains("`/nonexistent/psql` cannot be run"), "{}", said(&none).1);
    assert_eq!(none.status.code(), Some(1));
    assert_eq!(job.left(), Vec::<PathBuf>::new());
}

/// The same command, started to hear every signal: a shell's background job, which may run the tests, is deaf to SIGINT.
pub(crate) fn hearing_signals(command: &Command) -> Command {
    within(command, "env", &["--default-signal=HUP,INT,TERM"])
}

/// The same command, started to ignore SIGHUP.
fn without_hangup(command: &Command) -> Command {
    within(command, "sh", &["-c", "trap '' HUP; exec \"$0\" \"$@\""])
}

fn within(command: &Command, outer: &str, arguments: &[&str]) -> Command {
    let mut wrapped = Command::new(outer);
    wrapped.args(arguments).arg(command.get_program()).args(command.get_args());
    wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped
}

#[test]
fn a_statement_can_be_cancelled() {
    let job = Job::new();
    // psql asks to cancel when it is interrupted; it alone is. That it is asleep shows by its lock: what another role runs is
    // not shown.
    let script = format!(
        "{PSQL} -c 'select pg_advisory_lock(4711), pg_sleep(30)' & p=$!; \
         for attempt in $(seq 200); do \
         [ \"$({PSQL} -c \"select count(*) from pg_locks where locktype = 'advisory'\")\" = 1 ] && break; done; \
         kill -INT $p; wait $p"
    );
    // A shell without job control makes its children deaf to the signal: `bash -m` gives them ears.
    let begun = Instant::now();
    let output = job.connect(TARGET, &["bash", "-m", "-c", &script]).output().unwrap();
    assert!(said(&output).1.contains("canceling statement due to user request"), "{:?}", said(&output));
    assert!(begun.elapsed() < Duration::from_secs(29));
}

#[test]
fn a_gateway_that_the_authority_does_not_vouch_for_gets_no_token() {
    let job = Job::new();
    let gateway = format!("localhost:{}", job.stack.gateway_port());
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = job.temporary.path().join("other.pem");
    fs::write(&file, other.cert.pem()).unwrap();
    let file = file.display().to_string();
    let select = format!("{PSQL} -c 'select 1'");
    let wrong = ["connect", TARGET, "--gateway", &gateway, "--ca-file", &file, "--", "sh", "-c", &select];
    let output = job.writ(&wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "psql's own status");
    assert!(
        said(&output).1.contains("is not the one that it should be: invalid peer certificate"),
        "{}",
        said(&output).1
    );
}

#[test]
fn a_denied_client_hears_the_gateways_own_words() {
    let job = Job::new();
    let output = job.connect("ledger", &["sh", "-c", &format!("{PSQL} -c 'select 1'")]).output().unwrap();
    let (_, error) = said(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("FATAL:") && error.contains("(request req-"), "{error}");
    let role = job.connect("payments/postgres", &["sh", "-c", &format!("{PSQL} -c 'select 1'")]).output().unwrap();
    assert!(said(&role).1.contains("FATAL:"), "{}", said(&role).1);
}

#[test]
fn a_source_that_gives_no_token_says_so_to_the_client() {
    let job = Job::new();
    let mut command = job.connect(TARGET, &["sh", "-c", &format!("{PSQL} -c 'select 1'")]);
    let output = command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong").output().unwrap();
    assert!(said(&output).1.contains("FATAL:  GitHub's token endpoint refused with status 403"), "{}", said(&output).1);
    let mut command = job.connect(TARGET, &["sh", "-c", "echo never"]);
    let output = command.env_remove("ACTIONS_ID_TOKEN_REQUEST_URL").env("GITHUB_ACTIONS", "true").output().unwrap();
    let (out, error) = said(&output);
    assert!(out.is_empty() && error.contains("id-token: write") && output.status.code() == Some(1), "{out}{error}");
}

#[test]
fn who_one_is_is_shown_without_the_token() {
    let job = Job::new();
    let output = job.writ(&["whoami"]).output().unwrap();
    let (out, note) = said(&output);
    for line in ["source    github-actions", "issuer    https://issuer.test", "audience  writ"] {
        assert!(
            out.lines().any(|shown| shown.split_whitespace().eq(line.split_whitespace()) || shown.starts_with(line)),
            "{line}: {out}"
        );
    }
    assert!(
        out.contains("repo:acme/payments:environment:production") && note.contains("decoded, not verified"),
        "{out}{note}"
    );
    let json = job.writ(&["whoami", "--json"]).output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&shown["source"], &shown["audience"][0]), (&"github-actions".into(), &"writ".into()));
    for output in [&output, &json] {
        job.holds_none("its output", &output.stdout);
        for secret in job.stack.secrets().iter().filter(|secret| secret.matches('.').count() == 2) {
            let signature = secret.rsplit('.').next().unwrap();
            assert!(!contains(&output.stdout, signature.as_bytes()));
        }
    }

    // What a token claims steers no terminal and makes no line of ours.
    let forged = job
        .stack
        .sign(&serde_json::json!({ "aud": "writ", "sub": "a\u{1b}[2J\nsource  dev", "exp": 4_000_000_000_u64 }))
        .unwrap();
    let file = job.temporary.path().join("token");
    fs::write(&file, &forged).unwrap();
    let output = job.writ(&["whoami", "--token-file", file.to_str().unwrap()]).output().unwrap();
    let (out, _) = said(&output);
    assert!(out.contains("a\\u{1b}[2J\\nsource  dev") && !out.contains('\u{1b}'), "{out:?}");
}

#[test]
fn a_token_comes_from_where_it_is_said() {
    let job = Job::new();
    let token = job.stack.token().unwrap();
    let file = job.temporary.path().join("token");
    fs::write(&file, &token).unwrap();
    let path = file.display().to_string();
    let print = |arguments: &[&str]| said(&job.writ(&[&["token"], arguments].concat()).output().unwrap());
    assert_eq!(print(&["--token-file", &path]), (token.clone(), String::new()));
    assert_eq!(print(&["--token-command", "cat", "--token-argument", &path]), (token.clone(), String::new()));
    let mut stdin = job.writ(&["token", "--token-stdin"]);
    assert_eq!(said(&stdin.stdin(fs::File::open(&file).unwrap()).output().unwrap()), (token.clone(), String::new()));
    assert_eq!(print(&["--from", "github-actions"]).1, "");
    for (arguments, words) in [
        (["--from", "azur"].as_slice(), "there is no source `azur`"),
        (&["--from", "gitlab"], "this job has no `WRIT_ID_TOKEN`"),
        (&["--audience", "a b"], "the audience is empty, too long, or has white space in it"),
        (&["--expires-in", "60"], "leave `--expires-in` out: it is for the dev issuer"),
        (&["--audience", "other", "--token-file", &path], "is for `writ`, not for `other`"),
        (&["--from", "aws", "--token-file", &path], "cannot be used with"),
    ] {
        let (out, error) = print(arguments);
        assert!(out.is_empty() && error.contains(words) && !error.contains(&token), "{arguments:?}: {error}");
    }
}

#[test]
fn nothing_is_sent_where_no_target_or_gateway_is_named() {
    let job = Job::new();
    let state = job.temporary.path().join("state");
    let state = Path::new(&state).display().to_string();
    for (arguments, words) in [
        (
            ["connect", "payments", "--state", &state, "--", "true"].as_slice(),
            "name the gateway with `--gateway HOST:PORT`",
        ),
        (&["connect", "pay ments", "--gateway", "localhost:1", "--", "true"], "`pay ments` names no target"),
        (&["connect", "payments/", "--gateway", "localhost:1", "--", "true"], "write `TARGET` or `TARGET/ROLE`"),
        (&["connect", "payments", "--gateway", "localhost", "--", "true"], "`localhost` is no address of a gateway"),
        (
            &["connect", "payments", "--gateway", "localhost:1", "--ca-file", "/none", "--", "true"],
            "`/none` cannot be read",
        ),
        (&["connect", "payments", "--gateway", "localhost:1"], "<COMMAND>"),
    ] {
        let output = job.writ(arguments).output().unwrap();
        assert!(!output.status.success() && said(&output).1.contains(words), "{words}: {:?}", said(&output));
    }
}
