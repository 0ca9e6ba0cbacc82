//! Credentials of Google Cloud: access and ID tokens of service accounts, logins to Cloud SQL.
