//! Failures on demand, and the record of what came in.

use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use local::sandbox_openid::{Fault, FaultKind, demo_world};

use super::lab::Lab;

const CERTS: &str = "/protocol/openid-connect/certs";
const TOKEN: &str = "/protocol/openid-connect/token";

#[tokio::test]
async fn each_fault_strikes_its_path_and_no_other_and_ends() {
    let lab = Lab::new().await;
    let certs = lab.url("/certs");
    let good = lab.get(&certs).await;
    let strike = async |kind: FaultKind| {
        lab.sandbox.fail(Fault::get(CERTS, kind).times(1));
        lab.get(&certs).await
    };
    let answered = strike(FaultKind::Answer {
        status: StatusCode::TOO_MANY_REQUESTS,
        headers: [("retry-after".parse().unwrap(), "7".parse().unwrap())].into_iter().collect::<HeaderMap>(),
        body: "slow down".to_owned(),
    });
    let answered = answered.await;
    assert_eq!(
        (answered.status.as_u16(), &*answered.body, answered.header("retry-after")),
        (429, "slow down", "7")
    );
    let unavailable = strike(FaultKind::Status(StatusCode::SERVICE_UNAVAILABLE)).await;
    assert_eq!(unavailable.status, StatusCode::SERVICE_UNAVAILABLE);
    let elsewhere = strike(FaultKind::Redirect("https://evil.example.com/".to_owned())).await;
    assert_eq!(elsewhere.location(), "https://evil.example.com/");
    let html = strike(FaultKind::Html).await;
    assert!(html.status == StatusCode::OK && html.body.starts_with("<!DOCTYPE html>"));
    let half = strike(FaultKind::TruncatedJson).await;
    assert!(!half.body.is_empty() && good.body.starts_with(&half.body) && half.body.len() < good.body.len());
    assert_eq!(lab.get(&certs).await.body, good.body, "each once");

    lab.sandbox.fail(Fault::under("/broker/", FaultKind::Status(StatusCode::BAD_GATEWAY)));
    let access = lab.sign_in("sso-cat").await;
    assert_eq!(lab.broker("github", access.access()).await.status, StatusCode::BAD_GATEWAY);
    lab.sandbox.clear_faults();
    assert_eq!(lab.broker("github", access.access()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_dropped_answer_was_given_all_the_same() {
    let lab = Lab::new().await;
    let code = lab.code("sso-cat").await;
    lab.sandbox.fail(Fault::post(TOKEN, FaultKind::Drop).times(1));
    let fields = [
        ("client_id", super::lab::CLIENT),
        ("client_secret", super::lab::SECRET),
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", super::lab::CALLBACK),
        ("code_verifier", super::lab::VERIFIER),
    ];
    let lost = lab.form(&lab.url("/token"), &fields).send().await;
    assert!(lost.is_err(), "{lost:?}");
    let again = lab.exchange(&code).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "the code is used up");
    assert_eq!(lab.sandbox.sessions("sso-cat"), 0);
}

#[tokio::test]
async fn silence_and_latency_are_waited() {
    let lab = Lab::with(demo_world(), |options| options.latency = Duration::from_millis(60)).await;
    let began = Instant::now();
    lab.get(&lab.url("/certs")).await;
    assert!(began.elapsed() >= Duration::from_millis(60));
    lab.sandbox.fail(Fault::get(CERTS, FaultKind::Stall(Duration::from_millis(100))));
    let began = Instant::now();
    lab.get(&lab.url("/certs")).await;
    assert!(began.elapsed() >= Duration::from_millis(160));
}

#[tokio::test]
async fn calls_are_recorded_without_the_realm() {
    let lab = Lab::new().await;
    lab.get(&format!("{}/.well-known/openid-configuration", lab.sandbox.issuer())).await;
    lab.get(&lab.url("/userinfo?x=1")).await;
    lab.get(&format!("{}/sandbox/api/users", lab.sandbox.console_url())).await;
    let calls: Vec<_> = lab
        .sandbox
        .calls()
        .into_iter()
        .map(|call| (call.method, call.path, call.query, call.status.as_u16()))
        .collect();
    let call = |path: &str, query: &str, status| (Method::GET, path.to_owned(), query.to_owned(), status);
    assert_eq!(
        calls,
        [
            call("/.well-known/openid-configuration", "", 200),
            call("/protocol/openid-connect/userinfo", "x=1", 401),
            call("/sandbox/api/users", "", 200),
        ]
    );
    lab.sandbox.clear_calls();
    assert!(lab.sandbox.calls().is_empty());
}
