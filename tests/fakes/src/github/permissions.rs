//! The permissions of an App, as the published description has them (`app-permissions`).

const READ_WRITE: &[&str] = &["read", "write"];
const ALL: &[&str] = &["read", "write", "admin"];
const READ: &[&str] = &["read"];
const WRITE: &[&str] = &["write"];

/// Each, with its levels.
const KNOWN: &[(&str, &[&str])] = &[
    ("actions", READ_WRITE),
    ("administration", READ_WRITE),
    ("checks", READ_WRITE),
    ("codespaces", READ_WRITE),
    ("contents", READ_WRITE),
    ("dependabot_secrets", READ_WRITE),
    ("deployments", READ_WRITE),
    ("email_addresses", READ_WRITE),
    ("environments", READ_WRITE),
    ("followers", READ_WRITE),
    ("git_ssh_keys", READ_WRITE),
    ("gpg_keys", READ_WRITE),
    ("interaction_limits", READ_WRITE),
    ("issues", READ_WRITE),
    ("members", READ_WRITE),
    ("metadata", READ_WRITE),
    ("organization_administration", READ_WRITE),
    ("organization_announcement_banners", READ_WRITE),
    ("organization_copilot_seat_management", WRITE),
    ("organization_custom_org_roles", READ_WRITE),
    ("organization_custom_properties", ALL),
    ("organization_custom_roles", READ_WRITE),
    ("organization_events", READ),
    ("organization_hooks", READ_WRITE),
    ("organization_packages", READ_WRITE),
    ("organization_personal_access_token_requests", READ_WRITE),
    ("organization_personal_access_tokens", READ_WRITE),
    ("organization_plan", READ),
    ("organization_projects", ALL),
    ("organization_secrets", READ_WRITE),
    ("organization_self_hosted_runners", READ_WRITE),
    ("organization_user_blocking", READ_WRITE),
    ("packages", READ_WRITE),
    ("pages", READ_WRITE),
    ("profile", WRITE),
    ("pull_requests", READ_WRITE),
    ("repository_custom_properties", READ_WRITE),
    ("repository_hooks", READ_WRITE),
    ("repository_projects", ALL),
    ("secret_scanning_alerts", READ_WRITE),
    ("secrets", READ_WRITE),
    ("security_events", READ_WRITE),
    ("single_file", READ_WRITE),
    ("starring", READ_WRITE),
    ("statuses", READ_WRITE),
    ("team_discussions", READ_WRITE),
    ("vulnerability_alerts", READ_WRITE),
    ("workflows", WRITE),
];

/// Whether there is such a permission, with such a level.
pub(super) fn is_known(name: &str, level: &str) -> bool {
    KNOWN.iter().any(|(known, levels)| *known == name && levels.contains(&level))
}

/// Whether who has `has` has `asked`.
pub(super) fn covers(has: &str, asked: &str) -> bool {
    let height = |level: &str| ALL.iter().position(|known| *known == level);
    height(has) >= height(asked) && height(asked).is_some()
}
