//! A table that the flows themselves have written holds; each violation that is planted in it is found and named.

use std::sync::OnceLock;
use std::time::Duration;

use shared::clock::Clock;
use shared::provider::ProviderType;
use shared::store::{Stored, StoredItem, TokenSlot};

use super::{Report, items};
use crate::demo_user::{self, OTHER_LOGINS};
use crate::sandbox_github::{Selection, Target, demo_world};
use crate::stack::{Options, Stack};

/// Items of a table, to be damaged.
struct Planted {
    items: Vec<StoredItem>,
    now: i64,
}

/// Everything that octocat's sign-ins, listings and webhooks leave in a table.
async fn written() -> (Vec<StoredItem>, i64) {
    let clock = Clock::system();
    let options =
        Options { other_hosts: true, webhooks: true, ..Options::in_memory(demo_world(), clock.clone()) };
    let stack = Stack::start(options).await.unwrap();
    let mut user = demo_user::sign_in(&stack, "octocat").await.unwrap();
    for (provider, login) in OTHER_LOGINS {
        user = demo_user::link(&stack, &user, provider, login).await.unwrap();
    }
    demo_user::sign_in(&stack, "reader").await.unwrap();
    let http = shared::provider::upstream::http_client(&[]).unwrap();
    for path in ["/api/user/repositories", "/user/installations"] {
        let url = format!("{}{path}", stack.url);
        let answer = http.get(url).header("X-Session-API-Key", &user.api_key).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
    let github = stack.github.as_ref().unwrap();
    clock.advance(Duration::from_secs(60));
    github.world(|world| {
        let of = |login: &str| Target::Account(world.organization(login).unwrap().id);
        let (octo, labs) = (of("octo-org"), of("octo-labs"));
        let (octo, labs) = (world.installation_on(octo).unwrap().id, world.installation_on(labs).unwrap().id);
        world.select_repositories(octo, Selection::All);
        world.uninstall(labs);
    });
    github.drain().await;
    let items = stack.service.table.everything().await.unwrap();
    stack.stop().await;
    (items, clock.unix())
}

fn whole() -> Planted {
    static ITEMS: OnceLock<(Vec<StoredItem>, i64)> = OnceLock::new();
    let (items, now) = ITEMS.get_or_init(|| {
        // A runtime within a test's own would not do.
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(written())).join().unwrap()
    });
    Planted { items: items.clone(), now: *now }
}

impl Planted {
    fn look(&self) -> Report {
        items(&self.items, self.now)
    }

    /// The first item of that kind for which this holds.
    fn find(&mut self, kind: &str, holds: impl Fn(&StoredItem) -> bool) -> &mut StoredItem {
        let found = self.items.iter_mut().find(|item| item.kind().unwrap().name == kind && holds(item));
        found.unwrap_or_else(|| panic!("no such {kind}"))
    }

    fn the(&mut self, kind: &str) -> &mut StoredItem {
        self.find(kind, |_| true)
    }

    /// An installation that is there.
    fn installation(&mut self) -> &mut shared::store::KnownInstallation {
        let there =
            |item: &StoredItem| matches!(&item.content, Ok(Stored::Installation(one)) if !one.is_gone());
        match &mut self.find("installation", there).content {
            Ok(Stored::Installation(known)) => known,
            other => panic!("{other:?}"),
        }
    }

    /// The one whose repositories are known.
    fn listed(&mut self) -> &mut shared::store::KnownInstallation {
        let lists = |item: &StoredItem| matches!(&item.content, Ok(Stored::Installation(one)) if one.repositories.is_some());
        match &mut self.find("installation", lists).content {
            Ok(Stored::Installation(known)) => known,
            other => panic!("{other:?}"),
        }
    }

    fn row(&mut self) -> &mut shared::store::MappingRow {
        match &mut self.the("mapping").content {
            Ok(Stored::Mapping(row)) => row,
            other => panic!("{other:?}"),
        }
    }

