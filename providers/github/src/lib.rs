//! Installation tokens of a GitHub App, narrowed to repositories and permissions.
