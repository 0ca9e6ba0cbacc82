//! All that this process logs, at every level, kept to be searched.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing_subscriber::fmt::format::FmtSpan;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static KEEPER: LazyLock<()> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt().json().with_span_events(FmtSpan::NEW | FmtSpan::CLOSE);
    subscriber.with_max_level(tracing_subscriber::filter::LevelFilter::TRACE).with_writer(|| Kept).init();
});

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps from here on, for the whole process.
pub(crate) fn keep() {
    LazyLock::force(&KEEPER);
}

/// The lines so far that hold this text.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = String::from_utf8_lossy(&lines);
    lines.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}
