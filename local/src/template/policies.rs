//! What a function may do, as its `Policies` in the template say it: actions on items, the index and secrets.
//! Only the forms that the template uses are understood; any other is refused, so that nothing is allowed unread.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// The statements of a function's role; without one, nothing is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Each allows something; none denies.
    pub statements: Vec<Statement>,
}

/// One `Allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The actions in full, e.g. `dynamodb:GetItem`.
    pub actions: BTreeSet<String>,
    /// What they are allowed on.
    pub resources: BTreeSet<Resource>,
    /// Patterns, one of which each partition key has to match; none allows all of them.
    pub leading_keys: Option<Vec<String>>,
}

/// What an action is allowed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The table itself.
    Table,
    /// One of the table's indexes.
    Index(String),
    /// A secret, by its name in the template.
    Secret(String),
}

impl Policy {
    /// Whether one statement allows this action on this, for all of these partition keys together.
    #[must_use]
    pub fn allows(&self, action: &str, resource: &Resource, partitions: &BTreeSet<String>) -> bool {
        self.statements.iter().any(|statement| {
            statement.actions.contains(action)
                && statement.resources.contains(resource)
                && statement.leading_keys.as_ref().is_none_or(|patterns| {
                    partitions.iter().all(|key| patterns.iter().any(|pattern| is_like(pattern, key)))
                })
        })
    }
}

