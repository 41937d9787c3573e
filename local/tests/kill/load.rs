//! Clients that write as fast as they are answered, each noting what was acknowledged, until nobody answers any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use local::sandbox_github::webhook_signature;
use local::stack::{SANDBOX_APP_ID, SANDBOX_WEBHOOK_SECRET};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::chance::Chance;
use crate::client::{Answer, By, Client, Dead, send};
use crate::ledger::{Fact, Key, Ledger, Row};

/// Installations that only webhooks tell of.
const FIRST_INSTALLATION: u64 = 7_000_000;
/// Who signs in and out: several, because a host takes only so many calls of one in an hour.
const LOGINS: [&str; 5] = ["big-installation", "sso-lapsed", "account-gone", "lab-manager", "octocat"];
/// How many of them a client writes about at a time.
const AT_A_TIME: u64 = 4;

/// Who writes.
#[derive(Debug)]
pub(crate) struct Load {
    ledger: Arc<Ledger>,
    /// Who makes and ends keys.
    pub(crate) keeper: User,
    /// Who links GitLab, and takes all tokens away.
    pub(crate) linker: User,
    /// Whose account GitHub tells of.
    pub(crate) owner: User,
    owner_number: u64,
    next: Arc<AtomicU64>,
}

/// A user with a key that is never ended.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) key: String,
}

type Done = Result<(), Dead>;

async fn user(client: &Client, login: &str) -> User {
    let session = client.sign_in("github", login, None).await.unwrap().unwrap();
    let made = client.post("/api/keys", By::Session(&session), &json!({"name": "kept"})).await.unwrap();
    let who = client.ask(Method::GET, "/auth/session", By::Session(&session)).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{made:?} {who:?}")).to_owned();
    User { id: text(&who.body["user_id"]), key: text(&made.body["key"]) }
}

/// 5xx is no acknowledgement and no refusal; anything else is expected or wrong.
fn is_done(answer: &Answer, expected: &[u16], what: &str) -> bool {
    assert!(answer.status >= 500 || expected.contains(&answer.status), "{what}: {answer:?}");
    answer.status < 500
}

