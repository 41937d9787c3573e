//! The template's own words, one structure per part that is read.
//! A resource is taken apart by itself, so that what is wrong can be told with its name.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Function, IndexDefinition, KeySchema, Route, Schedule, TableDefinition, policies};

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "ANY"];

/// The template's top level.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) globals: Globals,
    pub(super) resources: BTreeMap<String, Resource>,
}

/// What holds for every function that does not say otherwise.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Globals {
    #[serde(default)]
    function: FunctionGlobals,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionGlobals {
    #[serde(flatten)]
    sizes: Sizes,
    #[serde(default)]
    environment: Environment,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, Value>,
}

impl Globals {
    /// The variable that tells the functions which resource this is.
    pub(super) fn variable_of(&self, resource: &str) -> Option<String> {
        let mut variables = self.function.environment.variables.iter();
        variables.find(|(_, value)| *value == resource).map(|(name, _)| name.clone())
    }
}

/// A resource before its type is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Resource {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) properties: Value,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sizes {
    memory_size: Option<u32>,
    timeout: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionProperties {
    code_uri: String,
    #[serde(flatten)]
    sizes: Sizes,
    #[serde(default)]
    policies: Vec<Value>,
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HttpApiEvent {
    method: String,
    path: String,
}

/// `Schedule` calls its expression so too; `ScheduleV2` says it in two words.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScheduleEvent {
    #[serde(alias = "Schedule")]
    schedule_expression: String,
    input: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableProperties {
    attribute_definitions: Vec<Attribute>,
    key_schema: Vec<KeyElement>,
    #[serde(default)]
    global_secondary_indexes: Vec<Index>,
    time_to_live_specification: Option<TimeToLive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Index {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: Projection,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Projection {
    projection_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TimeToLive {
    attribute_name: String,
    enabled: bool,
}

/// A function, its folder's name, its routes and its schedules.
pub(super) fn function(
    resource: &str,
    properties: Value,
    globals: &Globals,
) -> Result<(String, Function, Vec<Route>, Vec<Schedule>), String> {
    let properties: FunctionProperties = read(properties)?;
    let folder = folder(&properties.code_uri)?;
    let timeout = properties.sizes.timeout.or(globals.function.sizes.timeout);
    let memory = properties.sizes.memory_size.or(globals.function.sizes.memory_size);
    let function = Function {
        resource: resource.to_owned(),
        // Lambda's own defaults.
        timeout: Duration::from_secs(timeout.unwrap_or(3)),
        memory_mb: memory.unwrap_or(128),
        policy: policies::policy(properties.policies)?,
    };
    let (mut routes, mut schedules) = (Vec::new(), Vec::new());
    for (name, event) in properties.events {
        let in_event = |problem| format!("event {name}: {problem}");
        match event.kind.as_str() {
            "HttpApi" => routes.push(route(&folder, event.properties).map_err(in_event)?),
            "Schedule" | "ScheduleV2" => {
                schedules.push(schedule(&folder, event.properties).map_err(in_event)?);
            }
            _ => {}
        }
    }
    Ok((folder, function, routes, schedules))
}

fn folder(code_uri: &str) -> Result<String, String> {
    code_uri
        .trim_end_matches('/')
        .strip_prefix("functions/")
        .filter(|folder| !folder.is_empty() && !folder.contains('/'))
        .map(str::to_owned)
        .ok_or_else(|| format!("CodeUri must be functions/<name>, not {code_uri:?}"))
}

fn route(folder: &str, properties: Value) -> Result<Route, String> {
    let event: HttpApiEvent = read(properties)?;
    let method = event.method.to_ascii_uppercase();
    if !METHODS.contains(&method.as_str()) {
        return Err(format!("{:?} is not a method that an HTTP API routes", event.method));
    }
    if !event.path.starts_with('/') {
        return Err(format!("the path must begin with a slash, not {:?}", event.path));
    }
    Ok(Route { method, path: event.path, function: folder.to_owned() })
}

fn schedule(folder: &str, properties: Value) -> Result<Schedule, String> {
    let ScheduleEvent { schedule_expression, input } = read(properties)?;
    Ok(Schedule { function: folder.to_owned(), expression: schedule_expression, input })
}

/// The table's definition; every attribute of a key must have a type, as DynamoDB demands.
pub(super) fn table(properties: Value) -> Result<TableDefinition, String> {
    let properties: TableProperties = read(properties)?;
    let attributes: Vec<(String, String)> = properties
        .attribute_definitions
        .into_iter()
        .map(|attribute| (attribute.attribute_name, attribute.attribute_type))
        .collect();
    let key = |elements: &[KeyElement], of: &str| -> Result<KeySchema, String> {
        let named = |kind: &str| elements.iter().find(|element| element.key_type == kind);
        let partition = named("HASH").ok_or_else(|| format!("{of} has no HASH key"))?;
        for element in elements {
            if !attributes.iter().any(|(name, _)| *name == element.attribute_name) {
                return Err(format!(
                    "{of} has the key {}, which AttributeDefinitions lacks",
                    element.attribute_name
                ));
            }
        }
        let sort = named("RANGE").map(|element| element.attribute_name.clone());
        Ok(KeySchema { partition: partition.attribute_name.clone(), sort })
    };
    let table_key = key(&properties.key_schema, "KeySchema")?;
    let mut indexes = Vec::new();
    for index in &properties.global_secondary_indexes {
        if !matches!(index.projection.projection_type.as_str(), "ALL" | "KEYS_ONLY") {
            return Err(format!("{} must project ALL or KEYS_ONLY", index.index_name));
        }
        indexes.push(IndexDefinition {
            name: index.index_name.clone(),
            key: key(&index.key_schema, &index.index_name)?,
            projection: index.projection.projection_type.clone(),
        });
    }
    let ttl = properties.time_to_live_specification.filter(|ttl| ttl.enabled);
    Ok(TableDefinition {
        attributes,
        key: table_key,
        indexes,
        ttl_attribute: ttl.map(|ttl| ttl.attribute_name),
    })
}

fn read<T: DeserializeOwned>(properties: Value) -> Result<T, String> {
    serde_json::from_value(properties).map_err(|error| error.to_string())
}
