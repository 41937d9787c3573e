//! The routes under `/auth`: sign-in, the App's setup URL, who is signed in, signing out here and at the issuer.
//! One module per route; what they do is `shared::identity`'s.

mod backchannel_logout;
mod callback;
mod login;
mod logout;
mod session;
mod setup;

use std::sync::Arc;

use http::header::SET_COOKIE;
use http::{HeaderValue, Method};
use lambda_http::RequestExt;
use shared::contract::query::Query;
use shared::contract::{Family, Request, Response};
use shared::failure::Failure;
use shared::provider::ProviderType;
use shared::runtime::respond;
use shared::service::Service;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::Auth, request, answer).await
}

/// By the path, since `cargo lambda watch` gives every event the same route key.
async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let steps: Vec<&str> = request.raw_http_path().trim_matches('/').split('/').collect();
    match steps[..] {
        ["auth", "session"] => session::answer(service, request).await,
        // Any method arrives here where no gateway has sorted them; a GET must not sign anybody out.
        ["auth", "logout"] if *request.method() == Method::POST => logout::answer(service, request).await,
        ["auth", "enterprise_sso", "backchannel-logout"] if *request.method() == Method::POST => {
            backchannel_logout::answer(service, request).await
        }
        ["auth", "github", "setup"] => setup::answer(service, request).await,
        ["auth", provider, step @ ("login" | "callback")] => {
            let provider = ProviderType::from_name(provider).ok_or(Failure::NotFound("Provider"))?;
            match step {
                "login" => login::answer(service, provider, request).await,
                _ => callback::answer(service, provider, request).await,
            }
        }
        _ => Err(Failure::NotFound("Page")),
    }
}

fn query(request: &Request) -> Query<'_> {
    Query::new(request.uri().query().unwrap_or_default())
}

fn with_cookies<const N: usize>(
    mut response: Response,
    cookies: [shared::identity::sign_in::Cookie; N],
) -> Result<Response, Failure> {
    for cookie in cookies {
        let value = HeaderValue::try_from(cookie.to_string())
            .map_err(|_| Failure::Internal("a cookie cannot stand in a header".to_owned()))?;
        response.headers_mut().append(SET_COOKIE, value);
    }
    Ok(response)
}
