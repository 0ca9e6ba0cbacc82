//! Credentials of Microsoft Entra: tokens for Azure's resources, and logins to its databases.
