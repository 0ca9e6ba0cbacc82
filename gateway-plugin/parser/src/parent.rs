//! The gateway's side: a child that is started when it is needed, asked one question at a time, and replaced when it dies.
//!
//! Whatever happens to the child, the one text that it was asked about is not understood, and the next question goes to a new
//! child. The gateway passes it nothing but the text: no environment, no descriptor but the two pipes.

use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use writ_sql::wire::{self, Answer, HEAD, LONGEST_ANSWER, LONGEST_TEXT, Malformed, Reason};

/// How much of an answer is read at once: more than most have.
const FIRST: usize = 8192;
/// How long a worker that has nothing else to do stays awake for an answer: nearly all come before, and to put an idle core to sleep and
/// wake it takes half as long as to parse a report.
const AWAKE: Duration = Duration::from_micros(200);

/// How long giving way to other threads takes where there are more of them than the parser.
const CROWDED: Duration = Duration::from_millis(1);
/// How long a worker sleeps for answers after that.
const ASLEEP: Duration = Duration::from_secs(1);

/// How to run a parser, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program: `writ` itself.
    pub program: PathBuf,
    /// Its arguments: `sql-parser`.
    pub arguments: Vec<String>,
    /// The longest that one text may take, by the wall clock.
    pub limit: Duration,
    /// The longest that a question waits for those before it.
    pub queue: Duration,
    /// The longest that a child may take to start.
    pub start: Duration,
    /// The pause after a child that could not be started, doubled each time.
    pub pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
}

impl Settings {
    /// The usual waits, for this program.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        Self {
            program,
            arguments,
            limit: Duration::from_millis(250),
            queue: Duration::from_secs(2),
            start: Duration::from_secs(5),
            pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(2),
        }
    }

    /// This very program with the argument that makes `writ` a parser; the same one where its file has been replaced since.
    #[must_use]
    pub fn own() -> Self {
        Self::new("/proc/self/exe".into(), vec!["sql-parser".to_owned()])
    }

    /// The child as it is started: nothing of the environment, two pipes, no other place than the root.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// Asks a child what SQL does. One for each worker; questions are answered in turn.
#[derive(Debug)]
pub struct Parser {
    settings: Settings,
    state: Mutex<State>,
    deaths: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    /// How many children in a row could not be started, and before when there is no other.
    failures: u32,
    not_before: Option<Instant>,
}

/// A child that has answered.
#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    number: u64,
    frame: Vec<u8>,
    first: Box<[u8; FIRST]>,
    /// Until when the core has other things to do than to stay awake.
    sleeps: Option<std::time::Instant>,
}

/// Why a child is given up.
#[derive(Debug, thiserror::Error)]
enum Death {
    #[error("it took longer than it may")]
    Late,
    #[error("it ended or could not be started")]
    Ended(#[from] std::io::Error),
    #[error("it answered what is no answer")]
    Answer(#[from] Malformed),
}

impl Death {
    /// The metric's label.
    const fn cause(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Ended(_) => "ended",
            Self::Answer(_) => "answer",
        }
    }

    const fn reason(&self) -> Reason {
        match self {
            Self::Late => Reason::Late,
            Self::Ended(_) | Self::Answer(_) => Reason::Died,
        }
    }
}

impl Parser {
    /// A parser whose child starts with the first question, or with [`Parser::start`].
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default(), deaths: AtomicU64::new(0) }
    }

    /// How many children died of a text, took too long over one, or could not be started.
    #[must_use]
    pub fn deaths(&self) -> u64 {
        self.deaths.load(Ordering::Relaxed)
    }

    /// Starts the child before the first question, so that a set-up that cannot work shows; whether one runs.
    pub async fn start(&self) -> bool {
        let mut state = self.state.lock().await;
        let running = self.running(&mut state).await;
        state.running = running.ok();
        state.running.is_some()
    }

    /// What a text does. Dropped before it is ready, it costs the child; the next question gets a new one.
    pub async fn analyse(&self, text: &[u8]) -> Answer {
        if text.len() > LONGEST_TEXT {
            return Answer::Unknown(Reason::Long);
        }
        let Ok(mut state) = timeout(self.settings.queue, self.state.lock()).await else {
            return Answer::Unknown(Reason::Late);
        };
        let mut running = match self.running(&mut state).await {
            Ok(running) => running,
            Err(reason) => return Answer::Unknown(reason),
        };
        match running.ask(text, self.settings.limit).await {
            Ok(answer) => {
                state.running = Some(running);
                answer
            }
            Err(death) => {
                self.bury(&death);
                Answer::Unknown(death.reason())
            }
        }
    }

    /// The child, taken out of the state: it goes back only after an answer, since its pipes hold half a frame else.
    async fn running(&self, state: &mut State) -> Result<Running, Reason> {
        if let Some(mut running) = state.running.take() {
            // One that died while nobody asked is replaced without a question's being lost.
            match running.child.try_wait() {
                Ok(None) => return Ok(running),
                _ => self.bury(&Death::Ended(std::io::ErrorKind::BrokenPipe.into())),
            }
        }
        if state.not_before.is_some_and(|instant| Instant::now() < instant) {
            return Err(Reason::Died);
        }
        match Running::start(&self.settings).await {
            Ok(running) => {
                (state.failures, state.not_before) = (0, None);
                Ok(running)
            }
            Err(death) => {
                self.bury(&death);
                let factor = 2_u32.saturating_pow(state.failures);
                state.failures = state.failures.saturating_add(1);
                let pause = self.settings.pause.saturating_mul(factor).min(self.settings.longest_pause);
                state.not_before = Some(Instant::now() + pause);
                tracing::warn!(%death, "the SQL parser could not be started; statements are not understood meanwhile");
                Err(Reason::Died)
            }
        }
    }

    fn bury(&self, death: &Death) {
        self.deaths.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("writ_parser_deaths_total", "cause" => death.cause()).increment(1);
        tracing::info!(%death, "a SQL parser was given up");
    }
}

