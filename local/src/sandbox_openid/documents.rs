//! What clients read: the discovery document, the JWKS, and who the user of an access token is.
//! What stands in tokens is in `token` and `id_token`.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use super::answers::{Problem, bearer};
use super::token::GRANTS;
use super::{OIDC, Openid, id_token};

/// As Keycloak lists them; it signs with what its realm's keys are for.
const ALGORITHMS: [&str; 13] = [
    "PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256", "HS384", "ES512", "PS256",
    "PS512", "RS512",
];

/// `GET /.well-known/openid-configuration`.
pub(super) async fn discovery(Shared(openid): Shared<Arc<Openid>>) -> Response {
    let at = |path: &str| format!("{}{OIDC}{path}", openid.issuer);
    let issuer = openid.switches().discovery_issuer.clone().unwrap_or_else(|| openid.issuer.clone());
    let client_authentication = ["client_secret_basic", "client_secret_post"];
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": at("/auth"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "end_session_endpoint": at("/logout"),
        "jwks_uri": at("/certs"),
        "revocation_endpoint": at("/revoke"),
        "grant_types_supported": GRANTS,
        "acr_values_supported": ["0", "1"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "prompt_values_supported": ["none", "login"],
        "id_token_signing_alg_values_supported": ALGORITHMS,
        "response_modes_supported": ["query"],
        "token_endpoint_auth_methods_supported": client_authentication,
        "revocation_endpoint_auth_methods_supported": client_authentication,
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "name", "given_name", "family_name",
            "preferred_username", "email", "acr", "azp", "nonce",
        ],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": false,
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "code_challenge_methods_supported": ["plain", "S256"],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "authorization_response_iss_parameter_supported": true,
    });
    let caching = [(CACHE_CONTROL, "no-cache, must-revalidate, no-transform, no-store")];
    (caching, axum::Json(document)).into_response()
}

/// `GET /certs`.
pub(super) async fn certs(Shared(openid): Shared<Arc<Openid>>) -> Result<Response, Problem> {
    let jwks = openid.store.lock().keys.jwks().map_err(|_| Problem::internal())?;
    Ok(([(CACHE_CONTROL, "no-cache")], axum::Json(jwks)).into_response())
}

/// `GET` and `POST /userinfo`.
pub(super) async fn userinfo(
    Shared(openid): Shared<Arc<Openid>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let state = openid.store.lock();
    let session = bearer(&headers).and_then(|token| state.bearer(token, openid.clock.unix()));
    let user = session.and_then(|session| state.world.by_sub(&session.sub));
    let user = user.ok_or_else(Problem::invalid_token)?;
    let mut body = id_token::profile(user);
    body.insert("sub".to_owned(), json!(user.sub));
    Ok(([(CACHE_CONTROL, "no-cache")], axum::Json(Value::Object(body))).into_response())
}
