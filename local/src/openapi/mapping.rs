//! `/api/users/{user_id}/installations`: the mapping's rows, as Neptun's web UI reads them.
//! The types of rows and errors are `shared::contract::neptun`'s.

use serde_json::{Value, json};
use shared::contract::Family;
use shared::failure::Failure;
use shared::provider::ProviderType;

use super::failures::{of_host, other_site, signed_in, too_large};
use super::operation::{Answer, Callers, Operation, if_none_match, in_path, list_of};

pub(super) const TAG: &str = "Mapping";

pub(super) fn operations() -> Vec<(&'static str, Operation)> {
    vec![
        ("GET /api/users/{user_id}/installations", list()),
        ("DELETE /api/users/{user_id}/installations/{installation_id}", remove()),
        ("GET /api/users/{user_id}/installations/{installation_id}/imports", imports()),
    ]
}

fn user_id() -> Value {
    in_path(
        "user_id",
        "The caller's own id, which `/auth/session` tells. Another user's is answered as one that does not exist.",
        &json!({ "type": "string", "pattern": "^usr_[0-9A-HJKMNP-TV-Z]{26}$" }),
    )
}

fn installation_id() -> Value {
    in_path(
        "installation_id",
        "The row's `id`.",
        &json!({ "type": "integer", "format": "int64", "minimum": 1 }),
    )
}

fn list() -> Operation {
    Operation {
        id: "get_user_github_app_installations",
        tag: TAG,
        summary: "Get GitHub App Installations",
        description: "Retrieves all GitHub App installations associated with a specific user: `[]` if there are none. \
                      The rows follow what webhooks, the user's own lists and reconciliation tell.",
        callers: Callers::SignedIn,
        parameters: vec![user_id(), if_none_match()],
        body: None,
        family: Family::Neptun,
        answers: vec![
            Answer::new(200, "Successfully retrieved installations.").json(list_of("GithubAppInstallation")).headers(&["ETag"]).links(json!({
                "ImportsOfTheFirst": {
                    "operationId": "get_user_github_app_installation_imports",
                    "parameters": { "user_id": "$request.path.user_id", "installation_id": "$response.body#/0/id" },
                    "description": "The repositories of the first installation.",
                },
            })),
            Answer::new(304, "The rows are what the client knows already.").headers(&["ETag"]),
        ],
        failures: [signed_in(), vec![("not_found", Failure::NotFound("User"))]].into_iter().flatten().collect(),
    }
}

fn remove() -> Operation {
    Operation {
        id: "delete_user_github_app_installation",
        tag: TAG,
        summary: "Remove an installation's row",
        description: "The user's row goes; the installation at GitHub stays, and the row comes back when the user's own \
                      token shows it again.",
        callers: Callers::SignedIn,
        parameters: vec![user_id(), installation_id()],
        body: None,
        family: Family::Neptun,
        answers: vec![Answer::new(200, "The row is gone.").json(json!({ "const": true }))],
        failures: [signed_in(), vec![other_site(), ("not_found", Failure::NotFound("Installation"))]]
            .into_iter()
            .flatten()
            .collect(),
    }
}

fn imports() -> Operation {
    Operation {
        id: "get_user_github_app_installation_imports",
        tag: TAG,
        summary: "List what can be imported",
        description: "The repositories of the row's installation that GitHub shows to the user's own token, whole and in \
                      GitHub's order, up to what one answer carries; `X-Total-Count` says how many there are.",
        callers: Callers::SignedIn,
        parameters: vec![user_id(), installation_id(), if_none_match()],
        body: None,
        family: Family::Neptun,
        answers: vec![
            Answer::new(200, "The repositories.").json(list_of("GithubRepositoryImport")).headers(&[
                "ETag",
                "X-Total-Count",
                "X-Truncated",
            ]),
            Answer::new(304, "The list is what the client knows already.").headers(&[
                "ETag",
                "X-Total-Count",
                "X-Truncated",
            ]),
        ],
        failures: [
            signed_in(),
            vec![("not_found", Failure::NotFound("Installation")), too_large()],
            of_host(ProviderType::Github),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}