impl Running {
    /// Starts a child and waits for its first answer, so that what fails from then on is a text's doing.
    async fn start(settings: &Settings) -> Result<Self, Death> {
        let mut child = settings.command().spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Death::Ended(std::io::ErrorKind::BrokenPipe.into()));
        };
        let mut running =
            Self { child, input, output, number: 0, frame: Vec::new(), first: Box::new([0; FIRST]), sleeps: None };
        running.ask(b"SELECT 1", settings.start).await?;
        Ok(running)
    }

    async fn ask(&mut self, text: &[u8], limit: Duration) -> Result<Answer, Death> {
        timeout(limit, self.exchange(text)).await.map_err(|_| Death::Late)?
    }

    async fn exchange(&mut self, text: &[u8]) -> Result<Answer, Death> {
        self.number = self.number.wrapping_add(1);
        self.frame.clear();
        wire::question(self.number, text, &mut self.frame)?;
        self.input.write_all(&self.frame).await?;
        let (head, read) = self.begun().await?;
        let begun = self.first.get(HEAD..read).unwrap_or_default();
        // A child that says more than it was asked has lost count.
        if head.number != self.number || begun.len() > head.body {
            return Err(Death::Answer(Malformed::Answer));
        }
        if begun.len() == head.body {
            return Ok(wire::read_answer(begun)?);
        }
        self.frame.clear();
        self.frame.extend_from_slice(begun);
        self.frame.resize(head.body, 0);
        let rest = self.frame.get_mut(read - HEAD..).unwrap_or_default();
        self.output.read_exact(rest).await?;
        Ok(wire::read_answer(&self.frame)?)
    }

    /// The head of an answer, and how much of the answer came with it: most often all, in one read.
    async fn begun(&mut self) -> Result<(wire::Head, usize), Death> {
        let mut read = 0;
        loop {
            let room = self.first.get_mut(read..).unwrap_or_default();
            match attentive(self.output.read(room), &mut self.sleeps).await? {
                0 => return Err(Death::Ended(std::io::ErrorKind::UnexpectedEof.into())),
                more => read += more,
            }
            if let Some((head, _)) = self.first.get(..read).and_then(<[u8]>::split_first_chunk) {
                return Ok((wire::head(head, LONGEST_ANSWER)?, read));
            }
        }
    }
}

/// Waits for an answer without sleeping for a while, but for a time in which it `sleeps`. Other tasks of the worker and other threads of
/// its core come first; where these took long, the core is not to be had for waiting, and it sleeps for the next while.
async fn attentive<T>(answer: impl Future<Output = T>, sleeps: &mut Option<std::time::Instant>) -> T {
    let mut answer = pin!(answer);
    let begun = std::time::Instant::now();
    let awake = sleeps.is_none_or(|until| until <= begun);
    while awake && begun.elapsed() < AWAKE {
        tokio::select! {
            biased;
            answered = &mut answer => return answered,
            () = tokio::task::yield_now() => {}
        }
        let before = std::time::Instant::now();
        std::thread::yield_now();
        if before.elapsed() > CROWDED {
            *sleeps = before.checked_add(ASLEEP);
            break;
        }
    }
    answer.await
}
