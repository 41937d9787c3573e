//! The schema that every item carries.

use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    login: String,
}

fn item() -> Item {
    to_item(&Key::new("USER#usr_1", "IDENTITY#github"), &Row { login: "octocat".to_owned() }).unwrap()
}

fn with_schema(schema: Option<AttributeValue>) -> Result<Row, StoreError> {
    let mut item = item();
    item.remove("v");
    item.extend(schema.map(|schema| ("v".to_owned(), schema)));
    from_item(item)
}

#[test]
fn every_item_says_in_which_form_it_is_written() {
    assert_eq!(item()["v"], number(1));
}

#[test]
fn an_item_without_a_schema_is_of_the_first_one() {
    let row = Row { login: "octocat".to_owned() };
    assert_eq!(with_schema(None), Ok(row));
    for schema in 1..=SCHEMA {
        assert!(with_schema(Some(number(schema.into()))).is_ok(), "{schema}");
    }
}

#[test]
fn an_item_of_a_newer_version_is_an_error_that_says_so() {
    let error = with_schema(Some(number(i64::from(SCHEMA) + 1))).unwrap_err();
    let text =
        "an item of kind IDENTITY was written by a newer version: its schema is 2, and this version knows 1";
    assert_eq!(error.to_string(), text);
    assert_eq!(error, StoreError::Newer { kind: "IDENTITY".to_owned(), schema: SCHEMA + 1 });
}

#[test]
fn a_schema_that_is_none_is_damage() {
    for schema in [text("1"), AttributeValue::N("1.5".to_owned()), number(-1), AttributeValue::Bool(true)] {
        let error = with_schema(Some(schema)).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
}

#[test]
#[should_panic(expected = "kinds.rs does not know items like NEWS")]
fn an_item_of_a_kind_that_is_not_listed_is_found_by_the_first_test_that_writes_it() {
    drop(to_item(&Key::new("USER#usr_1", "NEWS#1"), &Row { login: String::new() }));
}
