//! A stack for one way, and the way gone: what has to be before, and the request or the run that causes the call.
//! What is looked at afterwards is `cell`'s business.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use local::data_folder::{DemoUser, FunctionSettings};
use local::other_hosts::clients_secret;
use local::sandbox_bitbucket::Scope;
use local::sandbox_github::{DeliveryFaults, HowMany, InstallationId, SignedDelivery, webhook_signature};
use local::stack::{OAUTH_CLIENTS_SECRET, SANDBOX_WEBHOOK_SECRET, service_of};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use shared::contract;
use shared::provider::ProviderType;
use shared::runtime::Scheduled;
use shared::service::Service;
use shared::store::{ProviderToken, TokenSlot, kinds};
use tokio::sync::OnceCell;

use crate::behind::{text, user};
use crate::fault::Fault;
use crate::front::Fronts;
use crate::harness::{Answer, Running, Setup};
use crate::unreachable::{of_nobody, without_address};
use crate::ways::{Drive, Ended, ISSUER, Scene, Way};

/// The time limit of functions that have time.
const PATIENT: Duration = Duration::from_secs(20);
/// The time limit of functions whose hosts do not answer; a second of it is kept back for the answer.
const HASTY: Duration = Duration::from_millis(2_200);
/// What a run of the reconciliation keeps back.
const KEPT_BACK: Duration = Duration::from_secs(10);
/// Longer than any copy of the issuer's documents is used.
const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 3600);
/// Longer than a new token is taken for one that its host may not know everywhere.
const A_MINUTE: Duration = Duration::from_secs(60);
const A_SECOND: Duration = Duration::from_secs(1);
const WEBHOOKS: &str = "/webhooks/github";
/// What a person or an operator would miss; the rest is remembered or under way.
const KEPT: [&str; 11] = [
    "user",
    "identity",
    "token",
    "session-of-user",
    "api-key-of-user",
    "mapping",
    "installation",
    "installation-user",
    "identity-finder",
    "session",
    "api-key",
];

/// Where a request goes: a process of the service, and the time that its functions have.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    url: String,
    settings: FunctionSettings,
    pub(crate) limit: Duration,
}

/// What has to be sent, once everything is ready for it.
pub(crate) enum Ready {
    Request { method: Method, path: String, headers: Vec<(String, String)>, body: Vec<u8> },
    Run { full: bool },
}

/// What became of it.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) answer: Answer,
    pub(crate) took: Duration,
    /// Whether it is that of a run, which nobody sees but the operator.
    pub(crate) is_run: bool,
}

/// A stack with fronts before its hosts, for one way.
pub(crate) struct Lab {
    pub(crate) running: Running,
    pub(crate) fronts: Fronts,
    pub(crate) way: &'static Way,
    user: Option<DemoUser>,
    patient: Process,
    hasty: OnceCell<Process>,
    runs: Arc<Service>,
    number: usize,
}

impl Lab {
    pub(crate) async fn start(way: &'static Way) -> Self {
        let fronts = Fronts::new();
        let webhooks = matches!(way.drive, Drive::Run { scene: Scene::FailedDelivery, .. });
        let world = (way.world)();
        let mut setup = Setup { world, webhooks, other_hosts: true, ..Setup::default() };
        setup.front = Some(Arc::new(fronts.clone()));
        for (name, value) in way.settings {
            setup = setup.setting(name, value);
        }
        let running = setup.start().await;
        fronts.keep_time(&running.clock);
        (way.beside)(running.stack.other_hosts.as_ref().expect("the sandbox hosts run"));
        let patient = started(&running, running.stack.settings.clone(), PATIENT).await;
        let runs = running.stack.functions["reconcile"].clone();
        let mut lab =
            Self { fronts, way, user: None, patient, hasty: OnceCell::new(), runs, number: 0, running };
        match way.drive {
            Drive::Callback | Drive::Login | Drive::LogOut | Drive::Backchannel => {}
            Drive::Run { .. } | Drive::Webhook => {
                lab.run(&lab.runs, true, PATIENT + KEPT_BACK).await;
                lab.running.clock.advance(Duration::from_secs(3_600));
            }
            _ => lab.sign_in().await,
        }
        lab
    }

