//! All repositories that an installation reaches, with a token that is made for this one question.
//! What a user reaches through it is `provider::github`'s to ask, with the user's token.

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{failed, readable};
use crate::failure::Failure;
use crate::github_app::GithubApp;
use crate::provider::github::{Github, MAX_PER_PAGE, classify, further, parse_json};
use crate::provider::paging::Remaining;
use crate::provider::token::FixedToken;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ForbiddenReason, ProviderError};
use crate::store::NamedRepository;

/// Pages that are asked for at once: nobody waits for this list, and GitHub asks for patience
/// (reference: GitHub 1.7).
const AT_ONCE: usize = 5;

/// What an installation reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallationReach {
    /// All its repositories, in GitHub's order, each once.
    Repositories(Vec<NamedRepository>),
    /// Nothing for now: it is suspended.
    Suspended,
    /// There is no such installation (any more). GitHub has been seen to say so for a moment in error:
    /// [`GithubApp::installation`] is to be asked before anything is forgotten.
    Gone,
}

#[derive(Deserialize)]
struct Created {
    token: SecretString,
}

#[derive(Deserialize)]
struct Page {
    total_count: u64,
    repositories: Vec<Box<RawValue>>,
}

impl GithubApp {
    /// All repositories that an installation reaches; the first page tells how many there are.
    ///
    /// # Errors
    /// [`Failure`] when we cannot act as the App, or any page fails: a cut list would look like a whole one.
    pub async fn installation_repositories(
        &self,
        github: &Github,
        id: u64,
        budget: &Budget,
    ) -> Result<InstallationReach, Failure> {
        let reached = async {
            let token = self.installation_token(github, id, budget).await?;
            all(github, &token, budget).await.map_err(|error| match error {
                // The proof is ours, and no user's sign-in mends it.
                CallError::Host(ProviderError::Unauthorized) => {
                    Failure::Internal("GitHub does not accept an installation's token".to_owned())
                }
                error => error.into(),
            })
        };
        match reached.await {
            Ok(repositories) => Ok(InstallationReach::Repositories(repositories)),
            Err(Failure::Provider { error: ProviderError::NotFound, .. }) => Ok(InstallationReach::Gone),
            Err(Failure::Provider {
                error: ProviderError::Forbidden(ForbiddenReason::Suspended), ..
            }) => Ok(InstallationReach::Suspended),
            Err(failure) => Err(failure),
        }
    }

    /// A token of an installation, which GitHub may not know everywhere for a second.
    async fn installation_token(
        &self,
        github: &Github,
        id: u64,
        budget: &Budget,
    ) -> Result<FixedToken, Failure> {
        let path = ["app", "installations", &id.to_string(), "access_tokens"];
        let answer = self.post(github, &path, budget).await?;
        if answer.status != StatusCode::CREATED {
            return Err(failed(classify(&answer, &self.clock)));
        }
        let Created { token } = parse_json(&answer).map_err(failed)?;
        Ok(FixedToken::fresh(token))
    }
}

async fn all(
    github: &Github,
    token: &FixedToken,
    budget: &Budget,
) -> Result<Vec<NamedRepository>, CallError> {
    let (first, last_page) = page(github, token, 1, budget).await?;
    let mut remaining = Remaining::new(first.total_count, MAX_PER_PAGE, last_page);
    let mut repositories = items(&first);
    while let Some(batch) = remaining.batch() {
        let mut pages =
            stream::iter(batch).map(|number| page(github, token, number, budget)).buffered(AT_ONCE);
        while let Some(answer) = pages.next().await {
            let (answer, last_page) = answer?;
            remaining.saw(answer.repositories.len(), last_page);
            repositories.extend(items(&answer));
        }
    }
    let mut seen = HashSet::new();
    repositories.retain(|repository| seen.insert(repository.id));
    Ok(repositories)
}

async fn page(
    github: &Github,
    token: &FixedToken,
    number: u32,
    budget: &Budget,
) -> Result<(Page, u32), CallError> {
    let url = github.url(
        &["installation", "repositories"],
        &[("per_page", &MAX_PER_PAGE.to_string()), ("page", &number.to_string())],
    );
    let (page, answer) = github.get_json::<_, Page>(url, token, budget).await?;
    Ok((page, further(answer.header("link"), number)))
}

fn items(page: &Page) -> Vec<NamedRepository> {
    readable(&page.repositories, "repository").0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_odd_repository_only_what_identifies_it_is_needed() {
        let page: Page = serde_json::from_str(
            r#"{"total_count": 5, "repositories": [
                {"id": 1, "full_name": "o/a", "private": false, "owner": null, "license": 5},
                {"id": 2, "full_name": "o/b"},
                {"id": 3, "full_name": "o/c", "private": true},
                {"id": "4", "full_name": "o/d"}, null]}"#,
        )
        .unwrap();
        let found = items(&page);
        let shown: Vec<_> = found.iter().map(|one| (one.id, one.full_name.as_str(), one.private)).collect();
        assert_eq!(shown, [(1, "o/a", false), (2, "o/b", true), (3, "o/c", true)]);
    }
}
