//! The sender of webhooks: signs, sends, waits ten seconds, writes down how it went; never tries again by itself.
//! What is sent is made in `payloads`, what goes wrong on demand is chosen in `delivery_faults`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ring::hmac;
use tokio::sync::{Notify, watch};

use super::deliveries::{Deliveries, Job, Outcome, Posted};
use super::delivery_faults::{DeliveryFaults, Fate};
use super::objects::Links;
use super::state::{State, lock};
use super::tokens::hex;
use super::world::{AccountId, World};
use super::{AppRegistration, Github, payloads};

/// GitHub waits so long for an answer (reference/github.md 2.2).
const PATIENCE: Duration = Duration::from_secs(10);
const USER_AGENT: &str = "GitHub-Hookshot/5a4db0c";
/// How much of an answer is kept.
const KEPT_ANSWER: usize = 16 << 10;

/// The value of `X-Hub-Signature-256`.
#[must_use]
pub fn webhook_signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body).as_ref()))
}

/// A webhook as it would be sent, for tests that deliver by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDelivery {
    /// The headers, each once.
    pub headers: Vec<(String, String)>,
    /// The exact bytes that are signed.
    pub body: Vec<u8>,
    /// The event's GUID.
    pub guid: String,
}

/// Where webhooks go, how, and what goes wrong with them.
#[derive(Debug)]
pub(super) struct Hookshot {
    pub(super) url: Mutex<Option<String>>,
    pub(super) secret: Mutex<String>,
    pub(super) faults: Mutex<DeliveryFaults>,
    client: reqwest::Client,
    /// Held by whoever sends.
    sending: tokio::sync::Mutex<()>,
    wake: Notify,
    /// Grows with everything that was sent or lost.
    progress: watch::Sender<u64>,
}

impl Hookshot {
    pub(super) fn new(app: &AppRegistration) -> reqwest::Result<Self> {
        // Hooks lead to this machine, over plain http; a TLS provider is asked for all the same.
        let tls = shared::provider::upstream::tls_config(&[]).ok();
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .user_agent(USER_AGENT);
        if let Some(tls) = tls {
            client = client.tls_backend_preconfigured(tls);
        }
        Ok(Self {
            url: Mutex::new(app.webhook_url.clone()),
            secret: Mutex::new(app.webhook_secret.clone()),
            faults: Mutex::default(),
            client: client.build()?,
            sending: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            progress: watch::Sender::new(0),
        })
    }