    /// Signs the user in (again); the same user has a key of their own then.
    pub(crate) async fn sign_in(&mut self) {
        if matches!(self.way.drive, Drive::Callback | Drive::Login | Drive::LogOut | Drive::Backchannel) {
            return;
        }
        let browser = self.running.browser();
        let signed_in = browser.link(self.way.who.0, self.way.who.1).await;
        assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{signed_in:?}");
        self.user = Some(match self.user.take() {
            Some(before) => {
                assert_eq!(browser.session().await["user_id"], *before.user_id, "the same user");
                let session_cookie = browser.cookie("neptun-session").expect("a session");
                DemoUser { session_cookie, ..before }
            }
            None => browser.as_user().await,
        });
        self.running.clock.advance(A_MINUTE);
    }

    pub(crate) fn user(&self) -> &DemoUser {
        self.user.as_ref().expect("somebody is signed in")
    }

    /// The process for a fault: one that waits, one that does not, or one whose host cannot be spoken with.
    pub(crate) async fn process(&self, fault: Option<Fault>) -> Process {
        let origin = match fault {
            Some(Fault::Dns) => without_address(),
            Some(Fault::Tls) => of_nobody(),
            Some(fault) if fault.is_slow() => {
                let settings = self.running.stack.settings.clone();
                return self.hasty.get_or_init(|| started(&self.running, settings, HASTY)).await.clone();
            }
            _ => return self.patient.clone(),
        };
        let mut settings = self.running.stack.settings.clone();
        match self.way.first {
            Some(ISSUER) => {
                let secret = clients_secret(&format!("{origin}/realms/sandbox"), &["gitlab"]);
                self.running.stack.secrets.set(OAUTH_CLIENTS_SECRET, &secret);
            }
            Some(setting) => {
                let path = match setting {
                    "GITHUB_API_URL" => "/api/v3",
                    "BITBUCKET_API_URL" => "/2.0",
                    _ => "",
                };
                settings.insert(setting.to_owned(), format!("{origin}{path}"));
            }
            None => panic!("no call of {} goes there first", self.way.title),
        }
        started(&self.running, settings, PATIENT).await
    }

    /// Undoes what a process of unreachable hosts needed.
    pub(crate) fn restore(&self) {
        let hosts = self.running.stack.other_hosts.as_ref().expect("the sandbox hosts run");
        self.running.stack.secrets.set(OAUTH_CLIENTS_SECRET, &hosts.clients_secret());
    }

    /// Whether what a way needs stays as it is when it was gone, so that it can be gone again at once.
    pub(crate) const fn is_repeatable(&self) -> bool {
        matches!(
            self.way.drive,
            Drive::Get(_)
                | Drive::Renew(..)
                | Drive::Forwarded
                | Drive::AppJwt
                | Drive::Imports
                | Drive::Setup
                | Drive::Run { .. }
        )
    }

