//! Issuers of CI systems.

use super::*;

fn github() -> Value {
    json!({
        "iss": "https://token.actions.githubusercontent.com",
        "sub": "repo:octo-org/octo-repo:environment:prod",
        "repository": "octo-org/octo-repo", "repository_id": "74", "repository_owner": "octo-org",
        "repository_owner_id": "65", "repository_visibility": "private", "environment": "prod",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true", "sha": "f00d", "base_ref": "",
        "head_ref": "", "event_name": "workflow_dispatch", "actor": "octocat", "actor_id": "12",
        "workflow": "deploy", "workflow_ref": "octo-org/octo-repo/.github/workflows/deploy.yml@refs/heads/main",
        "workflow_sha": "beef", "job_workflow_ref": "octo-org/shared/.github/workflows/oidc.yml@refs/tags/v1",
        "job_workflow_sha": "cafe", "run_id": "3001", "run_number": "10", "run_attempt": "2",
        "runner_environment": "github-hosted",
    })
}

#[test]
fn a_github_job_has_named_attributes() {
    let verifier = verifier_for(json!({"preset": "github-actions"}));
    let ci = read(&verifier, &github()).claims["ci"].clone();
    assert_eq!(
        ci,
        json!({
            "platform": "github", "owner": "octo-org", "owner_id": "65", "repository": "octo-org/octo-repo",
            "repository_id": "74", "visibility": "private", "ref": "refs/heads/main", "ref_type": "branch",
            "ref_protected": true, "environment": "prod", "event": "workflow_dispatch",
            "workflow": "octo-org/octo-repo/.github/workflows/deploy.yml",
            "definition": "octo-org/shared/.github/workflows/oidc.yml", "definition_ref": "refs/tags/v1",
            "definition_sha": "cafe", "commit": "f00d", "actor": "octocat", "actor_id": "12", "run": "3001",
            "self_hosted": false,
        })
    );
}

#[test]
fn github_subjects_come_in_several_forms() {
    let verifier = verifier_for(json!({"preset": "github-actions"}));
    for subject in [
        "repo:octo-org/octo-repo:ref:refs/heads/main",
        "repo:octo-org/octo-repo:pull_request",
        "repo:octo-org@65/octo-repo@74:environment:prod",
        "repo:octo-org@65/octo-repo@74:ref:refs/tags/v1",
        "job_workflow_ref:octo-org/shared/.github/workflows/oidc.yml@refs/tags/v1",
        "repository_owner_id:65:repository_visibility:private",
    ] {
        assert_eq!(outcome(&verifier, &signed(&with(github(), json!({"sub": subject})))), "accepted", "{subject}");
    }
}

#[test]
fn what_is_nearly_a_github_job_is_refused() {
    let verifier = verifier_for(json!({"preset": "github-actions"}));
    near_misses(
        &verifier,
        &github(),
        &[
            (json!({"iss": "https://token.actions.githubusercontent.com/"}), "identity.unknown_issuer"),
            (json!({"iss": "https://token.actions.githubusercontent.com/octo"}), "identity.unknown_issuer"),
            (json!({"sub": "repo:octo-org/octo-repo-2:environment:prod"}), "identity.shape"),
            (json!({"sub": "repo:octo-org@66/octo-repo@74:environment:prod"}), "identity.shape"),
            (json!({"sub": "repo:octo-org@65/octo-repo@75:environment:prod"}), "identity.shape"),
            (json!({"sub": "repo:octo-org@65/octo-repo:environment:prod"}), "identity.shape"),
            (json!({"repository": "evil-org/octo-repo"}), "identity.shape"),
            (json!({"repository": "octo-org/octo-repo/x"}), "identity.shape"),
            (json!({"repository_owner": "octo"}), "identity.shape"),
            (json!({"repository_id": 74}), "identity.malformed_claim"),
            (json!({"repository_id": "74a"}), "identity.malformed_claim"),
            (json!({"repository_owner_id": null}), "identity.missing_claim"),
            (json!({"event_name": null}), "identity.missing_claim"),
            (json!({"runner_environment": "cloud"}), "identity.malformed_claim"),
            (json!({"job_workflow_ref": "octo-org/shared/oidc.yml@refs/tags/v1"}), "identity.malformed_claim"),
            (json!({"job_workflow_ref": "octo-org/shared/.github/workflows/oidc.yml"}), "identity.malformed_claim"),
            (json!({"ci": {"environment": "prod"}}), "identity.shape"),
            (json!({"aud": "https://github.com/octo-org"}), "identity.audience"),
        ],
    );
}

