//! What a record adds up to, whoever notes in it and in whatever order.

use super::*;

const NEVER: Duration = Duration::from_secs(3600);

fn later() -> Instant {
    Instant::now() + NEVER
}

fn ended(record: &Record, provider: ProviderType, status: u16, id: Option<&str>) {
    record.begin(provider, later()).answered(StatusCode::from_u16(status).unwrap(), id);
}

#[test]
fn calls_at_once_take_as_long_as_from_the_first_ones_begin_to_the_last_ones_end() {
    let (mut noted, started) = (Noted::default(), Instant::now());
    let at = |millis| started + Duration::from_millis(millis);
    noted.begin(ProviderType::Github, at(0));
    noted.begin(ProviderType::Gitlab, at(10));
    noted.end(ProviderType::Github, at(0), at(20), false);
    noted.end(ProviderType::Gitlab, at(10), at(50), false);
    // Between two calls nobody waits for a host.
    noted.begin(ProviderType::Github, at(550));
    noted.end(ProviderType::Github, at(550), at(555), false);
    assert_eq!((noted.calls(), noted.upstream), (3, Duration::from_millis(55)));
    assert_eq!(noted.slowest(), Some((ProviderType::Gitlab, Duration::from_millis(40))));
    assert_eq!(noted.hosts[ProviderType::Github as usize].times, [20, 5]);
}

#[test]
fn an_error_is_a_5xx_or_no_answer_in_time_and_not_a_call_that_nobody_needs_any_more() {
    let errors = |record: &Record| record.so_far().hosts[ProviderType::Github as usize].errors;
    let record = Record::default();
    for (status, expected) in [(200, 0), (304, 0), (404, 0), (429, 0), (500, 1), (503, 2)] {
        ended(&record, ProviderType::Github, status, None);
        assert_eq!(errors(&record), expected, "{status}");
    }
    record.begin(ProviderType::Github, later()).unanswered();
    assert_eq!(errors(&record), 3, "the connection broke");
    drop(record.begin(ProviderType::Github, later()));
    assert_eq!(errors(&record), 3, "dropped, with time left");
    drop(record.begin(ProviderType::Github, Instant::now()));
    assert_eq!(errors(&record), 4, "out of time");
    assert_eq!(record.so_far().not_modified, 1);
}

#[test]
fn of_githubs_ids_those_of_failed_calls_are_kept_first_and_never_more_than_three() {
    let record = Record::default();
    for (status, id) in [(200, "A:1"), (304, "A:2"), (200, "A:3"), (200, "A:4"), (502, "B:1"), (404, "B:2")] {
        ended(&record, ProviderType::Github, status, Some(id));
    }
    assert_eq!(record.so_far().github_request_ids, ["B:1", "B:2", "A:1"]);
    for id in ["B:3", "B:4"] {
        ended(&record, ProviderType::Github, 500, Some(id));
    }
    assert_eq!(record.so_far().github_request_ids, ["B:1", "B:2", "B:3"]);
}

#[test]
fn what_has_not_the_form_of_an_id_or_is_another_hosts_is_not_kept() {
    let record = Record::default();
    for id in ["", "a b", "a=b", "\u{e9}", "{\"a\":1}", &"a".repeat(65)] {
        ended(&record, ProviderType::Github, 200, Some(id));
    }
    ended(&record, ProviderType::Gitlab, 200, Some("A:1"));
    assert_eq!(record.so_far().github_request_ids, [""; 0]);
}

#[test]
fn of_a_thousand_calls_a_hundred_times_are_kept_and_all_are_counted() {
    let record = Record::default();
    for _ in 0..1000 {
        ended(&record, ProviderType::Bitbucket, 200, None);
    }
    let noted = record.so_far();
    let host = &noted.hosts[ProviderType::Bitbucket as usize];
    assert_eq!((noted.calls(), host.times.len()), (1000, 100));
}

#[test]
fn a_request_that_came_another_way_has_a_record_of_its_own() {
    let mut request = Request::default();
    Record::of(&request).proved(CallerKind::App);
    assert_eq!(Record::of(&request).so_far().caller, CallerKind::Nobody);
    let record = Arc::new(Record::default());
    request.extensions_mut().insert(record.clone());
    Record::of(&request).proved(CallerKind::ApiKey);
    assert_eq!(record.so_far().caller, CallerKind::ApiKey);
}
