//! What holds in the table whatever has happened: rows and pointers belong together, rows say what is known
//! of their installation, nothing is left of one that is gone, nothing is unfinished.

use local::check;
use local::data_folder::DemoUser;
use serde_json::json;
use shared::clock::Clock;
use shared::store::{Table, UserId};

pub(crate) async fn hold(table: &Table, users: &[DemoUser], clock: &Clock) {
    let report = check::items(&table.everything().await.unwrap(), clock.unix());
    assert!(report.is_clean() && report.under_way.is_empty(), "{report}");
    for user in users {
        let user: UserId = serde_json::from_value(json!(user.user_id)).unwrap();
        for row in table.mapping_of(&user).await.unwrap() {
            let loaded = table.installation(row.installation_id).await.unwrap();
            assert!(loaded.users.contains(&user), "a row without a pointer: {row:?}");
            assert!(loaded.known.is_some_and(|known| !known.is_gone()), "a row of nothing: {row:?}");
        }
    }
    for known in table.all_installations().await.unwrap() {
        let loaded = table.installation(known.installation_id).await.unwrap();
        assert!(!loaded.is_unfinished(), "{loaded:?}");
        let known = loaded.known.expect("the index holds what the table holds");
        assert!(!known.is_gone(), "one that is gone is in the index: {known:?}");
        for user in &loaded.users {
            let row = table.mapping_row(user, known.installation_id).await.unwrap();
            let row = row.unwrap_or_else(|| panic!("a pointer to no row: {user} {known:?}"));
            assert_eq!(row.facts, known.facts, "{row:?}");
        }
    }
}