#[test]
fn a_token_of_another_enterprise_is_refused() {
    let verifier = verifier_for(json!({"preset": "github-actions", "tenant": "octo"}));
    let own = json!({"iss": "https://token.actions.githubusercontent.com/octo", "enterprise": "octo"});
    assert_eq!(outcome(&verifier, &signed(&with(github(), own.clone()))), "accepted");
    let other = with(with(github(), own), json!({"enterprise": "evil"}));
    assert_eq!(outcome(&verifier, &signed(&other)), "identity.shape");
    assert_eq!(outcome(&verifier, &signed(&github())), "identity.unknown_issuer");
}

#[test]
fn what_an_outsider_may_have_written_is_marked() {
    let verifier = verifier_for(json!({"preset": "github-actions"}));
    for event in ["pull_request", "pull_request_target", "workflow_run"] {
        let workload = read(&verifier, &with(github(), json!({"event_name": event})));
        assert_eq!(workload.claims["ci"]["exposures"], json!([event]));
    }
    let workload = read(&verifier, &with(github(), json!({"event_name": "push"})));
    assert!(workload.claims["ci"].get("exposures").is_none());
}

fn gitlab() -> Value {
    json!({
        "iss": "https://gitlab.com", "sub": "project_path:my-group/sub/my-project:ref_type:branch:ref:main",
        "namespace_id": "72", "namespace_path": "my-group/sub", "project_id": "20", "project_path": "my-group/sub/my-project",
        "user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com",
        "user_identities": [{"provider": "github", "extern_uid": "2435223452345"}], "pipeline_id": "574",
        "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main",
        "ref_protected": "true", "groups_direct": ["my-group"], "environment": "production", "environment_protected": "false",
        "deployment_tier": "production", "runner_id": 1, "runner_environment": "gitlab-hosted", "sha": "7149",
        "ci_config_ref_uri": "gitlab.com/my-group/sub/my-project//.gitlab-ci.yml@refs/heads/main", "ci_config_sha": "7149",
        "project_visibility": "private",
    })
}

#[test]
fn a_gitlab_job_has_named_attributes() {
    let verifier = verifier_for(json!({"preset": "gitlab"}));
    let ci = read(&verifier, &gitlab()).claims["ci"].clone();
    for (name, value) in [
        ("repository", json!("my-group/sub/my-project")),
        ("repository_id", json!("20")),
        ("owner_id", json!("72")),
        ("ref", json!("refs/heads/main")),
        ("ref_protected", json!(true)),
        ("environment_protected", json!(false)),
        ("event", json!("push")),
    ] {
        assert_eq!(ci[name], value, "{name}");
    }
    let merge = read(&verifier, &with(gitlab(), json!({"pipeline_source": "merge_request_event"})));
    assert_eq!(merge.claims["ci"]["exposures"], json!(["merge_request"]));
    for (changes, expected) in [
        (json!({"ref_path": null}), "refs/heads/main"),
        (json!({"ref_type": "tag", "ref": "v1", "ref_path": "refs/tags/v1"}), "refs/tags/v1"),
        (json!({"ref": "topic", "ref_path": "refs/merge-requests/7/head"}), "refs/merge-requests/7/head"),
    ] {
        assert_eq!(read(&verifier, &with(gitlab(), changes)).claims["ci"]["ref"], json!(expected));
    }
    let by_id = with(gitlab(), json!({"sub": "project_id:20:ref_type:branch:ref:main"}));
    assert_eq!(outcome(&verifier, &signed(&by_id)), "accepted");
}

