//! The JSON body of `POST /api/keys`, read as FastAPI reads a model with one field.
//! The texts are those of FastAPI 0.115 with pydantic 2.11.5, which OpenHands 0.53.0 runs.

use serde_json::{Map, Value, json};

use super::json_text;
use crate::failure::{Failure, FieldProblem, Location};

/// The longest name of an API key, in characters.
pub const MAX_NAME_CHARS: usize = 100;

/// The kind of the one problem that FastAPI answers with 400 instead of 422.
pub(super) const UNREADABLE: &str = "body_unreadable";

/// The name in a body `{"name": "..."}`; other keys do no harm.
///
/// # Errors
/// [`Failure::Invalid`] in FastAPI's words: no body, not JSON, not an object, no name, a name that is not a text of
/// 1 to 100 characters. A content type other than JSON makes the body a text, not an object.
pub fn name(content_type: Option<&str>, body: &[u8]) -> Result<String, Failure> {
    match read(content_type, body)? {
        Value::Null => Err(problem("missing", &[], "Field required", Value::Null, None)),
        Value::Object(fields) => name_in(fields),
        other => Err(problem(
            "model_attributes_type",
            &[],
            "Input should be a valid dictionary or object to extract fields from",
            other,
            None,
        )),
    }
}

pub(super) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if !is_json(content_type) {
        return Ok(Value::from(String::from_utf8_lossy(body)));
    }
    let text = std::str::from_utf8(body)
        .map_err(|_| problem(UNREADABLE, &[], "There was an error parsing the body", Value::Null, None))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str(text).map_err(|error| invalid_json(text, &error))
}

/// FastAPI takes `application/json` and `application/*+json`, and a body of no type at all.
fn is_json(content_type: Option<&str>) -> bool {
    let essence =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.is_empty()
        || essence
            .strip_prefix("application/")
            .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

fn invalid_json(text: &str, error: &serde_json::Error) -> Failure {
    let found = json_text::first_error(text).unwrap_or_else(|| {
        // Python reads a few things that are not JSON: lone surrogates, numbers without limit.
        let before: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(|line| line.chars().count())
            .sum();
        json_text::DecodeError {
            position: before + error.column().saturating_sub(1),
            message: "Expecting value",
        }
    });
    Failure::Invalid(vec![FieldProblem {
        kind: "json_invalid",
        location: vec![Location::Name("body".to_owned()), Location::Index(found.position)],
        message: "JSON decode error".to_owned(),
        input: json!({}),
        context: Some(json!({ "error": found.message })),
    }])
}

fn name_in(mut fields: Map<String, Value>) -> Result<String, Failure> {
    let name = match fields.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => {
            return Err(problem("string_type", &["name"], "Input should be a valid string", other, None));
        }
        None => return Err(problem("missing", &["name"], "Field required", Value::Object(fields), None)),
    };
    match name.chars().count() {
        0 => Err(problem(
            "string_too_short",
            &["name"],
            "String should have at least 1 character",
            Value::from(name),
            Some(json!({ "min_length": 1 })),
        )),
        1..=MAX_NAME_CHARS => Ok(name),
        _ => Err(problem(
            "string_too_long",
            &["name"],
            "String should have at most 100 characters",
            Value::from(name),
            Some(json!({ "max_length": MAX_NAME_CHARS })),
        )),
    }
}

fn problem(
    kind: &'static str,
    field: &[&str],
    message: &str,
    input: Value,
    context: Option<Value>,
) -> Failure {
    let location = ["body"].iter().chain(field).map(|step| Location::Name((*step).to_owned())).collect();
    Failure::Invalid(vec![FieldProblem { kind, location, message: message.to_owned(), input, context }])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::name;
    use crate::contract::{Family, testing::body};

    const JSON: Option<&str> = Some("application/json");

    fn answer(content_type: Option<&str>, text: &[u8]) -> String {
        match name(content_type, text) {
            Ok(name) => name,
            Err(failure) => {
                let response = Family::OpenHands.failure(&failure);
                format!("{} {}", response.status().as_u16(), body(&response))
            }
        }
    }

    /// Every answer was captured from FastAPI 0.115 with pydantic 2.11.5.
    #[test]
    fn a_wrong_body_gets_fastapis_answer() {
        for (text, expected) in [
            ("", r#"422 {"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#),
            (
                "null",
                r#"422 {"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#,
            ),
            (
                "{",
                r#"422 {"detail":[{"type":"json_invalid","loc":["body",1],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]}"#,
            ),
            (
                "{}",
                r#"422 {"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required","input":{}}]}"#,
            ),
            (
                r#"{"a":1}"#,
                r#"422 {"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required","input":{"a":1}}]}"#,
            ),
            (
                "[]",
                r#"422 {"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]}"#,
            ),
            (
                "\"x\"",
                r#"422 {"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"x"}]}"#,
            ),
            (
                r#"{"name":1}"#,
                r#"422 {"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":1}]}"#,
            ),
            (
                r#"{"name":null}"#,
                r#"422 {"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":null}]}"#,
            ),
            (
                r#"{"name":""}"#,
                r#"422 {"detail":[{"type":"string_too_short","loc":["body","name"],"msg":"String should have at least 1 character","input":"","ctx":{"min_length":1}}]}"#,
            ),
            (
                r#"{"name":"a"} x"#,
                r#"422 {"detail":[{"type":"json_invalid","loc":["body",13],"msg":"JSON decode error","input":{},"ctx":{"error":"Extra data"}}]}"#,
            ),
        ] {
            assert_eq!(answer(JSON, text.as_bytes()), expected, "{text}");
        }
        assert_eq!(
            answer(JSON, b"{\"name\":\"\xff\"}"),
            r#"400 {"detail":"There was an error parsing the body"}"#
        );
        assert_eq!(
            answer(Some("text/plain"), br#"{"name":"a"}"#),
            r#"422 {"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"{\"name\":\"a\"}"}]}"#
        );
    }

    #[test]
    fn a_name_has_1_to_100_characters_of_any_script() {
        let longest = "é".repeat(100);
        assert_eq!(answer(JSON, format!(r#"{{"name":"{longest}"}}"#).as_bytes()), longest);
        let too_long = answer(JSON, format!(r#"{{"name":"{longest}é"}}"#).as_bytes());
        assert!(too_long.starts_with(r#"422 {"detail":[{"type":"string_too_long","loc":["body","name"],"msg":"String should have at most 100 characters","input":"é"#));
        assert!(too_long.ends_with(r#"é","ctx":{"max_length":100}}]}"#));
    }

    #[test]
    fn json_is_taken_under_every_name_that_fastapi_takes() {
        for content_type in [
            None,
            Some(""),
            Some("APPLICATION/JSON"),
            Some("application/json; charset=utf-8"),
            Some("application/vnd.acme+json"),
        ] {
            assert_eq!(answer(content_type, br#"{"x":1,"name":"a","name":"b"}"#), "b", "{content_type:?}");
        }
        assert_eq!(answer(JSON, b"\xef\xbb\xbf {\"name\":\"a\"}\n"), "a", "a byte order mark is skipped");
    }

    #[test]
    fn what_only_python_reads_is_refused_as_json() {
        for text in [
            r#"{"name":NaN}"#,
            r#"{"name":1e999}"#,
            r#"{"name":"\ud800"}"#,
            &format!("{{\"name\":{}", "[".repeat(500)),
        ] {
            assert!(
                answer(JSON, text.as_bytes()).starts_with(r#"422 {"detail":[{"type":"json_invalid","#),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = name(JSON, &text);
        }
    }
}
