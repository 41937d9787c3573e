//! The secrets as Secrets Manager gives them: the App's, the ring of token keys, our OAuth clients.
//! What is sealed with a ring opens with it; that is tried too.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use shared::github_app::AppCredentials;
use shared::identity::oauth_clients::OauthClients;
use shared::identity::sealing::{Aad, KeyRing};
use shared::provider::ProviderType;
use shared::secrets::FromSecret;

/// No word of ours.
const MARK: &str = "qX7vR2wK9zP4mT6j";

/// What is taken can be used; what is refused is told in one line that repeats no value.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match AppCredentials::from_secret(text) {
        Ok(app) => {
            assert!(app.app_id > 0 && !app.client_id.is_empty());
            assert!(!app.private_keys().is_empty() && !app.webhook_secrets().is_empty());
            assert!(app.webhook_secrets().iter().all(|secret| !secret.expose_secret().trim().is_empty()));
        }
        Err(problem) => told(&problem, text),
    }
    match KeyRing::from_secret(text) {
        Ok(ring) => {
            let aad = |version| Aad {
                table: "table",
                user: "usr_1",
                provider: ProviderType::Github,
                kind: "access",
                version,
            };
            let sealed = ring.seal(&aad(1), &SecretString::from("token")).expect("sealed");
            assert_eq!(ring.open(&aad(1), &sealed).expect("opened").expose_secret(), "token");
            assert!(ring.open(&aad(2), &sealed).is_err());
            assert!(!ring.is_outdated(&sealed.key_id));
        }
        Err(problem) => told(&problem, text),
    }
    match OauthClients::from_secret(text) {
        Ok(clients) => {
            for client in clients.gitlab.iter().chain(&clients.bitbucket) {
                assert!(client.client_id.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            if let Some(sso) = &clients.enterprise_sso {
                let issuer = sso.issuer.url();
                assert!(issuer.query().is_none() && issuer.username().is_empty());
                assert!(sso.broker.values().all(|alias| !alias.contains('/') && alias != ".."));
            }
        }
        Err(problem) => told(&problem, text),
    }
}

/// The problem is short, and no value of the secret is repeated in it: marked, none shows its mark. The values
/// themselves are not looked for, because libFuzzer soon tries the words of our own messages.
fn told(problem: &str, secret: &str) {
    assert!(problem.len() < 1000, "{problem}");
    let Ok(Value::Object(fields)) = serde_json::from_str(secret) else { return };
    for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
        for marked in [MARK.to_owned(), format!("{value}{MARK}"), format!("{MARK}{value}")] {
            let mut fields = fields.clone();
            fields.insert(name.clone(), Value::String(marked));
            let secret = Value::Object(fields).to_string();
            let problems = [
                AppCredentials::from_secret(&secret).err(),
                KeyRing::from_secret(&secret).err(),
                OauthClients::from_secret(&secret).err(),
            ];
            assert!(
                problems.iter().flatten().all(|told| !told.contains(MARK)),
                "{name:?} is repeated in {problems:?}"
            );
        }
    }
}
