//! `/api/user/*`, `/api/keys` and the tokens that users bring: operation ids and parameters as in OpenHands' own
//! document, and the statuses that are ours beyond it.

use serde_json::{Value, json};
use shared::contract::Family;
use shared::contract::openhands::{InstallationsQuery, RepositoriesQuery, body, git_providers};
use shared::failure::Failure;
use shared::provider::ProviderType;

use super::failures::{Named, of_host, other_site, signed_in, too_large};
use super::operation::{
    Answer, Callers, JSON, Operation, if_none_match, in_path, in_query, list_of, reference,
};

pub(super) const LISTS: &str = "Lists";
pub(super) const CONNECTIONS: &str = "Keys and tokens";

const UNCHANGED: &str = "The list is what the client knows already.";

pub(super) fn operations() -> Vec<(&'static str, Operation)> {
    vec![
        ("GET /api/user/installations", installations()),
        ("GET /api/user/repositories", repositories()),
        ("GET /api/keys", keys()),
        ("POST /api/keys", new_key()),
        ("DELETE /api/keys/{id}", end_key()),
        ("POST /api/add-git-providers", add_providers()),
        ("POST /api/unset-provider-tokens", unset_providers()),
    ]
}

/// A reading that failed, as the failure that it is.
fn wrong<T>(name: &'static str, read: Result<T, Failure>) -> Option<Named> {
    read.err().map(|failure| (name, failure))
}

fn nullable(schema: &Value, title: &str) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }], "title": title })
}

