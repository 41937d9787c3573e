//! Each item by itself: it is of a known kind, this version reads it, its keys say what it says, and only what belongs
//! into the index is in it. What items say of one another is in the other modules.

use shared::provider::ProviderType;
use shared::provider::remembered::ListOf;
use shared::store::{Stored, StoredItem, TokenSlot};

use super::findings::Report;
use super::items::Items;

pub(super) fn check(items: &Items<'_>, report: &mut Report) {
    for item in items.all() {
        let stored = match &item.content {
            Ok(stored) => stored,
            Err(error) => {
                report.violation(item, error.to_string());
                continue;
            }
        };
        if let Some((pk, sk)) = keys_of(item, stored)
            && (pk != item.pk || sk != item.sk)
        {
            report.violation(item, "its keys say something else than the item");
        }
        if !matches!(stored, Stored::Installation(_)) && item.gsi1 != (None, None) {
            report.violation(item, "it is in the index, where only installations are");
        }
        if let Some(problem) = problem_of(item, stored) {
            report.violation(item, problem);
        }
    }
}

/// The slot of a token, as it stands in keys.
pub(super) fn slot_named(name: &str) -> Option<TokenSlot> {
    match name.strip_prefix("enterprise_sso#") {
        Some(provider) => ProviderType::from_name(provider).map(TokenSlot::brokered),
        None => ProviderType::from_name(name).map(TokenSlot::own),
    }
}

/// The name of a slot in keys.
pub(super) fn slot_name(slot: TokenSlot) -> String {
    if slot.brokered { format!("enterprise_sso#{}", slot.provider) } else { slot.provider.to_string() }
}

/// The slot and the rest of a page's sort key.
pub(super) fn page_slot(sk: &str) -> Option<TokenSlot> {
    let rest = sk.strip_prefix("PAGE#")?;
    let end = rest.find("#INSTALLATIONS#").or_else(|| rest.find("#REPOSITORIES#"))?;
    slot_named(&rest[..end])
}

/// The keys that an item has by what it says. What it does not say is taken from its keys.
fn keys_of(item: &StoredItem, stored: &Stored) -> Option<(String, String)> {
    let (pk, sk) = (|| item.pk.clone(), || item.sk.clone());
    let in_list = item.pk.starts_with("USER#");
    Some(match stored {
        Stored::User(user) => (format!("USER#{user}"), "USER".to_owned()),
        Stored::Identity(identity) => {
            (format!("USER#{}", identity.user_id), format!("IDENTITY#{}", identity.provider))
        }
        Stored::Token(token) => (pk(), format!("TOKEN#{}", slot_name(token.slot()))),
        Stored::Session(session) if in_list => {
            (format!("USER#{}", session.user_id), format!("SESSION#{}", session.hash))
        }
        Stored::Session(session) => (format!("SESSION#{}", session.hash), "SESSION".to_owned()),
        Stored::SsoLogin(login) => {
            (format!("SSO_SESSION#{}", login.session), format!("SESSION#{}", login.hash))
        }
        Stored::ApiKey(key) if in_list => {
            (format!("USER#{}", key.user_id), format!("API_KEY#{}", key.id.as_str()))
        }
        Stored::ApiKey(key) => (format!("API_KEY#{}", key.hash), "API_KEY".to_owned()),
        Stored::Mapping(row) => {
            (format!("USER#{}", row.user_id), format!("MAPPING#{:020}", row.installation_id))
        }
        Stored::Page { id, .. } => {
            let of = match id.list {
                ListOf::Installations => format!("INSTALLATIONS#{}", id.page),
                ListOf::Repositories(installation) => format!("REPOSITORIES#{installation}#{}", id.page),
            };
            (pk(), format!("PAGE#{}#{of}", slot_name(page_slot(&item.sk)?)))
        }
        Stored::Installation(known) => {
            (format!("INSTALLATION#{}", known.installation_id), "INSTALLATION".to_owned())
        }
        Stored::Pointer(user) => (pk(), format!("INSTALLATION#USER#{user}")),
        Stored::Unsure(installation) => ("UNSURE".to_owned(), format!("{installation:020}")),
        Stored::Delivery(record) => {
            (format!("DELIVERY#{}#{}", record.target_id, record.guid), "DELIVERY".to_owned())
        }
        Stored::Redelivery(redelivery) => {
            (format!("REDELIVERY#{}", redelivery.guid), "REDELIVERY".to_owned())
        }
        Stored::SignIn(sign_in) => (format!("SIGN_IN#{}", sign_in.state_hash), "SIGN_IN".to_owned()),
        Stored::Answer { request, .. } => {
            let provider = item.sk.split('#').nth(1)?;
            (pk(), format!("ANSWER#{provider}#{request}"))
        }
        Stored::Finder(_)
        | Stored::Lease(_)
        | Stored::Forgotten { .. }
        | Stored::Repositories(_)
        | Stored::ReconcileState(_)
        | Stored::ReconcileLease { .. }
        | Stored::Sweep { .. }
        | Stored::LogoutToken { .. }
        | Stored::Counter(_) => (pk(), sk()),
    })
}

/// What is wrong with an item, whatever the others are.
fn problem_of(item: &StoredItem, stored: &Stored) -> Option<&'static str> {
    let after = |prefix: &str| item.sk.strip_prefix(prefix);
    let provider_of = |key: &str| key.split('#').nth(1).and_then(ProviderType::from_name);
    let holds = |well: bool, what: &'static str| if well { None } else { Some(what) };
    match stored {
        Stored::Finder(_) => holds(provider_of(&item.pk).is_some(), "its key names no provider"),
        Stored::Answer { .. } | Stored::Forgotten { .. } => {
            holds(provider_of(&item.sk).is_some(), "its key names no provider")
        }
        Stored::Page { .. } => holds(page_slot(&item.sk).is_some(), "its key names no token"),
        Stored::Lease(lease) => holds(
            after("LEASE#").and_then(slot_named).is_some()
                && is_random_name(&lease.holder)
                && lease.held_until <= lease.expires_at,
            "the lease is not well-formed",
        ),
        Stored::ReconcileLease { holder, .. } => {
            holds(is_random_name(holder), "the lease is not well-formed")
        }
        Stored::Session(session) => holds(
            session.created_at <= session.seen_at && session.expires_at <= session.ends_at,
            "its times do not follow one another",
        ),
        Stored::SignIn(sign_in) if sign_in.used != sign_in.used_by.is_some() => {
            Some("it is used by nobody, or somebody has used it and it is not used")
        }
        Stored::SignIn(sign_in) => {
            holds(sign_in.ends_at <= sign_in.expires_at, "its times do not follow one another")
        }
        Stored::Redelivery(redelivery) => holds(redelivery.attempts > 0, "it was never asked for"),
        Stored::ReconcileState(state) => holds(state.version > 0, "its version is none"),
        Stored::Sweep { .. } => {
            let well = after("SWEEP#").and_then(|name| name.split_once('#')).is_some_and(|(start, page)| {
                start.parse::<i64>().is_ok() && page.len() == 8 && page.parse::<u32>().is_ok()
            });
            holds(well, "its key names no page of a full run")
        }
        Stored::Counter(last) => {
            holds(item.pk == "COUNTER#MAPPING" && *last > 0, "nobody counts by this counter")
        }
        _ => None,
    }
}

/// A name that nobody else has: 128 random bits.
fn is_random_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
