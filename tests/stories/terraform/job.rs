//! Jobs of GitHub's: the one that the plans name, and those that nearly are it.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use writ_fakes::issuer::Issuer;

/// A job: its repository with its owner, what its subject ends in, what started it, from where, and which file says what it does.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) owner: (&'a str, &'a str),
    pub(super) repository: (&'a str, &'a str),
    pub(super) context: &'a str,
    pub(super) event: &'a str,
    pub(super) reference: &'a str,
    /// In the repository's own directory of workflows.
    pub(super) workflow: &'a str,
    /// The file that the workflow calls, where the job is in that one.
    pub(super) reusable: Option<&'a str>,
}

/// The job that the plans name.
pub(super) const fn job() -> Job<'static> {
    Job {
        owner: ("octo-org", "65"),
        repository: ("octo-repo", "74"),
        context: "environment:production",
        event: "push",
        reference: "refs/heads/main",
        workflow: "deploy.yml",
        reusable: None,
    }
}

impl Job<'_> {
    pub(super) fn subject(&self) -> String {
        let Self { owner: (owner, owner_id), repository: (name, id), context, .. } = self;
        format!("repo:{owner}@{owner_id}/{name}@{id}:{context}")
    }

    /// Where the repository asks GitHub for subjects that name the file.
    pub(super) fn subject_with_file(&self) -> String {
        format!("{}:job_workflow_ref:{}", self.subject(), self.job_workflow_ref())
    }

    /// [`Self::claims`], where it does.
    pub(super) fn claims_with_file(&self, issuer: &Issuer, audience: &str) -> Value {
        let mut claims = self.claims(issuer, audience);
        claims["sub"] = json!(self.subject_with_file());
        claims
    }

    fn reference(&self) -> &str {
        self.context.strip_prefix("ref:").unwrap_or(self.reference)
    }

    fn workflow_ref(&self) -> String {
        let Self { owner: (owner, _), repository: (name, _), workflow, .. } = self;
        format!("{owner}/{name}/.github/workflows/{workflow}@{}", self.reference())
    }

    fn job_workflow_ref(&self) -> String {
        self.reusable.map_or_else(|| self.workflow_ref(), str::to_owned)
    }

    /// As GitHub writes them, consistent with each other.
    pub(super) fn claims(&self, issuer: &Issuer, audience: &str) -> Value {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let Self { owner: (owner, owner_id), repository: (name, id), context, event, .. } = self;
        let mut claims = issuer.claims(audience, &self.subject());
        let more = json!({
            "jti": format!("job-{}", SERIAL.fetch_add(1, Ordering::Relaxed)),
            "repository": format!("{owner}/{name}"), "repository_id": id,
            "repository_owner": owner, "repository_owner_id": owner_id, "repository_visibility": "private",
            "ref": self.reference(), "ref_type": "branch", "ref_protected": "true",
            "sha": "9f3182061f1e2cca4702c368cbc039b7dc9d4485", "base_ref": "", "head_ref": "", "event_name": event,
            "actor": "octocat", "actor_id": "12", "workflow": "deploy",
            "workflow_ref": self.workflow_ref(), "job_workflow_ref": self.job_workflow_ref(),
            "run_id": "3001", "run_number": "10", "run_attempt": "1", "runner_environment": "github-hosted",
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if let Some(environment) = context.strip_prefix("environment:") {
            claims["environment"] = json!(environment);
        }
        claims
    }
}

/// Jobs that are nearly the one that is let in, by their repository and what their subject ends in.
pub(super) fn near_misses() -> Vec<(&'static str, Job<'static>)> {
    let right = job();
    vec![
        ("another repository", Job { repository: ("octo-repo2", "75"), ..right }),
        ("a repository that got the name", Job { repository: ("octo-repo", "75"), ..right }),
        ("an owner that got the name", Job { owner: ("octo-org", "66"), ..right }),
        ("a fork", Job { owner: ("mallory", "99"), repository: ("octo-repo", "100"), ..right }),
        ("another environment", Job { context: "environment:staging", ..right }),
        ("an environment that begins like it", Job { context: "environment:production2", ..right }),
        ("an environment in other letters", Job { context: "environment:Production", ..right }),
        ("a branch without the environment", Job { context: "ref:refs/heads/main", ..right }),
        ("a tag", Job { context: "ref:refs/tags/production", ..right }),
    ]
}

/// And by the file that says what they do, or the branch that it is from: the environment is the same.
pub(super) fn other_files() -> Vec<(&'static str, Job<'static>)> {
    let right = job();
    let reusable = |file| Job { reusable: Some(file), ..right };
    vec![
        ("another workflow", Job { workflow: "lint.yml", ..right }),
        ("another branch", Job { reference: "refs/heads/feature", ..right }),
        ("a pull request", Job { event: "pull_request", reference: "refs/pull/7/merge", ..right }),
        ("a reusable workflow", reusable("octo-org/workflows/.github/workflows/deploy.yml@refs/heads/main")),
        ("a fork's of the same name", reusable("mallory/octo-repo/.github/workflows/deploy.yml@refs/heads/main")),
        ("its own at another commit", reusable("octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main2")),
    ]
}

/// And by what started them alone: the file is the one that is named, from its branch.
pub(super) fn other_events() -> Vec<(&'static str, Job<'static>)> {
    ["pull_request", "pull_request_target", "workflow_run", "issue_comment", "merge_group"]
        .map(|event| (event, Job { event, ..job() }))
        .to_vec()
}
