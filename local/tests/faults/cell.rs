//! One call that goes wrong in one way: what is answered, and everything that must hold whatever it is.
//! How answers are shown together is `table`'s business.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use serde_json::Value;
use shared::store::Proof;

use crate::drive::{Got, Lab, Process, Ready};
use crate::fault::{Fault, RESET, WORDS};
use crate::unreachable::handshakes;
use crate::ways::{Drive, Way};

/// What API Gateway says in place of a function that has not answered.
const OF_GATEWAY: [&str; 2] =
    [r#"{"message":"Internal Server Error"}"#, r#"{"message":"Service Unavailable"}"#];
/// A request that has come to its deadline has been answered by then, however busy the machine is.
const WRITING: Duration = Duration::from_secs(1);
/// In place of an answer that breaks a rule.
const BROKEN: &str = "breaks a rule";
const PARTIAL: &str = "x-partial-result";
/// The header's name in an answer that is a copy.
const COPY: &str = "cache-status";

/// These faults of one way, each in one line: what is answered, and whether the next request is well.
pub(crate) async fn of_way(lab: &mut Lab, faults: &[Fault]) -> Vec<(Fault, String)> {
    let way = lab.way;
    let patient = lab.process(None).await;
    let ready = lab.prepare(&patient).await;
    let usual = lab.act(&ready, &patient).await;
    assert!(usual.answer.status.as_u16() < 400 && !is_partial(&usual), "{}: {usual:?}", way.title);
    let mut outcomes = Vec::new();
    for &fault in faults {
        // One that breaks a rule keeps no other from being looked at; the panic's own words are in the output.
        let outcome = AssertUnwindSafe(one(lab, fault, &usual)).catch_unwind().await;
        if outcome.is_err() {
            lab.fronts.disarm();
            lab.restore();
        }
        outcomes.push((fault, outcome.unwrap_or_else(|_| BROKEN.to_owned())));
        if is_removal(way, fault) {
            // For good: there is nothing left to go wrong.
            *lab = Lab::start(way).await;
        }
    }
    let broken: Vec<_> =
        outcomes.iter().filter(|(_, outcome)| outcome == BROKEN).map(|(fault, _)| fault).collect();
    assert!(broken.is_empty(), "{}: {broken:?}", way.name());
    assert!(!lab.fronts.was_left(), "{}: another host was asked", way.title);
    outcomes
}

/// Whether GitHub says so that an installation is gone.
fn is_removal(way: &Way, fault: Fault) -> bool {
    fault == Fault::NotFound && way.endpoint.path == "/app/installations/{}"
}

async fn one(lab: &mut Lab, fault: Fault, usual: &Got) -> String {
    let way = lab.way;
    let what = format!("{}: {}", way.name(), fault.told().0);
    let process = lab.process(Some(fault)).await;
    let mut tries = 0;
    let (before, got) = loop {
        let ready = lab.prepare(&process).await;
        let before = lab.kept().await;
        let got = with_fault(lab, fault, &ready, &process).await;
        match got {
            Some(got) => break (before, got),
            // On a busy machine the time may be over before the call is made.
            None => assert!(fault.is_slow() && tries < 3, "{what}: the call was not made"),
        }
        tries += 1;
    };
    if fault.is_of_host() {
        lab.restore();
    }
    assert_sound(lab, fault, &got, usual, &what);
    assert!(got.took < process.limit + WRITING, "{what}: {:?}", got.took);
    if got.answer.status.as_u16() >= 400 {
        // Nobody is signed in, out or changed by a failure.
        assert_eq!(lab.kept().await, before, "{what}: {got:?}");
    }
    if way.endpoint.path == "/user/memberships/orgs/{}" {
        let user_id = lab.user().user_id.clone();
        let proof = lab.running.proof(&user_id, lab.running.installation_on("octo-org")).await;
        // What was proved before stands where nothing could be asked, and no longer where GitHub denies it.
        let stands = got.answer.status.as_u16() >= 400 || fault.spares_answer();
        assert_eq!(proof == Some(Proof::Admin), stands, "{what}: {proof:?}");
    }
    let outcome = if is_removal(way, fault) {
        format!("{}, and the installation is taken for removed", well(&got))
    } else {
        told(way, fault, &got, usual)
    };
    let next = next(lab, usual, &what).await;
    format!("{outcome}{next}")
}

/// The answer while the call goes wrong; none if the call was not made at all.
async fn with_fault(lab: &Lab, fault: Fault, ready: &Ready, process: &Process) -> Option<Got> {
    if fault.is_of_host() {
        let before = handshakes();
        let got = lab.act(ready, process).await;
        assert!(fault != Fault::Tls || handshakes() > before, "{}: nobody was spoken with", lab.way.title);
        return Some(got);
    }
    lab.fronts.arm(lab.way.endpoint, lab.way.query, fault).await;
    let got = lab.act(ready, process).await;
    (lab.fronts.disarm() > 0).then_some(got)
}

/// What holds for every answer.
fn assert_sound(lab: &Lab, fault: Fault, got: &Got, usual: &Got, what: &str) {
    let (way, answer) = (lab.way, &got.answer);
    let as_usual = is_usual(way, got, usual);
    let status = answer.status.as_u16();
    // Never less than there is in place of an error.
    let says_less = is_partial(got)
        || is_copy(got)
        || !way.costs.is_empty()
        || got.is_run
        || (fault == Fault::PoisonedLink && without_links(got) == without_links(usual));
    assert!(status >= 400 || as_usual || says_less, "{what}: not as usual, and no error: {answer:?}");
    // 401 is about the caller's sign-in and nothing else.
    let ends_sign_in = way.by_user && fault == Fault::Unauthorized;
    // Or about the token that the caller brings, which its host refuses.
    let is_token_refused = way.drive == Drive::Bring && fault == Fault::Unauthorized;
    assert!(status != 401 || ends_sign_in || is_token_refused, "{what}: {answer:?}");
    let partial = answer.header(PARTIAL).unwrap_or_default();
    assert!(!partial.contains("=401") || ends_sign_in, "{what}: {answer:?}");
    assert!(!OF_GATEWAY.contains(&answer.body.as_str()), "{what}: the function did not answer: {answer:?}");
    if got.is_run {
        return;
    }
    let kept_by_nobody =
        answer.header(CACHE_CONTROL.as_str()).is_some_and(|value| value.contains("no-store"));
    assert!(kept_by_nobody, "{what}: {answer:?}");
    assert!(status != 429 || answer.header(RETRY_AFTER.as_str()).is_some(), "{what}: {answer:?}");

    let text = format!("{:?}{}", answer.headers, answer.body);
    let elsewhere = lab.fronts.elsewhere().to_string();
    assert!(!text.contains(&elsewhere), "{what}: leads to another host: {answer:?}");
    for secret in lab.fronts.secrets() {
        // Whoever signs out is told where, with the ID token as the hint (OpenID Connect RP-Initiated Logout, 2).
        let hint = way.drive == Drive::LogOut && text.contains("id_token_hint");
        assert!(hint || !text.contains(&secret), "{what}: a secret in {answer:?}");
    }
    // The way to the host is what these are asked for, and two routes carry GitHub's own bytes.
    let carries =
        way.relays || (as_usual && matches!(way.drive, Drive::Login | Drive::LogOut | Drive::Imports));
    if !carries {
        assert!(
            !text.contains(WORDS) && !text.contains("inside.example"),
            "{what}: the host's words: {answer:?}"
        );
        for port in lab.fronts.ports() {
            let origins = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
            assert!(
                !origins.iter().any(|origin| text.contains(origin)),
                "{what}: a host's address: {answer:?}"
            );
        }
    }
    if way.relays {
        assert!(!format!("{:?}", answer.headers).contains("inside.example"), "{what}: {answer:?}");
    }
}

/// The next request, and the one after a new sign-in where that is needed: nothing has to be started again.
async fn next(lab: &mut Lab, usual: &Got, what: &str) -> &'static str {
    let patient = lab.process(None).await;
    let mut got = again(lab, &patient, usual).await;
    let mut after = "";
    if !got.1 {
        assert_eq!(got.0.answer.status.as_u16(), 401, "{what}: the next request: {:?}", got.0);
        lab.sign_in().await;
        got = again(lab, &patient, usual).await;
        after = "; then a new sign-in is needed";
    }
    assert!(got.1, "{what}: afterwards: {:?}", got.0);
    after
}

