use std::sync::Arc;

use super::*;
use crate::gateway::{Gateway, Handler};

const TABLE: &str = "
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
";

fn function(name: &str, folder: &str, method: &str, path: &str) -> String {
    format!(
        "
  {name}:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: {folder}
      Events:
        Read:
          Type: HttpApi
          Properties: {{ApiId: !Ref Api, Method: {method}, Path: '{path}'}}
"
    )
}

fn problem(resources: &str) -> String {
    Template::load(&format!("Resources:{resources}")).unwrap_err().to_string()
}

#[test]
fn the_template_has_one_function_per_folder_with_its_routes_and_limits() {
    let template = Template::embedded().unwrap();
    let routes: Vec<_> =
        template.routes.iter().map(|route| format!("{} {}", route.key(), route.function)).collect();
    assert!(
        routes.contains(&"GET /api/users/{user_id}/installations mapped-installations".to_owned()),
        "{routes:?}"
    );
    assert!(routes.contains(&"GET /auth/github/setup sign-in".to_owned()), "{routes:?}");
    assert!(routes.contains(&"DELETE /api/keys/{id} connections".to_owned()), "{routes:?}");
    let function = &template.functions["user-repositories"];
    assert_eq!(function.resource, "UserRepositoriesFunction");
    assert_eq!((function.timeout, function.memory_mb), (Duration::from_secs(29), 1024));
    for (name, function) in &template.functions {
        let is_routed = template.routes.iter().any(|route| route.function == *name);
        let is_scheduled = template.schedules.iter().any(|schedule| schedule.function == *name);
        assert!(is_routed || is_scheduled, "{name} has neither a route nor a schedule");
        let in_time = function.timeout < Duration::from_secs(30);
        assert!(in_time || !is_routed, "{name} outlives the API's own limit");
    }
}

#[test]
fn the_table_has_the_keys_the_index_and_the_time_to_live_that_the_store_relies_on() {
    let table = Template::embedded().unwrap().table;
    assert_eq!(table.key, KeySchema { partition: "pk".to_owned(), sort: Some("sk".to_owned()) });
    assert_eq!(
        table.indexes,
        [IndexDefinition {
            name: "gsi1".to_owned(),
            key: KeySchema { partition: "gsi1pk".to_owned(), sort: Some("gsi1sk".to_owned()) },
            projection: "ALL".to_owned(),
        }]
    );
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    assert!(table.attributes.iter().all(|(_, kind)| kind == "S"));
}

#[test]
fn text_that_is_no_template_is_refused() {
    for text in ["", "Resources: [", "- a\n- b", "Resources: 5"] {
        let error = Template::load(text).unwrap_err();
        assert!(matches!(error, TemplateError::Unreadable(_)), "{text:?}: {error}");
    }
}

#[test]
fn a_function_outside_functions_is_named_with_what_its_code_uri_must_be() {
    let found = problem(&format!("{TABLE}{}", function("Lost", "elsewhere/x", "GET", "/x")));
    assert_eq!(found, "resource Lost: CodeUri must be functions/<name>, not \"elsewhere/x\"");
}

#[test]
fn a_function_without_code_is_named_with_the_missing_property() {
    let found =
        problem(&format!("{TABLE}  Bare:\n    Type: AWS::Serverless::Function\n    Properties: {{}}\n"));
    assert!(found.starts_with("resource Bare: missing field `CodeUri`"), "{found}");
}

#[test]
fn an_event_with_a_wrong_method_or_path_is_named() {
    let found = problem(&format!("{TABLE}{}", function("Odd", "functions/odd", "FETCH", "/x")));
    assert_eq!(found, "resource Odd: event Read: \"FETCH\" is not a method that an HTTP API routes");
    let found = problem(&format!("{TABLE}{}", function("Odd", "functions/odd", "get", "x")));
    assert_eq!(found, "resource Odd: event Read: the path must begin with a slash, not \"x\"");
}

/// A function that is invoked by the clock alone.
fn scheduled(events: &str) -> String {
    format!(
        "
  Sweep:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/sweep
      Timeout: 300
      Events:
{events}
"
    )
}

const HOURLY_AND_NIGHTLY: &str = r#"
        Hourly:
          Type: ScheduleV2
          Properties: {ScheduleExpression: rate(1 hour), FlexibleTimeWindow: {Mode: "OFF"}}
        Nightly:
          Type: Schedule
          Properties: {Schedule: cron(0 3 * * ? *), Input: '{"full": true}'}
"#;

#[test]
fn a_function_that_only_the_clock_invokes_has_schedules_and_no_route() {
    let template = Template::load(&format!("Resources:{TABLE}{}", scheduled(HOURLY_AND_NIGHTLY))).unwrap();
    let schedule = |expression: &str, input: Option<&str>| Schedule {
        function: "sweep".to_owned(),
        expression: expression.to_owned(),
        input: input.map(str::to_owned),
    };
    let nightly = schedule("cron(0 3 * * ? *)", Some(r#"{"full": true}"#));
    assert_eq!(template.schedules, [schedule("rate(1 hour)", None), nightly]);
    assert_eq!(template.routes, []);
    assert_eq!(template.functions["sweep"].timeout, Duration::from_secs(300));
}

#[test]
fn the_gateway_asks_no_handler_of_a_function_that_only_the_clock_invokes() {
    let read = function("Read", "functions/read", "GET", "/x");
    let template = format!("Resources:{TABLE}{read}{}", scheduled(HOURLY_AND_NIGHTLY));
    let template = Template::load(&template).unwrap();
    let handler: Handler = Arc::new(|_| Box::pin(async { lambda_http::Response::default() }));
    let mounted = |names: &[&str]| {
        let handlers = names.iter().map(|name| ((*name).to_owned(), handler.clone())).collect();
        Gateway::new(&template.routes, handlers).map(|gateway| gateway.with_functions(&template.functions))
    };
    assert!(mounted(&["read"]).is_ok());
    assert_eq!(
        mounted(&[]).unwrap_err().to_string(),
        "the route GET /x needs the function read, which has no handler here"
    );
    assert!(mounted(&["read", "sweep"]).is_err(), "nothing on this machine would call it");
}

#[test]
fn a_schedule_that_says_no_time_is_named() {
    let events = "        Hourly:\n          Type: ScheduleV2\n          Properties: {Input: '{}'}\n";
    let found = problem(&format!("{TABLE}{}", scheduled(events)));
    assert!(found.starts_with("resource Sweep: event Hourly: missing field `ScheduleExpression`"), "{found}");
}

#[test]
fn a_route_with_two_functions_names_both() {
    let first = function("First", "functions/first", "GET", "/x");
    let second = function("Second", "functions/second", "get", "/x");
    assert_eq!(
        problem(&format!("{TABLE}{first}{second}")),
        "the route GET /x belongs to first and to second"
    );
}

#[test]
fn a_template_needs_exactly_one_table_with_defined_keys() {
    let none = problem(&function("Only", "functions/only", "GET", "/x"));
    assert!(none.starts_with("the template has 0 resources of type AWS::DynamoDB::Table"), "{none}");
    let undefined =
        problem(&TABLE.replace("KeySchema: [{AttributeName: pk", "KeySchema: [{AttributeName: id"));
    assert_eq!(undefined, "resource Table: KeySchema has the key id, which AttributeDefinitions lacks");
    let headless = problem(&TABLE.replace("KeyType: HASH", "KeyType: RANGE"));
    assert_eq!(headless, "resource Table: KeySchema has no HASH key");
}
