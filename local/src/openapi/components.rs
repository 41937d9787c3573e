//! What operations refer to: schemas, headers, and the ways to prove who asks.
//! The schemas of our own answers are derived from their types; here are those of requests, and GitHub's.

use serde_json::{Value, json};
use shared::contract::schemas::schemas;

/// GitHub's own schemas of its answers (docs.github.com, the REST API's description), since its bytes pass through.
const OF_GITHUB: &str = include_str!("github_schemas.json");

pub(super) fn all() -> Value {
    let mut all = json!(schemas());
    // A test reads the file too: what cannot be read there is never committed.
    let github: Value = serde_json::from_str(OF_GITHUB).unwrap_or_default();
    for (name, schema) in github.as_object().into_iter().flatten() {
        all[name] = schema.clone();
    }
    all["InstallationList"] = json!({
        "type": "object",
        "title": "InstallationList",
        "description": "One page of installations, as GitHub writes it.",
        "required": ["total_count", "installations"],
        "properties": {
            "total_count": { "type": "integer", "description": "How many there are on all pages." },
            "installations": { "type": "array", "items": { "$ref": "#/components/schemas/Installation" } },
        },
    });
    // GitHub's own errors pass through too, and not all of them have every field.
    all["BasicError"]["required"] = json!(["message"]);
    all["GatewayError"] = json!({
        "type": "object",
        "title": "GatewayError",
        "description": "What API Gateway answers itself.",
        "required": ["message"],
        "properties": { "message": { "type": "string", "description": "The status in words." } },
    });
    all["NewApiKeyRequest"] = json!({
        "type": "object",
        "title": "NewApiKeyRequest",
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": shared::contract::openhands::body::MAX_NAME_CHARS,
                "description": "By which the user recognises it.",
                "examples": ["laptop"],
            },
        },
    });
    all["ProviderToken"] = json!({
        "type": "object",
        "title": "ProviderToken",
        "properties": {
            "token": {
                "anyOf": [{ "type": "string" }, { "type": "null" }],
                "description": "The token; none, or an empty one, leaves the one that is there. At Bitbucket an address and an API token with a colon between them.",
            },
            "host": {
                "anyOf": [{ "type": "string" }, { "type": "null" }],
                "description": "The host, where it is not the configured one; only one that the operator allows.",
            },
        },
    });
    let tokens: serde_json::Map<String, Value> = shared::provider::ProviderType::ALL
        .iter()
        .map(|provider| (provider.to_string(), json!({ "$ref": "#/components/schemas/ProviderToken" })))
        .collect();
    all["GitProviders"] = json!({
        "type": "object",
        "title": "GitProviders",
        "properties": {
            "provider_tokens": {
                "type": "object",
                "description": "By the host's name; hosts that are not named stay as they are.",
                "properties": tokens,
                "additionalProperties": false,
            },
        },
    });
    json!({ "schemas": all, "headers": headers(), "securitySchemes": security() })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
    let number = |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "ETag": {
            "description": "The answer's tag, for `If-None-Match`. A list from which something is missing has none.",
            "schema": { "type": "string", "pattern": "^(W/)?\"[^\"]*\"$" },
        },
        "Retry-After": number("Seconds after which it makes sense to ask again."),
        "Link": {
            "description": "The pages around this one (RFC 8288), at this service.",
            "schema": { "type": "string", "pattern": "^<[^>]+>; rel=\"(prev|next|last|first)\"(, <[^>]+>; rel=\"(prev|next|last|first)\")*$" },
        },
        "X-Total-Count": number("How many items there are, before pages and the cap."),
        "X-Truncated": {
            "description": "The list was cut: at 10,000 repositories, or at what one answer carries.",
            "schema": { "type": "string", "enum": ["true"] },
        },
        "X-Partial-Result": {
            "description": "What is missing from the list: hosts, or installations at them, each with the status that it failed with, as in `github/5002=403, gitlab=504`; `more=17` counts what did not fit.",
            "schema": { "type": "string", "pattern": "^[^=, ]+=[0-9]+(, [^=, ]+=[0-9]+)*$" },
        },
        "X-Error-Code": {
            "description": "A stable word for what a page says.",
            "schema": { "type": "string", "pattern": "^[a-z_]+$" },
        },
        "Age": number("How old the copy is that is answered while GitHub is down, in seconds."),
        "Cache-Status": text("Says that a copy is answered, and why (RFC 9211)."),
        "Cache-Control": text("How long the answer may be kept."),
        "Last-Modified": text("GitHub's."),
        "Set-Cookie": text("Begins or ends a session, or binds a sign-in to this browser."),
        "X-RateLimit-Limit": number("GitHub's: calls in an hour."),
        "X-RateLimit-Remaining": number("GitHub's: calls that are left."),
        "X-RateLimit-Used": number("GitHub's: calls that were made."),
        "X-RateLimit-Reset": number("GitHub's: when the hour ends, in Unix seconds."),
        "X-RateLimit-Resource": text("GitHub's: which limit it is."),
        "X-GitHub-Request-Id": text("GitHub's number of the call behind this answer."),
        "X-GitHub-Media-Type": text("GitHub's: the media type that was asked for."),
        "X-GitHub-SSO": text("GitHub's: where a single sign-on session is started, or what was left out without one."),
        "X-GitHub-Api-Version-Selected": text("GitHub's: the API version of the answer."),
        "Deprecation": text("GitHub's: since when the version is deprecated."),
        "Sunset": text("GitHub's: when the version ends."),
    })
}

fn security() -> Value {
    json!({
        "APIKeyHeader": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Session-API-Key",
            "description": "An API key, made with `POST /api/keys`.",
        },
        "APIKeyBearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "gik_...",
            "description": "The same key as a bearer token.",
        },
        "SessionCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "neptun-session",
            "description": "A session, begun in a browser at `/auth/{provider}/login`. The operator may have given the cookie another name.",
        },
        "GitHubUserToken": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "ghu_...",
            "description": "A GitHub user access token of the App, which is forwarded to GitHub and never stored. `token` does as well as `Bearer`.",
        },
        "GitHubAppJWT": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A JWT signed with the App's own private key (RS256; `iss` is its client id or app id).",
        },
        "GitHubSignature": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Hub-Signature-256",
            "description": "`sha256=` and the HMAC-SHA256 of the body under the App's webhook secret.",
        },
    })
}