#[test]
fn what_is_nearly_a_gitlab_job_is_refused() {
    let verifier = verifier_for(json!({"preset": "gitlab"}));
    near_misses(
        &verifier,
        &gitlab(),
        &[
            (json!({"iss": "https://gitlab.com/"}), "identity.unknown_issuer"),
            (json!({"iss": "gitlab.com"}), "identity.unknown_issuer"),
            (json!({"sub": "project_path:my-group/sub/other:ref_type:branch:ref:main"}), "identity.shape"),
            (json!({"sub": "project_id:21:ref_type:branch:ref:main"}), "identity.shape"),
            (json!({"sub": "ref:main"}), "identity.shape"),
            (json!({"namespace_path": "my-group/su"}), "identity.shape"),
            (json!({"project_path": "my-group/sub/"}), "identity.shape"),
            (json!({"project_id": 20}), "identity.malformed_claim"),
            (json!({"project_id": null}), "identity.missing_claim"),
            (json!({"ref_protected": "yes"}), "identity.malformed_claim"),
            (json!({"ref_type": "merge"}), "identity.malformed_claim"),
            (json!({"ref_path": "refs/heads/other"}), "identity.shape"),
            (json!({"ref_type": "tag"}), "identity.shape"),
            (json!({"runner_environment": null}), "identity.missing_claim"),
            (json!({"pipeline_source": null}), "identity.missing_claim"),
            (json!({"exp": NOW + 7200}), "identity.lifetime"),
        ],
    );
}

fn buildkite() -> Value {
    json!({
        "iss": "https://agent.buildkite.com", "jti": null,
        "sub": "organization:acme-inc:pipeline:super-duper-app:ref:refs/heads/main:commit:9f3182061f1e2cca4702c368cbc039b7dc9d4485:step:build",
        "organization_slug": "acme-inc", "organization_id": "0184990a-477b-4fa8-9968-496074483cee",
        "pipeline_slug": "super-duper-app", "pipeline_id": "0184990a-477b-4fa8-9968-496074483k77", "build_number": 1,
        "build_branch": "main", "build_commit": "9f31", "build_source": "ui", "step_key": "build",
        "job_id": "0184990a-4782-42b5-afc1-16715b10b8ff", "agent_id": "0184990a-4775-4ae2-a2f9-e3b1d2f8f4f1",
        "runner_environment": "self-hosted",
    })
}

#[test]
fn a_buildkite_job_has_named_attributes_and_near_misses_are_refused() {
    let verifier = verifier_for(json!({"preset": "buildkite"}));
    let good = buildkite();
    let ci = read(&verifier, &good).claims["ci"].clone();
    assert_eq!((&ci["repository"], &ci["ref"]), (&json!("acme-inc/super-duper-app"), &json!("refs/heads/main")));
    let fork = read(&verifier, &with(good.clone(), json!({"build_branch": "mallory:main"})));
    assert_eq!(fork.claims["ci"]["exposures"], json!(["pull_request"]));
    near_misses(
        &verifier,
        &good,
        &[
            (json!({"iss": "https://agent.buildkite.com/"}), "identity.unknown_issuer"),
            (json!({"iss": "https://buildkite.com"}), "identity.unknown_issuer"),
            (json!({"sub": "organization:acme-inc:pipeline:other:ref:refs/heads/main"}), "identity.shape"),
            (json!({"sub": "organization:acme-inc-2:pipeline:super-duper-app:ref:x"}), "identity.shape"),
            (json!({"sub": "organization:acme-inc"}), "identity.shape"),
            (json!({"organization_slug": "acme"}), "identity.shape"),
            (json!({"pipeline_slug": null}), "identity.missing_claim"),
            (json!({"build_branch": null}), "identity.missing_claim"),
            (json!({"job_id": 7}), "identity.malformed_claim"),
            (json!({"step_key": ["build"]}), "identity.malformed_claim"),
            (json!({"aud": "https://buildkite.com/acme-inc"}), "identity.audience"),
        ],
    );
}

