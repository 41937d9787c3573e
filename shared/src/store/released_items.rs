//! Today's code reads the items of every released version, one real item of every kind (`fixtures/items/README.md`).
//! How they are taken from a table is `local/tests/end_to_end/released_items.rs`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api_keys::ApiKey;
use super::deliveries::DeliveryRecord;
use super::identities::{Finder, Identity};
use super::installation_repositories::Chunk;
use super::installations::{KnownInstallation, Mark, Pointer};
use super::kept_answers::{Forgotten, KeptAnswer};
use super::kinds::{KINDS, kind_of};
use super::leases::Lease;
use super::mapping::MappingRow;
use super::pages::KeptPage;
use super::provider_tokens::ProviderToken;
use super::reconciliation::{Held, ReconcileState, Redelivery, SweptPage};
use super::sessions::{Session, SsoLogin};
use super::sign_ins::SignIn;
use super::table::{Item, Key, StoreError, from_item, to_item};

/// Attributes that a later version does not read any more: kind and name.
const GIVEN_UP: [(&str, &str); 0] = [];
/// Attributes that the table itself uses, and no row has.
const OF_THE_TABLE: [&str; 5] = ["pk", "sk", "gsi1pk", "gsi1sk", "v"];

#[derive(Serialize, Deserialize)]
struct Counter {
    last: i64,
}

/// The item as it is written again after it was read.
fn again<T: Serialize + DeserializeOwned>(item: &Item) -> Result<Item, StoreError> {
    let key = |name: &str| item[name].as_s().unwrap().clone();
    to_item(&Key::new(key("pk"), key("sk")), &from_item::<T>(item.clone())?)
}

/// The item as today's code reads it and writes it again; nothing where it only looks whether there is one.
fn read(kind: &str, item: &Item) -> Result<Option<Item>, StoreError> {
    match kind {
        "user" | "logout-token" => from_item::<IgnoredAny>(item.clone()).map(|_| None),
        "identity" => again::<Identity>(item).map(Some),
        "identity-finder" => again::<Finder>(item).map(Some),
        "token" => again::<ProviderToken>(item).map(Some),
        "lease" => again::<Lease>(item).map(Some),
        "session" | "session-of-user" => again::<Session>(item).map(Some),
        "sso-session" => again::<SsoLogin>(item).map(Some),
        "api-key" | "api-key-of-user" => again::<ApiKey>(item).map(Some),
        "mapping" => again::<MappingRow>(item).map(Some),
        "answer" | "app-answer" => again::<KeptAnswer>(item).map(Some),
        "page" => again::<KeptPage>(item).map(Some),
        "forgotten" | "app-forgotten" => again::<Forgotten>(item).map(Some),
        "installation" => again::<KnownInstallation>(item).map(Some),
        "installation-user" => again::<Pointer>(item).map(Some),
        "repositories" => again::<Chunk>(item).map(Some),
        "unsure" => again::<Mark>(item).map(Some),
        "delivery" => again::<DeliveryRecord>(item).map(Some),
        "redelivery" => again::<Redelivery>(item).map(Some),
        "reconcile-state" => again::<ReconcileState>(item).map(Some),
        "reconcile-lease" => again::<Held>(item).map(Some),
        "sweep" => again::<SweptPage>(item).map(Some),
        "sign-in" => again::<SignIn>(item).map(Some),
        "counter" => again::<Counter>(item).map(Some),
        other => panic!("kinds.rs has a new kind, {other}: say here as what it is read"),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// The folder of each released version.
fn releases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/items");
    entries(&folder).into_iter().filter(|path| path.is_dir()).collect()
}

/// The items of a release by their files' names.
fn items(release: &Path) -> BTreeMap<String, Item> {
    let files = entries(release).into_iter();
    let item = |file: PathBuf| {
        let value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        (file.display().to_string(), attributes(&value))
    };
    files.map(item).collect()
}

fn attributes(map: &Value) -> Item {
    map.as_object().unwrap().iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

/// A value as DynamoDB writes it in JSON.
fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "B" => AttributeValue::B(STANDARD.decode(text()).unwrap().into()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "NULL" => AttributeValue::Null(true),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(attribute).collect()),
        "M" => AttributeValue::M(attributes(value)),
        other => panic!("no item of ours has an attribute of type {other}"),
    }
}

fn kind(item: &Item) -> &'static str {
    kind_of(item["pk"].as_s().unwrap(), item["sk"].as_s().unwrap()).expect("a kind that is known").name
}

#[test]
fn the_items_of_each_released_version_are_read() {
    let mut count = 0;
    for release in releases() {
        for (file, item) in items(&release) {
            let again = read(kind(&item), &item).unwrap_or_else(|error| panic!("{file}: {error}"));
            let Some(again) = again else { continue };
            for (name, value) in &item {
                let given_up = GIVEN_UP.contains(&(kind(&item), name.as_str()));
                if !given_up && !OF_THE_TABLE.contains(&name.as_str()) {
                    assert_eq!(again.get(name), Some(value), "{file}: {name} is read and forgotten");
                }
            }
            count += 1;
        }
    }
    assert!(count > 20, "{count} items");
}

#[test]
fn each_release_has_an_item_of_every_kind_that_it_wrote_and_this_one_of_every_kind() {
    let current = releases().into_iter().find(|release| release.ends_with(env!("CARGO_PKG_VERSION")));
    let current = current.expect("fixtures/items has a folder for this version");
    let kinds: BTreeSet<_> = items(&current).values().map(kind).collect();
    let missing: Vec<_> = KINDS.iter().map(|kind| kind.name).filter(|name| !kinds.contains(name)).collect();
    assert_eq!(missing, [""; 0], "{} has no item of these kinds", current.display());
}

#[test]
fn every_released_item_says_in_which_schema_it_is_written() {
    for release in releases() {
        for (file, item) in items(&release) {
            assert!(item.get("v").is_some_and(AttributeValue::is_n), "{file}");
        }
    }
}