    /// Everything that has to be before the call, up to the request.
    pub(crate) async fn prepare(&mut self, at: &Process) -> Ready {
        self.number += 1;
        // What is seen in the second of a refusal is not kept for bad times.
        self.running.clock.advance(A_SECOND);
        let path = self.way.endpoint.path;
        if path.ends_with("/certs") || path.ends_with("/openid-configuration") {
            self.running.clock.advance(TWO_DAYS);
        }
        match self.way.drive {
            Drive::Get(path) => self.with_key(Method::GET, path, None),
            Drive::Renew(path, ended) => {
                self.end_tokens(ended).await;
                self.with_key(Method::GET, path, None)
            }
            Drive::Forwarded => {
                let token = self.running.github().mint_user_token("octocat").access_token;
                request(Method::GET, "/user/installations", &[("authorization", &format!("Bearer {token}"))])
            }
            Drive::AppJwt => {
                let jwt = self.running.stack.service.github_app.jwt().await.expect("a JWT");
                let proof = format!("Bearer {}", jwt.token().expose_secret());
                request(Method::GET, "/users/octocat/installation", &[("authorization", &proof)])
            }
            Drive::NewLogin => {
                let login = format!("octocat-{}", self.number);
                self.rename("octocat", &login);
                self.with_key(Method::GET, &format!("/users/{login}/installation"), None)
            }
            Drive::Imports => {
                let rows = self.running.rows(&self.user().user_id).await;
                let row = rows.iter().find(|row| row.installation_id == 5001).expect("a row");
                let path = format!("/api/users/{}/installations/{}/imports", self.user().user_id, row.id);
                self.with_key(Method::GET, &path, None)
            }
            Drive::Callback => self.callback(at).await,
            Drive::Login => request(Method::GET, &format!("/auth/{}/login", self.way.who.0), &[]),
            Drive::Bring => self.bring(),
            Drive::LogOut => {
                let browser = self.running.browser();
                browser.link(self.way.who.0, self.way.who.1).await;
                self.running.clock.advance(A_MINUTE);
                let headers =
                    [("cookie", browser.cookie_header()), ("origin", self.running.stack.url.clone())];
                let headers = [(headers[0].0, &*headers[0].1), (headers[1].0, &*headers[1].1)];
                request(Method::POST, "/auth/logout", &headers)
            }
            Drive::Unset => {
                self.sign_in().await;
                self.with_key(Method::POST, "/api/unset-provider-tokens", None)
            }
            Drive::Setup => {
                let id = self.running.installation_on("octo-org");
                let cookie = format!("neptun-session={}", self.user().session_cookie);
                let path = format!("/auth/github/setup?installation_id={id}&setup_action=install");
                request(Method::GET, &path, &[("cookie", &cookie)])
            }
            Drive::Webhook => {
                self.running.clock.advance(A_MINUTE);
                self.rename("octo-org", &format!("octo-org-{}", self.number));
                delivered(&self.taken("installation_target"))
            }
            Drive::Backchannel => {
                self.running.browser().link(self.way.who.0, self.way.who.1).await;
                let token = self.running.openid().logout_token(self.way.who.1, |_, _| ()).expect("a session");
                let form = format!("logout_token={token}").into_bytes();
                let kind = [("content-type", "application/x-www-form-urlencoded")];
                with_body(request(Method::POST, "/auth/enterprise_sso/backchannel-logout", &kind), form)
            }
            Drive::Run { full, scene } => {
                self.set(scene).await;
                Ready::Run { full }
            }
        }
    }

    /// The same request once more, as it is: nothing that it needs is made anew.
    pub(crate) async fn repeated(&mut self, at: &Process) -> Ready {
        match self.way.drive {
            Drive::Renew(path, _) => self.with_key(Method::GET, path, None),
            Drive::Run { full, .. } => Ready::Run { full },
            _ => self.prepare(at).await,
        }
    }

    /// Does it.
    pub(crate) async fn act(&self, ready: &Ready, at: &Process) -> Got {
        let started = Instant::now();
        match ready {
            Ready::Request { method, path, headers, body } => {
                let mut asked = self.running.request_at(method.clone(), &format!("{}{path}", at.url));
                for (name, value) in headers {
                    asked = asked.header(name, value);
                }
                let answer = asked.body(body.clone()).send().await;
                Got { answer, took: started.elapsed(), is_run: false }
            }
            Ready::Run { full } => {
                let service = if at.settings == self.running.stack.settings {
                    self.runs.clone()
                } else {
                    service_of("reconcile", &at.settings, &self.running.clock).expect("valid settings")
                };
                let time = at.limit - Duration::from_secs(1) + KEPT_BACK;
                let answer = self.run(&service, *full, time).await;
                Got { answer, took: started.elapsed(), is_run: true }
            }
        }
    }

