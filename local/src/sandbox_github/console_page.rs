//! `/sandbox`: the page on which one does things in the sandbox and sees the webhooks of it. Forms only.
//! What is done lives in `console`; scripts use `console_api`.

use std::sync::Arc;

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{HeaderValue, REFERRER_POLICY};
use serde::Deserialize;

use super::Github;
use super::authorize_page::redirect;
use super::console::{Action, Installing, perform};
use super::deliveries::Delivery;
use super::delivery_faults::{DeliveryFaults, HowMany};
use super::html::{self, escape, hidden};
use super::state::{State as Memory, lock};
use super::world::{AccountId, Installation, Selection, Target, World};

/// How many deliveries the page shows.
const SHOWN: usize = 50;

/// The fields of all forms; `what` says which form it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Doing {
    what: String,
    account: String,
    installation: u64,
    name: String,
    login: String,
    delivery: String,
    drop: String,
    fail: String,
    repeat: String,
    delay_ms: String,
    reorder: String,
    hold: String,
}

impl Doing {
    fn action(self) -> Option<Action> {
        let id = self.installation;
        Some(match self.what.as_str() {
            "install" => Action::Install(Installing { account: self.account, ..Installing::default() }),
            "uninstall" => Action::Uninstall(id),
            "suspend" => Action::Suspend(id),
            "unsuspend" => Action::Unsuspend(id),
            "accept" => Action::AcceptPermissions(id),
            "add" => Action::AddRepository(id, self.name.trim().to_owned()),
            "remove" => Action::RemoveRepository(id, self.name.trim().to_owned()),
            "all" => Action::Select(id, None),
            "rename" => Action::Rename { account: self.account, login: self.login.trim().to_owned() },
            "revoke" => Action::Revoke(self.account),
            "ping" => Action::Ping,
            "redeliver" => Action::Redeliver(self.delivery),
            "faults" => Action::Faults(DeliveryFaults {
                drop: how_many(&self.drop)?,
                fail: how_many(&self.fail)?,
                repeat: number(&self.repeat)?.unwrap_or_default(),
                delay_ms: number(&self.delay_ms)?.unwrap_or_default(),
                reorder: number(&self.reorder)?,
                hold: !self.hold.is_empty(),
            }),
            _ => return None,
        })
    }
}

