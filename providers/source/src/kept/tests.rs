//! What several writers, one that came too late, and a crash leave of a file.

use super::*;

const BEFORE: &[u8] = b"before";
const OURS: &[u8] = b"ours";

struct Kept {
    directory: tempfile::TempDir,
    path: PathBuf,
    source: Source,
}

impl Kept {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, BEFORE).unwrap();
        Self { source: Source::File(path.clone()), path, directory }
    }

    fn put(&self, partial: NamedTempFile, wanted: &Wanted) -> Result<(), ProviderFault> {
        put(&self.source, &self.path, &secret(BEFORE), partial, wanted)
    }

    /// What the file has; nothing is beside it.
    fn holds(&self) -> Vec<u8> {
        let names = std::fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["secret"]);
        std::fs::read(&self.path).unwrap()
    }
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec())
}

fn wanted() -> Wanted {
    Wanted { until: Instant::now() + Duration::from_secs(60), given_up: Arc::default() }
}

#[test]
fn what_somebody_else_wrote_while_the_new_one_was_made_stays() {
    let kept = Kept::new();
    let partial = partial(&kept.path, &secret(OURS)).unwrap();
    assert_eq!(partial.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&kept.path, b"theirs").unwrap();
    let fault = kept.put(partial, &wanted()).unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("by somebody else")), "{fault:?}");
    assert_eq!(kept.holds(), b"theirs");
}

#[test]
fn a_write_that_nobody_waits_for_changes_nothing() {
    for over in
        [Wanted { until: Instant::now(), ..wanted() }, Wanted { given_up: Arc::new(AtomicBool::new(true)), ..wanted() }]
    {
        let kept = Kept::new();
        let made = partial(&kept.path, &secret(OURS)).unwrap();
        let fault = kept.put(made, &over).unwrap_err();
        assert!(matches!(&fault, ProviderFault::Unreachable(text) if text.contains("took too long")), "{fault:?}");
        assert_eq!(kept.holds(), BEFORE);
    }
    let given_up = Arc::new(AtomicBool::new(false));
    drop(Caller(Arc::clone(&given_up)));
    assert!(Wanted { given_up, ..wanted() }.is_over(), "whoever is gone does not wait");
}

#[test]
fn no_write_puts_another_ones_value_there() {
    let kept = Kept::new();
    let late = partial(&kept.path, &secret(b"late")).unwrap();
    let next = partial(&kept.path, &secret(OURS)).unwrap();
    assert_ne!(late.path(), next.path());
    // The one that was under way is taken for left over: it puts nothing there, least of all the next one's.
    assert!(kept.put(late, &wanted()).is_err());
    assert_eq!(std::fs::read(&kept.path).unwrap(), BEFORE);
    kept.put(next, &wanted()).unwrap();
    assert_eq!(kept.holds(), OURS);
}

#[test]
fn what_a_crash_left_goes() {
    let kept = Kept::new();
    for name in ["secret.writ-partial", "secret.writ-partial-0123456789abcdef"] {
        std::fs::write(kept.directory.path().join(name), b"left").unwrap();
    }
    replace(&kept.source, &kept.path, &secret(BEFORE), &secret(OURS), &wanted()).unwrap();
    assert_eq!(kept.holds(), OURS);
}