    /// A run as an answer: 200 with what it came to, else the status that a request would have had.
    async fn run(&self, service: &Arc<Service>, full: bool, time: Duration) -> Answer {
        let budget = service.budget_until(tokio::time::Instant::now() + time);
        let done = reconcile::handle(service.clone(), Scheduled { full }, budget).await;
        let (status, body) = match done {
            Ok(done) => (
                StatusCode::OK,
                json!({ "finished": done.finished, "unreadable": done.unreadable }).to_string(),
            ),
            Err(failure) => (
                contract::Family::OpenHands.failure(&failure).status(),
                json!({ "code": contract::code(&failure) }).to_string(),
            ),
        };
        Answer { status, headers: HeaderMap::new(), body }
    }

    /// The items of the table that somebody would miss, by their keys.
    pub(crate) async fn kept(&self) -> BTreeSet<String> {
        let is_kept = |item: &Value| {
            let kind = kinds::kind_of(text(item, "pk"), text(item, "sk"));
            kind.is_some_and(|kind| KEPT.contains(&kind.name))
        };
        let items = self.running.items().await;
        items
            .iter()
            .filter(|item| is_kept(item))
            .map(|item| format!("{} {}", text(item, "pk"), text(item, "sk")))
            .collect()
    }

    fn with_key(&self, method: Method, path: &str, body: Option<&Value>) -> Ready {
        let headers = [("x-session-api-key", &*self.user().api_key), ("content-type", "application/json")];
        with_body(
            request(method, path, &headers),
            body.map(ToString::to_string).unwrap_or_default().into_bytes(),
        )
    }

    async fn callback(&self, at: &Process) -> Ready {
        let (provider, login) = self.way.who;
        let browser = self.running.browser();
        // A process that cannot speak with the host cannot start there either, and another one can.
        let starting = if at.settings == self.running.stack.settings { at } else { &self.patient };
        let authorize = browser.start_sign_in(&format!("{}/auth/{provider}/login", starting.url)).await;
        let (page, query) = authorize.split_once('?').expect("an authorize page takes a query");
        let chosen = browser.form(page, &format!("{query}&choice={login}")).await;
        let callback =
            chosen.location().strip_prefix(&self.running.stack.url).expect("our callback").to_owned();
        request(Method::GET, &callback, &[("cookie", &browser.cookie_header())])
    }

    fn bring(&self) -> Ready {
        let (provider, login) = self.way.who;
        let hosts = self.running.stack.other_hosts.as_ref().expect("the sandbox hosts run");
        let token = match provider {
            "github" => self.running.github().mint_user_token(login).access_token,
            "gitlab" => hosts.gitlab.mint_personal_token(login, "read_api read_user").expect("a token"),
            _ => hosts.bitbucket.try_mint_api_token(login, &Scope::ALL).expect("a token"),
        };
        let body = json!({ "provider_tokens": { provider: { "token": token } } });
        self.with_key(Method::POST, "/api/add-git-providers", Some(&body))
    }

    async fn end_tokens(&self, ended: Ended) {
        let own: ProviderType = self.way.endpoint.host;
        match ended {
            Ended::Own => self.end_token(TokenSlot::own(own)).await,
            Ended::Brokered | Ended::BrokeredAndIssuers => {
                self.running.openid().forget_all_brokered("gitlab");
                self.end_token(TokenSlot::brokered(ProviderType::Gitlab)).await;
                if ended == Ended::BrokeredAndIssuers {
                    self.end_token(TokenSlot::own(ProviderType::EnterpriseSso)).await;
                }
            }
        }
    }

    async fn end_token(&self, slot: TokenSlot) {
        let (table, id) = (&self.running.stack.service.table, user(&self.user().user_id));
        let row = table.provider_token(&id, slot).await.unwrap().expect("a token");
        let ended = ProviderToken { access_expires_at: Some(1), ..row.clone() };
        table.put_provider_token(&id, &ended, Some(row.version)).await.unwrap();
    }

    /// Renames whoever had that login first, or has one made of it.
    fn rename(&self, first: &str, login: &str) {
        self.running.github().world(|world| {
            let users = world.users.values().map(|user| (user.id, &user.login));
            let all = users.chain(world.organizations.values().map(|one| (one.id, &one.login)));
            let is_it = |name: &str| {
                let number = name.strip_prefix(first).map(|rest| rest.trim_start_matches('-'));
                number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            };
            let account = all.filter(|(_, name)| is_it(name)).map(|(id, _)| id).next().expect("an account");
            world.rename(account, login);
        });
    }

