//! The JSON bodies of `/api/keys` and `/api/add-git-providers`, the content type in the first line.
//! What becomes of a name or a token is decided by the service.

use secrecy::ExposeSecret;
use serde_json::Value;
use shared::contract::Family;
use shared::contract::openhands::{body, git_providers};
use shared::failure::Failure;

/// What is taken is bounded; what is refused gets FastAPI's answer, and no token is repeated in it.
pub fn run(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let content_type = std::str::from_utf8(&data[..end]).ok().filter(|text| !text.is_empty());
    let text = data.get(end + 1..).unwrap_or_default();
    match body::name(content_type, text) {
        Ok(name) => assert!((1..=body::MAX_NAME_CHARS).contains(&name.chars().count())),
        Err(failure) => drop(refused(&failure)),
    }
    match git_providers::given_tokens(content_type, text) {
        Ok(given) => {
            assert!(given.len() <= 4, "a provider is named once");
            for given in given {
                let plain = |text: &str| !text.is_empty() && text.trim() == text;
                assert!(given.token.is_none_or(|token| plain(token.expose_secret())));
                assert!(given.host.is_none_or(|host| plain(&host)));
            }
        }
        Err(failure) => {
            let told = refused(&failure);
            for token in tokens(text) {
                assert!(!told.contains(&token), "{token:?} is repeated in {told}");
            }
        }
    }
}

/// The answer, which says where and why.
fn refused(failure: &Failure) -> String {
    let answer = Family::OpenHands.failure(failure);
    assert!(matches!(answer.status().as_u16(), 400 | 422), "{failure:?}");
    let text = std::str::from_utf8(answer.body().as_ref()).expect("text").to_owned();
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert!(!json["detail"].is_null(), "{text}");
    text
}

/// Texts that stand where a token stands and nowhere else in the body.
fn tokens(body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return Vec::new() };
    let Some(Value::Object(providers)) = fields.get("provider_tokens") else { return Vec::new() };
    let whole = String::from_utf8_lossy(body);
    let named = providers.values().filter_map(|fields| fields.get("token")?.as_str());
    let long = named.filter(|token| token.len() >= 8 && whole.matches(*token).count() == 1);
    long.map(str::to_owned).collect()
}
