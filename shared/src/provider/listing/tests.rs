//! Order, duplicates, the cap, pages, and what counts as success.

use proptest::prelude::*;

use super::*;
use crate::provider::ForbiddenReason;

const SORTS: [Sort; 4] = [Sort::Pushed, Sort::Updated, Sort::Created, Sort::FullName];

fn repository(provider: ProviderType, id: &str, name: &str, date: Option<&str>) -> Repository {
    Repository {
        id: id.to_owned(),
        full_name: name.to_owned(),
        provider,
        is_public: false,
        stargazers_count: None,
        pushed_at: date.map(str::to_owned),
        updated_at: date.map(str::to_owned),
        created_at: date.map(str::to_owned),
        owner_type: None,
        main_branch: None,
    }
}

fn on_github(id: &str, name: &str, date: Option<&str>) -> Repository {
    repository(ProviderType::Github, id, name, date)
}

fn ids(repositories: &[Repository]) -> Vec<&str> {
    repositories.iter().map(|repository| repository.id.as_str()).collect()
}

fn listing(repositories: Vec<Repository>) -> Listing {
    Listing { repositories, missing: Vec::new() }
}

#[test]
fn times_are_compared_as_instants_and_no_time_is_last() {
    let repositories = vec![
        on_github("never", "a", None),
        on_github("broken", "b", Some("yesterday")),
        on_github("15:47:09", "c", Some("2024-05-16T08:47:09-07:00")),
        on_github("15:30", "d", Some("2024-05-16T15:30:00Z")),
        on_github("15:47:09.5", "e", Some("2024-05-16T15:47:09.5Z")),
        on_github("15:00", "f", Some("2024-05-17T01:00:00+10:00")),
    ];
    for sort in [Sort::Pushed, Sort::Updated, Sort::Created] {
        let sorted = order(repositories.clone(), sort);
        assert_eq!(ids(&sorted), ["15:47:09.5", "15:47:09", "15:30", "15:00", "never", "broken"], "{sort:?}");
    }
}

#[test]
fn names_are_ordered_without_regard_to_case_and_times_do_not_matter() {
    let repositories = vec![
        on_github("1", "b/x", Some("2024-05-16T15:30:00Z")),
        on_github("2", "A/z", None),
        on_github("3", "a/Y", None),
        on_github("4", "B/w", Some("2025-05-16T15:30:00Z")),
    ];
    assert_eq!(ids(&order(repositories, Sort::FullName)), ["3", "2", "4", "1"]);
}

#[test]
fn equal_names_of_several_hosts_keep_one_order() {
    let repositories = vec![
        repository(ProviderType::Gitlab, "1", "a/x", None),
        on_github("10", "a/x", None),
        on_github("9", "a/x", None),
    ];
    assert_eq!(ids(&order(repositories, Sort::FullName)), ["9", "10", "1"]);
}

#[test]
fn a_duplicate_is_the_same_id_at_the_same_host() {
    let sorted = listing(vec![
        on_github("1", "a/x", None),
        on_github("1", "a/renamed", None),
        repository(ProviderType::Gitlab, "1", "a/x", None),
    ])
    .sorted(Sort::FullName);
    assert_eq!((sorted.total, ids(&sorted.repositories)), (2, vec!["1", "1"]));
    assert_eq!(sorted.repositories[0].full_name, "a/x", "the first one stays");
}

#[test]
fn the_list_is_cut_after_sorting_and_the_total_is_from_before() {
    let total = LONGEST + 25;
    let repositories = (0..total).map(|number| {
        let date = OffsetDateTime::from_unix_timestamp(1_700_000_000 + i64::try_from(number).unwrap());
        on_github(&number.to_string(), "a/x", date.unwrap().format(&Rfc3339).ok().as_deref())
    });
    let sorted = listing(repositories.collect()).sorted(Sort::Pushed);
    assert_eq!((sorted.repositories.len(), sorted.total), (LONGEST, total));
    assert_eq!(sorted.repositories[0].id, (total - 1).to_string());
    assert_eq!(sorted.repositories[LONGEST - 1].id, "25");
}

#[test]
fn a_page_behind_the_end_is_empty_and_numbers_do_not_overflow() {
    let three = || (1..=3).map(|id| on_github(&id.to_string(), "a/x", None)).collect::<Vec<_>>();
    assert_eq!(page(three(), 1, 3), (three(), false));
    assert_eq!(page(three(), 2, 3), (vec![], false));
    assert_eq!(page(three(), u32::MAX, u32::MAX), (vec![], false));
    assert_eq!(page(three(), 0, 0), (three()[..1].to_vec(), true), "nonsense is the smallest page");
    assert_eq!(page(vec![], 1, 30), (vec![], false));
}

