//! Every answer that a test receives, held against the API's document as it is served: the status is one of the
//! route's, the body fits its schema, and so do the headers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use http::{HeaderMap, Method};
use jsonschema::Validator;
use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../functions/web/assets/openapi.json");
    serde_json::from_str(text).expect("the document is JSON")
});

/// The routes as a gateway finds them, per method.
static ROUTES: LazyLock<BTreeMap<String, matchit::Router<String>>> = LazyLock::new(|| {
    let mut routes: BTreeMap<String, matchit::Router<String>> = BTreeMap::new();
    for (path, operations) in DOCUMENT["paths"].as_object().expect("paths") {
        for method in operations.as_object().expect("operations").keys() {
            let router = routes.entry(method.to_ascii_uppercase()).or_default();
            router.insert(path, path.clone()).expect("paths can be told from each other");
        }
    }
    routes
});

/// What a schema of the document says, compiled when it is first needed; by where it stands.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// What an answer has always, and no operation says: HTTP's own, and what is said of all answers at once.
const EVERYWHERE: [&str; 13] = [
    "date",
    "content-length",
    "content-type",
    "content-encoding",
    "cache-control",
    "vary",
    "connection",
    "transfer-encoding",
    "apigw-requestid",
    "x-content-type-options",
    "content-security-policy",
    "referrer-policy",
    "location",
];

/// Holds an answer of a function against the document; what the gateway or another host answered is not looked at.
///
/// # Panics
/// Where the document says something else.
pub(crate) fn check(method: &Method, path: &str, status: u16, headers: &HeaderMap, body: &str) {
    if !headers.contains_key("apigw-requestid") {
        return;
    }
    let what =
        || format!("{method} {path}: {status}, {headers:?}, {}", body.chars().take(2000).collect::<String>());
    let found = ROUTES.get(method.as_str()).and_then(|router| router.at(path).ok());
    let route = found.unwrap_or_else(|| panic!("the document has no such route: {}", what())).value;
    let method_name = method.as_str().to_ascii_lowercase();
    let at = format!("/paths/{}/{method_name}/responses", route.replace('~', "~0").replace('/', "~1"));
    let answers = DOCUMENT.pointer(&at).expect("responses");
    let key = [status.to_string(), format!("{}XX", status / 100)];
    let key = key.iter().find(|key| answers.get(key.as_str()).is_some());
    let key = key.unwrap_or_else(|| panic!("the document does not have this status of {route}: {}", what()));
    let answer = &answers[key.as_str()];

    check_headers(answer, headers, &what);
    let content = answer["content"].as_object();
    if body.is_empty() {
        let allowed = content.is_none() || *method == Method::HEAD || status == 304;
        // Where a failure of the gateway has a body, a function's answer of the same status may have none.
        let by_the_gateway_only = content.is_some_and(|content| {
            content.len() == 1
                && content.values().all(|body| body["schema"]["$ref"] == "#/components/schemas/GatewayError")
        });
        assert!(allowed || by_the_gateway_only, "the document has a body here: {}", what());
        return;
    }
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let documented = content.is_some_and(|content| content.contains_key(media));
    assert!(documented, "the document does not have a body of this type here: {}", what());
    if media == "application/json" {
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {}", what()));
        let validator = validator(&format!("{at}/{key}/content/{}/schema", media.replace('/', "~1")));
        if !validator.is_valid(&body) {
            let problems: Vec<String> = validator
                .iter_errors(&body)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            panic!("the body does not fit the document, {problems:#?}: {}", what());
        }
    }
}

fn check_headers(answer: &Value, headers: &HeaderMap, what: &impl Fn() -> String) {
    let documented: BTreeMap<String, &Value> = answer["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, header)| (name.to_ascii_lowercase(), header))
        .collect();
    for (name, header) in &documented {
        let missing = header["required"] == true && !headers.contains_key(name.as_str());
        assert!(!missing, "the header {name} is missing: {}", what());
    }
    for (name, value) in headers {
        let Some(header) = documented.get(name.as_str()) else {
            assert!(
                EVERYWHERE.contains(&name.as_str()),
                "the document does not have the header {name}: {}",
                what()
            );
            continue;
        };
        let place = header["$ref"].as_str().map(|reference| reference.trim_start_matches('#').to_owned());
        let Some(place) = place.map(|place| format!("{place}/schema")) else { continue };
        let text = value.to_str().unwrap_or_else(|_| panic!("{name} is no text: {}", what()));
        let schema = DOCUMENT.pointer(&place).expect("a header's schema");
        let is_number = schema["type"] == "integer";
        let value =
            text.parse::<u64>().ok().filter(|_| is_number).map_or_else(|| Value::from(text), Value::from);
        assert!(
            validator(&place).is_valid(&value),
            "the header {name} does not fit the document: {}",
            what()
        );
    }
}

fn validator(place: &str) -> Arc<Validator> {
    let mut validators = VALIDATORS.lock().expect("no test panics in here");
    if let Some(validator) = validators.get(place) {
        return Arc::clone(validator);
    }
    let mut schema = DOCUMENT.pointer(place).unwrap_or_else(|| panic!("no schema at {place}")).clone();
    let mut schemas = Map::new();
    with_what_it_refers_to(&schema, &mut schemas);
    schema["components"] = json!({ "schemas": schemas });
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap_or_else(|error| panic!("the schema at {place}: {error}"));
    let validator = Arc::new(validator);
    validators.insert(place.to_owned(), Arc::clone(&validator));
    validator
}

/// Collects the schemas that one needs: to compile all of them each time would take longer than the tests.
fn with_what_it_refers_to(schema: &Value, found: &mut Map<String, Value>) {
    match schema {
        Value::Object(fields) => {
            let name =
                fields.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
            if let Some(name) = name.filter(|name| !found.contains_key(*name)) {
                let schema = &DOCUMENT["components"]["schemas"][name];
                found.insert(name.to_owned(), schema.clone());
                with_what_it_refers_to(schema, found);
            }
            fields.values().for_each(|value| with_what_it_refers_to(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| with_what_it_refers_to(item, found)),
        _ => {}
    }
}
