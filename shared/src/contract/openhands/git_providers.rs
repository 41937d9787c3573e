//! `POST /api/add-git-providers` and `/api/unset-provider-tokens`: the body as FastAPI reads OpenHands' model,
//! the answers in OpenHands' words. What becomes of a token is decided elsewhere.

use http::StatusCode;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::body;
use crate::contract::{Family, Response};
use crate::failure::{Failure, FieldProblem, Location};
use crate::provider::ProviderType;

const PROVIDERS: &str = "'github', 'gitlab', 'bitbucket' or 'enterprise_sso'";
const FIELD: &str = "provider_tokens";

/// A token that the caller gives for one provider.
#[derive(Clone, Debug)]
pub struct GivenToken {
    /// Whose it is.
    pub provider: ProviderType,
    /// The token; none leaves the one that is there.
    pub token: Option<SecretString>,
    /// The provider's host, where it is not the configured one.
    pub host: Option<String>,
}

/// The tokens of a body `{"provider_tokens": {"github": {"token", "host"}}}`, in its order; other keys do no harm.
///
/// # Errors
/// [`Failure::Invalid`] in FastAPI's words, all problems of the body at once.
pub fn given_tokens(content_type: Option<&str>, body: &[u8]) -> Result<Vec<GivenToken>, Failure> {
    let fields = match body::read(content_type, body)? {
        Value::Object(fields) => fields,
        Value::Null => {
            return Err(Failure::Invalid(vec![problem("missing", &[], "Field required", &Value::Null)]));
        }
        other => return Err(Failure::Invalid(vec![not_an_object(&[], &other)])),
    };
    let tokens = match fields.get(FIELD) {
        None => return Ok(Vec::new()),
        Some(Value::Object(tokens)) => tokens,
        Some(other) => {
            let text = "Input should be a valid dictionary";
            return Err(Failure::Invalid(vec![problem("dict_type", &[FIELD], text, &without_texts(other))]));
        }
    };
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in tokens {
        let provider = ProviderType::from_name(name);
        if provider.is_none() {
            problems.push(FieldProblem {
                context: Some(json!({ "expected": PROVIDERS })),
                ..problem(
                    "enum",
                    &[FIELD, name, "[key]"],
                    &format!("Input should be {PROVIDERS}"),
                    &Value::from(name.as_str()),
                )
            });
        }
        let Value::Object(fields) = value else {
            problems.push(not_an_object(&[FIELD, name], value));
            continue;
        };
        let token = text(fields, name, "token", &mut problems);
        let host = text(fields, name, "host", &mut problems);
        if let Some(provider) = provider {
            given.push(GivenToken {
                provider,
                token: token
                    .map(|token| token.trim().to_owned())
                    .filter(|token| !token.is_empty())
                    .map(Into::into),
                host: host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()),
            });
        }
    }
    if problems.is_empty() { Ok(given) } else { Err(Failure::Invalid(problems)) }
}

fn text(
    fields: &Map<String, Value>,
    provider: &str,
    field: &str,
    problems: &mut Vec<FieldProblem>,
) -> Option<String> {
    match fields.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => {
            // What stands in place of a token may be one: it is not repeated.
            let shown = if field == "token" { Value::from("**********") } else { other.clone() };
            problems.push(problem(
                "string_type",
                &[FIELD, provider, field],
                "Input should be a valid string",
                &shown,
            ));
            None
        }
    }
}

fn not_an_object(location: &[&str], input: &Value) -> FieldProblem {
    let text = "Input should be a valid dictionary or object to extract fields from";
    // It may be a token that was given without its field.
    let shown = if location.is_empty() { without_texts(input) } else { Value::from("**********") };
    problem("model_attributes_type", location, text, &shown)
}

/// What is shown of a value that stands where tokens are expected: a text or a list may hold one.
fn without_texts(input: &Value) -> Value {
    match input {
        Value::Array(items) if items.is_empty() => input.clone(),
        Value::String(_) | Value::Array(_) | Value::Object(_) => Value::from("**********"),
        Value::Null | Value::Bool(_) | Value::Number(_) => input.clone(),
    }
}

fn problem(kind: &'static str, location: &[&str], message: &str, input: &Value) -> FieldProblem {
    FieldProblem {
        kind,
        location: ["body"].iter().chain(location).map(|step| Location::Name((*step).to_owned())).collect(),
        message: message.to_owned(),
        input: input.clone(),
        context: None,
    }
}

/// What was done.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Message {
    message: &'static str,
}

/// Why no token was stored.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "GitProvidersError"))]
struct Error<'a> {
    error: &'a str,
}

/// 200: every token that was given is stored.
#[must_use]
pub fn stored() -> Response {
    Family::OpenHands.json(StatusCode::OK, &Message { message: "Git providers stored" })
}

/// 200: the caller has no token at any provider any more.
#[must_use]
pub fn unset() -> Response {
    Family::OpenHands.json(StatusCode::OK, &Message { message: "Unset Git provider tokens" })
}

