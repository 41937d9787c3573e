//! What can go wrong with a request, and the answer of a family to it: asked of the family itself, so that the document
//! says what is said. What API Gateway answers is its own.

use lambda_http::Body;
use serde_json::{Value, json};
use shared::contract::Family;
use shared::failure::{CredentialProblem, Failure};
use shared::provider::{ForbiddenReason, ProviderError, ProviderType};

use super::operation::{HTML, JSON, reference};

/// A kind of failure under the name of its example.
pub(super) type Named = (&'static str, Failure);

/// The answers that API Gateway gives before or instead of a function, and whether a function's own of that status says
/// when to come again.
pub(super) const OF_THE_GATEWAY: [(&str, &str, bool); 6] = [
    ("400", "API Gateway: the request is malformed.", false),
    ("413", "API Gateway: the body is larger than 10 MB.", false),
    ("429", "API Gateway: too many requests at once.", true),
    ("431", "API Gateway: request line and headers are larger than 10,240 bytes.", false),
    ("500", "API Gateway: the function has failed.", false),
    ("503", "API Gateway: the function took too long.", true),
];

/// Our own failures: every route that reads the table or a secret has them.
pub(super) fn own() -> Vec<Named> {
    vec![
        ("unavailable", Failure::Unavailable(String::new())),
        ("internal_error", Failure::Internal(String::new())),
    ]
}

/// What a signed-in user's route answers to who has not proved to be one, and our own failures.
pub(super) fn signed_in() -> Vec<Named> {
    let mut failures = vec![
        ("nobody", Failure::Unauthenticated(CredentialProblem::Missing)),
        ("unknown_credential", Failure::Unauthenticated(CredentialProblem::Invalid)),
    ];
    failures.extend(own());
    failures
}

/// A cookie that came from another site's page.
pub(super) const fn other_site() -> Named {
    (
        "other_site",
        Failure::Forbidden(
            "a session cookie changes something only in a request from this site's own pages; other clients send \
             an API key",
        ),
    )
}

/// What a host can answer, or not answer.
pub(super) fn of_host(provider: ProviderType) -> Vec<Named> {
    let at = |error| Failure::Provider { provider, error };
    vec![
        ("not_linked", Failure::NotLinked(Some(provider))),
        ("sign_in_expired", Failure::SignInExpired(provider)),
        ("refused", at(ProviderError::Forbidden(ForbiddenReason::Plain))),
        ("single_sign_on_required", at(ProviderError::Forbidden(ForbiddenReason::SingleSignOn))),
        ("installation_suspended", at(ProviderError::Forbidden(ForbiddenReason::Suspended))),
        ("unknown_to_the_host", at(ProviderError::NotFound)),
        ("rate_limited", at(ProviderError::RateLimited { retry_after: Some(37) })),
        ("bad_answer", at(ProviderError::BadResponse { status: 500 })),
        ("unreachable", at(ProviderError::Unreachable)),
        ("too_slow", at(ProviderError::Timeout)),
    ]
}

/// A list that Lambda carries compressed only.
pub(super) const fn too_large() -> Named {
    ("too_large", Failure::TooLarge)
}

/// A family's answer to a failure.
pub(super) struct Told {
    pub(super) status: String,
    pub(super) description: String,
    pub(super) headers: Vec<String>,
    pub(super) media: &'static str,
    pub(super) schema: Value,
    pub(super) example: Option<Value>,
}

pub(super) fn answer(family: Family, name: &str, failure: &Failure) -> Told {
    let response = family.failure(failure);
    let text = match response.body() {
        Body::Text(text) => text.as_str(),
        _ => "",
    };
    let body: Option<Value> = serde_json::from_str(text).ok();
    let (media, schema) = match (family, &body) {
        (Family::Auth, _) => (HTML, json!({ "type": "string" })),
        (Family::Github, _) => (JSON, reference("BasicError")),
        (Family::Neptun, _) => (JSON, reference("GetInstallationsError")),
        (Family::Webhook, _) => (JSON, reference("DeliveryRefused")),
        (Family::OpenHands, Some(Value::String(_)) | None) => (JSON, json!({ "type": "string" })),
        (Family::OpenHands, Some(body)) => (JSON, reference(of_openhands(body))),
    };
    let headers = ["Retry-After", "X-Error-Code"]
        .into_iter()
        .filter(|name| response.headers().contains_key(*name))
        .map(ToOwned::to_owned)
        .collect();
    let status = response.status().as_u16().to_string();
    // Pages are long, and all alike.
    let example = if media == HTML { None } else { body };
    Told { status, description: description(name).to_owned(), headers, media, schema, example }
}

fn of_openhands(body: &Value) -> &'static str {
    match &body["detail"] {
        Value::Array(_) => "HTTPValidationError",
        Value::String(_) => "HTTPError",
        _ => "Error",
    }
}

/// What it means, for a reader.
fn description(name: &str) -> &'static str {
    match name {
        "nobody" => "Nobody proved who they are.",
        "unknown_credential" => "The credential is unknown or has ended.",
        "wrong_jwt" => "The JWT is not one of the App's own.",
        "unavailable" => "DynamoDB or Secrets Manager did not answer; try again.",
        "internal_error" => "A defect, or a broken setting.",
        "other_site" => "A session's cookie in a request from another site's page.",
        "too_many_keys" => "There are 50 keys already.",
        "not_linked" => "The caller has no token at that host.",
        "sign_in_expired" => "The host no longer accepts the token; sign in there again.",
        "refused" => "The host refuses access.",
        "single_sign_on_required" => "The organisation demands a single sign-on session.",
        "installation_suspended" => "The installation is suspended.",
        "unknown_to_the_host" => "The host does not know it, or does not show it to the caller.",
        "rate_limited" => "The host's rate limit is reached.",
        "bad_answer" => "The host answered with an error.",
        "unreachable" => "The host cannot be reached.",
        "too_slow" => "The host did not answer in time.",
        "too_large" => "The answer can be sent compressed only.",
        "unreadable" => "The body is not UTF-8.",
        "not_found" => "There is no such thing, or not for this caller.",
        _ => "A parameter, or the body, does not have the form that is asked for.",
    }
}
