//! What GitHub answers, to users' tokens and to the App: installations, repositories, deliveries, errors.
//! What of it is kept or shown is decided by the service.

use shared::fuzzing::{github, github_app};
use shared::provider::github::{Listed, RepositoryDetails, classify, entity_tag};
use shared::provider::{ProviderError, Repository};

use crate::hosts::HOSTS;
use crate::message;

/// What identifies an item is there, no count makes a listing endless, and what failed is an error.
pub fn run(data: &[u8]) {
    let answer = message::answer(data);
    let clock = &HOSTS.clock;
    let page = 3;
    if let Ok((repositories, _, last)) = github::repositories::<Repository>(&answer, page, clock) {
        assert!(last >= page && answer.status.as_u16() == 200);
        for repository in repositories {
            assert!(repository.id.parse::<u64>().is_ok());
            assert!(!repository.full_name.is_empty() || answer.body.windows(2).any(|pair| pair == b"\"\""));
        }
    }
    if let Ok((details, _, _)) = github::repositories::<RepositoryDetails>(&answer, page, clock) {
        assert!(details.iter().all(|repository| !repository.name.trim().is_empty()));
    }
    if let Ok(list) = github::installations(&answer, clock) {
        for installation in list.installations {
            let name = installation.account.as_ref().and_then(|account| account.name());
            assert!(name.is_none_or(|name| name.len() <= answer.body.len()));
        }
    }
    if let Ok(page) = github_app::installations(&answer, page, clock) {
        assert!(page.last_page >= 3 && page.installations.len() + page.unreadable <= answer.body.len());
    }
    if let Ok(page) = github_app::deliveries(&answer, Some("v1_1"), clock) {
        assert_ne!(page.next.as_deref(), Some("v1_1"), "a page is its own successor");
    }
    let app = github_app::app(&answer, clock);
    if answer.status.as_u16() != 200 {
        assert!(app.is_err(), "an error is no App");
        let meaning = classify(&answer, clock);
        assert_eq!(meaning == ProviderError::Unauthorized, answer.status.as_u16() == 401);
    }
    if let Ok(text) = std::str::from_utf8(&answer.body) {
        if let Some(seconds) = github::unix_seconds(text) {
            assert!((-377_705_203_200..=253_402_387_139).contains(&seconds), "{text} is {seconds}");
        }
        if let Some(repository) = <Repository as Listed>::read(text) {
            assert!(repository.id.parse::<u64>().is_ok());
        }
    }
    if let Some(tag) =
        entity_tag::predict(answer.header("vary").unwrap_or("*"), &answer.headers, &answer.body)
    {
        assert_eq!(tag.len(), 66);
    }
}