async fn again(lab: &mut Lab, patient: &Process, usual: &Got) -> (Got, bool) {
    let ready = if lab.is_repeatable() { lab.repeated(patient).await } else { lab.prepare(patient).await };
    let got = lab.act(&ready, patient).await;
    let well = is_usual(lab.way, &got, usual);
    (got, well)
}

fn is_partial(got: &Got) -> bool {
    got.answer.header(PARTIAL).is_some()
}

fn is_copy(got: &Got) -> bool {
    got.answer.header(COPY).is_some()
}

/// Whether it is the answer of every day; of some answers the body or the address is another one each time.
fn is_usual(way: &Way, got: &Got, usual: &Got) -> bool {
    let (is, was) = (&got.answer, &usual.answer);
    let varies = matches!(way.drive, Drive::Login | Drive::LogOut | Drive::NewLogin | Drive::Webhook);
    is.status == was.status
        && !is_partial(got)
        && !is_copy(got)
        && (varies || (is.body == was.body && is.header(LOCATION.as_str()) == was.header(LOCATION.as_str())))
}

/// The body without our own addresses of further pages: that there is one, a `Link` may say wrongly.
fn without_links(got: &Got) -> Value {
    let mut body: Value = serde_json::from_str(&got.answer.body).unwrap_or_default();
    for item in body.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        item.remove("link_header");
    }
    body
}

