//! A table as it can be compared with another run's: what every item says, without what is random, without times, and
//! without what only waits for its end.

use std::collections::BTreeMap;

use shared::store::{InstallationFacts, RepositoryList, Stored, StoredItem, TokenSlot};

/// What there is, and how often.
pub(crate) type Picture = BTreeMap<String, usize>;

/// What there may be more of where something was tried again: each stands for itself and harms nobody.
const TRIED_AGAIN: [&str; 4] = ["session", "api key", "sso session", "found by"];

pub(crate) fn of(items: &[StoredItem]) -> Picture {
    let mut picture = Picture::new();
    for item in items {
        let stored = item.content.as_ref().unwrap_or_else(|error| panic!("{} {}: {error}", item.pk, item.sk));
        if let Some(line) = line(item, stored) {
            *picture.entry(anywhere(&line)).or_default() += 1;
        }
    }
    picture
}

/// The line with the word PORT in place of the ports of a bench.
fn anywhere(line: &str) -> String {
    let mut parts = line.split("127.0.0.1:");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, rest| {
        text + "127.0.0.1:PORT" + rest.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

/// How one picture differs from another; of what was tried again it only matters that it is there.
pub(crate) fn difference(seen: &Picture, expected: &Picture) -> Option<String> {
    let count = |picture: &Picture, line: &String| {
        let count = picture.get(line).copied().unwrap_or_default();
        if TRIED_AGAIN.iter().any(|kind| line.starts_with(kind)) { count.min(1) } else { count }
    };
    let lines: std::collections::BTreeSet<&String> = seen.keys().chain(expected.keys()).collect();
    let differing: Vec<String> = lines
        .into_iter()
        .filter(|line| count(seen, line) != count(expected, line))
        .map(|line| format!("{line}: {} and not {}", count(seen, line), count(expected, line)))
        .collect();
    (!differing.is_empty()).then(|| differing.join("; "))
}

fn slot(TokenSlot { provider, brokered }: TokenSlot) -> String {
    if brokered { format!("brokered {provider}") } else { provider.to_string() }
}

fn facts(facts: &InstallationFacts) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!(
        "{} {} {} {}",
        text(&facts.account_name),
        text(&facts.account_type),
        text(&facts.repository_selection),
        if facts.suspended_at.is_some() { "suspended" } else { "" }
    )
}

fn line(item: &StoredItem, stored: &Stored) -> Option<String> {
    Some(match stored {
        Stored::User(_) => "user".to_owned(),
        Stored::Identity(one) => {
            format!("identity {} {} {} {}", one.provider, one.subject, one.login, one.brokered)
        }
        Stored::Finder(_) => format!("finder {}", item.pk),
        Stored::Token(token) => {
            let refresh = token.sealed_refresh.is_some();
            format!("token {} ended {} refresh {refresh}", slot(token.slot()), token.ended)
        }
        Stored::Session(session) => {
            let of = if item.pk.starts_with("USER#") { "session" } else { "found by session" };
            format!("{of} sso {}", session.sso_session.is_some())
        }
        Stored::SsoLogin(_) => "sso session".to_owned(),
        Stored::ApiKey(key) => {
            let of = if item.pk.starts_with("USER#") { "api key" } else { "found by api key" };
            // When it was used last is noted where that costs nobody anything.
            format!("{of} {}", key.name)
        }
        Stored::Mapping(row) => {
            format!("row {} {:?} {}", row.installation_id, row.proof, facts(&row.facts))
        }
        Stored::Page { .. } => item.sk.clone(),
        Stored::Answer { .. } | Stored::Forgotten { .. } => {
            let owner = if item.pk.starts_with("USER#") { "user" } else { "app" };
            format!("{owner} {}", item.sk)
        }
        Stored::Installation(known) => format!(
            "{} gone {} unsure {} list {} finished {} {}",
            item.pk,
            known.is_gone(),
            known.unsure,
            known.repositories.is_some(),
            known.rows_at == known.version,
            facts(&known.facts)
        ),
        Stored::Pointer(_) => format!("pointer {}", item.pk),
        Stored::Repositories(bytes) => {
            let list = RepositoryList::unpacked(bytes).unwrap();
            let reached: Vec<u64> = list.reached().map(|(id, _)| id).collect();
            format!("list {} {reached:?}", item.pk)
        }
        Stored::Unsure(id) => format!("unsure {id}"),
        Stored::Delivery(record) => format!("delivery {}", record.event),
        Stored::Redelivery(one) => format!("redelivery {}", one.given_up),
        Stored::ReconcileState(state) => {
            format!("reconciled full {} sweep {}", state.full_at.is_some(), state.sweep.is_some())
        }
        Stored::LogoutToken { .. } => "logout token".to_owned(),
        // Leases and what was seen by a full run end by themselves, a sign-in that was given up too; integers that
        // were given to nobody are lost.
        Stored::Lease(_)
        | Stored::ReconcileLease { .. }
        | Stored::Sweep { .. }
        | Stored::SignIn(_)
        | Stored::Counter(_) => return None,
    })
}
