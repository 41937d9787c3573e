use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn ready() -> Ready {
    Ready {
        url: "http://localhost:3000".to_owned(),
        demo_user: Some(DemoUser {
            user_id: "usr_1".to_owned(),
            api_key: "key".to_owned(),
            session_cookie: "cookie".to_owned(),
        }),
        endpoints: BTreeMap::from([("dynamodb_url".to_owned(), "http://127.0.0.1:1".to_owned())]),
    }
}

#[test]
fn a_second_run_on_the_same_folder_is_told_what_to_do_and_a_later_one_is_welcome() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep").join("data");
    let first = DataFolder::open(&path, false).unwrap();
    for fresh in [false, true] {
        let error = DataFolder::open(&path, fresh).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is in use by another run of this program; stop it or use --data", path.display())
        );
    }
    drop(first);
    DataFolder::open(&path, false).unwrap();
}

#[test]
fn a_folder_with_other_files_is_left_alone_even_with_fresh() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secrets.json"), "somebody else's").unwrap();
    for fresh in [false, true] {
        let error = DataFolder::open(folder.path(), fresh).unwrap_err();
        assert!(matches!(error, DataFolderError::Foreign(_)), "{error}");
    }
    assert_eq!(names(folder.path()), ["secrets.json"]);
}

#[test]
fn a_path_that_cannot_be_a_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = DataFolder::open(&file, false).unwrap_err();
    assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
}

#[test]
fn fresh_removes_what_this_program_wrote_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let folder = DataFolder::open(&path, false).unwrap();
    let ring = folder.token_key_ring().unwrap();
    folder.write_functions(&BTreeMap::new()).unwrap();
    for name in [DATABASE, "dynamodb.db-wal", GITHUB, "ready.json.new", "notes.txt"] {
        std::fs::write(path.join(name), "x").unwrap();
    }
    drop(folder);
    let folder = DataFolder::open(&path, true).unwrap();
    assert_eq!(names(&path), [DATABASE, LOCK, "notes.txt"]);
    assert_eq!(std::fs::read_to_string(folder.database()).unwrap(), "");
    assert_ne!(folder.token_key_ring().unwrap(), ring);
}

#[test]
fn the_token_key_ring_is_made_once() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let first = DataFolder::open(&path, false).unwrap().token_key_ring().unwrap();
    assert_eq!(DataFolder::open(&path, false).unwrap().token_key_ring().unwrap(), first);
    let ring: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(ring["current"], "k1");
    assert_eq!(ring["keys"]["k1"].as_str().unwrap().len(), 44);
}

#[test]
fn a_damaged_key_ring_is_never_replaced_silently() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&parent.path().join("data"), false).unwrap();
    for text in [
        "",
        "[]",
        r#"{"token_keys":{"current":"k1","keys":{}}}"#,
        r#"{"token_keys":{"current":"k1","keys":{"k1":"AAAA"}}}"#,
    ] {
        std::fs::write(folder.secrets(), text).unwrap();
        let error = folder.token_key_ring().unwrap_err();
        assert!(matches!(error, DataFolderError::Damaged { .. }), "{error}");
        assert!(error.to_string().ends_with("; start with --fresh to make everything anew"), "{error}");
        assert_eq!(std::fs::read_to_string(folder.secrets()).unwrap(), text);
    }
}

#[test]
fn ready_is_there_only_while_the_run_is() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let folder = DataFolder::open(&path, false).unwrap();
    folder.announce(&ready()).unwrap();
    assert_eq!(
        json_of(&folder.ready()),
        json!({
            "url": "http://localhost:3000",
            "user_id": "usr_1",
            "api_key": "key",
            "session_cookie": "cookie",
            "dynamodb_url": "http://127.0.0.1:1",
        })
    );
    drop(folder);
    assert_eq!(names(&path), [DATABASE, LOCK]);
    std::fs::write(path.join(READY), "left by a run that was killed").unwrap();
    let folder = DataFolder::open(&path, false).unwrap();
    assert!(!folder.ready().exists());
}

#[test]
fn the_functions_settings_are_written_for_both_tools() {
    let parent = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&parent.path().join("data"), false).unwrap();
    let settings = BTreeMap::from([
        ("EXTRA_CA_PEM".to_owned(), "a \"b\"\nc\\".to_owned()),
        ("PUBLIC_URL".to_owned(), "http://localhost:3000".to_owned()),
        ("ALLOWED_PROVIDER_HOSTS".to_owned(), String::new()),
    ]);
    folder.write_functions(&settings).unwrap();
    assert_eq!(
        std::fs::read_to_string(folder.functions_env()).unwrap(),
        "ALLOWED_PROVIDER_HOSTS=\nEXTRA_CA_PEM=\"a \\\"b\\\"\\nc\\\\\"\nPUBLIC_URL=http://localhost:3000\n"
    );
    assert_eq!(json_of(&folder.functions_json()), json!({"Parameters": settings}));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("data");
    let folder = DataFolder::open(&path, false).unwrap();
    folder.token_key_ring().unwrap();
    folder.announce(&ready()).unwrap();
    folder.write_functions(&BTreeMap::new()).unwrap();
    folder.replace(&folder.github(), "{}").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for name in names(&path) {
        assert_eq!(mode(&path.join(&name)), 0o600, "{name}");
    }
}
