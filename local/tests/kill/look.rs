//! What is there after a start, against what was acknowledged before the kill.

use std::collections::BTreeMap;

use local::check;
use local::stack::SANDBOX_APP_ID;
use reqwest::Method;
use serde_json::Value;
use shared::clock::Clock;
use shared::store::Table;

use crate::client::{By, Client, send};
use crate::ledger::{Fact, Ledger};
use crate::load::Load;
use crate::service::Place;

/// Of what was ended long ago, one in so many is looked at again each time.
const SAMPLE: usize = 16;

/// After this round; after the last one, what was ended long ago too.
pub(crate) async fn at_everything(
    place: &Place,
    client: &Client,
    load: &Load,
    ledger: &Ledger,
    round: Option<u64>,
) {
    let table = place.table();
    let problems = [
        keys(client, load, ledger, round).await,
        sessions(client, ledger, round).await,
        tokens(client, load, ledger).await,
        rows(client, load, ledger).await,
        deliveries(client, &table).await,
    ]
    .concat();
    assert!(problems.is_empty(), "round {round:?}: {problems:#?}\n{}", place.said());
    let report = check::table(&table, &Clock::system(), check::PAUSE).await.expect("the table is looked at");
    assert!(report.is_clean(), "round {round:?}: {report}\n{}", place.said());
}

/// Whether this one is looked at in this round: what is new or unsure always is, and at the end everything.
fn is_due(fact: Fact, fresh: bool, index: usize, round: Option<u64>) -> bool {
    let Some(round) = round else { return true };
    let turn = usize::try_from(round).unwrap_or(0) % SAMPLE;
    fact == Fact::Unsure || fresh || index % SAMPLE == turn
}

async fn keys(client: &Client, load: &Load, ledger: &Ledger, round: Option<u64>) -> Vec<String> {
    let mut problems = Vec::new();
    let (keys, fresh) = {
        let written = ledger.lock();
        (written.keys.clone(), written.fresh.clone())
    };
    let path = format!("/api/users/{}/installations", load.keeper.id);
    for (index, (id, key)) in keys.into_iter().enumerate() {
        let (before, mut works) = (key.works, key.works);
        if !is_due(works, fresh.contains(&id), index, round) {
            continue;
        }
        let answer = client.ask(Method::GET, &path, By::Key(&key.key)).await.expect("it runs");
        assert!([200, 401].contains(&answer.status), "{answer:?}");
        if !works.settle(answer.status == 200) {
            problems.push(format!("key {id}: {before:?}, and the answer is {}", answer.status));
        }
        ledger.lock().set_key(&id, works);
    }
    problems
}

async fn sessions(client: &Client, ledger: &Ledger, round: Option<u64>) -> Vec<String> {
    let mut problems = Vec::new();
    let (sessions, fresh) = {
        let written = ledger.lock();
        (written.sessions.clone(), written.fresh.clone())
    };
    for (index, (cookie, before)) in sessions.into_iter().enumerate() {
        let mut works = before;
        if !is_due(works, fresh.contains(&cookie), index, round) {
            continue;
        }
        let answer = client.ask(Method::GET, "/auth/session", By::Session(&cookie)).await.expect("it runs");
        assert_eq!(answer.status, 200, "{answer:?}");
        if !works.settle(answer.body["user_id"].is_string()) {
            problems.push(format!("session {index}: {before:?}, and the answer is {}", answer.body));
        }
        ledger.lock().set_session(&cookie, works);
    }
    ledger.lock().fresh.clear();
    problems
}

async fn tokens(client: &Client, load: &Load, ledger: &Ledger) -> Vec<String> {
    let Some(mut linked) = ledger.lock().linked else { return Vec::new() };
    let path = "/api/user/installations?provider=gitlab";
    let answer = client.ask(Method::GET, path, By::Key(&load.linker.key)).await.expect("it runs");
    assert!([200, 401].contains(&answer.status), "{answer:?}");
    let before = linked;
    let fits = linked.settle(answer.status == 200);
    ledger.lock().linked = Some(linked);
    if fits {
        Vec::new()
    } else {
        vec![format!("GitLab is linked: {before:?}, and the answer is {answer:?}")]
    }
}

async fn rows(client: &Client, load: &Load, ledger: &Ledger) -> Vec<String> {
    let mut problems = Vec::new();
    let own = format!("/api/users/{}/installations", load.owner.id);
    let answer = client.ask(Method::GET, &own, By::Key(&load.owner.key)).await.expect("it runs");
    assert_eq!(answer.status, 200, "{answer:?}");
    let shown = answer.body.as_array().unwrap().iter().map(|row| {
        let number = row["github_installation_id"].as_str().unwrap().parse().unwrap();
        (number, !row["suspended_at"].is_null())
    });
    let shown: BTreeMap<u64, bool> = shown.collect();
    for (id, row) in &mut ledger.lock().rows {
        let before = *row;
        let seen = shown.get(id);
        if row.ended && seen.is_some() || !row.there.settle(seen.is_some()) {
            problems.push(format!("row of {id}: {before:?}, and it is there: {}", seen.is_some()));
        }
        if let Some(suspended) = seen
            && !row.suspended.settle(*suspended)
        {
            problems.push(format!("row of {id}: {before:?}, and it is suspended: {suspended}"));
        }
    }
    problems
}

/// A delivery that GitHub saw acknowledged is dealt with.
async fn deliveries(client: &Client, table: &Table) -> Vec<String> {
    let url = format!("{}/sandbox/api/deliveries", client.github);
    let log = send(client.request(Method::GET, &url)).await.expect("it runs").body;
    let acknowledged = |delivery: &&Value| delivery["status_code"] == 200 && delivery["event"] != "ping";
    let log = log["deliveries"].as_array().unwrap_or_else(|| panic!("{log}"));
    let guids: Vec<String> = log
        .iter()
        .filter(acknowledged)
        .take(50)
        .map(|delivery| delivery["guid"].as_str().unwrap().to_owned())
        .collect();
    let known = table.deliveries_of(SANDBOX_APP_ID, &guids).await.expect("the table answers");
    let lost = guids.into_iter().filter(|guid| !known.contains(guid));
    lost.map(|guid| format!("delivery {guid} was acknowledged and is not known")).collect()
}
