//! What GitLab answers: groups, projects, the headers that say what follows, errors.
//! What of it is shown is decided by the service.

use shared::fuzzing::gitlab::{ReadPage, groups, projects, ranges};
use shared::link_header;
use shared::provider::gitlab::classify;
use shared::provider::{ProviderError, ProviderType};
use url::Url;

use crate::hosts::HOSTS;
use crate::message;

const AFTER: u64 = 41;

/// No listing goes in a circle, and none goes on by a link that leads off the configured API.
pub fn run(data: &[u8]) {
    let answer = message::answer(data);
    let gitlab = &HOSTS.gitlab;
    if let Ok(page) = groups(gitlab, &answer, AFTER) {
        walked(&page, answer.header("link"));
    }
    if let Ok(page) = projects(gitlab, &answer, AFTER) {
        walked(&page, answer.header("link"));
        for (number, repository) in &page.items {
            assert_eq!(repository.id, number.to_string());
            assert_eq!(repository.provider, ProviderType::Gitlab);
        }
        if let (Some(first), Some(last)) = (page.items.first(), page.items.last()) {
            ranged(first.0, last.0);
        }
    }
    if answer.status.as_u16() != 200 {
        let meaning = classify(&answer, &HOSTS.clock);
        assert_eq!(meaning == ProviderError::Unauthorized, answer.status.as_u16() == 401);
    }
}

fn walked<I>(page: &ReadPage<I>, link: Option<&str>) {
    assert!(page.items.len() <= page.length);
    if let Ok(Some(behind)) = page.behind {
        assert!(behind > AFTER && page.has_next, "a listing goes back");
    }
    if page.linked_id.is_some() {
        let target = link.and_then(|link| link_header::target(link, "next")).expect("a link");
        let target = Url::parse(target).expect("an address");
        assert_eq!(target.origin(), HOSTS.gitlab.host().base.origin(), "a link off the host was read");
        assert!(target.path().starts_with("/below/api/v4/"), "{target}");
    }
}

/// The ranges cover every id above the first, each once or twice at a seam, and there are few.
fn ranged(after: u64, newest: u64) {
    let ranges = ranges(after, newest);
    assert!((1..=32).contains(&ranges.len()), "{after} {newest}");
    assert_eq!(ranges[0].0, after);
    assert_eq!(ranges[ranges.len() - 1].1, None, "the newest may be newer");
    for pair in ranges.windows(2) {
        let end = pair[0].1.expect("a range with another behind it ends");
        assert!(end > pair[1].0, "between {pair:?} an id is lost");
    }
}