fn installations() -> Operation {
    let mut provider = in_query("provider", "Whose installations.", &reference("ProviderType"));
    provider["required"] = json!(true);
    let wrong = [
        wrong("missing", InstallationsQuery::parse("")),
        wrong("unknown_provider", InstallationsQuery::parse("provider=nope")),
    ];
    Operation {
        id: "get_user_installations_api_user_installations_get",
        tag: LISTS,
        summary: "Get User Installations",
        description: "The ids of all installations of the caller at one provider, every page, in the host's order: \
                      GitHub's installation ids, Bitbucket's workspace slugs, the full paths of GitLab's top-level \
                      groups and, last, of the user's own namespace. `enterprise_sso` is the union over the hosts that \
                      the SSO brokers, `[]` where it brokers none; only of these may one be missing, and \
                      `X-Partial-Result` says so.",
        callers: Callers::SignedIn,
        parameters: vec![provider, if_none_match()],
        body: None,
        family: Family::OpenHands,
        answers: vec![
            Answer::new(200, "Successful Response")
                .json(json!({
                    "type": "array",
                    "items": { "type": "string" },
                    "title": "Response Get User Installations Api User Installations Get",
                }))
                .headers(&["ETag", "X-Partial-Result"])
                .links(json!({
                    "RepositoriesOfTheFirst": {
                        "operationId": "get_user_repositories_api_user_repositories_get",
                        "parameters": {
                            "selected_provider": "$request.query.provider",
                            "installation_id": "$response.body#/0",
                        },
                        "description": "The repositories of the first installation.",
                    },
                })),
            Answer::new(304, UNCHANGED).headers(&["ETag"]),
        ],
        failures: [
            signed_in(),
            of_host(ProviderType::Github),
            vec![too_large()],
            wrong.into_iter().flatten().collect(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

fn repositories() -> Operation {
    let wrong = [
        wrong("no_integers", RepositoriesQuery::parse("page=x&per_page=1.5")),
        wrong(
            "no_installation",
            RepositoriesQuery::parse("selected_provider=github&installation_id=octo-org"),
        ),
    ];
    let integer = json!({ "type": "integer" });
    Operation {
        id: "get_user_repositories_api_user_repositories_get",
        tag: LISTS,
        summary: "Get User Repositories",
        description: "The repositories that the caller reaches through installations: with `selected_provider` and \
                      `installation_id` that installation's page; with `selected_provider` alone all of that \
                      provider's; with neither those of all linked providers. Merged lists have no duplicates, are \
                      sorted over all hosts and capped at 10,000 after that; `X-Total-Count` says how many there are. \
                      With `page` or `per_page` a page of that list is answered, and `link_header` on each item leads \
                      to the next one.",
        callers: Callers::SignedIn,
        parameters: vec![
            in_query(
                "sort",
                "`pushed`, `updated` or `created`, newest first, or `full_name`, A to Z. Any other value means `pushed`.",
                &json!({ "type": "string", "default": "pushed", "title": "Sort" }),
            ),
            in_query(
                "selected_provider",
                "The one provider that is asked.",
                &nullable(&reference("ProviderType"), "Selected Provider"),
            ),
            in_query(
                "page",
                "The page: 1 where it is not given; what is less than 1 is 1.",
                &nullable(&integer, "Page"),
            ),
            in_query(
                "per_page",
                "The size of a page: 30 where it is not given; taken into 1 to 100.",
                &nullable(&integer, "Per Page"),
            ),
            in_query(
                "installation_id",
                "An installation of `selected_provider`, without which it has no meaning: GitHub's number, a Bitbucket \
                 workspace's slug or uuid in braces, the full path of a GitLab group.",
                &nullable(&json!({ "type": "string" }), "Installation Id"),
            ),
            if_none_match(),
        ],
        body: None,
        family: Family::OpenHands,
        answers: vec![
            Answer::new(200, "Successful Response")
                .json(json!({
                    "type": "array",
                    "items": reference("Repository"),
                    "title": "Response Get User Repositories Api User Repositories Get",
                }))
                .headers(&["ETag", "X-Partial-Result", "X-Total-Count", "X-Truncated"]),
            Answer::new(304, UNCHANGED).headers(&["ETag", "X-Total-Count", "X-Truncated"]),
        ],
        failures: [
            signed_in(),
            of_host(ProviderType::Github),
            vec![too_large()],
            wrong.into_iter().flatten().collect(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

fn keys() -> Operation {
    Operation {
        id: "list_api_keys",
        tag: CONNECTIONS,
        summary: "List API keys",
        description: "The caller's API keys, each by what tells it from others. No key is ever shown again.",
        callers: Callers::SignedIn,
        parameters: vec![if_none_match()],
        body: None,
        family: Family::OpenHands,
        answers: vec![
            Answer::new(200, "The keys.").json(list_of("ApiKey")).headers(&["ETag"]),
            Answer::new(304, UNCHANGED).headers(&["ETag"]),
        ],
        failures: signed_in(),
    }
}

fn new_key() -> Operation {
    let wrong = [
        wrong("no_body", body::name(Some(JSON), b"")),
        wrong("no_json", body::name(Some(JSON), b"{")),
        wrong("empty_name", body::name(Some(JSON), br#"{"name":""}"#)),
        wrong("unreadable", body::name(Some(JSON), &[b'"', 0xff])),
    ];
    let many = (
        "too_many_keys",
        Failure::Forbidden("there are 50 API keys, the most a user may have; end one first"),
    );
    Operation {
        id: "create_api_key",
        tag: CONNECTIONS,
        summary: "Make an API key",
        description: "The key is in this answer and in no other: the service keeps its SHA-256 only. A user may have \
                      50 keys.",
        callers: Callers::SignedIn,
        parameters: vec![],
        body: Some(json!({
            "required": true,
            "content": { JSON: { "schema": reference("NewApiKeyRequest"), "examples": { "laptop": { "value": { "name": "laptop" } } } } },
        })),
        family: Family::OpenHands,
        answers: vec![Answer::new(201, "The key.").json(reference("NewApiKey")).links(json!({
            "EndIt": {
                "operationId": "end_api_key",
                "parameters": { "id": "$response.body#/id" },
                "description": "Ends this key.",
            },
        }))],
        failures: [signed_in(), vec![other_site(), many], wrong.into_iter().flatten().collect()]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn end_key() -> Operation {
    Operation {
        id: "end_api_key",
        tag: CONNECTIONS,
        summary: "End an API key",
        description: "From now on the key proves nothing, also the one that this request was made with.",
        callers: Callers::SignedIn,
        parameters: vec![in_path(
            "id",
            "The key's `id`.",
            &json!({ "type": "string", "pattern": "^key_[0-9A-HJKMNP-TV-Z]{26}$" }),
        )],
        body: None,
        family: Family::OpenHands,
        answers: vec![Answer::new(204, "The key has ended.")],
        failures: [signed_in(), vec![other_site(), ("not_found", Failure::NotFound("API key"))]]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn add_providers() -> Operation {
    let given = |text: &str| git_providers::given_tokens(Some(JSON), text.as_bytes());
    let wrong = [
        wrong("no_body", given("")),
        wrong("unknown_provider", given(r#"{"provider_tokens":{"nope":{}}}"#)),
        wrong("token_is_no_text", given(r#"{"provider_tokens":{"github":{"token":5}}}"#)),
        wrong("unreadable", git_providers::given_tokens(Some(JSON), &[b'"', 0xff])),
    ];
    Operation {
        id: "store_provider_tokens_api_add_git_providers_post",
        tag: CONNECTIONS,
        summary: "Store Provider Tokens",
        description: "Tokens that the user brings. Each is verified at its own provider and host and sent nowhere else, \
                      then sealed; what is not named stays as it is. Either all are stored or none.",
        callers: Callers::SignedIn,
        parameters: vec![],
        body: Some(json!({
            "required": true,
            "content": { JSON: {
                "schema": reference("GitProviders"),
                "examples": { "gitlab": { "value": { "provider_tokens": { "gitlab": { "token": "glpat-..." } } } } },
            } },
        })),
        family: Family::OpenHands,
        answers: vec![
            Answer::new(200, "Every token is stored.").json(reference("Message")),
            Answer::new(400, "The operator does not allow that host.").json(reference("GitProvidersError")),
            Answer::new(401, "The provider does not accept the token.").json(reference("GitProvidersError")),
            Answer::new(409, "The account is another user's here, or another one is linked.")
                .json(reference("GitProvidersError")),
        ],
        failures: [
            signed_in(),
            vec![other_site()],
            of_host(ProviderType::Gitlab),
            wrong.into_iter().flatten().collect(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

fn unset_providers() -> Operation {
    Operation {
        id: "unset_provider_tokens_api_unset_provider_tokens_post",
        tag: CONNECTIONS,
        summary: "Unset Provider Tokens",
        description: "Forgets the caller's tokens at all providers, and what was remembered of their lists. Identities, \
                      sessions and keys stay.",
        callers: Callers::SignedIn,
        parameters: vec![],
        body: None,
        family: Family::OpenHands,
        answers: vec![Answer::new(200, "The caller has no token any more.").json(reference("Message"))],
        failures: [signed_in(), vec![other_site()]].into_iter().flatten().collect(),
    }
}