const ORGANIZATION: &str = "bc67c3ac-10ff-4efc-b0de-5a9c5b1a5b1b";
const PROJECT: &str = "6f26b4b5-4b0e-4f8e-9f1e-5f2a2a1a0c0d";

fn circleci() -> Value {
    json!({
        "iss": format!("https://oidc.circleci.com/org/{ORGANIZATION}"),
        "sub": format!("org/{ORGANIZATION}/project/{PROJECT}/user/0f9f3c3c-6a1f-4c3b-9a54-0b0e8f6b2b11/vcs-origin/github.com/acme/app/vcs-ref/refs/heads/main"),
        "oidc.circleci.com/org-id": ORGANIZATION, "oidc.circleci.com/project-id": PROJECT,
        "oidc.circleci.com/pipeline-id": "p", "oidc.circleci.com/job-id": "j", "oidc.circleci.com/ssh-rerun": false,
        "oidc.circleci.com/vcs-origin": "github.com/acme/app", "oidc.circleci.com/vcs-ref": "refs/heads/main",
        "oidc.circleci.com/context-ids": ["c1"],
    })
}

#[test]
fn a_circleci_job_has_named_attributes_and_near_misses_are_refused() {
    let verifier = verifier_for(json!({"preset": "circleci", "tenant": ORGANIZATION}));
    let ci = read(&verifier, &circleci()).claims["ci"].clone();
    assert_eq!((&ci["repository_id"], &ci["ref"]), (&json!(PROJECT), &json!("refs/heads/main")));
    let shell = read(&verifier, &with(circleci(), json!({"oidc.circleci.com/ssh-rerun": true})));
    assert_eq!(shell.claims["ci"]["exposures"], json!(["ssh_rerun"]));
    let other = "00000000-0000-0000-0000-000000000000";
    near_misses(
        &verifier,
        &circleci(),
        &[
            (json!({"iss": "https://oidc.circleci.com"}), "identity.unknown_issuer"),
            (json!({"iss": format!("https://oidc.circleci.com/org/{other}")}), "identity.unknown_issuer"),
            (json!({"sub": format!("org/{other}/project/{PROJECT}/user/u")}), "identity.shape"),
            (json!({"sub": format!("org/{ORGANIZATION}/project/{other}/user/u")}), "identity.shape"),
            (json!({"sub": format!("project/{PROJECT}")}), "identity.malformed_claim"),
            (json!({"sub": "org"}), "identity.malformed_claim"),
            (json!({"oidc.circleci.com/org-id": other}), "identity.shape"),
            (json!({"oidc.circleci.com/project-id": other}), "identity.shape"),
            (json!({"oidc.circleci.com/project-id": null}), "identity.missing_claim"),
            (json!({"oidc.circleci.com/project-id": "app"}), "identity.malformed_claim"),
            (json!({"oidc.circleci.com/ssh-rerun": "maybe"}), "identity.malformed_claim"),
        ],
    );
}

fn bitbucket() -> Value {
    let (repository, step) = ("{c1b3e6b1-1111-4a3b-8c2d-000000000001}", "{c1b3e6b1-2222-4a3b-8c2d-000000000002}");
    let environment = "{c1b3e6b1-3333-4a3b-8c2d-000000000003}";
    json!({
        "iss": "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc",
        "sub": format!("{repository}:{environment}:{step}"), "repositoryUuid": repository, "stepUuid": step,
        "workspaceUuid": "{c1b3e6b1-4444-4a3b-8c2d-000000000004}", "deploymentEnvironmentUuid": environment,
        "pipelineUuid": "{c1b3e6b1-5555-4a3b-8c2d-000000000005}", "branchName": "main",
    })
}

