//! The App as one thing: its secret, read when needed, and the JWTs made from it.
//! What to do after GitHub's refusal of a JWT is decided here and nowhere else (reference: github, 1.8).

use std::sync::Arc;

use super::credentials::AppCredentials;
use super::jwt::{AppJwt, IssuedJwt, SigningFailed, is_clock_skew, is_unknown_key, verify};
use crate::clock::Clock;
use crate::secrets::{Secret, Secrets, SecretsError};

/// Why we cannot act as the App.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GithubAppError {
    /// Its secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretsError),
    /// Its key does not sign.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

/// The GitHub App that this service is.
#[derive(Debug)]
pub struct GithubApp {
    secret: Secret<AppCredentials>,
    issuer: AppJwt,
    pub(super) clock: Clock,
}

impl GithubApp {
    /// The App whose secret has this name; nothing is read yet.
    #[must_use]
    pub fn new(secrets: Secrets, secret_id: &str, clock: Clock) -> Self {
        Self { secret: Secret::new(secrets, secret_id), issuer: AppJwt::new(clock.clone()), clock }
    }

    /// The App's credentials.
    ///
    /// # Errors
    /// [`SecretsError`]: they cannot be read, and never could.
    pub async fn credentials(&self) -> Result<Arc<AppCredentials>, SecretsError> {
        self.secret.get().await
    }

    /// The credentials, read again because a signature failed (not more than every ten seconds).
    ///
    /// # Errors
    /// [`SecretsError`]: they cannot be read, and never could.
    pub async fn refreshed_credentials(&self) -> Result<Arc<AppCredentials>, SecretsError> {
        self.secret.refresh().await
    }

    /// A JWT to send to GitHub.
    ///
    /// # Errors
    /// [`GithubAppError`]: the secret or its key does not do its part.
    pub async fn jwt(&self) -> Result<Arc<IssuedJwt>, GithubAppError> {
        let app = self.credentials().await?;
        Ok(self.issuer.issue(&app)?)
    }

    /// What to send instead of a JWT that GitHub answered with 401, its `message` and its `Date` header;
    /// `None` if another JWT would not help. To be asked once per call: a second refusal is the answer.
    ///
    /// # Errors
    /// [`GithubAppError`]: the secret or its key does not do its part.
    pub async fn jwt_after_refusal(
        &self,
        refused: &IssuedJwt,
        message: &str,
        date: Option<&str>,
    ) -> Result<Option<Arc<IssuedJwt>>, GithubAppError> {
        if is_clock_skew(message) {
            return match date {
                Some(date) if self.issuer.repair_clock(date) => self.jwt().await.map(Some),
                _ => Ok(None),
            };
        }
        if !is_unknown_key(message) {
            return Ok(None);
        }
        self.issuer.refuse(refused);
        let app = self.secret.refresh().await?;
        let other = self.issuer.issue(&app)?;
        Ok((other.key() != refused.key()).then_some(other))
    }

    /// Whether this is a JWT of our own App. Where no key fits, the secret is read again first:
    /// a key that was added a minute ago is one of ours.
    ///
    /// # Errors
    /// [`SecretsError`] if the secret cannot be read; inside, the rule that the JWT breaks.
    pub async fn verify(&self, token: &str) -> Result<Result<(), &'static str>, SecretsError> {
        let now = self.clock.unix();
        match verify(&*self.credentials().await?, token, now) {
            Err(reason) if is_unknown_key(reason) => {
                Ok(verify(&*self.refreshed_credentials().await?, token, now))
            }
            verdict => Ok(verdict),
        }
    }
}

#[cfg(test)]
mod tests;