    /// Takes the first item of that kind away.
    fn lose(&mut self, kind: &str) -> StoredItem {
        let at = self.items.iter().position(|item| item.kind().unwrap().name == kind);
        self.items.remove(at.unwrap_or_else(|| panic!("no {kind}")))
    }

    /// Puts an item beside the others.
    fn plant(&mut self, pk: &str, sk: &str, stored: Stored) {
        self.items.push(StoredItem {
            pk: pk.to_owned(),
            sk: sk.to_owned(),
            gsi1: (None, None),
            content: Ok(stored),
        });
    }
}

fn lose_where(planted: &mut Planted, keep: impl Fn(&StoredItem) -> bool) {
    let before = planted.items.len();
    planted.items.retain(keep);
    assert!(planted.items.len() < before, "nothing was lost");
}

#[test]
fn what_the_flows_have_written_holds_and_is_counted_by_kind() {
    let report = whole().look();
    assert_eq!(
        (&report.violations, &report.under_way),
        (&Default::default(), &Default::default()),
        "{report}"
    );
    for (kind, least) in [
        ("user", 2),
        ("identity", 5),
        ("identity-finder", 5),
        ("token", 7),
        ("session", 2),
        ("session-of-user", 2),
        ("sso-session", 1),
        ("api-key", 2),
        ("mapping", 4),
        ("installation", 4),
        ("installation-user", 4),
        ("repositories", 1),
        ("page", 3),
        ("delivery", 2),
        ("counter", 1),
    ] {
        assert!(report.kinds.get(kind).is_some_and(|count| *count >= least), "{kind}: {report}");
    }
    assert!(report.to_string().ends_with("everything holds\n"), "{report}");
}

macro_rules! violations {
    ($($name:ident: $plant:expr => $what:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let mut planted = whole();
                assert!(planted.look().is_clean());
                let plant: fn(&mut Planted) = $plant;
                plant(&mut planted);
                let report = planted.look();
                let found = report.violations.iter().any(|finding| finding.what.contains($what));
                assert!(found, "{report}");
                assert!(report.to_string().contains("violation: "), "{report}");
            }
        )*
    };
}

