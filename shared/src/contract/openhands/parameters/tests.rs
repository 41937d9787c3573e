//! What the two queries accept, and what FastAPI says about the rest.

use proptest::prelude::*;

use super::{InstallationsQuery, RepositoriesQuery};
use crate::contract::Family;
use crate::contract::testing::{body, wire};
use crate::provider::{ProviderType, Sort};

fn repositories(raw_query: &str) -> RepositoriesQuery {
    RepositoriesQuery::parse(raw_query).expect(raw_query)
}

fn refused(raw_query: &str) -> String {
    body(&Family::OpenHands.failure(&RepositoriesQuery::parse(raw_query).expect_err(raw_query)))
}

#[test]
fn provider_is_required_and_exact() {
    let given = |raw_query| InstallationsQuery::parse(raw_query).map(|query| query.provider);
    assert_eq!(given("provider=gitlab").expect("a provider"), ProviderType::Gitlab);
    assert_eq!(
        given("provider=nope&provider=enterprise_sso").expect("the last"),
        ProviderType::EnterpriseSso
    );
    let missing = given("Provider=github").expect_err("another name");
    insta::assert_snapshot!(wire(&Family::OpenHands.failure(&missing)), @r#"
    422 Unprocessable Entity
    cache-control: no-store
    content-type: application/json
    vary: Cookie, Authorization, X-Session-API-Key
    x-content-type-options: nosniff

    {"detail":[{"type":"missing","loc":["query","provider"],"msg":"Field required","input":null}]}
    "#);
    for (raw_query, input) in [
        ("provider", ""),
        ("provider=", ""),
        ("provider=GitHub", "GitHub"),
        ("provider=github+", "github "),
        ("provider=azure_devops", "azure_devops"),
        ("provider=null", "null"),
        ("provider=%22%0A", "\\\"\\n"),
    ] {
        let failure = given(raw_query).expect_err(raw_query);
        assert_eq!(
            body(&Family::OpenHands.failure(&failure)),
            format!(
                r#"{{"detail":[{{"type":"enum","loc":["query","provider"],"msg":"Input should be 'github', 'gitlab', 'bitbucket' or 'enterprise_sso'","input":"{input}","ctx":{{"expected":"'github', 'gitlab', 'bitbucket' or 'enterprise_sso'"}}}}]}}"#
            )
        );
    }
}

#[test]
fn nothing_is_required_of_repositories() {
    assert_eq!(repositories(""), RepositoriesQuery::default());
    assert_eq!(repositories("unknown=1&PAGE=x").paging(), None);
}

#[test]
fn an_unknown_sort_means_pushed() {
    assert_eq!(repositories("sort=full_name").sort, Sort::FullName);
    for raw_query in ["sort=", "sort=stars", "sort=Updated", "sort=updated&sort=x"] {
        assert_eq!(repositories(raw_query).sort, Sort::Pushed, "{raw_query}");
    }
}

#[test]
fn page_and_per_page_are_clamped() {
    let paging = |raw_query: &str| repositories(raw_query).paging().expect(raw_query);
    assert_eq!(paging("page=0&per_page=0"), (1, 1));
    assert_eq!(paging("page=-5&per_page=-99999999999999999999"), (1, 1));
    assert_eq!(paging("page=1_0.0&per_page=%2B0100"), (10, 100));
    assert_eq!(paging("page=2&per_page=101"), (2, 100));
    assert_eq!(paging(&format!("page={}", "9".repeat(4300))), (10_000_000, 30));
    assert_eq!(paging("per_page=50"), (1, 50));
    assert_eq!(paging("selected_provider=github&installation_id=5001"), (1, 30));
}

#[test]
fn a_page_above_100_is_reached() {
    assert_eq!(repositories("page=1500&per_page=1").paging(), Some((1500, 1)));
}

#[test]
fn all_problems_are_listed_in_declaration_order() {
    assert_eq!(
        refused("installation_id=x&per_page=&page=1.5&selected_provider=nope"),
        r#"{"detail":[{"type":"enum","loc":["query","selected_provider"],"msg":"Input should be 'github', 'gitlab', 'bitbucket' or 'enterprise_sso'","input":"nope","ctx":{"expected":"'github', 'gitlab', 'bitbucket' or 'enterprise_sso'"}},{"type":"int_parsing","loc":["query","page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"1.5"},{"type":"int_parsing","loc":["query","per_page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":""}]}"#
    );
    assert_eq!(
        refused("installation_id=5001/../../user&page=x&selected_provider=github"),
        r#"{"detail":[{"type":"int_parsing","loc":["query","page"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"},{"type":"string_pattern_mismatch","loc":["query","installation_id"],"msg":"String should match pattern '^[0-9]{1,19}$'","input":"5001/../../user","ctx":{"pattern":"^[0-9]{1,19}$"}}]}"#
    );
}

#[test]
fn more_than_4300_digits_are_refused_in_pydantics_words() {
    let digits = "1".repeat(4301);
    assert_eq!(
        refused(&format!("page={digits}")),
        format!(
            r#"{{"detail":[{{"type":"int_parsing_size","loc":["query","page"],"msg":"Unable to parse input string as an integer, exceeded maximum size","input":"{digits}"}}]}}"#
        )
    );
}

#[test]
fn an_installation_belongs_to_a_provider() {
    assert_eq!(repositories("installation_id=../x").installation_id, None);
    assert_eq!(repositories("installation_id=&selected_provider=github").installation_id, None);
    let query = repositories("installation_id=0042&selected_provider=github");
    assert_eq!(query.installation_id.as_deref(), Some("42"));
}

proptest! {
    #[test]
    fn no_query_makes_the_parser_panic(raw_query in "([a-z_]{0,17}=?.{0,6}&?){0,5}") {
        let _ = RepositoriesQuery::parse(&raw_query);
        let _ = InstallationsQuery::parse(&raw_query);
    }

    #[test]
    fn pages_never_overflow(page in any::<i128>(), per_page in any::<i128>()) {
        let (page, per_page) = repositories(&format!("page={page}&per_page={per_page}")).paging().expect("both given");
        prop_assert!((1..=100).contains(&per_page));
        prop_assert!(page >= 1 && page.checked_mul(per_page).is_some());
    }
}