impl Load {
    pub(crate) async fn prepare(client: &Client, ledger: Arc<Ledger>) -> Self {
        let owner = user(client, "newcomer").await;
        let who = format!("{}/sandbox/api/installations", client.github);
        let body = json!({"account": "newcomer"});
        let made = client.request(Method::POST, &who).header("content-type", "application/json");
        let made = send(made.body(body.to_string())).await.unwrap();
        let owner_number = made.body["account"]["id"].as_u64().unwrap_or_else(|| panic!("{made:?}"));
        Self {
            ledger,
            keeper: user(client, "reader").await,
            linker: user(client, "pending-admin").await,
            owner,
            owner_number,
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Everybody begins.
    pub(crate) fn begin(&self, client: &Client, chance: &mut Chance) -> Vec<JoinHandle<()>> {
        let mut workers = Vec::new();
        for kind in [0, 0, 1, 1, 2, 3, 3, 4] {
            let worker = Worker {
                client: client.clone(),
                ledger: self.ledger.clone(),
                chance: Chance::new(chance.number()),
                keeper: self.keeper.clone(),
                linker: self.linker.clone(),
                owner: self.owner.clone(),
                owner_number: self.owner_number,
                next: self.next.clone(),
            };
            workers.push(tokio::spawn(worker.work(kind)));
        }
        workers
    }
}

struct Worker {
    client: Client,
    ledger: Arc<Ledger>,
    chance: Chance,
    keeper: User,
    linker: User,
    owner: User,
    owner_number: u64,
    next: Arc<AtomicU64>,
}

impl Worker {
    async fn work(mut self, kind: usize) {
        loop {
            let done = match kind {
                0 => self.keys().await,
                1 => self.sessions().await,
                2 => self.tokens().await,
                3 => self.rows().await,
                _ => self.world().await,
            };
            if done.is_err() {
                self.ledger.lock().unanswered += 1;
                return;
            }
        }
    }

    /// A key more, and often one less.
    async fn keys(&mut self) -> Done {
        let by = By::Key(&self.keeper.key);
        let made = self.client.post("/api/keys", by, &json!({"name": "made under load"})).await?;
        if !is_done(&made, &[201, 403], "a new key") {
            return Ok(());
        }
        if made.status == 403 {
            return self.make_room().await;
        }
        let text = |name: &str| made.body[name].as_str().unwrap().to_owned();
        let (id, key) = (text("id"), Key { key: text("key"), works: Fact::Is(true) });
        {
            let mut written = self.ledger.lock();
            written.keys.insert(id.clone(), key);
            written.set_key(&id, Fact::Is(true));
        }
        self.ledger.acknowledge("keys made");
        if self.chance.one_in(4) {
            return Ok(());
        }
        self.ledger.lock().set_key(&id, Fact::Unsure);
        let ended = self.client.ask(Method::DELETE, &format!("/api/keys/{id}"), by).await?;
        if is_done(&ended, &[204], "the end of a key") {
            self.ledger.lock().set_key(&id, Fact::Is(false));
            self.ledger.acknowledge("keys ended");
        }
        Ok(())
    }

    /// Ends the first half of the keys: a user may have 50, and those count that were made and never answered for.
    async fn make_room(&mut self) -> Done {
        let by = By::Key(&self.keeper.key);
        let listed = self.client.ask(Method::GET, "/api/keys", by).await?;
        if !is_done(&listed, &[200], "the list of keys") {
            return Ok(());
        }
        let listed: Vec<Value> = listed.body.as_array().cloned().unwrap_or_default();
        let ids = listed.iter().filter(|key| key["name"] != "kept").filter_map(|key| key["id"].as_str());
        for id in ids.take(25) {
            self.ledger.lock().set_key(id, Fact::Unsure);
            let ended = self.client.ask(Method::DELETE, &format!("/api/keys/{id}"), by).await?;
            // Another worker may be making room too.
            if is_done(&ended, &[204, 404], "the end of a key") {
                self.ledger.lock().set_key(id, Fact::Is(false));
            }
        }
        Ok(())
    }

    /// A session more, and often one less: of some the last, with which their tokens end.
    async fn sessions(&mut self) -> Done {
        let login = LOGINS[usize::try_from(self.chance.below(5)).unwrap_or(0)];
        let Some(cookie) = self.client.sign_in("github", login, None).await? else { return Ok(()) };
        self.ledger.lock().set_session(&cookie, Fact::Is(true));
        self.ledger.acknowledge("sign-ins");
        if self.chance.one_in(4) {
            return Ok(());
        }
        self.ledger.lock().set_session(&cookie, Fact::Unsure);
        let ended = self.client.ask(Method::POST, "/auth/logout", By::Session(&cookie)).await?;
        if is_done(&ended, &[204], "a sign-out") {
            self.ledger.lock().set_session(&cookie, Fact::Is(false));
            self.ledger.acknowledge("sign-outs");
        }
        Ok(())
    }

    /// GitLab linked; its list read, so that something is remembered; all tokens taken away.
    async fn tokens(&mut self) -> Done {
        self.ledger.lock().linked = Some(Fact::Unsure);
        let session = self.client.sign_in("github", "pending-admin", None).await?;
        let Some(session) = session else { return Ok(()) };
        let linked = self.client.sign_in("gitlab", "three-groups", Some(&session)).await?;
        if linked.is_none() {
            return Ok(());
        }
        self.ledger.lock().linked = Some(Fact::Is(true));
        self.ledger.acknowledge("tokens added");
        let by = By::Key(&self.linker.key);
        self.client.ask(Method::GET, "/api/user/repositories?selected_provider=github", by).await?;
        if self.chance.one_in(3) {
            return Ok(());
        }
        self.ledger.lock().linked = Some(Fact::Unsure);
        let unset = self.client.post("/api/unset-provider-tokens", by, &json!({})).await?;
        if is_done(&unset, &[200], "tokens taken away") {
            self.ledger.lock().linked = Some(Fact::Is(false));
            self.ledger.acknowledge("tokens taken away");
        }
        Ok(())
    }

    /// The life of some installations as webhooks tell it, each told only after the last was acknowledged.
    async fn rows(&mut self) -> Done {
        let first = FIRST_INSTALLATION + self.next.fetch_add(AT_A_TIME, Ordering::Relaxed);
        let ids = first..first + AT_A_TIME;
        let mut at = shared::clock::Clock::system().unix();
        for id in ids.clone() {
            let row = Row { there: Fact::Unsure, suspended: Fact::Is(false), ended: false };
            self.ledger.lock().rows.insert(id, row);
            if self.tell("created", id, at, false).await? {
                self.row(id, |row| row.there = Fact::Is(true));
                self.ledger.acknowledge("webhooks");
            }
        }
        for _ in 0..2 {
            for id in ids.clone() {
                at += 1;
                let suspend = self.chance.one_in(2);
                self.row(id, |row| row.suspended = Fact::Unsure);
                let action = if suspend { "suspend" } else { "unsuspend" };
                if self.tell(action, id, at, suspend).await? {
                    self.row(id, |row| row.suspended = Fact::Is(suspend));
                    self.ledger.acknowledge("webhooks");
                }
            }
        }
        if self.chance.one_in(2) {
            self.row(first, |row| row.there = Fact::Unsure);
            if self.tell("deleted", first, at + 1, false).await? {
                self.row(first, |row| (row.there, row.ended) = (Fact::Is(false), true));
                self.ledger.acknowledge("webhooks");
            }
        }
        self.remove_row(first + 1).await?;
        // What comes of an installation afterwards does not bring back a row that its user has removed.
        self.tell("suspend", first + 1, at + 2, true).await.map(drop)
    }

    async fn remove_row(&mut self, installation: u64) -> Done {
        let (by, own) = (By::Key(&self.owner.key), format!("/api/users/{}/installations", self.owner.id));
        let rows = self.client.ask(Method::GET, &own, by).await?;
        let number = installation.to_string();
        let row =
            rows.body.as_array().into_iter().flatten().find(|row| row["github_installation_id"] == number);
        let Some(row) = row else { return Ok(()) };
        self.row(installation, |row| row.there = Fact::Unsure);
        let removed = self.client.ask(Method::DELETE, &format!("{own}/{}", row["id"]), by).await?;
        if is_done(&removed, &[200], "the end of a row") {
            self.row(installation, |row| (row.there, row.ended) = (Fact::Is(false), true));
            self.ledger.acknowledge("rows removed");
        }
        Ok(())
    }

    fn row(&self, id: u64, change: impl FnOnce(&mut Row)) {
        change(self.ledger.lock().rows.get_mut(&id).unwrap());
    }

    /// A webhook, signed as GitHub's are; whether it was acknowledged.
    async fn tell(&self, action: &str, id: u64, at: i64, suspended: bool) -> Result<bool, Dead> {
        let body = json!({
            "action": action,
            "installation": {
                "id": id,
                "app_id": SANDBOX_APP_ID,
                "account": {"id": self.owner_number, "login": "newcomer", "type": "User",
                            "avatar_url": "https://avatars.example/1"},
                "target_type": "User",
                "repository_selection": "all",
                "updated_at": at,
                "suspended_at": suspended.then_some(at),
            },
            "repositories": [{"id": id, "full_name": format!("newcomer/{id}"), "private": false}],
            "sender": {"id": self.owner_number, "login": "newcomer", "type": "User"},
        });
        let body = body.to_string();
        let guid = format!("72d3162e-cc78-11e3-81ab-{:012}", self.next.fetch_add(1, Ordering::Relaxed));
        let request = self
            .client
            .request(Method::POST, "/webhooks/github")
            .header("content-type", "application/json")
            .header("X-GitHub-Delivery", guid)
            .header("X-GitHub-Event", "installation")
            .header("X-GitHub-Hook-Installation-Target-ID", SANDBOX_APP_ID.to_string())
            .header("X-Hub-Signature-256", webhook_signature(SANDBOX_WEBHOOK_SECRET, body.as_bytes()))
            .body(body);
        Ok(is_done(&send(request).await?, &[200], "a webhook"))
    }

    /// The sandbox's world changes, and tells of it by its own webhooks, while octocat looks.
    async fn world(&mut self) -> Done {
        for change in ["suspend", "unsuspend"] {
            let url = format!("{}/sandbox/api/installations/5002/{change}", self.client.github);
            send(self.client.request(Method::POST, &url)).await?;
            self.ledger.acknowledge("changes at GitHub");
            let now = format!("{}/sandbox/api/deliveries/now", self.client.github);
            send(self.client.request(Method::POST, &now)).await?;
        }
        let by = By::Key(&self.keeper.key);
        self.client.ask(Method::GET, "/user/installations", by).await.map(drop)
    }
}
