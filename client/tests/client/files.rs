//! Tokens in files, those that a kubelet projects among them.

use std::path::{Path, PathBuf};

use serde_json::json;
use writ_client::{Audience, Fault, Found, LONGEST, Source};

use super::support::{asked, checked, environment, now, nowhere, token, token_for, within, writ};

fn of_pod(audience: &str) -> String {
    token(&json!({ "aud": [audience], "exp": now() + 600, "kubernetes.io": { "namespace": "payments" } }))
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn file(path: &Path) -> Result<String, Fault> {
    let found = Found::file(PathBuf::from(path));
    found.token(&writ()).await.map(|token| token.expose().to_owned()).map_err(checked)
}

#[tokio::test]
async fn a_projected_token_is_read_anew_each_time() {
    let root = tempfile::tempdir().unwrap();
    let found = Found::named(Source::Kubernetes, within(&[], root.path(), nowhere()));
    for path in ["var/run/secrets/tokens/writ-token", "var/run/secrets/tokens/writ", "var/run/secrets/writ/token"] {
        // Each stands before the one that was written earlier.
        let text = format!("{}\n", token(&json!({ "aud": ["writ"], "at": path, "kubernetes.io": {} })));
        put(root.path(), path, &text);
        assert_eq!(found.token(&writ()).await.unwrap().expose(), text.trim_end());
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_says_what_to_write_in_the_pod() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "var/run/secrets/writ/token", &of_pod("vault"));
    let fault = asked(Source::Kubernetes, within(&[], root.path(), nowhere())).await.unwrap_err();
    assert!(fault.what().ends_with("is for `vault`, not for `writ`"), "{fault}");
    let help = fault.remedy().unwrap();
    assert!(help.contains("serviceAccountToken: { audience: writ, expirationSeconds: 600, path: token }"), "{help}");
    let none = asked(Source::Kubernetes, environment(&[])).await.unwrap_err();
    assert_eq!(none.what(), "this pod has no token for Writ");
}

#[tokio::test]
async fn tokens_for_others_are_taken_only_where_they_fit_and_the_api_servers_never() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "var/run/secrets/kubernetes.io/serviceaccount/token", &of_pod("writ"));
    put(root.path(), "var/run/secrets/eks.amazonaws.com/serviceaccount/token", &of_pod("sts.amazonaws.com"));
    let ask = || asked(Source::Kubernetes, within(&[], root.path(), nowhere()));
    assert_eq!(ask().await.unwrap_err().what(), "this pod has no token for Writ");
    put(root.path(), "var/run/secrets/eks.amazonaws.com/serviceaccount/token", &of_pod("writ"));
    assert_eq!(ask().await.unwrap(), of_pod("writ"));
}

#[tokio::test]
async fn a_file_is_named_by_a_variable_or_a_flag() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("token");
    std::fs::write(&path, token_for("writ")).unwrap();
    let named = path.display().to_string();
    assert_eq!(asked(Source::File, environment(&[("WRIT_TOKEN_FILE", &named)])).await.unwrap(), token_for("writ"));
    assert_eq!(file(&path).await.unwrap(), token_for("writ"));
    // What is no JWT says nothing of itself.
    std::fs::write(&path, "opaque\n").unwrap();
    assert_eq!(file(&path).await.unwrap(), "opaque");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("token");
    let long = "x".repeat(LONGEST + 1);
    for (text, words) in [
        (token_for("other").as_str(), "is for `other`, not for `writ`"),
        (&token(&json!({ "exp": now() + 60 })), "names no audience"),
        (&token(&json!({ "aud": ["a", "b"] })), "is for `a`, `b`, not for `writ`"),
        (&token(&json!({ "aud": "writ", "exp": now() - 61 })), "ended 6"),
        ("", "gave nothing where a token should be"),
        (" \n", "gave nothing where a token should be"),
        ("two words", "is no token"),
        (&long, "is no token"),
    ] {
        std::fs::write(&path, text).unwrap();
        let fault = file(&path).await.unwrap_err();
        assert!(fault.what().contains(words), "{words}: {fault}");
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(file(&path).await.unwrap_err().what().contains("holds is no token"));
    assert!(file(root.path()).await.unwrap_err().what().contains("is no file"));
    assert!(file(&root.path().join("none")).await.unwrap_err().what().contains("cannot be read"));
    let misplaced = file(Path::new(&token_for("writ"))).await.unwrap_err();
    assert_eq!(misplaced.what(), "a token stands where a file should be named");
    // A clock that is a little ahead ends no token.
    std::fs::write(&path, token(&json!({ "aud": "writ", "exp": now() - 30 }))).unwrap();
    assert!(file(&path).await.is_ok());
}

#[test]
fn an_audience_is_one_word() {
    for wrong in ["", " ", "a b", "a\nb", "a\u{1b}", &"a".repeat(1025)] {
        assert!(Audience::new(wrong).is_err(), "{wrong:?}");
    }
    assert!(Audience::new("api://writ").is_ok());
}
