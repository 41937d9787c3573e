//! What the template watches, held against what there is: alarms and dashboard ask only for metrics that somebody
//! writes, every function is watched, and addresses that belong together are set together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use shared::metrics::{Metric, NAMESPACE};
use shared::provider::ProviderType;

use super::{EMBEDDED, Template};

/// The metrics of AWS's own that are asked for, with their dimension and the type of the resource that is its value.
const OF_AWS: [(&str, &[&str], &str, &str); 4] = [
    (
        "AWS/ApiGateway",
        &["Count", "4xx", "5xx", "Latency", "IntegrationLatency"],
        "ApiId",
        "AWS::Serverless::HttpApi",
    ),
    (
        "AWS/Lambda",
        &["Errors", "Throttles", "Duration", "Invocations"],
        "FunctionName",
        "AWS::Serverless::Function",
    ),
    (
        "AWS/DynamoDB",
        &[
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        ],
        "TableName",
        "AWS::DynamoDB::Table",
    ),
    ("AWS/SQS", &["ApproximateNumberOfMessagesVisible"], "QueueName", "AWS::SQS::Queue"),
];

/// The whole template. A tag is not there: `!Ref Table` is the text `Table`.
fn document() -> Value {
    serde_saphyr::from_str(EMBEDDED).unwrap()
}

/// The resources of a type, by their names.
fn resources<'a>(document: &'a Value, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let all = document["Resources"].as_object().unwrap();
    let of_kind = all.iter().filter(|(_, resource)| resource["Type"] == kind);
    of_kind.map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
}

/// A metric that is asked for; a dimension without a value stands for all of them.
#[derive(Debug)]
struct Asked {
    by: String,
    namespace: String,
    metric: String,
    dimensions: Vec<(String, Option<String>)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// A metric as an alarm names it.
fn of_alarm(by: &str, metric: &Value) -> Asked {
    let dimensions = metric["Dimensions"].as_array().into_iter().flatten();
    Asked {
        by: by.to_owned(),
        namespace: text(&metric["Namespace"]),
        metric: text(&metric["MetricName"]),
        dimensions: dimensions
            .map(|dimension| (text(&dimension["Name"]), Some(text(&dimension["Value"]))))
            .collect(),
    }
}

fn of_alarms(document: &Value) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (name, alarm) in resources(document, "AWS::CloudWatch::Alarm") {
        match alarm["Metrics"].as_array() {
            None => asked.push(of_alarm(name, alarm)),
            Some(metrics) => asked.extend(
                metrics
                    .iter()
                    .filter(|metric| metric["MetricStat"].is_object())
                    .map(|metric| of_alarm(name, &metric["MetricStat"]["Metric"])),
            ),
        }
    }
    asked
}

/// `SEARCH('{"git-installations",Function} MetricName="Requests"', 'Sum', 300)`.
fn of_search(by: &str, expression: &str) -> Asked {
    let (schema, rest) = expression.strip_prefix("SEARCH('{").unwrap().split_once('}').unwrap();
    let (namespace, dimension) = schema.split_once(',').unwrap();
    let metric = rest.strip_prefix(" MetricName=\"").unwrap().split_once('"').unwrap().0;
    Asked {
        by: by.to_owned(),
        namespace: namespace.trim_matches('"').to_owned(),
        metric: metric.to_owned(),
        dimensions: vec![(dimension.to_owned(), None)],
    }
}

fn of_dashboards(document: &Value) -> Vec<Asked> {
    let mut asked = Vec::new();
    for dashboard in resources(document, "AWS::CloudWatch::Dashboard").values() {
        let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().unwrap()).unwrap();
        for widget in body["widgets"].as_array().unwrap() {
            let by = text(&widget["properties"]["title"]);
            for metric in widget["properties"]["metrics"].as_array().unwrap() {
                let words = metric.as_array().unwrap();
                if let Some(expression) = words[0]["expression"].as_str() {
                    asked.push(of_search(&by, expression));
                    continue;
                }
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                let [namespace, metric, dimensions @ ..] = &words[..] else { panic!("{by}: {words:?}") };
                let value = |text: &str| text.trim_start_matches("${").trim_end_matches('}').to_owned();
                asked.push(Asked {
                    by: by.clone(),
                    namespace: (*namespace).to_owned(),
                    metric: (*metric).to_owned(),
                    dimensions: dimensions
                        .chunks(2)
                        .map(|pair| (pair[0].to_owned(), Some(value(pair[1]))))
                        .collect(),
                });
            }
        }
    }
    asked
}