violations! {
    an_item_of_no_kind: |table| {
        let error = shared::store::StoreError::Damaged { kind: "NEWS".to_owned(), reason: "no kind".to_owned() };
        table.plant("NEWS#1", "NEWS", Stored::Counter(1));
        table.items.last_mut().unwrap().content = Err(error);
    } => "no kind";
    an_item_of_a_later_schema: |table| {
        let error = shared::store::StoreError::Newer { kind: "USER".to_owned(), schema: 2 };
        table.the("session").content = Err(error);
    } => "written by a newer version";
    keys_that_say_something_else: |table| {
        table.the("session").pk = "SESSION#x".to_owned();
    } => "its keys say something else";
    a_row_under_another_number: |table| {
        table.the("mapping").sk = "MAPPING#5001".to_owned();
    } => "its keys say something else";
    a_page_under_the_key_of_another: |table| {
        table.the("page").sk.push('9');
    } => "its keys say something else";
    something_else_in_the_index: |table| {
        table.the("user").gsi1.0 = Some("INSTALLATIONS".to_owned());
    } => "where only installations are";
    a_lease_that_outlives_itself: |table| {
        let user = table.the("user").pk.clone();
        let mut lease = shared::store::Lease::new(&Clock::system(), 20, 1).unwrap();
        table.plant(&user, "LEASE#github", Stored::Lease(lease.clone()));
        assert!(table.look().is_clean());
        lease.held_until = lease.expires_at + 1;
        table.items.last_mut().unwrap().content = Ok(Stored::Lease(lease));
    } => "not well-formed";
    a_lease_of_no_token: |table| {
        let user = table.the("user").pk.clone();
        let lease = shared::store::Lease::new(&Clock::system(), 20, 1).unwrap();
        table.plant(&user, "LEASE#gitea", Stored::Lease(lease));
    } => "not well-formed";
    a_reconciliation_held_by_nobody: |table| {
        table.plant("RECONCILE", "LEASE", Stored::ReconcileLease { holder: String::new(), held_until: 1 });
    } => "not well-formed";
    a_session_that_lives_longer_than_it_may: |table| {
        let Ok(Stored::Session(session)) = &mut table.the("session").content else { panic!() };
        session.expires_at = session.ends_at + 1;
    } => "do not follow one another";
    a_sign_in_that_nobody_has_used: |table| {
        let Ok(Stored::SignIn(sign_in)) = &mut table.the("sign-in").content else { panic!() };
        sign_in.used_by = None;
    } => "somebody has used it";
    a_counter_of_nothing: |table| table.plant("COUNTER#X", "COUNTER", Stored::Counter(1)) => "nobody counts";
    a_partition_without_its_user: |table| drop(table.lose("user")) => "there is no such user";
    an_identity_that_nobody_is_found_by: |table| drop(table.lose("identity-finder")) => "finds nobody";
    an_identity_that_finds_somebody_else: |table| {
        let other = table.items.iter().rev().find_map(|item| match &item.content {
            Ok(Stored::User(user)) => Some(user.clone()),
            _ => None,
        });
        for item in &mut table.items {
            if let Ok(Stored::Finder(user)) = &mut item.content {
                *user = other.clone().unwrap();
            }
        }
    } => "signing in with it finds usr_";
    a_finder_of_an_identity_that_is_not_there: |table| {
        lose_where(table, |item| item.sk != "IDENTITY#github");
    } => "who has no such identity";
    a_brokered_identity_without_an_sso: |table| {
        lose_where(table, |item| item.sk != "IDENTITY#enterprise_sso");
        table.plant("USER#usr_1", "USER", Stored::Counter(1));
        let Some(github) = table.items.iter().find(|item| item.sk == "IDENTITY#github") else { panic!() };
        let mut brokered = github.clone();
        let Ok(Stored::Identity(identity)) = &mut brokered.content else { panic!() };
        identity.brokered = true;
        table.items.retain(|item| item.sk != "IDENTITY#github");
        table.items.push(brokered);
    } => "no identity at the enterprise SSO";
    a_token_of_somebody_who_never_signed_in_there: |table| {
        lose_where(table, |item| item.sk != "IDENTITY#gitlab");
    } => "has never signed in at gitlab";
    a_token_that_is_not_sealed: |table| {
        let Ok(Stored::Token(token)) = &mut table.the("token").content else { panic!() };
        token.sealed_access = b"gho_0123456789".to_vec();
    } => "it is not sealed";
    a_token_without_a_version: |table| {
        let Ok(Stored::Token(token)) = &mut table.the("token").content else { panic!() };
        token.version = 0;
    } => "has no version";
    a_page_whose_token_is_gone: |table| {
        let slot = TokenSlot::own(ProviderType::Github);
        lose_where(table, |item| !matches!(&item.content, Ok(Stored::Token(token)) if token.slot() == slot));
    } => "the token that fetched it is gone";
    a_session_that_its_user_does_not_see: |table| drop(table.lose("session-of-user")) => "not in its user's list";
    a_session_that_is_listed_only: |table| drop(table.lose("session")) => "nobody can be found by it";
    a_session_of_two_minds: |table| {
        let Ok(Stored::Session(session)) = &mut table.the("session").content else { panic!() };
        session.ends_at += 1;
    } => "its other row says something else";
    a_session_that_the_issuer_cannot_end: |table| drop(table.lose("sso-session")) => "would not end with";
    what_is_left_of_a_session_at_the_issuer: |table| {
        lose_where(table, |item| !matches!(&item.content, Ok(Stored::Session(session)) if session.sso_session.is_some()));
    } => "this is left of it";
    a_session_at_the_issuer_of_somebody_else: |table| {
        for item in &mut table.items {
            if let Ok(Stored::Session(session)) = &mut item.content {
                session.sso_session = None;
            }
        }
    } => "came from elsewhere";
    a_key_that_its_user_does_not_see: |table| drop(table.lose("api-key-of-user")) => "cannot see and end it";
    a_key_that_is_listed_only: |table| drop(table.lose("api-key")) => "does not work";
    a_key_of_two_minds: |table| {
        let Ok(Stored::ApiKey(key)) = &mut table.the("api-key").content else { panic!() };
        key.name.push('x');
    } => "its other row says something else";
    a_row_of_nothing: |table| {
        let of = format!("INSTALLATION#{}", table.row().installation_id);
        lose_where(table, |item| !(item.pk == of && item.sk == "INSTALLATION"));
    } => "nothing is known of its installation";
    a_row_that_no_news_finds: |table| drop(table.lose("installation-user")) => "does not find the row";
    a_way_to_no_row: |table| drop(table.lose("mapping")) => "has no row";
    a_row_that_says_something_else: |table| {
        table.row().facts.account_name = Some("octo-inc".to_owned());
    } => "says something else than its installation";
    a_row_of_an_installation_that_is_gone: |table| {
        let row = table.row().installation_id;
        let of = format!("INSTALLATION#{row}");
        let item = table.find("installation", |item| item.pk == of);
        let Ok(Stored::Installation(known)) = &mut item.content else { panic!() };
        *known = known.clone().gone(1);
        item.gsi1 = (None, None);
    } => "its installation is gone";
    an_id_that_two_rows_have: |table| {
        for item in &mut table.items {
            if let Ok(Stored::Mapping(row)) = &mut item.content {
                row.id = 1;
            }
        }
    } => "its id 1 is also that of";
    an_id_that_was_never_given: |table| {
        let Ok(Stored::Counter(last)) = &mut table.the("counter").content else { panic!() };
        *last = 1;
    } => "was never given";
    a_row_that_joined_with_an_id_that_was_never_given: |table| {
        table.installation().joined = Some(1_000);
    } => "an id that was never given";
    an_installation_that_the_index_does_not_know: |table| {
        let there = |item: &StoredItem| item.gsi1.0.is_some();
        table.find("installation", there).gsi1 = (None, None);
    } => "not in the index under its number";
    an_installation_under_another_number_in_the_index: |table| {
        let there = |item: &StoredItem| item.gsi1.0.is_some();
        table.find("installation", there).gsi1.1 = Some("1".to_owned());
    } => "not in the index under its number";
    an_installation_that_is_gone_and_in_the_index: |table| {
        let gone = |item: &StoredItem| matches!(&item.content, Ok(Stored::Installation(one)) if one.is_gone());
        let gone = table.find("installation", gone);
        gone.gsi1 = (Some("INSTALLATIONS".to_owned()), Some("1".to_owned()));
    } => "it is gone, and in the index";
    more_than_that_it_was_there: |table| {
        let gone = |item: &StoredItem| matches!(&item.content, Ok(Stored::Installation(one)) if one.is_gone());
        let Ok(Stored::Installation(known)) = &mut table.find("installation", gone).content else { panic!() };
        known.facts.account_id = Some(1);
    } => "more is known of it than that it was there";
    an_installation_that_is_there_and_forgotten_some_day: |table| {
        table.installation().expires_at = Some(i64::MAX);
    } => "only what is gone is forgotten";
    rows_ahead_of_their_installation: |table| {
        let known = table.installation();
        known.rows_at = known.version + 1;
    } => "rows at";
    an_installation_that_nobody_asks_about: |table| {
        table.installation().unsure = true;
    } => "nothing says so";
    a_question_about_nothing: |table| {
        table.plant("UNSURE", "00000000000000000007", Stored::Unsure(7));
    } => "need not be asked";
    a_list_that_lacks_a_part: |table| drop(table.lose("repositories")) => "has 0 parts of 1";
    a_list_that_is_damaged: |table| {
        table.the("repositories").content = Ok(Stored::Repositories(vec![1, 2, 3]));
    } => "damaged";
    a_list_that_is_not_as_unsure_as_it_says: |table| {
        let known = table.listed();
        known.repositories.as_mut().unwrap().unsure = true;
        let number = known.installation_id;
        table.plant("UNSURE", &format!("{number:020}"), Stored::Unsure(number));
    } => "and not both";
    a_list_to_which_nothing_points_any_more: |table| {
        let of = format!("INSTALLATION#{}", table.listed().installation_id);
        table.plant(&of, "REPOSITORIES#0#0000", Stored::Repositories(Vec::new()));
    } => "nothing points any more";
    a_list_of_an_installation_of_which_nothing_is_known: |table| {
        table.plant("INSTALLATION#7", "REPOSITORIES#1#0000", Stored::Repositories(Vec::new()));
    } => "nothing is known of the installation";
}

