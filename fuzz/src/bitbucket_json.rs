//! What Bitbucket answers: workspaces, repositories, users, errors; several answers in turn as pages of one listing.
//! What of it is shown is decided by the service.

use std::collections::HashSet;

use shared::fuzzing::bitbucket::{asked, page, user};
use shared::provider::ProviderError;
use shared::provider::bitbucket::classify;
use shared::provider::upstream::Answer;

use crate::hosts::url;
use crate::message;

/// Between the pages of a listing.
const SEPARATOR: &[u8] = b"\n---\n";

/// Whatever pages say, only addresses below the API are asked, each once, and not for ever.
pub fn run(data: &[u8]) {
    let mut answers: Vec<Answer> = Vec::new();
    let mut rest = data;
    while answers.len() < 8 {
        let end = rest.windows(SEPARATOR.len()).position(|part| part == SEPARATOR);
        answers.push(message::answer(end.map_or(rest, |end| &rest[..end])));
        let Some(end) = end else { break };
        rest = &rest[end + SEPARATOR.len()..];
    }
    for answer in &answers {
        if let Ok((workspaces, repositories, length)) = page(answer) {
            assert!(workspaces.len() <= length && repositories.len() <= length);
            assert!(workspaces.iter().all(|name| !name.is_empty()));
            assert!(repositories.iter().all(|one| !one.id.is_empty() && !one.full_name.is_empty()));
        }
        if let Ok(user) = user(answer) {
            assert!(user.id.is_empty() || !user.login.is_empty());
        }
        if answer.status.as_u16() != 200 {
            let meaning = classify(answer);
            assert_eq!(meaning == ProviderError::Unauthorized, answer.status.as_u16() == 401);
        }
    }
    let api = url("https://api.bitbucket.test/2.0");
    let first = url("https://api.bitbucket.test/2.0/user/workspaces?role=member&sort=created_on");
    let asked = asked(&api, &first, &answers);
    assert!(asked.len() <= 1_000, "a listing without end");
    let mut seen = HashSet::new();
    for address in &asked {
        assert_eq!(address.origin(), api.origin(), "{address}");
        assert!(address.path().starts_with("/2.0/"), "{address}");
        assert!(address.username().is_empty() && address.password().is_none());
        assert!(seen.insert(address.as_str()), "{address} is asked for twice");
    }
}