/// What is wrong with what is asked for, if anything.
fn problem(document: &Value, asked: &Asked) -> Option<String> {
    let [(dimension, value)] = &asked.dimensions[..] else {
        let filters = resources(document, "AWS::Logs::MetricFilter");
        let written = filters.values().any(|filter| {
            let transformations = filter["MetricTransformations"].as_array();
            transformations.into_iter().flatten().any(|made| {
                made["MetricNamespace"] == *asked.namespace && made["MetricName"] == *asked.metric
            })
        });
        return (!written || !asked.dimensions.is_empty()).then(|| "no filter of logs makes it".to_owned());
    };
    if asked.namespace == NAMESPACE {
        let Some(metric) = Metric::ALL.into_iter().find(|metric| metric.name() == asked.metric) else {
            return Some("the code has no such metric".to_owned());
        };
        if metric.dimension() != dimension {
            return Some(format!("the code counts it by {}", metric.dimension()));
        }
        let value = value.as_deref()?;
        let known = match dimension.as_str() {
            "Provider" => ProviderType::from_name(value).is_some(),
            _ => Template::embedded().unwrap().functions.contains_key(value),
        };
        return (!known).then(|| format!("nothing counts under {value}"));
    }
    let Some((_, metrics, name, kind)) = OF_AWS.into_iter().find(|(name, ..)| *name == asked.namespace)
    else {
        return Some("the namespace is not known".to_owned());
    };
    let resource = value.as_deref().unwrap_or_default().split('.').next().unwrap_or_default();
    let known = metrics.contains(&asked.metric.as_str())
        && dimension == name
        && resources(document, kind).contains_key(resource);
    (!known).then(|| format!("AWS has no such metric of {resource}"))
}

#[test]
fn alarms_and_dashboard_ask_for_metrics_and_dimensions_that_are_written() {
    let document = document();
    let asked: Vec<Asked> = of_alarms(&document).into_iter().chain(of_dashboards(&document)).collect();
    assert!(asked.len() > 60, "{asked:?}");
    let problems: Vec<_> = asked
        .iter()
        .filter_map(|asked| {
            problem(&document, asked).map(|problem| format!("{}: {problem}: {asked:?}", asked.by))
        })
        .collect();
    assert_eq!(problems, [""; 0]);
}

#[test]
fn what_nobody_writes_is_found() {
    let document = document();
    let asked = |namespace: &str, metric: &str, dimensions: &[(&str, Option<&str>)]| {
        let dimensions = dimensions.iter();
        let asked = Asked {
            by: "a test".to_owned(),
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            dimensions: dimensions
                .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
                .collect(),
        };
        problem(&document, &asked)
    };
    let webhook = [("Function", Some("github-webhook"))];
    assert_eq!(asked(NAMESPACE, "WebhookApplied", &webhook), None);
    for (namespace, metric, dimensions) in [
        (NAMESPACE, "WebhookApplied", &[("Function", Some("github_webhook"))]),
        (NAMESPACE, "WebhookApplied", &[("Provider", Some("github"))]),
        (NAMESPACE, "WebhookApplies", &webhook),
        (NAMESPACE, "OauthTokenRequests", &[("Provider", Some("gitea"))]),
        (NAMESPACE, "UpstreamCalls", &[("Function", None)]),
        ("AWS/Lambda", "Errors", &[("FunctionName", Some("Table"))]),
        ("AWS/Lambda", "Error", &[("FunctionName", Some("WebFunction"))]),
        ("AWS/Nothing", "Errors", &[("FunctionName", Some("WebFunction"))]),
    ] {
        assert!(asked(namespace, metric, dimensions).is_some(), "{namespace} {metric} {dimensions:?}");
    }
    assert!(asked(NAMESPACE, "Requests", &[]).is_some());
}

