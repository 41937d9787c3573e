//! The JSON schemas of everything that goes over the wire, derived from the types, under the names that the API's
//! document gives them. Which route answers what is the document's to say; no deployed function has this module.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{auth, github, health, neptun, openhands, webhook};
use crate::provider::ProviderType;

/// Where the document keeps them.
const PLACE: &str = "/components/schemas";

/// The names that FastAPI gives to what is generic here.
const GENERIC: [(&str, &str); 2] =
    [("DetailOfstring", "HTTPError"), ("DetailOfArray_of_ValidationError", "HTTPValidationError")];

/// Every schema by its name, as JSON Schema 2020-12 with references into an OpenAPI document.
#[must_use]
pub fn schemas() -> BTreeMap<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = PLACE.into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings);
    add::<ProviderType>(&mut generator);
    openhands::describe(&mut generator);
    github::describe(&mut generator);
    neptun::describe(&mut generator);
    auth::describe(&mut generator);
    webhook::describe(&mut generator);
    health::describe(&mut generator);
    let mut schemas: BTreeMap<String, Value> = generator.take_definitions(true).into_iter().collect();
    for (generic, name) in GENERIC {
        if let Some(schema) = schemas.remove(generic) {
            schemas.insert(name.to_owned(), schema);
        }
    }
    for (name, schema) in &mut schemas {
        simplify(schema);
        schema["title"] = Value::from(name.as_str());
    }
    like_openhands(&mut schemas);
    schemas
}

/// Puts a type and what it is made of among the schemas.
pub(super) fn add<T: JsonSchema + ?Sized>(generator: &mut SchemaGenerator) {
    // The reference to it is the document's business.
    let _ = generator.subschema_for::<T>();
}

/// Writes a schema in the words of the documents that clients are made from: an enumeration as a list of its values,
/// what may be null as a choice, an integer without the width that it has in memory.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(values) = constants(fields) {
                fields.remove("oneOf");
                fields.insert("type".to_owned(), json!("string"));
                fields.insert("enum".to_owned(), Value::Array(values));
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                // A link of rustdoc's leads nowhere here.
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            let width =
                fields.get("format").and_then(Value::as_str).is_some_and(|name| name.starts_with("uint"));
            if width {
                fields.remove("format");
                fields.remove("minimum");
            }
            if let Some(Value::Array(types)) = fields.get("type").cloned() {
                let keeps_outside = |name: &str| matches!(name, "description" | "title" | "default");
                let inside: Map<String, Value> = fields
                    .iter()
                    .filter(|(name, _)| !keeps_outside(name))
                    .map(|(n, v)| (n.clone(), v.clone()))
                    .collect();
                fields.retain(|name, _| keeps_outside(name));
                let choices = types.into_iter().map(|name| {
                    if name == "null" {
                        return json!({ "type": "null" });
                    }
                    let mut choice = inside.clone();
                    choice.insert("type".to_owned(), name);
                    Value::Object(choice)
                });
                fields.insert("anyOf".to_owned(), choices.collect());
            }
            fields.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// The values of an enumeration whose variants have descriptions of their own.
fn constants(fields: &Map<String, Value>) -> Option<Vec<Value>> {
    let variants = fields.get("oneOf")?.as_array()?;
    variants.iter().map(|variant| variant.get("const").cloned()).collect()
}

/// What OpenHands' own document says of its schemas beyond their types, so that a client that was made from it finds
/// the same: what it takes for required, and its titles.
fn like_openhands(schemas: &mut BTreeMap<String, Value>) {
    if let Some(repository) = schemas.get_mut("Repository") {
        repository["required"] = json!(["id", "full_name", "git_provider", "is_public"]);
    }
    if let Some(detail) = schemas.get_mut("HTTPValidationError") {
        detail["properties"]["detail"]["title"] = json!("Detail");
        detail.as_object_mut().and_then(|detail| detail.remove("required"));
    }
    if let Some(problem) = schemas.get_mut("ValidationError") {
        for (name, title) in [("loc", "Location"), ("msg", "Message"), ("type", "Error Type")] {
            problem["properties"][name]["title"] = json!(title);
        }
        problem["required"] = json!(["loc", "msg", "type"]);
    }
    let properties =
        schemas.get_mut("Repository").and_then(|repository| repository["properties"].as_object_mut());
    for (name, property) in properties.into_iter().flatten() {
        let refers = property.to_string().contains("$ref");
        if !refers {
            property["title"] = Value::from(title(name));
        }
    }
}

/// `full_name` is `Full Name`.
fn title(name: &str) -> String {
    let capitalised = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('_').map(capitalised).collect::<Vec<_>>().join(" ")
}
