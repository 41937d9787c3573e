//! `/user/installations` and `/users/{username}/installation`: GitHub's own operations and schemas.
//! What GitHub answers is in `github_schemas.json`; only our own refusals are described here.

use serde_json::json;
use shared::contract::Family;
use shared::contract::github::{ListQuery, Username, errors::jwt};
use shared::failure::{CredentialProblem, Failure};
use shared::provider::ProviderType;

use super::failures::{of_host, signed_in, too_large};
use super::operation::{Answer, Callers, Operation, if_none_match, in_header, in_path, in_query, reference};

pub(super) const TAG: &str = "GitHub";

/// What is carried on of GitHub's headers, and what says that a copy is answered.
const HEADERS: [&str; 17] = [
    "ETag",
    "Last-Modified",
    "Link",
    "Retry-After",
    "Age",
    "Cache-Status",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Used",
    "X-RateLimit-Reset",
    "X-RateLimit-Resource",
    "X-GitHub-Request-Id",
    "X-GitHub-Media-Type",
    "X-GitHub-SSO",
    "X-GitHub-Api-Version-Selected",
    "Deprecation",
    "Sunset",
];

pub(super) fn operations() -> Vec<(&'static str, Operation)> {
    vec![("GET /user/installations", list()), ("GET /users/{username}/installation", of_user())]
}

fn carried_on() -> Vec<serde_json::Value> {
    vec![
        in_header(
            "X-GitHub-Api-Version",
            "GitHub's: the API version that is asked for.",
            &json!({ "type": "string" }),
        ),
        if_none_match(),
    ]
}

/// GitHub's refusals pass through as they are, whichever it gives.
fn refusals() -> [Answer; 7] {
    let passes = |status: &str, description| {
        Answer::of(status, description).json(reference("BasicError")).headers(&HEADERS)
    };
    [
        passes("400", "GitHub does not have the API version that is asked for."),
        passes("401", "GitHub does not accept the token."),
        passes("403", "GitHub refuses, or its rate limit is reached."),
        passes("404", "GitHub does not know it, or does not show it."),
        passes("422", "GitHub does not accept a parameter."),
        passes("429", "GitHub's rate limit is reached."),
        passes("4XX", "Whatever else GitHub refuses with: its answer passes through."),
    ]
}

fn list() -> Operation {
    let wrong = ListQuery::parse("page=x&per_page=1.5").err().map(|failure| ("no_integers", failure));
    let mut answers: Vec<Answer> = refusals().into();
    answers.extend([
        Answer::new(200, "One page of the installations, in GitHub's own bytes.")
            .json(reference("InstallationList"))
            .headers(&HEADERS),
        Answer::new(304, "Nothing has changed.").headers(&HEADERS),
    ]);
    let mut parameters = vec![
        in_query(
            "per_page",
            "The size of a page; more than 100 is 100, less than 1 is 30.",
            &json!({ "type": "integer", "default": 30 }),
        ),
        in_query("page", "The page; less than 1 is 1.", &json!({ "type": "integer", "default": 1 })),
    ];
    parameters.extend(carried_on());
    Operation {
        id: "apps/list-installations-for-authenticated-user",
        tag: TAG,
        summary: "List app installations accessible to the user access token",
        description: "GitHub's own answer for the caller: byte by byte, with its `ETag` and rate limit, `Link` \
                      rewritten to this service. The `Accept` of the request is carried on (the old \
                      `application/vnd.github.machine-man-preview+json` too). What a signed-in user is shown repairs \
                      their rows of the mapping. While GitHub is down, the caller's last good copy is answered, with \
                      `Age` and `Cache-Status`.",
        callers: Callers::GithubUser,
        parameters,
        body: None,
        family: Family::Github,
        answers,
        failures: [
            signed_in(),
            of_host(ProviderType::Github),
            vec![too_large()],
            wrong.into_iter().collect(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

fn of_user() -> Operation {
    let wrong = Username::parse("a/b").err().map(|failure| ("no_login", failure));
    let jwt = ("wrong_jwt", Failure::Unauthenticated(CredentialProblem::Jwt(jwt::EXPIRED)));
    let mut answers: Vec<Answer> = refusals().into();
    answers.extend([
        Answer::new(200, "The installation, in GitHub's own bytes.")
            .json(reference("Installation"))
            .headers(&HEADERS),
        Answer::new(304, "Nothing has changed.").headers(&HEADERS),
    ]);
    let mut parameters = vec![in_path(
        "username",
        "The handle for the GitHub user account.",
        &json!({ "type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_-]{0,38}$" }),
    )];
    parameters.extend(carried_on());
    Operation {
        id: "apps/get-user-installation",
        tag: TAG,
        summary: "Get a user installation for the authenticated app",
        description: "The App's installation on a user's account. The App itself, by a JWT, may ask about anybody; a \
                      signed-in user about their own login only: another one is answered 404, exactly as one that does \
                      not exist.",
        callers: Callers::App,
        parameters,
        body: None,
        family: Family::Github,
        answers,
        failures: [
            signed_in(),
            vec![jwt, ("not_found", Failure::NotFound("installation")), too_large()],
            of_host(ProviderType::Github),
            wrong.into_iter().collect(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}