/// 401: the provider does not accept the token.
#[must_use]
pub fn not_accepted(provider: ProviderType) -> Response {
    let error = format!("Invalid token. Please make sure it is a valid {provider} token.");
    Family::OpenHands.json(StatusCode::UNAUTHORIZED, &Error { error: &error })
}

/// 400: a host that the operator does not allow.
#[must_use]
pub fn host_not_allowed(provider: ProviderType) -> Response {
    let error = format!("The host given for {provider} is not one that this server allows.");
    Family::OpenHands.json(StatusCode::BAD_REQUEST, &Error { error: &error })
}

/// 409: the account that the token belongs to is another user's here.
#[must_use]
pub fn of_another_user(provider: ProviderType) -> Response {
    let error = format!("This {provider} account belongs to another user, or another one is linked already.");
    Family::OpenHands.json(StatusCode::CONFLICT, &Error { error: &error })
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Message>(generator);
    add::<Error<'_>>(generator);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::contract::testing::wire;

    const JSON: Option<&str> = Some("application/json");

    fn read(body: &Value) -> Result<Vec<GivenToken>, Failure> {
        given_tokens(JSON, body.to_string().as_bytes())
    }

    #[test]
    fn tokens_and_hosts_are_read_and_blank_ones_are_none() {
        let given = read(&json!({
            "mcp_config": {},
            "provider_tokens": {
                "github": {"token": " ghp_x ", "host": "git.example.com", "user_id": "7"},
                "gitlab": {"token": "", "host": null},
                "bitbucket": {},
            },
        }))
        .unwrap();
        let shown: Vec<_> = given
            .iter()
            .map(|one| {
                (one.provider, one.token.as_ref().map(ExposeSecret::expose_secret), one.host.as_deref())
            })
            .collect();
        assert_eq!(
            shown,
            [
                (ProviderType::Bitbucket, None, None),
                (ProviderType::Github, Some("ghp_x"), Some("git.example.com")),
                (ProviderType::Gitlab, None, None),
            ]
        );
        assert!(read(&json!({})).unwrap().is_empty());
        assert!(!format!("{given:?}").contains("ghp_x"));
    }

    #[test]
    fn what_is_wrong_is_told_in_fastapis_words_and_no_token_is_repeated() {
        let bodies = [
            json!([]),
            json!({"provider_tokens": []}),
            json!({"provider_tokens": {"nope": {"token": "a"}, "github": "ghp_secret"}}),
            json!({"provider_tokens": {"github": {"token": ["ghp_secret"], "host": 5}}}),
        ];
        let answers: Vec<String> =
            bodies.iter().map(|body| wire(&Family::OpenHands.failure(&read(body).unwrap_err()))).collect();
        let all = answers.join("\n\n");
        assert!(!all.contains("ghp_secret"), "{all}");
        insta::assert_snapshot!(all);
        let none = given_tokens(JSON, b"").unwrap_err();
        insta::assert_snapshot!(wire(&Family::OpenHands.failure(&none)));
    }

    #[test]
    fn a_token_in_the_wrong_place_is_not_repeated_either() {
        let text = |failure: Failure| wire(&Family::OpenHands.failure(&failure));
        for body in [
            json!("ghp_secret"),
            json!(["ghp_secret"]),
            json!({"provider_tokens": "ghp_secret"}),
            json!({"provider_tokens": [{"token": "ghp_secret"}]}),
        ] {
            let told = text(read(&body).unwrap_err());
            assert!(told.starts_with("422") && !told.contains("ghp_secret"), "{told}");
        }
        // Of another type than JSON, the body is one text.
        let body = br#"{"provider_tokens": {"github": {"token": "ghp_secret"}}}"#;
        let told = text(given_tokens(Some("text/plain"), body).unwrap_err());
        assert!(told.starts_with("422") && !told.contains("ghp_secret"), "{told}");
    }

    #[test]
    fn the_answers_are_openhands_own() {
        let answers = [
            stored(),
            unset(),
            not_accepted(ProviderType::Github),
            host_not_allowed(ProviderType::Gitlab),
            of_another_user(ProviderType::Bitbucket),
        ];
        let answers: Vec<String> = answers
            .iter()
            .map(|answer| format!("{} {}", answer.status(), String::from_utf8_lossy(answer.body().as_ref())))
            .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }

    proptest! {
        #[test]
        fn a_given_token_is_read_back_without_the_blanks_around_it(
            token in "[ ]{0,2}[!-~]{1,40}[ ]{0,2}",
            host in proptest::option::of("[a-z.:0-9]{1,20}"),
        ) {
            let given = read(&json!({"provider_tokens": {"gitlab": {"token": token, "host": host}}})).unwrap();
            prop_assert_eq!(given.len(), 1);
            prop_assert_eq!(given[0].token.as_ref().map(ExposeSecret::expose_secret), Some(token.trim()));
            prop_assert_eq!(&given[0].host, &host);
        }

        #[test]
        fn no_body_makes_the_reader_panic(text in r#"(\{"provider_tokens":)?[\[\]{}":,a-z0-9 ]{0,40}|.*"#) {
            let _ = given_tokens(JSON, text.as_bytes());
        }
    }
}