/// IAM's `StringLike` with the one wildcard that the template uses, at the end.
#[must_use]
pub fn is_like(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or_else(|| pattern == text, |prefix| text.starts_with(prefix))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: String,
    statement: Vec<Allow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Allow {
    #[serde(default, rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    action: OneOrMore,
    resource: OneOrMore,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

/// The policy of a function's `Policies`.
pub(super) fn policy(documents: Vec<Value>) -> Result<Policy, String> {
    let mut statements = Vec::new();
    for document in documents {
        let document: Document =
            serde_json::from_value(document).map_err(|error| format!("Policies: {error}"))?;
        if document.version != "2012-10-17" {
            return Err(format!("Policies: {:?} is not the version 2012-10-17", document.version));
        }
        for allow in document.statement {
            statements.push(statement(allow).map_err(|problem| format!("Policies: {problem}"))?);
        }
    }
    Ok(Policy { statements })
}

fn statement(allow: Allow) -> Result<Statement, String> {
    if allow.effect != "Allow" {
        return Err(format!("the effect {:?} is not understood; expected Allow", allow.effect));
    }
    let actions: BTreeSet<String> = allow.action.into_vec().into_iter().collect();
    if let Some(wide) = actions.iter().find(|action| action.contains(['*', '?'])) {
        return Err(format!("the action {wide:?} has a wildcard; expected each action by its name"));
    }
    let resources: Result<_, _> = allow.resource.into_vec().iter().map(|text| resource(text)).collect();
    Ok(Statement { actions, resources: resources?, leading_keys: leading_keys(allow.condition)? })
}

/// A resource by the text that is left of `!GetAtt`, `!Sub` and `!Ref`.
fn resource(text: &str) -> Result<Resource, String> {
    if text == "Table.Arn" {
        return Ok(Resource::Table);
    }
    if let Some(index) = text.strip_prefix("${Table.Arn}/index/") {
        return Ok(Resource::Index(index.to_owned()));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(Resource::Secret(text.to_owned()));
    }
    Err(format!("the resource {text:?} is not the table, an index or a secret of this template"))
}

fn leading_keys(
    mut condition: BTreeMap<String, BTreeMap<String, Vec<String>>>,
) -> Result<Option<Vec<String>>, String> {
    const OPERATOR: &str = "ForAllValues:StringLike";
    const KEY: &str = "dynamodb:LeadingKeys";
    let mut keys = condition.remove(OPERATOR).unwrap_or_default();
    let patterns = keys.remove(KEY);
    if let Some(other) = condition.into_keys().chain(keys.into_keys()).next() {
        return Err(format!("the condition {other:?} is not understood; expected {OPERATOR} of {KEY}"));
    }
    let is_plain = |pattern: &String| !pattern.trim_end_matches('*').contains(['*', '?', '$']);
    if let Some(odd) = patterns.iter().flatten().find(|pattern| !is_plain(pattern) || *pattern == "*") {
        return Err(format!("the pattern {odd:?} is not understood; expected text, or text before one *"));
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    fn read(statement: &str) -> Result<Policy, String> {
        let text = format!(
            "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{{AttributeName: pk, AttributeType: S}}]
      KeySchema: [{{AttributeName: pk, KeyType: HASH}}]
  Read:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/read
      Policies:
        - Version: '2012-10-17'
          Statement:
            - {statement}
"
        );
        Template::load(&text)
            .map(|template| template.functions["read"].policy.clone())
            .map_err(|error| error.to_string())
    }

    fn keys<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
        keys.map(str::to_owned).into()
    }

    #[test]
    fn a_statement_allows_its_actions_on_its_resources_and_keys_and_nothing_else() {
        let policy = read(
            "{Effect: Allow, Action: [dynamodb:GetItem, dynamodb:Query], Resource: !GetAtt Table.Arn, \
             Condition: {'ForAllValues:StringLike': {'dynamodb:LeadingKeys': ['USER#*', APP]}}}",
        )
        .unwrap();
        let table = |action, partitions| policy.allows(action, &Resource::Table, &partitions);
        assert!(table("dynamodb:GetItem", keys(["USER#1"])));
        assert!(table("dynamodb:Query", keys(["USER#1", "USER#", "APP"])));
        assert!(!table("dynamodb:GetItem", keys(["USER#1", "SESSION#1"])), "every key has to match");
        assert!(!table("dynamodb:GetItem", keys(["USER"])));
        assert!(!table("dynamodb:GetItem", keys(["APPS"])));
        assert!(!table("dynamodb:PutItem", keys(["USER#1"])));
        let index = Resource::Index("gsi1".to_owned());
        assert!(!policy.allows("dynamodb:Query", &index, &keys(["USER#1"])));
    }

    #[test]
    fn keys_that_two_statements_allow_one_by_one_are_not_allowed_in_one_call() {
        let keyed = |key: &str| Statement {
            actions: keys(["dynamodb:BatchGetItem"]),
            resources: [Resource::Table].into(),
            leading_keys: Some(vec![key.to_owned()]),
        };
        let policy = Policy { statements: vec![keyed("A#*"), keyed("B#*")] };
        let allowed = |keys| policy.allows("dynamodb:BatchGetItem", &Resource::Table, &keys);
        assert!(allowed(keys(["A#1"])) && allowed(keys(["B#1"])));
        assert!(!allowed(keys(["A#1", "B#1"])));
    }

    #[test]
    fn an_index_and_a_secret_are_named_by_what_the_template_calls_them() {
        let policy =
            read("{Effect: Allow, Action: dynamodb:Query, Resource: !Sub '${Table.Arn}/index/gsi1'}");
        let index = Resource::Index("gsi1".to_owned());
        assert!(policy.unwrap().allows("dynamodb:Query", &index, &keys(["any"])));
        let policy =
            read("{Effect: Allow, Action: secretsmanager:GetSecretValue, Resource: [!Ref TokenKeysSecret]}");
        let secret = Resource::Secret("TokenKeysSecret".to_owned());
        assert!(policy.unwrap().allows("secretsmanager:GetSecretValue", &secret, &keys([])));
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_taken_for_allowed() {
        for (statement, said) in [
            ("{Effect: Deny, Action: a:B, Resource: Table.Arn}", "the effect \"Deny\""),
            ("{Effect: Allow, Action: 'dynamodb:*', Resource: Table.Arn}", "the action \"dynamodb:*\""),
            ("{Effect: Allow, Action: a:B, Resource: '*'}", "the resource \"*\""),
            ("{Effect: Allow, Action: a:B, Resource: X, NotAction: a:C}", "unknown field `NotAction`"),
            (
                "{Effect: Allow, Action: a:B, Resource: X, Condition: {StringEquals: {a: [b]}}}",
                "the condition \"StringEquals\"",
            ),
            (
                "{Effect: Allow, Action: a:B, Resource: X, \
                 Condition: {'ForAllValues:StringLike': {'dynamodb:LeadingKeys': ['A*B']}}}",
                "the pattern \"A*B\"",
            ),
        ] {
            let refusal = read(statement).unwrap_err();
            assert!(refusal.starts_with("resource Read: Policies: "), "{refusal}");
            assert!(refusal.contains(said), "{refusal}");
        }
    }
}
