//! The policies of `template.yaml` allow what the functions do, which every end-to-end test shows by working, and
//! nothing else, which is shown here. The local stack refuses what they do not allow.

use std::collections::BTreeSet;

use http::StatusCode;
use local::aws::access::Use;
use local::template::Template;
use local::template::policies::{Policy, Resource, is_like};

use crate::harness::start;
use crate::least_privilege_flows as flows;
use crate::openhands::INSTALLATIONS;

/// What is allowed though no flow here does it, and why: function, action, key.
const UNUSED: [(&str, &str, &str, &str); 0] = [];

fn policies() -> Vec<(String, Policy)> {
    let functions = Template::embedded().unwrap().functions;
    functions.into_iter().map(|(name, function)| (name, function.policy)).collect()
}

/// Everything that a policy allows, one action on one kind of key each.
fn allowed() -> Vec<(String, String, Resource, Option<String>)> {
    let mut allowed = Vec::new();
    for (function, policy) in policies() {
        for statement in policy.statements {
            let keys: Vec<Option<String>> = match statement.leading_keys {
                Some(patterns) => patterns.into_iter().map(Some).collect(),
                None => vec![None],
            };
            for (action, resource, key) in statement.actions.iter().flat_map(|action| {
                let keys = &keys;
                let of_all =
                    statement.resources.iter().flat_map(move |of| keys.iter().map(move |key| (of, key)));
                of_all.map(move |(resource, key)| (action, resource, key))
            }) {
                allowed.push((function.clone(), action.clone(), resource.clone(), key.clone()));
            }
        }
    }
    allowed
}

#[tokio::test]
async fn the_policies_allow_nothing_that_the_functions_do_not_do() {
    let used: BTreeSet<Use> = flows::all().await;
    let unused: BTreeSet<(String, String, String)> = allowed()
        .into_iter()
        .filter(|(function, action, resource, key)| {
            !used.iter().any(|one| {
                let fits = |pattern| one.partition.as_deref().is_some_and(|key| is_like(pattern, key));
                (&one.function, &one.action, &one.resource) == (function, action, resource)
                    && key.as_deref().is_none_or(fits)
            })
        })
        .map(|(function, action, resource, key)| (function, action, key.unwrap_or(format!("{resource:?}"))))
        .collect();
    let justified = UNUSED.iter().map(|(function, action, key, _)| {
        (String::from(*function), String::from(*action), String::from(*key))
    });
    let justified: BTreeSet<_> = justified.collect();
    let too_much: Vec<_> = unused.difference(&justified).collect();
    assert!(too_much.is_empty(), "allowed in template.yaml, and never done: {too_much:#?}");
    let used_now: Vec<_> = justified.difference(&unused).collect();
    assert!(used_now.is_empty(), "these are no exceptions any more: {used_now:#?}");
    // The index is open as a whole because it has one partition.
    let indexed = used.iter().filter(|one| matches!(one.resource, Resource::Index(_)));
    let partitions: BTreeSet<_> = indexed.filter_map(|one| one.partition.as_deref()).collect();
    assert_eq!(partitions, ["INSTALLATIONS"].into());
}

/// A call with several keys is allowed by one statement or not at all, so an action has one in each policy.
#[test]
fn each_action_on_the_table_stands_once_in_a_policy_and_always_with_keys() {
    for (function, policy) in policies() {
        let mut seen = BTreeSet::new();
        for statement in policy.statements.iter().filter(|one| one.resources.contains(&Resource::Table)) {
            assert!(statement.leading_keys.as_ref().is_some_and(|keys| !keys.is_empty()), "{function}");
            for action in &statement.actions {
                assert!(seen.insert(action), "{function} has {action} twice");
            }
        }
    }
}

#[tokio::test]
async fn a_function_is_refused_what_its_policy_does_not_name() {
    let running = start().await;
    let user = running.sign_in("octocat").await;
    let id = crate::behind::user(&user.user_id);
    let webhook = &running.stack.functions["github-webhook"];
    let keys = webhook.token_keys.get().await.unwrap_err().to_string();
    assert!(keys.ends_with("cannot be read: AccessDeniedException"), "{keys}");
    let token = webhook.table.provider_tokens(&id).await;
    assert!(token.is_ok(), "a revocation ends a user's tokens");
    let key = webhook.table.api_key("hash").await.unwrap_err().to_string();
    assert!(key.contains("AccessDeniedException"), "{key}");
    let index = webhook.table.count_installations().await.unwrap_err().to_string();
    assert!(index.contains("AccessDeniedException"), "{index}");
    // Whoever has no policy, as the tests' own service, is not restricted.
    running.stack.service.table.count_installations().await.unwrap();
    running.stack.service.token_keys.get().await.unwrap();

    let refused = running.stack.access.take_refused();
    assert_eq!(refused.len(), 3, "{refused:?}");
    assert!(refused.iter().all(|one| one.starts_with("github-webhook is not authorized to perform: ")));
    assert_eq!(running.get(INSTALLATIONS).api_key(&user).send().await.status, StatusCode::OK);
}