#[test]
fn a_change_that_is_under_way_is_told_apart() {
    let mut table = whole();
    let known = table.installation();
    (known.version, known.facts.account_name) = (known.version + 1, Some("octo-inc".to_owned()));
    let of = format!("INSTALLATION#{}", table.listed().installation_id);
    table.plant(&of, &format!("REPOSITORIES#{}#0000", i64::MAX), Stored::Repositories(Vec::new()));
    let report = table.look();
    assert!(report.is_clean(), "{report}");
    let told: Vec<&str> = report.under_way.iter().map(|finding| &*finding.what).collect();
    assert_eq!(told.len(), 2, "{report}");
    assert!(told.iter().any(|what| what.starts_with("its rows say version")), "{report}");
    assert!(told.contains(&"a list of repositories to which nothing points yet"), "{report}");
}

#[test]
fn what_has_outlived_its_time_may_be_dropped_by_halves() {
    let mut table = whole();
    table.now += 31 * 24 * 3600;
    for kind in ["session", "page", "sso-session"] {
        table.lose(kind);
    }
    lose_where(&mut table, |item| !item.sk.starts_with("TOKEN#") || item.sk.contains('7'));
    let report = table.look();
    assert!(report.is_clean() && report.expired > 5, "{report}");
}

#[test]
fn what_is_left_of_a_session_that_nobody_used_for_a_week_is_none_of_its_faults() {
    let mut table = whole();
    lose_where(&mut table, |item| !matches!(&item.content, Ok(Stored::Session(_))));
    assert!(!table.look().is_clean(), "it was there a moment ago");
    table.now += 7 * 24 * 3600;
    assert!(table.look().is_clean(), "{}", table.look());
}

#[test]
fn no_line_tells_a_secret_or_what_is_sealed() {
    let mut table = whole();
    for item in &mut table.items {
        if let Ok(Stored::Token(token)) = &mut item.content {
            token.sealed_access = b"gho_0123456789".to_vec();
        }
    }
    lose_where(&mut table, |item| !["USER", "SESSION", "IDENTITY"].contains(&&*item.sk));
    let told = table.look().to_string();
    assert!(told.lines().count() > 30 && !told.contains("gho_"), "{told}");
}

/// What is wrong once, and right or otherwise a moment later, is a change that was seen by halves.
#[test]
fn only_what_is_wrong_twice_is_a_violation() {
    let mut table = whole();
    table.lose("api-key");
    let first = table.look();
    table.row().facts.account_name = Some("octo-inc".to_owned());
    let second = table.look();
    assert_eq!((first.violations.len(), second.violations.len()), (1, 2), "{second}");
    assert_eq!(second.confirming(&first).violations, first.violations);
    assert!(whole().look().confirming(&first).is_clean());
}
