//! Every route of `template.yaml` is served everywhere: by a handler here, by `cargo lambda watch`, and has an
//! event in `events/`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use local::handlers;
use local::template::{Route, Template};
use serde_json::Value;

use crate::harness::start;

/// Method, path and function.
type Entry = (String, String, String);

fn routes() -> Vec<Route> {
    Template::embedded().unwrap().routes
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[tokio::test]
async fn every_route_has_a_handler_and_every_handler_a_route() {
    let running = start().await;
    let handlers: BTreeSet<_> = handlers::all(&running.stack.service).into_keys().collect();
    let functions: BTreeSet<_> = routes().into_iter().map(|route| route.function).collect();
    assert_eq!(handlers, functions);
}

#[test]
fn every_route_has_an_event_that_is_named_after_its_function() {
    let events: Vec<(String, Value)> = std::fs::read_dir(root().join("events"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    for route in routes() {
        let event = events
            .iter()
            .find(|(name, event)| {
                name.starts_with(&format!("{}.", route.function)) && event["routeKey"] == route.key()
            })
            .unwrap_or_else(|| {
                panic!("{}: no events/{}.*.json has this routeKey", route.key(), route.function)
            });
        let (name, event) = event;
        let http = &event["requestContext"]["http"];
        assert_eq!(http["method"], route.method, "{name}");
        assert!(fits(&route.path, http["path"].as_str().unwrap()), "{name}");
    }
}

/// Whether a path is one of the route's: the same steps, any text where the route has a parameter.
fn fits(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route
            .iter()
            .zip(path)
            .all(|(wanted, step)| *wanted == step || (wanted.starts_with('{') && !step.is_empty()))
}

#[test]
fn cargo_lambda_watch_has_the_same_routes() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let router = metadata["metadata"]["lambda"]["watch"]["router"].as_object().expect("a router");
    let watched: BTreeSet<Entry> = router
        .iter()
        .flat_map(|(path, methods)| {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            methods
                .as_array()
                .expect("each method with its function")
                .iter()
                .map(move |entry| (text(&entry["method"]), path.clone(), text(&entry["function"])))
        })
        .collect();
    let deployed: BTreeSet<Entry> =
        routes().into_iter().map(|route| (route.method, route.path, route.function)).collect();
    assert_eq!(watched, deployed);
}

#[test]
fn every_function_of_the_template_is_a_crate_whose_binary_is_named_like_its_folder() {
    for function in Template::embedded().unwrap().functions.keys() {
        let manifest = root().join("functions").join(function).join("Cargo.toml");
        let manifest =
            std::fs::read_to_string(&manifest).unwrap_or_else(|error| panic!("{function}: {error}"));
        assert!(manifest.contains(&format!("name = \"{function}\"\n")), "{function}");
        assert!(root().join("functions").join(function).join("src/main.rs").is_file(), "{function}");
    }
}