    /// The last delivery of that event that waits at the sandbox.
    fn taken(&self, event: &str) -> SignedDelivery {
        let is_it = |one: &SignedDelivery| {
            one.headers
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("x-github-event") && value == event)
        };
        self.running.github().take_undelivered().into_iter().rev().find(is_it).expect("a delivery")
    }

    async fn set(&self, scene: Scene) {
        let github = self.running.github();
        match scene {
            Scene::Nothing => self.running.clock.advance(A_MINUTE),
            Scene::Renamed => {
                self.running.clock.advance(A_MINUTE);
                self.rename("octo-org", &format!("octo-org-{}", self.number));
            }
            Scene::FailedDelivery => {
                self.running.clock.advance(Duration::from_secs(3_600));
                github
                    .deliveries(DeliveryFaults { fail: HowMany::Always(true), ..DeliveryFaults::default() });
                self.rename("octo-org", &format!("octo-org-{}", self.number));
                github.drain().await;
                github.deliveries(DeliveryFaults { hold: true, ..DeliveryFaults::default() });
            }
            Scene::Contradiction => {
                let id = InstallationId(self.running.installation_on("octo-org"));
                let repository = |world: &mut local::sandbox_github::World| {
                    let mut all = world.repositories.values();
                    all.find(|one| one.name == "not-selected").expect("a repository").id
                };
                github.world(|world| {
                    let repository = repository(world);
                    world.remove_repository_from_installation(id, repository);
                });
                self.running.clock.advance(A_MINUTE);
                github.world(|world| {
                    let repository = repository(world);
                    world.add_repository_to_installation(id, repository);
                });
                let added = self.taken("installation_repositories");
                let mut removed: Value = serde_json::from_slice(&added.body).expect("JSON");
                let list = removed["repositories_added"].take();
                removed["action"] = json!("removed");
                removed["repositories_added"] = json!([]);
                removed["repositories_removed"] = list;
                let removed = self.signed(&added, &removed);
                for one in [added, removed] {
                    let told = self.act(&delivered(&one), &self.patient).await.answer;
                    assert_eq!(told.status, StatusCode::OK, "{told:?}");
                }
                let unsure = self.running.stack.service.table.unsure_installations().await.unwrap();
                assert_eq!(unsure, [id.0]);
            }
        }
    }

    /// A delivery like another one, with another body and a GUID of its own.
    fn signed(&self, like: &SignedDelivery, body: &Value) -> SignedDelivery {
        let body = body.to_string().into_bytes();
        let guid = format!("72d3162e-cc78-11e3-81ab-{:012}", self.number);
        let mut delivery = SignedDelivery { body, guid: guid.clone(), headers: like.headers.clone() };
        for (name, value) in &mut delivery.headers {
            match name.to_ascii_lowercase().as_str() {
                "x-github-delivery" => value.clone_from(&guid),
                "x-hub-signature-256" => *value = webhook_signature(SANDBOX_WEBHOOK_SECRET, &delivery.body),
                _ => {}
            }
        }
        delivery
    }
}

async fn started(running: &Running, settings: FunctionSettings, limit: Duration) -> Process {
    let url = running.process_with(settings.clone(), limit).await;
    Process { url, settings, limit }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Ready {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Ready::Request { method, path: path.to_owned(), headers, body: Vec::new() }
}

fn with_body(ready: Ready, body: Vec<u8>) -> Ready {
    match ready {
        Ready::Request { method, path, headers, .. } => Ready::Request { method, path, headers, body },
        Ready::Run { full } => Ready::Run { full },
    }
}

fn delivered(delivery: &SignedDelivery) -> Ready {
    let headers = delivery.headers.clone();
    Ready::Request { method: Method::POST, path: WEBHOOKS.to_owned(), headers, body: delivery.body.clone() }
}