    /// Something may be there to send.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Github {
    /// Changes the world, and queues the webhooks of all that happened.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let mut state = self.store.lock();
        let result = self.change_locked(&mut state, f);
        drop(state);
        self.hookshot.wake();
        result
    }

    fn change_locked<R>(&self, state: &mut State, f: impl FnOnce(&mut World) -> R) -> R {
        let world = state.change_world();
        world.now = Some(self.timestamp(0));
        let result = f(world);
        let events = world.take_events();
        let links = self.own_links();
        for event in events {
            let message = payloads::message(state.world(), &self.app, &event, &links);
            state.change_deliveries().post(&message, self.app.hook_id, self.clock.unix_millis());
        }
        result
    }

    /// Ends all that a user granted to the App, and queues the webhook of it.
    pub(super) fn revoke(&self, state: &mut State, user: AccountId) {
        state.change_tokens().revoke_grant(user);
        let message = payloads::revoked(state.world(), user, &self.own_links());
        state.change_deliveries().post(&message, self.app.hook_id, self.clock.unix_millis());
        self.hookshot.wake();
    }

    /// Queues the webhook that tests the hook.
    pub(super) fn ping(&self) {
        let mut state = self.store.lock();
        let url = lock(&self.hookshot.url).clone().unwrap_or_default();
        let message = payloads::ping(state.world(), &self.app, &url, &self.own_links());
        state.change_deliveries().post(&message, self.app.hook_id, self.clock.unix_millis());
        drop(state);
        self.hookshot.wake();
    }

    fn own_links(&self) -> Links {
        Links { origin: self.web_url.clone() }
    }

    /// The headers of a delivery. GitHub also sends the SHA-1 signature of old; nobody should read it, so that
    /// it is left out here.
    fn headers(&self, posted: &Posted) -> Vec<(String, String)> {
        let signature = webhook_signature(&lock(&self.hookshot.secret), posted.body.as_bytes());
        [
            ("Accept", "*/*".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", USER_AGENT.to_owned()),
            ("X-GitHub-Delivery", posted.guid.clone()),
            ("X-GitHub-Event", posted.event.clone()),
            ("X-GitHub-Hook-ID", self.app.hook_id.to_string()),
            ("X-GitHub-Hook-Installation-Target-ID", self.app.app_id.to_string()),
            ("X-GitHub-Hook-Installation-Target-Type", "integration".to_owned()),
            ("X-Hub-Signature-256", signature),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Everything that waits, in the order of the events; it is then no longer the sandbox's to send.
    pub(super) fn take_undelivered(&self) -> Vec<SignedDelivery> {
        let mut state = self.store.lock();
        let deliveries = state.change_deliveries();
        let mut taken = Vec::with_capacity(deliveries.waiting());
        while let Some(job) = deliveries.take(0) {
            taken.push(job);
        }
        drop(state);
        self.hookshot.progress.send_modify(|progress| *progress += 1);
        let sign = |Job { posted, .. }: Job| SignedDelivery {
            headers: self.headers(&posted),
            guid: posted.guid,
            body: posted.body.into_bytes(),
        };
        taken.into_iter().map(sign).collect()
    }

    /// Whether something waits that is sent without being asked for.
    fn is_due(&self) -> bool {
        // One lock at a time: others take these inside the store's.
        let somewhere = lock(&self.hookshot.url).is_some();
        let held = lock(&self.hookshot.faults).hold;
        somewhere && !held && self.store.lock().deliveries().waiting() > 0
    }

    /// Sends what waits, as long as the sandbox runs.
    pub(super) async fn keep_delivering(self: Arc<Self>) {
        loop {
            if !self.is_due() {
                self.hookshot.wake.notified().await;
                continue;
            }
            let delay = Duration::from_millis(lock(&self.hookshot.faults).delay_ms);
            tokio::time::sleep(delay).await;
            let _turn = self.hookshot.sending.lock().await;
            if self.is_due() {
                self.deliver_one().await;
            }
        }
    }

    /// Sends everything that waits, whatever is to be held or delayed.
    pub(super) async fn deliver_now(&self) {
        let _turn = self.hookshot.sending.lock().await;
        while self.deliver_one().await {}
    }

    /// Waits until nothing is due and nothing is under way.
    pub(super) async fn drain(&self) {
        let mut progress = self.hookshot.progress.subscribe();
        loop {
            {
                let _turn = self.hookshot.sending.lock().await;
                if !self.is_due() {
                    return;
                }
            }
            self.hookshot.wake();
            // An error means that the sandbox is gone.
            if progress.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends what is next; tells whether there was something and somewhere to send it to.
    async fn deliver_one(&self) -> bool {
        let Some(url) = lock(&self.hookshot.url).clone() else { return false };
        let (job, fate) = {
            let mut state = self.store.lock();
            let mut faults = lock(&self.hookshot.faults);
            let deliveries: &mut Deliveries = state.change_deliveries();
            let index = faults.draw(deliveries.waiting());
            let Some(job) = deliveries.take(index) else { return false };
            (job, faults.fate())
        };
        match fate {
            Fate::Lost => {}
            Fate::Failed => {
                let outcome = Outcome {
                    request_headers: self.headers(&job.posted),
                    ..failure("failed to connect to host", 502)
                };
                self.write_down(job, outcome);
            }
            Fate::Sent(times) => {
                for _ in 0..times {
                    let outcome = self.send(&url, &job.posted).await;
                    self.write_down(job.clone(), outcome);
                }
            }
        }
        self.hookshot.progress.send_modify(|progress| *progress += 1);
        true
    }

    fn write_down(&self, job: Job, outcome: Outcome) {
        let now = self.timestamp(0);
        self.store.lock().change_deliveries().log(job, outcome, now);
    }

    async fn send(&self, url: &str, posted: &Posted) -> Outcome {
        let headers = self.headers(posted);
        let mut request = self.hookshot.client.post(url).body(posted.body.clone());
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let begun = Instant::now();
        let answer = async {
            let answer = request.send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        };
        let outcome = match answer.await {
            Ok((status, headers, body)) => Outcome {
                status: if status.is_success() {
                    "OK".to_owned()
                } else {
                    format!("Invalid HTTP Response: {}", status.as_u16())
                },
                status_code: status.as_u16(),
                response_headers: headers
                    .iter()
                    .map(|(name, value)| {
                        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                    })
                    .collect::<BTreeMap<_, _>>()
                    .into_iter()
                    .collect(),
                response_body: String::from_utf8_lossy(&body[..body.len().min(KEPT_ANSWER)]).into_owned(),
                ..Outcome::default()
            },
            Err(error) if error.is_timeout() => failure("timed out", 504),
            Err(_) => failure("failed to connect to host", 502),
        };
        let duration = (begun.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        Outcome { duration, request_headers: headers, ..outcome }
    }
}

fn failure(status: &str, status_code: u16) -> Outcome {
    Outcome { status: status.to_owned(), status_code, ..Outcome::default() }
}
