//! One turn: who is due, a fresh password at the target, a login with it, and then the secret.
//!
//! The order is the point. Nothing that anybody uses changes before the last step, where the secret as it was read is the one in use;
//! and that step is a single act where the secret is kept. A turn that stops earlier leaves the due user with a password that nobody
//! knows; the next gives it another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::{Fingerprint, Secret};
use writ_core::provider::{Pending, ProviderFault};
use writ_core::rotation::{Reached, Rotation, Turn};
use writ_core::target::{Target, TargetName};
use writ_provider_source::{Fetched, PasswordSetter, SecretSource};

use crate::config::ConfigFault;
use crate::field::Fields;

/// The shortest time between turns.
const LEAST: Duration = Duration::from_hours(1);
/// And the longest.
const MOST: Duration = Duration::from_hours(24 * 366);

/// How a password is changed in turns.
#[derive(Debug, Clone)]
pub struct RotationSettings {
    /// The two users, whose rights are the same.
    pub users: Vec<String>,
    /// How often.
    pub every: Duration,
    /// What sets their passwords.
    pub setter: Arc<dyn PasswordSetter>,
}

impl RotationSettings {
    /// Checks what can be checked without the target.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(users: &[String], every: Duration, login: &str) -> Result<(), ConfigFault> {
        let [one, other] = users else {
            let text = format!("`users` names {}: write two, which take turns", users.len());
            return Err(ConfigFault::new(text));
        };
        if one == other {
            return Err(ConfigFault::new(format!("`users` names `{one}` twice: write two users, which take turns")));
        }
        for user in users {
            if user.is_empty() || user.chars().any(char::is_control) {
                return Err(ConfigFault::new("`users` holds an empty name, or one that is not plain text"));
            }
            if user == login {
                let text =
                    format!("`users` names `{user}`, the login that sets their passwords: write a login of its own");
                return Err(ConfigFault::new(text));
            }
        }
        if !(LEAST..=MOST).contains(&every) {
            return Err(ConfigFault::new("`every` is out of range: write `1h` to `366d`"));
        }
        Ok(())
    }
}

/// Changes the secret in turns.
pub(crate) struct Rotating {
    settings: RotationSettings,
    source: Arc<dyn SecretSource>,
    user_field: String,
    field: String,
}

impl fmt::Debug for Rotating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotating").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Rotating {
    pub(crate) fn new(
        settings: RotationSettings,
        source: Arc<dyn SecretSource>,
        user_field: String,
        field: String,
    ) -> Result<Self, ConfigFault> {
        RotationSettings::validate(&settings.users, settings.every, settings.setter.login())?;
        source.keeper()?;
        Ok(Self { settings, source, user_field, field })
    }

    /// The user in use, its password, and who is due by that.
    fn due(&self, fetched: &Fetched) -> Result<(String, Secret, &str), ProviderFault> {
        let place = self.source.named();
        let fields = Fields::of(Some(&self.field), &fetched.value, &place)?;
        let in_use = fields.text(&self.user_field)?;
        let password = fields.secret(&self.field)?;
        let others: Vec<&String> = self.settings.users.iter().filter(|user| **user != in_use).collect();
        match others[..] {
            [due] => Ok((in_use, password, due)),
            _ => Err(ProviderFault::Misconfigured(format!(
                "{place} names the user `{in_use}`, which takes no turns: put one of {} there, with its password",
                self.settings.users.iter().map(|user| format!("`{user}`")).collect::<Vec<_>>().join(" and ")
            ))),
        }
    }
}

impl Rotation for Rotating {
    fn every(&self) -> Duration {
        self.settings.every
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        limit: Duration,
    ) -> Pending<'a, Result<Box<dyn Turn + 'a>, ProviderFault>> {
        Box::pin(async move {
            let found = self.source.fetch(&target.name, None, limit).await?;
            let (in_use, password, due) = self.due(&found)?;
            let turn = OneTurn { rotating: self, target: &target.name, in_use, password, due, found, at: At::Begun };
            Ok(Box::new(turn) as Box<dyn Turn + 'a>)
        })
    }
}

/// How far a turn is, with what it needs to go on.
enum At {
    Begun,
    Set(Secret),
    Verified(Secret),
    Over,
}

struct OneTurn<'a> {
    rotating: &'a Rotating,
    target: &'a TargetName,
    in_use: String,
    password: Secret,
    due: &'a str,
    found: Fetched,
    at: At,
}

impl Turn for OneTurn<'_> {
    fn in_use(&self) -> &str {
        &self.in_use
    }

    fn due(&self) -> &str {
        self.due
    }

    fn found(&self) -> Fingerprint {
        Fingerprint::of_source(&self.found.label)
    }

    fn try_in_use(&self, limit: Duration) -> Pending<'_, Result<(), ProviderFault>> {
        self.rotating.settings.setter.verify(&self.in_use, &self.password, limit)
    }

    fn step(&mut self, limit: Duration) -> Pending<'_, Result<Reached, ProviderFault>> {
        Box::pin(async move {
            let setter = &self.rotating.settings.setter;
            // A step that fails, or is given up, is the turn's last.
            match std::mem::replace(&mut self.at, At::Over) {
                At::Begun => {
                    self.at = At::Set(setter.set(self.due, limit).await?);
                    Ok(Reached::Set)
                }
                At::Set(password) => {
                    setter.verify(self.due, &password, limit).await?;
                    self.at = At::Verified(password);
                    Ok(Reached::Verified)
                }
                At::Verified(password) => {
                    let label = self.switch(&password, limit).await?;
                    Ok(Reached::Switched(Fingerprint::of_source(&label)))
                }
                At::Over => Err(ProviderFault::Refused("the turn is over: begin another".to_owned())),
            }
        })
    }
}

impl OneTurn<'_> {
    /// Puts user and password into the secret, whose other fields stay; unless somebody else changed it since it was read.
    async fn switch(&self, password: &Secret, limit: Duration) -> Result<String, ProviderFault> {
        let Rotating { source, user_field, field, .. } = self.rotating;
        let place = source.named();
        let now = source.fetch(self.target, None, limit / 2).await?;
        if now.value != self.found.value || now.label != self.found.label {
            let text = format!("{place} was changed by somebody else meanwhile: it is left as it is");
            return Err(ProviderFault::Refused(text));
        }
        let mut fields = Fields::of(Some(field), &now.value, &place)?;
        fields.put(user_field, self.due.as_bytes());
        fields.put(field, password.expose());
        let value = fields.written()?;
        let keeper = source.keeper().map_err(|fault| ProviderFault::Misconfigured(fault.to_string()))?;
        keeper.replace(self.target, &now, &value, limit / 2).await
    }
}
