//! `/apps/{slug}/installations/new`: installing the App on an account, and the way back to the setup URL.
//! What an installation reaches is decided in `access`.

use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use url::Url;

use super::Github;
use super::authorize_page::redirect;
use super::html::{self, escape, hidden};
use super::world::{AccountId, Role, Selection, Target, User, World};

/// The parameters of the page, and the fields of its form.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Installing {
    state: Option<String>,
    login: Option<String>,
    target: Option<String>,
}

/// What a user can do about the App on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Install,
    Configure,
    /// Members who do not own the organisation may only ask for it.
    Request,
}

impl Offer {
    fn words(self) -> &'static str {
        match self {
            Self::Install => "Install on all repositories",
            Self::Configure => "Configure: already installed",
            Self::Request => "Request: an owner must approve",
        }
    }
}

/// The accounts that a user may install on, and how.
fn offers(world: &World, user: &User) -> Vec<(AccountId, String, Offer)> {
    let installed = |account| world.installation_on(Target::Account(account)).is_some();
    let offer = |account, owned: bool| match (installed(account), owned) {
        (true, _) => Offer::Configure,
        (false, true) => Offer::Install,
        (false, false) => Offer::Request,
    };
    let organizations = world.organizations.values().filter_map(|organization| {
        let role = organization.active_role(user.id)?;
        Some((organization.id, organization.login.clone(), offer(organization.id, role == Role::Admin)))
    });
    std::iter::once((user.id, user.login.clone(), offer(user.id, true))).chain(organizations).collect()
}

/// First the user, then the account.
pub(super) async fn show(
    State(github): State<Arc<Github>>,
    Path(slug): Path<String>,
    Query(asked): Query<Installing>,
) -> Response {
    if slug != github.app.slug {
        return html::refusal(StatusCode::NOT_FOUND, "No App of the sandbox GitHub has this name.");
    }
    let state = github.store.lock();
    let world = state.world();
    let title = format!("Install {}", world.app.name);
    let body = match asked.login.as_deref().map(|login| world.user(login)) {
        Some(None) => {
            return html::refusal(StatusCode::BAD_REQUEST, "Nobody in the sandbox GitHub has this login.");
        }
        Some(Some(user)) => accounts(&slug, world, user, asked.state.as_deref()),
        None => people(&slug, world, asked.state.as_deref()),
    };
    html::page(StatusCode::OK, &title, &body, std::slice::from_ref(&github.app.setup_url))
}

fn people(slug: &str, world: &World, state: Option<&str>) -> String {
    let links = world.users.values().map(|user| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("login", &user.login);
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        let address = escape(&format!("/apps/{slug}/installations/new?{}", query.finish()));
        let (login, about) = (escape(&user.login), escape(&user.about));
        format!("<a class=\"choice\" href=\"{address}\">{login}<small>{about}</small></a>\n")
    });
    format!("<p>Who are you?</p>\n<nav>\n{}</nav>", links.collect::<String>())
}

fn accounts(slug: &str, world: &World, user: &User, state: Option<&str>) -> String {
    let buttons = offers(world, user).into_iter().map(|(_, login, offer)| {
        let login = escape(&login);
        format!(
            "<button name=\"target\" value=\"{login}\">{login}<small>{}</small></button>\n",
            offer.words()
        )
    });
    let state = state.map(|state| hidden("state", state)).unwrap_or_default();
    format!(
        "<p>Where do you, {login}, want to install it?</p>\n\
         <form method=\"post\" action=\"/apps/{slug}/installations/new\">\n{who}{state}\n{buttons}</form>",
        login = escape(&user.login),
        slug = escape(slug),
        who = hidden("login", &user.login),
        buttons = buttons.collect::<String>(),
    )
}

/// The choice: installs, and returns to the setup URL as GitHub does.
pub(super) async fn choose(
    State(github): State<Arc<Github>>,
    Path(slug): Path<String>,
    Form(form): Form<Installing>,
) -> Response {
    let setup = Url::parse(&github.app.setup_url).ok().filter(|_| slug == github.app.slug);
    let Some(mut setup) = setup else {
        return html::refusal(StatusCode::NOT_FOUND, "No App with a setup URL has this name.");
    };
    let done = github.change(|world| {
        let user = world.user(form.login.as_deref()?)?;
        let (who, asked) = (user.id, form.target.as_deref()?);
        let offers = offers(world, user);
        let (account, _, offer) =
            offers.into_iter().find(|(_, login, _)| login.eq_ignore_ascii_case(asked))?;
        let target = Target::Account(account);
        Some(match offer {
            Offer::Install => (Some(world.acting_as(who).install(target, Selection::All)), "install"),
            Offer::Configure => (world.installation_on(target).map(|installation| installation.id), "update"),
            Offer::Request => (None, "request"),
        })
    });
    let Some((installation, action)) = done else {
        return html::refusal(StatusCode::BAD_REQUEST, "This user cannot install the App on this account.");
    };
    if let Some(installation) = installation {
        setup.query_pairs_mut().append_pair("installation_id", &installation.to_string());
    }
    setup.query_pairs_mut().append_pair("setup_action", action);
    if let Some(state) = &form.state {
        setup.query_pairs_mut().append_pair("state", state);
    }
    redirect(setup.as_str())
}
