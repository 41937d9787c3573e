//! The API's document says what the template, the types and the five documents that clients were made from say, and is
//! served as it stands in the repository. That every answer fits it is checked where answers are received.

use std::collections::BTreeSet;
use std::path::PathBuf;

use http::StatusCode;
use local::openapi::{DocumentError, Examples, document};
use local::template::Template;
use serde_json::{Map, Value, json};

use crate::harness::start;
use crate::recorded::recorded;

const WRITE: &str = "UPDATE_OPENAPI=1 cargo test -p local --test policies openapi";

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../functions/web/assets/openapi.json")
}

fn committed() -> Value {
    serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap()
}

#[tokio::test]
async fn the_document_is_what_routes_types_and_answers_make_it() {
    let made = document(&Template::embedded().unwrap(), recorded().await).unwrap();
    let text = format!("{made:#}\n");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(file(), &text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(file()).unwrap();
    let differs = committed.lines().zip(text.lines()).enumerate().find(|(_, (old, new))| old != new);
    assert!(
        committed == text,
        "openapi.json is another than what makes it, at line {differs:?}; write it with {WRITE}"
    );
}

#[tokio::test]
async fn the_document_is_served_as_it_stands_in_the_repository() {
    let answer = start().await.get("/openapi.json").send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), committed());
}

#[test]
fn a_route_without_an_operation_an_operation_without_a_route_and_an_example_of_nothing_are_refused() {
    let template = Template::embedded().unwrap();
    let mut more = template.clone();
    more.routes[0].path = "/new".to_owned();
    assert!(
        matches!(document(&more, Examples::new()), Err(DocumentError::Undescribed(route)) if route.ends_with(" /new"))
    );
    let mut fewer = template.clone();
    fewer.routes.retain(|route| route.path != "/healthz");
    assert!(
        matches!(document(&fewer, Examples::new()), Err(DocumentError::NoRoute(route)) if route.ends_with("/healthz"))
    );
    let examples = Examples::from([("GET /healthz 299".to_owned(), vec![("x".to_owned(), Value::Null)])]);
    assert!(matches!(document(&template, examples), Err(DocumentError::NoAnswer(_))));
}

/// Every operation with its path and method.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, operations)| {
            operations
                .as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[test]
