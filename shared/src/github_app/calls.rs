//! Calls that are signed as the App: a JWT on each, another one once when GitHub does not accept it.
//! What another JWT would be is decided in `app`; calls with users' tokens are `provider::github`'s.

use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::app::GithubApp;
use crate::failure::Failure;
use crate::provider::ProviderType;
use crate::provider::github::{ErrorBody, Github, bearer, with_defaults};
use crate::provider::upstream::{Answer, Budget, Call};

impl GithubApp {
    /// A GET signed as the App. An answer of any status but 401 is `Ok`: where GitHub does not accept our
    /// own proof, the fault is the service's, and no caller can mend it by signing in again.
    ///
    /// # Errors
    /// [`Failure`] when the App's secret fails, or GitHub does not answer or does not accept the App.
    pub async fn get(
        &self,
        github: &Github,
        url: Url,
        headers: HeaderMap,
        budget: &Budget,
    ) -> Result<Answer, Failure> {
        let jwt = self.jwt().await?;
        let mut headers = headers;
        with_defaults(&mut headers);
        let send = async |token: &secrecy::SecretString| {
            let host_error = |error| Failure::Provider { provider: ProviderType::Github, error };
            let mut headers = headers.clone();
            headers.insert(AUTHORIZATION, bearer(token).map_err(host_error)?);
            let call = Call { method: Method::GET, url: url.clone(), headers, body: None };
            github.upstream().call(ProviderType::Github, &call, budget).await.map_err(host_error)
        };
        let answer = send(jwt.token()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let refusal: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
        let date = answer.header(DATE.as_str());
        let answer = match self.jwt_after_refusal(&jwt, &refusal.message, date).await? {
            Some(other) => send(other.token()).await?,
            None => answer,
        };
        if answer.status == StatusCode::UNAUTHORIZED {
            let refusal: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
            let text = format!("GitHub does not accept the App's JWT: {}", refusal.message);
            return Err(Failure::Internal(text));
        }
        Ok(answer)
    }
}