#[test]
fn one_hosts_failure_is_noted_and_all_hosts_failure_is_the_answer() {
    let failed = || Err(CallError::Host(ProviderError::Forbidden(ForbiddenReason::Plain)));
    let missing = Missing {
        provider: ProviderType::Github,
        installation: Some("5002".to_owned()),
        cause: ProviderError::NotFound.into(),
    };
    let found =
        || Ok(Listing { repositories: vec![on_github("1", "a/x", None)], missing: vec![missing.clone()] });
    let merged = merge(vec![(ProviderType::Gitlab, failed()), (ProviderType::Github, found())]).unwrap();
    assert_eq!(merged.repositories.len(), 1);
    let host = Missing {
        provider: ProviderType::Gitlab,
        installation: None,
        cause: ProviderError::Forbidden(ForbiddenReason::Plain).into(),
    };
    assert_eq!(merged.missing, [host, missing.clone()]);

    let late = || Err(CallError::Token(TokenError::Expired));
    let error = merge(vec![(ProviderType::Github, late()), (ProviderType::Gitlab, failed())]).unwrap_err();
    assert!(matches!(error, (_, CallError::Token(TokenError::Expired))), "the first one's: {error:?}");
    assert!(merge(Vec::new()).unwrap().repositories.is_empty());
}

#[test]
fn a_missing_token_counts_as_the_hosts_refusal_and_what_is_our_own_fault_is_not_the_hosts() {
    for (error, status) in [
        (TokenError::NotLinked, 401),
        (TokenError::Expired, 401),
        (TokenError::BrokerExpired, 401),
        (TokenError::Host(ProviderError::Timeout), 504),
        (TokenError::Broker(ProviderError::Timeout), 504),
        (TokenError::Unavailable("x".to_owned()), 503),
        (TokenError::Internal("x".to_owned()), 500),
    ] {
        assert_eq!(cause(&CallError::Token(error.clone())).status(), status, "{error}");
    }
}

/// Few different values, so that equal ones meet.
fn any_repository() -> impl Strategy<Value = Repository> {
    let date = prop::option::of(prop::sample::select(vec![
        "2024-05-16T08:47:09-07:00",
        "2024-05-16T15:47:09Z",
        "2024-05-16T15:30:00Z",
        "2024-05-17T01:00:00+10:00",
        "nonsense",
    ]));
    let provider = prop::sample::select(ProviderType::ALL.to_vec());
    (provider, 0_u8..12, "[aAbB]{1,2}/[xX]", date)
        .prop_map(|(provider, id, name, date)| repository(provider, &id.to_string(), &name, date))
}

fn instant(repository: &Repository) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(repository.pushed_at.as_deref()?, &Rfc3339).ok()
}

proptest! {
    #[test]
    fn the_order_does_not_depend_on_who_answered_first(
        (repositories, shuffled) in prop::collection::vec(any_repository(), 0..20)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        // Without duplicates: of two with one id the first that was found stays, whatever its fields say.
        let mut seen = HashSet::new();
        let unique = |all: Vec<Repository>, seen: &mut HashSet<_>| -> Vec<Repository> {
            all.into_iter().filter(|one| seen.insert((one.provider, one.id.clone()))).collect()
        };
        let repositories = unique(repositories, &mut seen);
        let shuffled: Vec<_> = shuffled.into_iter().filter(|one| repositories.contains(one)).collect();
        let shuffled = unique(shuffled, &mut HashSet::new());
        for sort in SORTS {
            let (one, other) = (order(repositories.clone(), sort), order(shuffled.clone(), sort));
            prop_assert_eq!(one, other, "{:?}", sort);
        }
    }

    #[test]
    fn nothing_is_lost_but_duplicates_and_newer_never_comes_after_older(
        repositories in prop::collection::vec(any_repository(), 0..30),
    ) {
        let mut expected: Vec<_> = repositories.iter().map(|one| (one.provider, one.id.clone())).collect();
        expected.sort();
        expected.dedup();
        let sorted = listing(repositories).sorted(Sort::Pushed);
        let mut found: Vec<_> = sorted.repositories.iter().map(|one| (one.provider, one.id.clone())).collect();
        found.sort();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(sorted.total, sorted.repositories.len());
        for pair in sorted.repositories.windows(2) {
            prop_assert!(instant(&pair[0]) >= instant(&pair[1]), "{:?}", pair);
        }
    }

    #[test]
    fn the_pages_of_a_list_are_the_list(count in 0_usize..60, per_page in 1_u32..40) {
        let all: Vec<_> = (0..count).map(|id| on_github(&id.to_string(), "a/x", None)).collect();
        let mut found = Vec::new();
        for number in 1.. {
            let (items, more) = page(all.clone(), number, per_page);
            prop_assert!(items.len() <= per_page as usize);
            found.extend(items);
            if !more {
                break;
            }
        }
        prop_assert_eq!(found, all);
    }
}
