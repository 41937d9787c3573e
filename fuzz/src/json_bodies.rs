//! The JSON bodies of `/api/keys` and `/api/add-git-providers`, the content type in the first line.
//! What becomes of a name or a token is decided by the service.

use secrecy::ExposeSecret;
use serde_json::Value;
use shared::contract::Family;
use shared::contract::openhands::{body, git_providers};
use shared::failure::Failure;

/// No word of ours.
const MARK: &str = "qX7vR2wK9zP4mT6j";

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
            refused(&failure);
            for marked in marked(text) {
                if let Err(failure) = git_providers::given_tokens(content_type, &marked) {
                    let told = refused(&failure);
                    assert!(!told.contains(MARK), "a token is repeated in {told}");
                }
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

/// The body with each token marked in turn. The tokens themselves are not looked for in an answer, because libFuzzer
/// soon tries the words of our own messages.
fn marked(body: &[u8]) -> Vec<Vec<u8>> {
    let Ok(given) = serde_json::from_slice::<Value>(body) else { return Vec::new() };
    let Some(providers) = given["provider_tokens"].as_object() else { return Vec::new() };
    let named = providers.iter().filter_map(|(name, fields)| Some((name, fields.get("token")?.as_str()?)));
    named
        .map(|(name, token)| {
            let mut marked = given.clone();
            marked["provider_tokens"][name]["token"] = Value::String(format!("{token}{MARK}"));
            marked.to_string().into_bytes()
        })
        .collect()
}
