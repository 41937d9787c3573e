//! Users, their identities, tokens, and what was read with the tokens: each points at the other. How a user proves who
//! it is is `callers`' business, the mapping `installations`'.

use shared::provider::ProviderType;
use shared::store::{Identity, ProviderToken, Stored, StoredItem, TokenSlot};

use super::findings::Report;
use super::items::Items;
use super::keys::{page_slot, slot_name};

/// What AES-256-GCM adds to a text: nonce and tag.
const SEAL: usize = 12 + 16;

pub(super) fn check(items: &Items<'_>, report: &mut Report) {
    for (item, stored) in items.read() {
        if item.pk.starts_with("USER#") && item.sk != "USER" && !items.has(&item.pk, "USER") {
            report.violation(item, "there is no such user");
        }
        match stored {
            Stored::Identity(identity) => check_identity(items, report, item, identity),
            Stored::Finder(user) => {
                let Some((provider, subject)) = found_by(&item.pk) else { continue };
                let identity = items.get(&format!("USER#{user}"), &format!("IDENTITY#{provider}"));
                let is_it = |identity: &Identity| !identity.brokered && identity.subject == subject;
                if !matches!(identity, Some(Stored::Identity(identity)) if is_it(identity)) {
                    report.violation(item, format!("it finds {user}, who has no such identity"));
                }
            }
            Stored::Token(token) => check_token(items, report, item, token),
            Stored::Page { .. } if !items.is_over(stored) => {
                let Some(slot) = page_slot(&item.sk) else { continue };
                if !items.has(&item.pk, &format!("TOKEN#{}", slot_name(slot))) {
                    report.violation(item, "a page is remembered, and the token that fetched it is gone");
                }
            }
            Stored::SignIn(sign_in) => {
                let started_by = sign_in.user_id.as_ref();
                if started_by.is_some_and(|user| !items.has(&format!("USER#{user}"), "USER")) {
                    report.violation(item, "the user who started it is none");
                }
            }
            _ => {}
        }
    }
}

/// The provider and the subject in the key of a finder.
fn found_by(pk: &str) -> Option<(ProviderType, &str)> {
    let (provider, subject) = pk.strip_prefix("IDENTITY#")?.split_once('#')?;
    Some((ProviderType::from_name(provider)?, subject))
}

fn check_identity(items: &Items<'_>, report: &mut Report, item: &StoredItem, identity: &Identity) {
    let Identity { user_id, provider, subject, brokered, .. } = identity;
    if *brokered {
        let slot = TokenSlot::own(ProviderType::EnterpriseSso);
        if !items.has(&item.pk, &format!("IDENTITY#{}", slot_name(slot))) {
            report.violation(item, "it is brokered, and the user has no identity at the enterprise SSO");
        }
        return;
    }
    match items.get(&format!("IDENTITY#{provider}#{subject}"), "IDENTITY") {
        Some(Stored::Finder(user)) if user == user_id => {}
        Some(Stored::Finder(user)) => report.violation(item, format!("signing in with it finds {user}")),
        _ => report.violation(item, "signing in with it finds nobody"),
    }
}

fn check_token(items: &Items<'_>, report: &mut Report, item: &StoredItem, token: &ProviderToken) {
    let refresh = token.sealed_refresh.as_ref().map_or(SEAL, Vec::len);
    if token.version == 0 || token.key_id.is_empty() || token.sealed_access.len() < SEAL || refresh < SEAL {
        report.violation(item, "it is not sealed, or has no version");
    }
    let of = if token.brokered { ProviderType::EnterpriseSso } else { token.provider };
    // What was granted here was granted to somebody; what a user brings need not say whose it is.
    let granted = token.brokered || token.redirect_uri.is_some();
    if granted {
        match items.get(&item.pk, &format!("IDENTITY#{of}")) {
            Some(Stored::Identity(identity)) if !identity.brokered => {}
            _ => report.violation(item, format!("the user has never signed in at {of}")),
        }
    }
}