#[test]
fn a_bitbucket_step_has_named_attributes_and_near_misses_are_refused() {
    let verifier = verifier_for(json!({"preset": "bitbucket", "tenant": "acme"}));
    let ci = read(&verifier, &bitbucket()).claims["ci"].clone();
    assert_eq!(ci["repository_id"], bitbucket()["repositoryUuid"]);
    assert_eq!(ci["environment"], bitbucket()["deploymentEnvironmentUuid"]);
    let repository = bitbucket()["repositoryUuid"].clone();
    near_misses(
        &verifier,
        &bitbucket(),
        &[
            (
                json!({"iss": "https://api.bitbucket.org/2.0/workspaces/evil/pipelines-config/identity/oidc"}),
                "identity.unknown_issuer",
            ),
            (json!({"iss": "https://bitbucket.org"}), "identity.unknown_issuer"),
            (json!({"sub": repository}), "identity.shape"),
            (json!({"sub": "{}:{}:{}"}), "identity.shape"),
            (json!({"repositoryUuid": "c1b3e6b1-1111-4a3b-8c2d-000000000001"}), "identity.malformed_claim"),
            (json!({"repositoryUuid": "{c1b3e6b1-1111-4a3b-8c2d-000000000009}"}), "identity.shape"),
            (json!({"repositoryUuid": null}), "identity.missing_claim"),
            (json!({"stepUuid": null}), "identity.missing_claim"),
            (json!({"workspaceUuid": "acme"}), "identity.malformed_claim"),
            (json!({"deploymentEnvironmentUuid": null}), "identity.shape"),
            (json!({"deploymentEnvironmentUuid": "prod"}), "identity.malformed_claim"),
        ],
    );
}

fn terraform() -> Value {
    json!({
        "iss": "https://app.terraform.io", "sub": "organization:acme:project:core:workspace:network:run_phase:apply",
        "terraform_organization_id": "org-GRNbCjYNpBB6NEBH", "terraform_organization_name": "acme",
        "terraform_project_id": "prj-vegSA59s1XPwMr2t", "terraform_project_name": "core",
        "terraform_workspace_id": "ws-mbsd5E3Ktt5Rg2Xm", "terraform_workspace_name": "network",
        "terraform_full_workspace": "organization:acme:project:core:workspace:network",
        "terraform_run_id": "run-X3n1AUXNGWbfECsJ", "terraform_run_phase": "apply",
    })
}

#[test]
fn a_terraform_run_has_named_attributes_and_near_misses_are_refused() {
    let verifier = verifier_for(json!({"preset": "terraform-cloud"}));
    let ci = read(&verifier, &terraform()).claims["ci"].clone();
    assert_eq!((&ci["repository_id"], &ci["environment"]), (&json!("ws-mbsd5E3Ktt5Rg2Xm"), &json!("apply")));
    near_misses(
        &verifier,
        &terraform(),
        &[
            (json!({"iss": "https://app.terraform.io/"}), "identity.unknown_issuer"),
            (json!({"sub": "organization:acme:project:core:workspace:network:run_phase:plan"}), "identity.shape"),
            (json!({"sub": "organization:acme:project:core:workspace:other:run_phase:apply"}), "identity.shape"),
            (json!({"terraform_run_phase": "plan"}), "identity.shape"),
            (json!({"terraform_run_phase": "destroy"}), "identity.malformed_claim"),
            (json!({"terraform_organization_name": "evil"}), "identity.shape"),
            (json!({"terraform_project_name": null}), "identity.shape"),
            (json!({"terraform_workspace_name": "network:run_phase:apply"}), "identity.shape"),
            (json!({"terraform_workspace_id": null}), "identity.missing_claim"),
            (json!({"terraform_organization_id": null}), "identity.missing_claim"),
            (json!({"terraform_run_id": 7}), "identity.malformed_claim"),
        ],
    );
}
