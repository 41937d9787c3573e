//! Secrets as Secrets Manager gives them: by name and ARN, the current version, and told when there is none.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;
use shared::secrets::SecretsError;

use crate::harness::{TestSecrets, unique};

async fn read(test: &TestSecrets, id: &str) -> String {
    test.secrets.get(id).await.unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_secret_is_found_by_its_name_and_by_its_arn() {
    let test = TestSecrets::new().await;
    let name = unique("git-installations/app");
    test.create(&name, r#"{"app_id":1}"#).await;
    assert_eq!(read(&test, &name).await, r#"{"app_id":1}"#);
    let described = test.raw("GetSecretValue", json!({"SecretId": name})).await;
    assert_eq!(read(&test, described["ARN"].as_str().unwrap()).await, r#"{"app_id":1}"#);
}

#[tokio::test]
async fn a_rotated_secret_is_read_when_a_key_fails_or_five_minutes_later() {
    let test = TestSecrets::new().await;
    let name = unique("rotated");
    test.create(&name, "one").await;
    assert_eq!(read(&test, &name).await, "one");
    test.rotate(&name, "two").await;
    assert_eq!(read(&test, &name).await, "one", "from the cache");
    test.clock.advance(Duration::from_secs(10));
    assert_eq!(test.secrets.refresh(&name).await.unwrap().expose_secret(), "two");
    test.rotate(&name, "three").await;
    test.clock.advance(Duration::from_secs(300));
    assert_eq!(read(&test, &name).await, "three");
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_and_found_once_it_is() {
    let test = TestSecrets::new().await;
    let name = unique("absent");
    let absent = test.secrets.get(&name).await.map(drop);
    assert_eq!(absent, Err(SecretsError::NotFound(name.clone())));
    test.create(&name, "here").await;
    assert_eq!(read(&test, &name).await, "here");
}