/// The answer in a few words.
fn told(way: &Way, fault: Fault, got: &Got, usual: &Got) -> String {
    let answer = &got.answer;
    let status = answer.status.as_u16();
    if status < 400 {
        let lacking = if way.costs.is_empty() { String::new() } else { format!(", without {}", way.costs) };
        let as_usual = is_usual(way, got, usual) && (way.costs.is_empty() || fault.spares_answer());
        return match (answer.header(PARTIAL), is_copy(got), as_usual) {
            (Some(partial), ..) => format!("{status}, what there is, and `X-Partial-Result: {partial}`"),
            (None, true, _) => format!("{status}, the last good copy with `Age` and `Cache-Status`"),
            (None, false, true) => format!("{}, as usual", well(got)),
            (None, false, false) if fault == Fault::PoisonedLink => {
                format!("{status}, as usual, and a further page is named: one of our own")
            }
            (None, false, false) if got.is_run => format!("the run ends, and says `{}`", answer.body),
            (None, false, false) => format!("{status}{lacking}"),
        };
    }
    let own =
        if way.relays && answer.body.contains(WORDS) { "GitHub's own answer".to_owned() } else { word(got) };
    let wait = match answer.header(RETRY_AFTER.as_str()) {
        // A moment has passed since the host said so.
        Some(seconds) if seconds.parse().is_ok_and(|seconds: i64| (RESET - 60..RESET).contains(&seconds)) => {
            format!(", `Retry-After: {RESET}`")
        }
        Some(seconds) => format!(", `Retry-After: {seconds}`"),
        None => String::new(),
    };
    if got.is_run { format!("the run fails: {own}") } else { format!("{status} {own}{wait}") }
}

/// How an answer begins that is no error.
fn well(got: &Got) -> String {
    if got.is_run { "the run ends".to_owned() } else { got.answer.status.as_u16().to_string() }
}

/// The word for programs, or the text that is there in its place.
fn word(got: &Got) -> String {
    if let Some(code) = got.answer.header("x-error-code") {
        return format!("`{code}`");
    }
    let body: Value = serde_json::from_str(&got.answer.body).unwrap_or_default();
    let told = ["/code", "/data/message", "/message", "/detail", "/error"]
        .into_iter()
        .find_map(|place| body.pointer(place)?.as_str())
        .or(body.as_str());
    told.map_or_else(|| "nothing".to_owned(), |told| format!("`{told}`"))
}
