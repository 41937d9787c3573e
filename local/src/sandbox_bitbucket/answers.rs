//! Answers of the REST API: refusals in Bitbucket's words, and pages.
//! What an item looks like is in `objects`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::tokens::Scope;
use super::world::{Paging, World};

const DEFAULT_PAGE: usize = 10;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    MissingScope { required: Scope, granted: Vec<Scope> },
    NotFound(String),
    Gone,
    Invalid(&'static str),
    RateLimited,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = |status: StatusCode, error: Value| {
            json_response(status, &json!({ "type": "error", "error": error }))
        };
        match self {
            Self::Unauthorized => error(
                StatusCode::UNAUTHORIZED,
                json!({ "message": "Token is invalid, expired, or not supported for this endpoint." }),
            ),
            Self::MissingScope { required, granted } => {
                let granted: Vec<_> = granted.into_iter().map(Scope::name).collect();
                error(
                    StatusCode::FORBIDDEN,
                    json!({
                        "message": "Your credentials lack one or more required privilege scopes.",
                        // An object, whatever the documentation says.
                        "detail": { "required": [required.name()], "granted": granted },
                    }),
                )
            }
            Self::NotFound(what) => {
                error(StatusCode::NOT_FOUND, json!({ "message": format!("{what} not found") }))
            }
            Self::Gone => error(
                StatusCode::GONE,
                json!({
                    "message": "CHANGE-2770 - Functionality has been deprecated",
                    "detail": "Please read the changelog entry for more details.",
                    "data": { "announcement_url": "https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-2770" },
                }),
            ),
            Self::Invalid(message) => error(StatusCode::BAD_REQUEST, json!({ "message": message })),
            Self::RateLimited => error(
                StatusCode::TOO_MANY_REQUESTS,
                json!({ "message": "Rate limit for this resource has been exceeded" }),
            ),
        }
    }
}

/// A JSON answer.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

/// The parameters of a request, the first of each name.
#[derive(Clone, Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The same query but for the place in the listing.
    fn leading_to(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(key, _)| !matches!(key.as_str(), "page" | "after"));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair(name, value).finish()
    }
}

/// The page that is asked for. `address`: the listing's own, without a query; `key`: what cursors stand on.
pub(super) fn page<T>(
    world: &World,
    all: &[T],
    address: &str,
    parameters: &Parameters,
    key: impl Fn(&T) -> &str,
    object: impl Fn(&T) -> Value,
) -> Result<Response, Refusal> {
    let pagelen = match parameters.get("pagelen") {
        None => DEFAULT_PAGE,
        Some(text) => text.parse().ok().filter(|size| (1..=world.largest_page).contains(size)).ok_or(
            // Larger pages are refused, not cut.
            Refusal::Invalid("Invalid pagelen"),
        )?,
    };
    let next = |query: String| format!("{address}?{query}");
    let mut body = json!({ "pagelen": pagelen });
    let start = match world.paging {
        Paging::Numbers => {
            let number: usize = match parameters.get("page") {
                None => 1,
                Some(text) => {
                    text.parse().ok().filter(|page| *page > 0).ok_or(Refusal::Invalid("Invalid page"))?
                }
            };
            let start = (number - 1).saturating_mul(pagelen);
            body["page"] = json!(number);
            body["size"] = json!(all.len());
            if start.saturating_add(pagelen) < all.len() {
                body["next"] = json!(next(parameters.leading_to("page", &(number + 1).to_string())));
            }
            start
        }
        Paging::Cursors => {
            let start = match parameters.get("after") {
                None => 0,
                Some(after) => {
                    let at = all.iter().position(|item| key(item) == after);
                    at.ok_or(Refusal::Invalid("Invalid cursor"))? + 1
                }
            };
            if let Some(last) =
                all.get(start.saturating_add(pagelen - 1)).filter(|_| start + pagelen < all.len())
            {
                body["next"] = json!(next(parameters.leading_to("after", key(last))));
            }
            start
        }
    };
    body["values"] = all.iter().skip(start).take(pagelen).map(object).collect();
    Ok(json_response(StatusCode::OK, &body))
}
