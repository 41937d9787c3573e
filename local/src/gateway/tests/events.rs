use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::RequestExt;
use serde_json::Value;

use super::*;
use crate::template::Template;

/// Every request in `events/`: the name of its file without `.json`, and its text. What a schedule sends is
/// no request.
fn events() -> Vec<(String, String)> {
    let schedules = Template::embedded().unwrap().schedules;
    let scheduled =
        |name: &str| schedules.iter().any(|schedule| Some(&*schedule.function) == name.split('.').next());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut events: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            assert_eq!(path.extension().unwrap(), "json", "{path:?}");
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        })
        .filter(|(name, _)| !scheduled(name))
        .collect();
    events.sort();
    events
}

#[test]
fn every_schedule_of_the_template_has_an_event_that_is_what_it_sends() {
    for schedule in Template::embedded().unwrap().schedules {
        let input: Value = serde_json::from_str(schedule.input.as_deref().unwrap()).unwrap();
        let name = if input["full"] == true { "full" } else { "changes" };
        let file = format!("{}/../events/{}.{name}.json", env!("CARGO_MANIFEST_DIR"), schedule.function);
        let event: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(event, input);
    }
}

fn router(template: &Template) -> Router {
    let names = template.routes.iter().map(|route| route.function.clone());
    Router::new(&template.routes, names.map(|name| (name, handler(|_| shaped()))).collect()).unwrap()
}

#[test]
fn every_route_of_the_template_has_an_event() {
    let with_event: BTreeSet<_> = events()
        .iter()
        .map(|(_, text)| {
            serde_json::from_str::<Value>(text).unwrap()["routeKey"].as_str().unwrap().to_owned()
        })
        .collect();
    let routes: BTreeSet<_> = Template::embedded().unwrap().routes.iter().map(Route::key).collect();
    assert_eq!(with_event, routes);
}

#[test]
fn every_event_is_readable_and_takes_the_route_of_the_function_that_it_is_named_after() {
    let template = Template::embedded().unwrap();
    let router = router(&template);
    for (name, text) in events() {
        let event: Value = serde_json::from_str(&text).unwrap();
        let request = lambda_http::request::from_str(&text).unwrap();
        let matched = router.find(request.method(), request.uri().path()).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(Some(matched.route.function.as_str()), name.split('.').next());
        assert_eq!(event["routeKey"], matched.route.key(), "{name}");
        for (parameter, value) in matched.parameters().unwrap() {
            assert_eq!(request.path_parameters().first(parameter), Some(value.as_str()), "{name}");
        }
        assert_eq!(event["rawQueryString"], request.uri().query().unwrap_or_default(), "{name}");
    }
}

#[test]
fn every_event_is_complete() {
    for (name, text) in events() {
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["version"], "2.0", "{name}");
        let context = &event["requestContext"];
        assert_eq!(
            (&context["stage"], &context["routeKey"]),
            (&json!("$default"), &event["routeKey"]),
            "{name}"
        );
        assert_eq!(context["http"]["path"], event["rawPath"], "{name}");
        assert_eq!(context["domainName"], event["headers"]["host"], "{name}");
        for field in ["requestId", "time", "timeEpoch", "accountId", "apiId"] {
            assert!(!context[field].is_null(), "{name} has no {field}");
        }
        let body = event["body"].as_str().unwrap_or_default();
        let length =
            if event["isBase64Encoded"] == true { STANDARD.decode(body).unwrap().len() } else { body.len() };
        assert_eq!(event["headers"]["content-length"], length.to_string(), "{name}");
    }
}
