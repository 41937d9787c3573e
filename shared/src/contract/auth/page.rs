//! The pages a person sees when a sign-in does not end in a redirect: one template, no script, nothing loaded.
//! Programs read the header `X-Error-Code`.

use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

use super::ReturnTo;
use crate::contract::problem::{Problem, display_name};
use crate::contract::{Response, bytes, with_header, with_retry_after};
use crate::failure::Failure;
use crate::provider::ProviderType;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The only style a page has; the policy below names it by its hash.
const STYLE: &str =
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}";

/// Nothing is loaded, run, submitted or framed (W3C, Content Security Policy 3).
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'sha256-9aRtHcZoVuTlZF9jYO2bLm1NGQxPXb1DJyUdq0otHMU='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What a person has to be told during a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The callback carries no state, or this browser did not start the sign-in.
    StateMissing(ProviderType),
    /// The sign-in took longer than its state lives.
    StateExpired(ProviderType),
    /// The state has been used.
    StateReused(ProviderType),
    /// The person said no at the provider.
    AccessDenied(ProviderType),
    /// The provider did not exchange the code, or refused it.
    SignInFailed(ProviderType),
    /// The person asked for the App; an owner of the account must approve it (`setup_action=request`).
    ApprovalPending,
    /// The person's own token does not show the installation (reference: GitHub, 5.2).
    InstallationNotYours,
    /// The account at the provider belongs to another user here, or this user has another account there.
    OtherUsersIdentity(ProviderType),
    /// This deployment has no client at that provider.
    ProviderNotConfigured(ProviderType),
}

impl Notice {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::StateMissing(_) => "state_missing",
            Self::StateExpired(_) => "state_expired",
            Self::StateReused(_) => "state_reused",
            Self::AccessDenied(_) => "access_denied",
            Self::SignInFailed(_) => "sign_in_failed",
            Self::ApprovalPending => "approval_pending",
            Self::InstallationNotYours => "installation_not_yours",
            Self::OtherUsersIdentity(_) => "identity_of_another_user",
            Self::ProviderNotConfigured(_) => "provider_not_configured",
        }
    }

    /// The status of the page.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::StateMissing(_) | Self::StateExpired(_) | Self::StateReused(_) => StatusCode::BAD_REQUEST,
            Self::AccessDenied(_) | Self::InstallationNotYours | Self::OtherUsersIdentity(_) => {
                StatusCode::FORBIDDEN
            }
            Self::SignInFailed(_) => StatusCode::BAD_GATEWAY,
            Self::ApprovalPending => StatusCode::OK,
            Self::ProviderNotConfigured(_) => StatusCode::NOT_FOUND,
        }
    }

    /// The page.
    #[must_use]
    pub fn page(self) -> Response {
        let page = match self {
            Self::StateMissing(_) => Page::new(
                "Sign-in not started here",
                "This browser did not start the sign-in that it came back from. Start again.",
            ),
            Self::StateExpired(_) => {
                Page::new("Sign-in took too long", "A sign-in has ten minutes. Start again.")
            }
            Self::StateReused(_) => Page::new(
                "Sign-in already used",
                "This sign-in has been completed once. Start a new one if you need to.",
            ),
            Self::AccessDenied(provider) => Page::new(
                "Access denied",
                format!("You did not allow the sign-in at {}. Nothing was changed.", display_name(provider)),
            ),
            Self::SignInFailed(provider) => Page::new(
                "Sign-in failed",
                format!("{} did not complete the sign-in. Start again.", display_name(provider)),
            ),
            Self::ApprovalPending => Page::new(
                "Waiting for approval",
                "An owner of the account must approve the installation. It appears here once that is done.",
            ),
            Self::InstallationNotYours => Page::new(
                "Installation not yours",
                "Your GitHub account does not have access to this installation. Nothing was changed.",
            ),
            Self::OtherUsersIdentity(provider) => Page::new(
                "Account cannot be linked",
                format!(
                    "This {0} account belongs to another user here, or you are signed in with another {0} \
                     account. Nothing was changed. Sign out first to sign in with it.",
                    display_name(provider)
                ),
            ),
            Self::ProviderNotConfigured(provider) => Page::new(
                "Provider not configured",
                format!("Sign-in with {} is not set up on this server.", display_name(provider)),
            ),
        };
        let page = match self {
            Self::StateMissing(provider)
            | Self::StateExpired(provider)
            | Self::StateReused(provider)
            | Self::AccessDenied(provider)
            | Self::SignInFailed(provider) => {
                page.with_link(format!("/auth/{provider}/login"), "Sign in again")
            }
            Self::ApprovalPending
            | Self::InstallationNotYours
            | Self::OtherUsersIdentity(_)
            | Self::ProviderNotConfigured(_) => {
                page.with_link("/auth/session".to_owned(), "See who is signed in")
            }
        };
        page.answer(self.status(), self.code())
    }
}

/// Asks whoever is signed in whether they want to link an account; `confirmation` goes back with the answer.
#[must_use]
pub fn confirm_linking(provider: ProviderType, return_to: &ReturnTo, confirmation: &str) -> Response {
    let name = display_name(provider);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to.as_str())
        .append_pair("confirmation", confirmation)
        .finish();
    Page::new(
        format!("Link your {name} account?"),
        format!(
            "You are signed in. The account at {name} that this browser is signed in to will belong to your user \
             here. If you did not ask for this, close this page: nothing has changed."
        ),
    )
    .with_link(format!("/auth/{provider}/login?{query}"), "Link the account")
    .answer(StatusCode::OK, "confirm_linking")
}

/// The page for a failure. Wrong parameters are 400 here: a person followed a broken link.
#[must_use]
pub fn failure(failure: &Failure) -> Response {
    let problem = Problem::of(failure);
    let status = match failure {
        Failure::Invalid(_) => StatusCode::BAD_REQUEST,
        _ => problem.status,
    };
    let page = Page::new(problem.title, problem.message);
    let page = match (problem.provider, status) {
        (Some(provider), StatusCode::UNAUTHORIZED) => {
            page.with_link(format!("/auth/{provider}/login"), "Sign in again")
        }
        _ => page,
    };
    with_retry_after(page.answer(status, problem.code), problem.retry_after)
}

/// The one template: a heading, a paragraph and at most one link.
struct Page {
    title: String,
    text: String,
    link: Option<(String, &'static str)>,
}

impl Page {
    fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), text: text.into(), link: None }
    }

    fn with_link(self, href: String, label: &'static str) -> Self {
        Self { link: Some((href, label)), ..self }
    }

    fn html(&self) -> String {
        let title = escaped(&self.title);
        let text = escaped(&self.text);
        let link = self.link.as_ref().map_or_else(String::new, |(href, label)| {
            format!("<p><a href=\"{}\">{}</a></p>\n", escaped(href), escaped(label))
        });
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{text}</p>\n{link}</body>\n</html>\n"
        )
    }

    fn answer(&self, status: StatusCode, code: &str) -> Response {
        let mut response = bytes(status, HTML, self.html().into_bytes());
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
        response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        with_header(response, ERROR_CODE, code)
    }
}

/// Text as HTML shows it, in content and in quoted attributes (HTML Living Standard, 13.1.4).
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests;
