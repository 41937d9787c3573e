//! `GET /auth/github/setup`: the App's setup URL, where GitHub sends whoever has installed it.

use std::sync::Arc;

use serde_json::Value;
use shared::contract::auth::{Notice, ReturnTo, redirect};
use shared::contract::{Request, Response};
use shared::failure::{Failure, FieldProblem, Location};
use shared::identity::caller;
use shared::identity::linked_token::LinkedToken;
use shared::identity::setup::{Claim, claim};
use shared::provider::ProviderType;
use shared::service::Service;

pub(crate) async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let query = crate::query(request);
    if query.last("setup_action").as_deref() == Some("request") {
        return Ok(Notice::ApprovalPending.page());
    }
    let installation = installation_id(request)?;
    let Some(session) = caller::browser(service, request).await? else {
        let back = format!("/auth/github/setup?installation_id={installation}");
        let back: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
        return Ok(redirect::back(&ReturnTo::parse(&format!("/auth/github/login?return_to={back}"))?));
    };
    let budget = service.budget(request);
    let user = &session.user_id;
    let token = LinkedToken::new(service.clone(), user.clone(), ProviderType::Github, &budget);
    match claim(service, user, installation, &token, &budget).await? {
        Claim::Proved(_) => Ok(redirect::back(&ReturnTo::default())),
        Claim::NotShown => Ok(Notice::InstallationNotYours.page()),
    }
}

/// To the setup page with the installation that the query names.
pub(crate) fn from_query(request: &Request) -> Result<Response, Failure> {
    let installation = installation_id(request)?;
    Ok(redirect::back(&ReturnTo::parse(&format!("/auth/github/setup?installation_id={installation}"))?))
}

fn installation_id(request: &Request) -> Result<u64, Failure> {
    let text = crate::query(request).last("installation_id").unwrap_or_default();
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id > 0).ok_or_else(|| {
        Failure::Invalid(vec![FieldProblem {
            kind: "string_pattern_mismatch",
            location: ["query", "installation_id"].map(|step| Location::Name(step.to_owned())).into(),
            message: "must be the number of an installation".to_owned(),
            input: Value::from(text.into_owned()),
            context: None,
        }])
    })
}
