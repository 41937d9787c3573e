//! One operation and its answers, and how they are written in OpenAPI.
//! Which operations there are is told in the modules of the families.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::contract::Family;
use shared::failure::Failure;

use super::{Examples, failures};

/// The media type of every JSON body.
pub(super) const JSON: &str = "application/json";
/// The media type of pages.
pub(super) const HTML: &str = "text/html";

/// Who may ask.
#[derive(Clone, Copy)]
pub(super) enum Callers {
    /// Anybody.
    All,
    /// A signed-in user: key or session.
    SignedIn,
    /// The same, or somebody with a GitHub user token.
    GithubUser,
    /// The same, or the App itself.
    App,
    /// A browser, whose session is looked at if it has one.
    Browser,
    /// GitHub, by its signature.
    Github,
}

impl Callers {
    fn render(self) -> Value {
        let signed_in =
            [json!({"APIKeyHeader": []}), json!({"APIKeyBearer": []}), json!({"SessionCookie": []})];
        let and = |scheme: &str| {
            let other = std::iter::once(json!({ scheme: [] }));
            signed_in.clone().into_iter().chain(other).collect()
        };
        match self {
            Self::All => json!([]),
            Self::SignedIn => json!(signed_in),
            Self::GithubUser => and("GitHubUserToken"),
            Self::App => and("GitHubAppJWT"),
            Self::Browser => json!([{}, { "SessionCookie": [] }]),
            Self::Github => json!([{ "GitHubSignature": [] }]),
        }
    }
}

/// What a route takes and answers.
pub(super) struct Operation {
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) callers: Callers,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    /// In whose form failures are told.
    pub(super) family: Family,
    pub(super) answers: Vec<Answer>,
    /// What can go wrong: the answers to it are the family's own.
    pub(super) failures: Vec<(&'static str, Failure)>,
}

/// One answer that is no failure of the family's.
pub(super) struct Answer {
    status: String,
    description: &'static str,
    headers: Vec<&'static str>,
    content: Vec<(&'static str, Value)>,
    links: Value,
    location: Option<&'static str>,
}

impl Answer {
    pub(super) fn new(status: u16, description: &'static str) -> Self {
        Self::of(&status.to_string(), description)
    }

    /// Of a status, or of a class of them such as `4XX`.
    pub(super) fn of(status: &str, description: &'static str) -> Self {
        let (headers, content) = (Vec::new(), Vec::new());
        Self { status: status.to_owned(), description, headers, content, links: Value::Null, location: None }
    }

    pub(super) fn body(mut self, media: &'static str, schema: Value) -> Self {
        self.content.push((media, schema));
        self
    }

    pub(super) fn json(self, schema: Value) -> Self {
        self.body(JSON, schema)
    }

    pub(super) fn headers(mut self, headers: &[&'static str]) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(super) fn links(self, links: Value) -> Self {
        Self { links, ..self }
    }

    /// Where a redirect leads.
    pub(super) fn location(self, description: &'static str) -> Self {
        Self { location: Some(description), ..self }
    }
}

/// By media type: the schemas that a body may have, and examples by name.
type Forms = BTreeMap<String, (Vec<Value>, Vec<(String, Value)>)>;

/// What one status may mean, put together.
#[derive(Default)]
struct Merged {
    descriptions: Vec<String>,
    headers: Vec<String>,
    content: Forms,
    links: Value,
    location: Option<&'static str>,
}

impl Operation {
    /// The operation in OpenAPI's words; its examples are taken out of the others.
    pub(super) fn render(self, key: &str, examples: &mut Examples) -> Value {
        let mut merged: BTreeMap<String, Merged> = BTreeMap::new();
        for answer in self.answers {
            let given = examples.remove(&format!("{key} {}", answer.status)).unwrap_or_default();
            let at = merged.entry(answer.status).or_default();
            push(&mut at.descriptions, answer.description.to_owned());
            answer.headers.into_iter().for_each(|name| push(&mut at.headers, name.to_owned()));
            for (media, schema) in answer.content {
                let (schemas, shown) = at.content.entry(media.to_owned()).or_default();
                push(schemas, schema);
                shown.extend(given.clone());
            }
            at.links = answer.links;
            at.location = answer.location;
        }
        for (name, failure) in &self.failures {
            let told = failures::answer(self.family, name, failure);
            let at = merged.entry(told.status).or_default();
            push(&mut at.descriptions, told.description);
            told.headers.into_iter().for_each(|name| push(&mut at.headers, name));
            let (schemas, shown) = at.content.entry(told.media.to_owned()).or_default();
            push(schemas, told.schema);
            shown.extend(told.example.map(|example| ((*name).to_owned(), example)));
        }
        for (status, description, retry) in failures::OF_THE_GATEWAY {
            let at = merged.entry(status.to_owned()).or_default();
            push(&mut at.descriptions, description.to_owned());
            if retry {
                push(&mut at.headers, "Retry-After".to_owned());
            }
            let (schemas, _) = at.content.entry(JSON.to_owned()).or_default();
            push(schemas, reference("GatewayError"));
        }
        if key.starts_with("HEAD ") {
            merged.values_mut().for_each(|answer| answer.content.clear());
        }
        let answers: Map<String, Value> =
            merged.into_iter().map(|(status, merged)| (status, merged.render())).collect();
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "description": self.description,
            "security": self.callers.render(),
            "parameters": self.parameters,
            "responses": answers,
        });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }
}

impl Merged {
    fn render(self) -> Value {
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|name| (name.clone(), json!({ "$ref": format!("#/components/headers/{name}") })))
            .chain(self.location.map(|description| {
                let schema = json!({ "type": "string", "format": "uri-reference" });
                (
                    "Location".to_owned(),
                    json!({ "required": true, "description": description, "schema": schema }),
                )
            }))
            .collect();
        let content: Map<String, Value> = self
            .content
            .into_iter()
            .map(|(media, (mut schemas, examples))| {
                let schema = match schemas.len() {
                    1 => schemas.remove(0),
                    _ => json!({ "anyOf": schemas }),
                };
                let mut body = json!({ "schema": schema });
                let examples: Map<String, Value> =
                    examples.into_iter().map(|(name, value)| (name, json!({ "value": value }))).collect();
                if !examples.is_empty() {
                    body["examples"] = Value::Object(examples);
                }
                (media, body)
            })
            .collect();
        let mut answer = json!({ "description": self.descriptions.join(" ") });
        if !headers.is_empty() {
            answer["headers"] = Value::Object(headers);
        }
        if !content.is_empty() {
            answer["content"] = Value::Object(content);
        }
        if !self.links.is_null() {
            answer["links"] = self.links;
        }
        answer
    }
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// A reference to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A list of what a schema says.
pub(super) fn list_of(name: &str) -> Value {
    json!({ "type": "array", "items": reference(name) })
}

/// A parameter in the query that may be left out.
pub(super) fn in_query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

/// A part of the path.
pub(super) fn in_path(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}

/// A header of the request that may be left out.
pub(super) fn in_header(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
}

/// The header by which a client says what it knows.
pub(super) fn if_none_match() -> Value {
    in_header(
        "If-None-Match",
        "The `ETag` of an earlier answer: 304 while it is still right.",
        &json!({ "type": "string" }),
    )
}
