//! What the tests of `POST /webhooks/github` share: deliveries made by hand or taken from the sandbox, and what
//! of the table they may change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_github::{SignedDelivery, webhook_signature};
use local::stack::{SANDBOX_APP_ID, SANDBOX_WEBHOOK_SECRET};
use serde_json::{Value, json};
use shared::metrics::Metric;
use shared::store::KnownInstallation;

use crate::behind::text;
use crate::harness::{Answer, Running, without_ports};

const ROUTE: &str = "/webhooks/github";
pub(crate) const SIGNATURE: &str = "X-Hub-Signature-256";
pub(crate) const TARGET: &str = "X-GitHub-Hook-Installation-Target-ID";

/// Attributes that differ from run to run: times, counters and random ids.
const VOLATILE: [&str; 15] = [
    "id",
    "user_id",
    "guid",
    "version",
    "rows_at",
    "repositories",
    "updated_at",
    "created_at",
    "proved_at",
    "received_at",
    "expires_at",
    "deleted_at",
    "changed_at",
    "suspended_at",
    "forgotten_at",
];

/// A delivery of that event as GitHub signs it, with a GUID of its own.
pub(crate) fn message(event: &str, body: impl Into<Vec<u8>>) -> SignedDelivery {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let guid = format!("72d3162e-cc78-11e3-81ab-{:012}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let body = body.into();
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("X-GitHub-Delivery", guid.clone()),
        ("X-GitHub-Event", event.to_owned()),
        (TARGET, SANDBOX_APP_ID.to_string()),
        (SIGNATURE, webhook_signature(SANDBOX_WEBHOOK_SECRET, &body)),
    ];
    SignedDelivery { headers: headers.map(|(name, value)| (name.to_owned(), value)).into(), body, guid }
}

/// The delivery with another value of a header, or without it.
pub(crate) fn with_header(delivery: &SignedDelivery, name: &str, value: Option<&str>) -> SignedDelivery {
    let mut delivery = delivery.clone();
    delivery.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    delivery.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    delivery
}

/// The delivery with other bytes, rightly signed.
pub(crate) fn with_body(delivery: &SignedDelivery, body: impl Into<Vec<u8>>) -> SignedDelivery {
    let body = body.into();
    let signature = webhook_signature(SANDBOX_WEBHOOK_SECRET, &body);
    SignedDelivery { body, ..with_header(delivery, SIGNATURE, Some(&signature)) }
}

/// The delivery's body as JSON.
pub(crate) fn body_of(delivery: &SignedDelivery) -> Value {
    serde_json::from_slice(&delivery.body).expect("JSON")
}

/// An installation on an account, as an event of that second describes it.
pub(crate) fn described(id: u64, account: (u64, &str, &str), updated_at: i64) -> Value {
    let (account, login, kind) = account;
    json!({
        "id": id,
        "app_id": SANDBOX_APP_ID,
        "account": {"id": account, "login": login, "type": kind, "avatar_url": "https://avatars.example/1"},
        "target_type": kind,
        "repository_selection": "all",
        "updated_at": updated_at,
        "suspended_at": null,
    })
}

impl Running {
    /// Posts a delivery as it is.
    pub(crate) async fn deliver(&self, delivery: &SignedDelivery) -> Answer {
        let mut request = self.post(ROUTE).body(delivery.body.clone());
        for (name, value) in &delivery.headers {
            request = request.header(name, value);
        }
        request.send().await
    }

    /// Posts a delivery and gives what became of it.
    pub(crate) async fn dealt(&self, delivery: &SignedDelivery) -> String {
        let answer = self.deliver(delivery).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let body = answer.json();
        assert_eq!(body["delivery"], delivery.guid, "{answer:?}");
        body["result"].as_str().expect("a text").to_owned()
    }

    /// The one delivery that waits at the sandbox.
    pub(crate) fn taken(&self) -> SignedDelivery {
        let mut waiting = self.github().take_undelivered();
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        waiting.remove(0)
    }

    /// How often something was counted.
    pub(crate) fn counted(&self, metric: Metric) -> u64 {
        self.stack.functions["github-webhook"].metrics.total(metric)
    }

    /// What is known of an installation.
    pub(crate) async fn known(&self, installation: u64) -> Option<KnownInstallation> {
        self.stack.service.table.installation(installation).await.expect("the table answers").known
    }

    /// The repositories that an installation is known to reach, by number.
    pub(crate) async fn reached(&self, installation: u64) -> BTreeMap<u64, String> {
        let known = self.known(installation).await.expect("an installation");
        let list = self.stack.service.table.known_repositories(&known).await.expect("a whole list");
        let list = list.unwrap_or_default();
        list.reached().map(|(id, known)| (id, known.full_name.clone())).collect()
    }

    /// What deliveries can change, without what differs from run to run. Lists of repositories are read, and
    /// nothing that no installation points to may lie beside them.
    pub(crate) async fn picture(&self, users: &[&DemoUser]) -> BTreeMap<String, Value> {
        const COUNTED: [&str; 3] = ["SESSION", "DELIVERY", "API_KEY"];
        const KINDS: [&str; 8] =
            ["MAPPING#", "INSTALLATION", "DELIVERY", "TOKEN#", "SESSION", "FORGOTTEN#", "ANSWER#", "API_KEY"];
        let mut picture = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for mut item in self.items().await {
            let (pk, sk) = (text(&item, "pk").to_owned(), text(&item, "sk").to_owned());
            if sk.starts_with("REPOSITORIES#") {
                let id: u64 = pk.trim_start_matches("INSTALLATION#").parse().expect("a number");
                let at = self.known(id).await.and_then(|known| known.repositories);
                let at = at.unwrap_or_else(|| panic!("nothing points to {sk} of {id}"));
                assert!(sk.starts_with(&format!("REPOSITORIES#{}#", at.version)), "nothing points to {sk}");
                picture.insert(format!("{pk} REPOSITORIES"), json!([self.reached(id).await, at.unsure]));
                continue;
            }
            if !KINDS.iter().any(|kind| sk.starts_with(kind)) && pk != "UNSURE_REPOSITORIES" {
                continue;
            }
            // Their keys are random.
            if let Some(counted) = COUNTED.iter().find(|kind| sk.starts_with(*kind)) {
                *counts.entry(*counted).or_insert(0) += 1;
                continue;
            }
            let suspended = item["suspended_at"].is_object();
            let gone = item["deleted_at"].is_object();
            // A token is sealed anew each time, a body packed: only that they are there can be compared.
            if sk.starts_with("TOKEN#") || sk.starts_with("ANSWER#") {
                item = json!({});
            }
            for name in VOLATILE {
                item.as_object_mut().expect("an item").remove(name);
            }
            item["is"] = json!([suspended, gone]);
            item.as_object_mut().expect("an item").retain(|name, _| name != "pk" && name != "sk");
            let mut key = format!("{pk} {sk}");
            for (number, user) in users.iter().enumerate() {
                key = key.replace(&user.user_id, &format!("user-{number}"));
            }
            let item: Value = serde_json::from_str(&without_ports(&item.to_string())).expect("JSON");
            assert!(picture.insert(key.clone(), item).is_none(), "twice: {key}");
        }
        picture.insert("counted".to_owned(), json!(counts));
        picture
    }
}

/// Refused in the way of that status, with the word for programs.
pub(crate) fn assert_refused(answer: &Answer, status: StatusCode, error: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{answer:?}");
}
