//! An issuer's discovery document and key set, each on a line of its own.
//! When they are asked for is the client's business.

use serde_json::Value;
use shared::fuzzing::enterprise_sso::{KeySet, addresses};
use shared::provider::enterprise_sso::Issuer;
use url::Host;

use crate::hosts::HOSTS;

/// No address is taken that leads into a machine or a network of ours, and nobody signs with a key of no set.
pub fn run(data: &[u8]) {
    let documents = data.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    for document in documents.take(4) {
        let document: Value = document;
        let issuer = document["issuer"].as_str().and_then(|issuer| issuer.parse::<Issuer>().ok());
        for issuer in issuer.iter().chain([&HOSTS.sso_client.issuer]) {
            let Some(addresses) = addresses(issuer, &document) else { continue };
            assert_eq!(document["issuer"], issuer.as_str());
            assert!((3..=5).contains(&addresses.len()));
            for address in addresses {
                assert!(address.username().is_empty() && address.password().is_none());
                assert!(address.fragment().is_none());
                if address.origin() == issuer.url().origin() {
                    continue;
                }
                assert_eq!(address.scheme(), "https", "{address}");
                assert_eq!(address.port(), None, "{address}");
                let Some(Host::Domain(name)) = address.host() else { panic!("{address} names no host") };
                assert!(
                    !name.ends_with('.') && name != "localhost" && !name.ends_with(".localhost"),
                    "{name}"
                );
            }
        }
        if let Some(keys) = KeySet::read(&document) {
            assert!(document["keys"].as_array().is_some_and(|keys| !keys.is_empty()));
            for token in ["", "..", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.e30"] {
                assert!(!keys.has_signed(token), "{token:?} was taken");
            }
        }
    }
}