fn every_operation_can_be_read_by_itself() {
    let document = committed();
    let mut ids = BTreeSet::new();
    for (what, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{what}: its id is another's");
        assert!(operation["description"].as_str().unwrap().ends_with('.'), "{what}");
        let tag = &operation["tags"][0];
        assert!(
            document["tags"].as_array().unwrap().iter().any(|known| known["name"] == *tag),
            "{what}: {tag}"
        );
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{what} {status}");
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{what}: {}", parameter["name"]);
        }
        // What reads and answers JSON shows what it answers.
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let body = &answer["content"]["application/json"];
            let ours = status.starts_with('2') && !body.is_null() && !what.contains("openapi.json");
            let of_others = ["/auth/logout", "/api/add-git-providers", "backchannel"];
            let shown = body["examples"].is_object()
                || status == "202"
                || of_others.iter().any(|path| what.contains(path));
            assert!(!ours || shown, "{what} {status} has no example");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_there_that_nobody_refers_to() {
    let document = committed();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for kind in ["schemas", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(found.contains(&format!("#/components/{kind}/{name}")), "nobody refers to {name}");
        }
    }
    let security: String =
        operations(&document).iter().map(|(_, operation)| operation["security"].to_string()).collect();
    for name in document["components"]["securitySchemes"].as_object().unwrap().keys() {
        assert!(security.contains(&format!("\"{name}\"")), "nobody proves anything by {name}");
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = committed();
    let mut tried = 0;
    let mut fits = |body: &Value, what: &str| {
        let mut schema = body["schema"].clone();
        schema["components"] = json!({ "schemas": document["components"]["schemas"] });
        let Some(examples) = body["examples"].as_object() else { return };
        let validator =
            jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
        for (name, example) in examples {
            let problems: Vec<String> =
                validator.iter_errors(&example["value"]).map(|error| error.to_string()).collect();
            assert!(problems.is_empty(), "{what} {name}: {problems:?}");
            tried += 1;
        }
    };
    for (what, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap().iter();
        let contents = answers
            .map(|(status, answer)| (status.as_str(), &answer["content"]))
            .chain([("body", &operation["requestBody"]["content"])]);
        for (part, content) in contents {
            for body in content.as_object().into_iter().flat_map(Map::values) {
                fits(body, &format!("{what} {part}"));
            }
        }
    }
    assert!(tried > 100, "{tried} examples");
}

/// A part of the document without what is said beyond the documents that were there first.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "description" | "examples" | "headers" | "links"))
            .map(|(name, value)| (name.clone(), bare(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(bare).collect(),
        other => other.clone(),
    }
}

#[test]
fn what_openhands_document_says_is_said_here_to_the_letter() {
    let ours = committed();
    for seed in [
        include_str!("seeds/openhands-user-installations.json"),
        include_str!("seeds/openhands-user-repositories.json"),
    ] {
        let seed: Value = serde_json::from_str(seed).unwrap();
        for (what, theirs) in operations(&seed) {
            let (method, path) = what.split_once(' ').unwrap();
            let operation = &ours["paths"][path][method];
            for name in ["operationId", "summary"] {
                assert_eq!(operation[name], theirs[name], "{what}");
            }
            let parameters = bare(&operation["parameters"]);
            let theirs_only = theirs["parameters"].as_array().unwrap();
            assert_eq!(&parameters.as_array().unwrap()[..theirs_only.len()], theirs_only, "{what}");
            for (status, answer) in theirs["responses"].as_object().unwrap() {
                assert_eq!(
                    bare(&operation["responses"][status])["content"]["application/json"]["schema"],
                    answer["content"]["application/json"]["schema"],
                    "{what}"
                );
            }
            assert!(operation["security"].as_array().unwrap().contains(&theirs["security"][0]), "{what}");
        }
        let components = &seed["components"];
        assert_eq!(
            bare(&ours["components"]["securitySchemes"]["APIKeyHeader"]),
            components["securitySchemes"]["APIKeyHeader"]
        );
        for (name, schema) in components["schemas"].as_object().unwrap() {
            let mut mine = bare(&ours["components"]["schemas"][name]);
            if name == "ValidationError" {
                // FastAPI sends these too, and does not say so.
                let properties = mine["properties"].as_object_mut().unwrap();
                assert!(properties.remove("input").is_some() && properties.remove("ctx").is_some());
            }
            assert_eq!(&mine, schema, "{name}");
        }
    }
}

#[test]
fn what_githubs_and_neptuns_documents_say_is_said_here() {
    let document = committed();
    let operation = |path: &str| document["paths"][path]["get"]["operationId"].as_str().unwrap();
    assert_eq!(operation("/users/{username}/installation"), "apps/get-user-installation");
    assert_eq!(operation("/user/installations"), "apps/list-installations-for-authenticated-user");
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| -> BTreeSet<&str> {
        schemas[name]["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
    };
    let of_github = required("Installation");
    for name in [
        "id",
        "account",
        "app_id",
        "app_slug",
        "target_type",
        "permissions",
        "events",
        "suspended_by",
        "suspended_at",
    ] {
        assert!(of_github.contains(name), "{name}");
    }
    let rows = required("GithubAppInstallation");
    for (name, kind) in [
        ("id", "integer"),
        ("neptun_user_id", "string"),
        ("github_installation_id", "string"),
        ("created_at", "string"),
        ("updated_at", "string"),
    ] {
        assert!(rows.contains(name), "{name}");
        assert_eq!(schemas["GithubAppInstallation"]["properties"][name]["type"], kind);
    }
    let error = &schemas["GetInstallationsError"];
    assert_eq!(error["properties"]["statusCode"]["type"], "integer");
    assert_eq!(error["properties"]["data"]["properties"]["message"]["type"], "string");
    assert_eq!(required("GetInstallationsError"), ["data", "statusCode", "statusMessage"].into());
    let neptun = &document["paths"]["/api/users/{user_id}/installations"]["get"];
    for status in ["200", "401", "404", "500"] {
        assert!(neptun["responses"][status].is_object(), "{status}");
    }
    assert_eq!(document["components"]["securitySchemes"]["SessionCookie"]["name"], "neptun-session");
}