#[test]
fn every_function_is_named_as_its_folder_and_its_crate() {
    for name in Template::embedded().unwrap().functions.keys() {
        let manifest = format!("{}/../functions/{name}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
        let manifest = std::fs::read_to_string(manifest).unwrap();
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{manifest}");
    }
}

#[test]
fn every_function_has_a_log_group_that_ends_and_alarms_on_errors_throttles_and_defects() {
    let document = document();
    let log_groups = resources(&document, "AWS::Logs::LogGroup");
    let asked = of_alarms(&document);
    let watched = |metric: &str| -> BTreeSet<String> {
        let of_lambda =
            asked.iter().filter(|asked| asked.namespace == "AWS/Lambda" && asked.metric == metric);
        of_lambda.filter_map(|asked| asked.dimensions[0].1.clone()).collect()
    };
    let functions = resources(&document, "AWS::Serverless::Function");
    let names: BTreeSet<String> = functions.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(watched("Errors"), names);
    assert_eq!(watched("Throttles"), names);

    let filters = resources(&document, "AWS::Logs::MetricFilter");
    let defects = resources(&document, "AWS::CloudWatch::Alarm")["DefectsAlarm"];
    for (name, function) in functions {
        let group = function["LoggingConfig"]["LogGroup"].as_str();
        let group = group.unwrap_or_else(|| panic!("{name} has no log group of the template"));
        assert_eq!(log_groups[group]["RetentionInDays"], "LogRetentionDays", "{name}");
        let folder = function["CodeUri"].as_str().unwrap().trim_start_matches("functions/");
        let path = format!("/aws/lambda/${{AWS::StackName}}/{folder}");
        assert_eq!(log_groups[group]["LogGroupName"], path, "{name}");
        let mut of_group = filters.values().filter(|filter| filter["LogGroupName"] == group);
        let filter = of_group.next().unwrap_or_else(|| panic!("nobody counts the defects of {name}"));
        assert_eq!(filter["FilterPattern"], r#"{ $.level = "ERROR" }"#, "{name}");
        let made = &filter["MetricTransformations"][0];
        assert_eq!(made["MetricNamespace"], defects["Namespace"], "{name}");
        assert_eq!(made["MetricName"], defects["MetricName"], "{name}");
    }
    assert_eq!((&defects["Threshold"], &defects["Statistic"]), (&1.into(), &"Sum".into()));
}

/// An assertion of the template's rules, with these parameters.
fn holds(assertion: &Value, parameters: &BTreeMap<&str, &str>) -> bool {
    let (function, operands) = assertion.as_object().unwrap().iter().next().unwrap();
    let operands = operands.as_array().unwrap();
    let mut conditions = operands.iter().map(|operand| holds(operand, parameters));
    match function.as_str() {
        "Fn::And" => conditions.all(|holds| holds),
        "Fn::Or" => conditions.any(|holds| holds),
        "Fn::Not" => !conditions.next().unwrap(),
        "Fn::Equals" => {
            let text = |operand: &Value| match operand["Ref"].as_str() {
                Some(parameter) => parameters[parameter].to_owned(),
                None => operand.as_str().unwrap().to_owned(),
            };
            text(&operands[0]) == text(&operands[1])
        }
        other => panic!("{other} is not known here"),
    }
}

#[test]
fn the_two_addresses_of_a_host_are_set_together_or_not_at_all() {
    let document = document();
    let parameters = document["Parameters"].as_object().unwrap();
    let defaults: BTreeMap<&str, &str> = parameters
        .iter()
        .filter_map(|(name, parameter)| Some((name.as_str(), parameter["Default"].as_str()?)))
        .collect();
    let allowed = |changes: &[(&'static str, &'static str)]| {
        let mut parameters = defaults.clone();
        parameters.extend(changes.iter().copied());
        let rules = document["Rules"].as_object().unwrap().values();
        let mut assertions = rules.flat_map(|rule| rule["Assertions"].as_array().unwrap());
        assertions.all(|assertion| holds(&assertion["Assert"], &parameters))
    };
    assert!(allowed(&[]));
    for (api, web) in [("GitHubApiUrl", "GitHubWebUrl"), ("BitbucketApiUrl", "BitbucketWebUrl")] {
        let (api, web) = ((api, "https://git.example.com/api/v3"), (web, "https://git.example.com"));
        assert!(allowed(&[api, web]), "{api:?} {web:?}");
        assert!(!allowed(&[api]), "{api:?}");
        assert!(!allowed(&[web]), "{web:?}");
    }
    for alone in [("GitLabUrl", "https://git.example.com"), ("PublicUrl", "https://git.example.com")] {
        assert!(allowed(&[alone]), "{alone:?}");
    }
}

#[test]
fn the_operators_page_names_what_the_template_has_and_every_alarm() {
    let document = document();
    let page = include_str!("../../../docs/operating.md");
    let named = |command: &str| -> BTreeSet<String> {
        let call = format!("$({command} ");
        let words = page.split(&call).skip(1);
        words.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
    };
    let names = |section: &str| -> BTreeSet<String> {
        document[section].as_object().unwrap().keys().cloned().collect()
    };
    let (outputs, resources_named) = (named("output"), named("resource"));
    assert!(outputs.is_subset(&names("Outputs")), "{outputs:?}");
    assert!(outputs.contains("ApiId"), "{outputs:?}");
    assert!(
        resources_named.iter().all(|name| name.ends_with("Function")),
        "an output tells: {resources_named:?}"
    );
    for output in names("Outputs") {
        assert!(page.contains(&format!("`{output}`")), "{output} is for nothing");
    }
    let alarms = resources(&document, "AWS::CloudWatch::Alarm");
    assert!(page.contains(&format!("{} alarms", alarms.len())), "there are {}", alarms.len());
    for name in alarms.keys().filter(|name| !name.ends_with("ErrorsAlarm")) {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name} says nothing to anybody");
    }
}
