//! What `template.yaml` says about routes, functions, their rights and the table, so that nothing here repeats it.
//! Parameters and alarms are CloudFormation's business and are read by tests only.

mod parts;
pub mod policies;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use policies::Policy;

/// The template as it was when this program was compiled.
pub const EMBEDDED: &str = include_str!("../../template.yaml");

/// The parts of `template.yaml` that the service on one machine follows.
#[derive(Clone, Debug)]
pub struct Template {
    /// Every route of the HTTP API, sorted by the names of its resource and its event.
    pub routes: Vec<Route>,
    /// Every function by its folder's name.
    pub functions: BTreeMap<String, Function>,
    /// What is invoked by the clock, sorted as the routes are. No route leads there.
    pub schedules: Vec<Schedule>,
    /// The one table.
    pub table: TableDefinition,
    /// The variable that holds each secret's id, by the secret's name in the template.
    pub secret_variables: BTreeMap<String, String>,
}

/// One route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method in capitals; `ANY` answers every method that has no route of its own.
    pub method: String,
    /// The path, with parameters as API Gateway writes them: `{name}`, and `{name+}` at the end.
    pub path: String,
    /// The folder's name of the function that answers.
    pub function: String,
}

impl Route {
    /// The route as API Gateway names it, e.g. `GET /auth/session`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// One schedule that invokes a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The folder's name of the function that is invoked.
    pub function: String,
    /// When, in EventBridge's words, e.g. `rate(1 hour)`.
    pub expression: String,
    /// The payload, if it is another than EventBridge's own.
    pub input: Option<String>,
}

/// One Lambda function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in the template.
    pub resource: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// How much memory it is given, in MB.
    pub memory_mb: u32,
    /// What it may do.
    pub policy: Policy,
}

/// The table's keys, as CreateTable needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// The attributes that are part of a key, with DynamoDB's type letter.
    pub attributes: Vec<(String, String)>,
    /// The table's own key.
    pub key: KeySchema,
    /// Its global secondary indexes.
    pub indexes: Vec<IndexDefinition>,
    /// The attribute that holds an item's end of life, in Unix seconds.
    pub ttl_attribute: Option<String>,
}

/// The attributes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySchema {
    /// The partition key.
    pub partition: String,
    /// The sort key, if there is one.
    pub sort: Option<String>,
}

/// A global secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: KeySchema,
    /// What it projects: `ALL` or `KEYS_ONLY`.
    pub projection: String,
}

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML, or not a template at all.
    #[error("the template cannot be read: {0}")]
    Unreadable(String),
    /// One resource cannot be understood.
    #[error("resource {resource}: {problem}")]
    Resource {
        /// Its name in the template.
        resource: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is not exactly one table.
    #[error("the template has {0} resources of type AWS::DynamoDB::Table; the service has exactly one table")]
    Tables(usize),
    /// The same method and path stand at two functions.
    #[error("the route {route} belongs to {first} and to {second}")]
    DuplicateRoute {
        /// The route's key.
        route: String,
        /// The function that has it first.
        first: String,
        /// The other one.
        second: String,
    },
}

impl Template {
    /// Reads a template's text.
    ///
    /// # Errors
    /// [`TemplateError`], which names the resource and says what is wrong with it.
    pub fn load(text: &str) -> Result<Self, TemplateError> {
        let document: parts::Document =
            serde_saphyr::from_str(text).map_err(|error| TemplateError::Unreadable(error.to_string()))?;
        let mut tables = Vec::new();
        let mut functions = BTreeMap::new();
        let mut routes: Vec<Route> = Vec::new();
        let mut schedules = Vec::new();
        let mut secret_variables = BTreeMap::new();
        for (name, resource) in document.resources {
            let in_resource = |problem| TemplateError::Resource { resource: name.clone(), problem };
            match resource.kind.as_str() {
                "AWS::DynamoDB::Table" => {
                    tables.push(parts::table(resource.properties).map_err(in_resource)?);
                }
                "AWS::Serverless::Function" => {
                    let (folder, function, found, scheduled) =
                        parts::function(&name, resource.properties, &document.globals)
                            .map_err(in_resource)?;
                    if functions.contains_key(&folder) {
                        return Err(in_resource(format!(
                            "functions/{folder} belongs to another function already"
                        )));
                    }
                    for route in found {
                        add_route(&mut routes, route)?;
                    }
                    schedules.extend(scheduled);
                    functions.insert(folder, function);
                }
                "AWS::SecretsManager::Secret" => {
                    let variable = document.globals.variable_of(&name);
                    secret_variables.extend(variable.map(|variable| (name, variable)));
                }
                _ => {}
            }
        }
        let found = tables.len();
        let table = tables.pop().filter(|_| found == 1).ok_or(TemplateError::Tables(found))?;
        Ok(Self { routes, functions, schedules, table, secret_variables })
    }

    /// The template that this program was compiled with.
    ///
    /// # Errors
    /// [`TemplateError`], as [`Template::load`]; a test keeps it from happening.
    pub fn embedded() -> Result<Self, TemplateError> {
        Self::load(EMBEDDED)
    }
}

fn add_route(routes: &mut Vec<Route>, route: Route) -> Result<(), TemplateError> {
    if let Some(first) = routes.iter().find(|other| other.key() == route.key()) {
        return Err(TemplateError::DuplicateRoute {
            route: route.key(),
            first: first.function.clone(),
            second: route.function,
        });
    }
    routes.push(route);
    Ok(())
}

impl TableDefinition {
    /// The body of CreateTable for a table of this name.
    #[must_use]
    pub fn create_request(&self, table_name: &str) -> Value {
        let attributes: Vec<Value> = self
            .attributes
            .iter()
            .map(|(name, kind)| serde_json::json!({"AttributeName": name, "AttributeType": kind}))
            .collect();
        let indexes: Vec<Value> = self
            .indexes
            .iter()
            .map(|index| {
                serde_json::json!({
                    "IndexName": index.name,
                    "KeySchema": index.key.elements(),
                    "Projection": {"ProjectionType": index.projection},
                })
            })
            .collect();
        let mut request = serde_json::json!({
            "TableName": table_name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes,
            "KeySchema": self.key.elements(),
        });
        if !indexes.is_empty() {
            request["GlobalSecondaryIndexes"] = Value::from(indexes);
        }
        request
    }
}

impl KeySchema {
    fn elements(&self) -> Vec<Value> {
        let element = |name: &str, kind: &str| serde_json::json!({"AttributeName": name, "KeyType": kind});
        let mut elements = vec![element(&self.partition, "HASH")];
        elements.extend(self.sort.as_deref().map(|name| element(name, "RANGE")));
        elements
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod watching;