/// A number, or nothing; anything else is wrong.
fn number<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    match text.trim() {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

fn how_many(text: &str) -> Option<HowMany> {
    match text.trim() {
        "all" => Some(HowMany::Always(true)),
        text => Some(number(text)?.map_or(HowMany::Always(false), HowMany::Next)),
    }
}

/// The form of a button was sent.
pub(super) async fn act(State(github): State<Arc<Github>>, Form(form): Form<Doing>) -> Response {
    if form.what == "now" {
        github.deliver_now().await;
        return redirect("/sandbox");
    }
    let Some(action) = form.action() else {
        return html::refusal(StatusCode::BAD_REQUEST, "This form has a field that cannot be read.");
    };
    match perform(&github, action) {
        Ok(_) => redirect("/sandbox"),
        Err(refused) => html::refusal(refused.status, &refused.message),
    }
}

/// The page.
pub(super) async fn show(State(github): State<Arc<Github>>) -> Response {
    let state = github.store.lock();
    let body = format!(
        "{}<h2>Accounts</h2>\n{}<h2>Deliveries</h2>\n{}",
        webhooks(&github, &state),
        accounts(state.world()),
        log(&state)
    );
    drop(state);
    let mut page = html::page(StatusCode::OK, "Sandbox GitHub", &body, &[]).into_response();
    // With `no-referrer` browsers would send `Origin: null` with our own forms too.
    page.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    page
}

/// A form with one button.
fn button(what: &str, fields: &str, words: &str) -> String {
    format!(
        "<form class=\"row\" method=\"post\" action=\"/sandbox\">{fields}\
         <button name=\"what\" value=\"{what}\">{words}</button></form>\n"
    )
}

fn field(name: &str, label: &str, value: &str) -> String {
    format!(
        "<label>{label} <input name=\"{name}\" value=\"{}\" autocomplete=\"off\"></label>\n",
        escape(value)
    )
}

fn webhooks(github: &Github, state: &Memory) -> String {
    let faults = lock(&github.hookshot.faults).clone();
    let many = |many| match many {
        HowMany::Always(true) => "all".to_owned(),
        HowMany::Always(false) | HowMany::Next(0) => String::new(),
        HowMany::Next(count) => count.to_string(),
    };
    let some = |value: u64| if value == 0 { String::new() } else { value.to_string() };
    let url = lock(&github.hookshot.url).clone();
    let target = url.as_deref().map_or_else(|| "nowhere: no address is set".to_owned(), escape);
    let held = if faults.hold { " checked" } else { "" };
    let fields = [
        field("drop", "Lose the next (a number, or all)", &many(faults.drop)),
        field("fail", "Fail the next (a number, or all)", &many(faults.fail)),
        field("repeat", "Repeat each so many times", &some(faults.repeat.into())),
        field("delay_ms", "Delay each by milliseconds", &some(faults.delay_ms)),
        field(
            "reorder",
            "Shuffle what waits, by the seed",
            &faults.reorder.map(|seed| seed.to_string()).unwrap_or_default(),
        ),
        format!("<label>Hold everything <input type=\"checkbox\" name=\"hold\" value=\"1\"{held}></label>\n"),
    ];
    format!(
        "<p>Webhooks go to {target}. Waiting: {}.</p>\n<details><summary>What goes wrong on the way</summary>\n\
         <form method=\"post\" action=\"/sandbox\">\n{}\
         <button name=\"what\" value=\"faults\">Set</button>\n</form></details>\n{}{}",
        state.deliveries().waiting(),
        fields.concat(),
        button("now", "", "Deliver what waits now"),
        button("ping", "", "Send a ping"),
    )
}

fn accounts(world: &World) -> String {
    let users = world.users.values().map(|user| (user.id, user.login.as_str(), true));
    let organizations = world.organizations.values().map(|one| (one.id, one.login.as_str(), false));
    users.chain(organizations).map(|(id, login, is_user)| account(world, id, login, is_user)).collect()
}

fn account(world: &World, id: AccountId, login: &str, is_user: bool) -> String {
    let found = world.installation_on(Target::Account(id));
    let state =
        found.map_or_else(|| "not installed".to_owned(), |installation| standing(world, installation));
    let who = hidden("account", login);
    let doing = match found {
        None => button("install", &who, "Install on all repositories"),
        Some(installation) => installed(installation),
    };
    let revoke = if is_user { button("revoke", &who, "Revoke the authorization") } else { String::new() };
    let rename = button("rename", &format!("{who}{}", field("login", "New login", "")), "Rename");
    format!(
        "<details><summary>{} <small>{state}</small></summary>\n{doing}{revoke}{rename}</details>\n",
        escape(login)
    )
}

fn standing(world: &World, installation: &Installation) -> String {
    let count = world.reached(installation).count();
    let reach = match installation.selection {
        Selection::All => format!("all {count} repositories"),
        Selection::Selected(_) => format!("{count} selected repositories"),
    };
    let suspended = if installation.suspended.is_some() { ", suspended" } else { "" };
    format!("installation {}, {reach}{suspended}", installation.id)
}

fn installed(installation: &Installation) -> String {
    let id = hidden("installation", &installation.id.to_string());
    let suspension = if installation.suspended.is_some() {
        button("unsuspend", &id, "Unsuspend")
    } else {
        button("suspend", &id, "Suspend")
    };
    let named = format!("{id}{}", field("name", "Repository", ""));
    let all = match installation.selection {
        Selection::All => String::new(),
        Selection::Selected(_) => button("all", &id, "Choose all repositories"),
    };
    [
        button("uninstall", &id, "Uninstall"),
        suspension,
        button("accept", &id, "Accept new permissions"),
        button("add", &named, "Add"),
        button("remove", &named, "Remove"),
        all,
    ]
    .concat()
}

fn log(state: &Memory) -> String {
    let rows: String = state.deliveries().entries().rev().take(SHOWN).map(row).collect();
    if rows.is_empty() { "<p>None yet.</p>\n".to_owned() } else { rows }
}

fn row(delivery: &Delivery) -> String {
    let action = delivery.action.as_deref().map(|action| format!(".{action}")).unwrap_or_default();
    let again = if delivery.redelivery { ", redelivered" } else { "" };
    let about = delivery.installation_id.map(|id| format!(" of {id}")).unwrap_or_default();
    format!(
        "<div class=\"row\"><span>{}{}{about}<small>{} at {}{again}, {}</small></span>{}</div>\n",
        escape(&delivery.event),
        escape(&action),
        escape(delivery.status()),
        escape(&delivery.delivered_at),
        escape(&delivery.guid),
        button("redeliver", &hidden("delivery", &delivery.id.to_string()), "Redeliver"),
    )
}
