//! A sign-in at the enterprise SSO, and its two ways out, while the table fails: at each of their calls in turn,
//! before the call is made and after. The caller is told to come back, nobody is signed in who should not be, and
//! the second try ends where an undisturbed one ends.

use std::collections::BTreeMap;

use http::StatusCode;
use local::aws::hook::Fault;

use crate::behind::user;
use crate::github_lab::{ATTEMPTS, unavailable};
use crate::harness::{Answer, Browser, Running};
use crate::sso_lab::{REPOSITORIES, start};
use crate::sso_logout::send;

/// Brokers GitHub only, so that there is a mapping, too, and hosts that are not brokered.
const WHO: &str = "sso-reader";
/// More tries than any of these deeds makes: some calls are made at the same time.
const FOR_GOOD: usize = 10 * ATTEMPTS;

/// What goes wrong from a call on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// It fails, whatever the SDK tries.
    Fails,
    /// It is made, and the first answer is lost.
    AnswerLost,
    /// It is made, and every answer is lost.
    AnswersLost,
}

impl Trouble {
    const ALL: [Self; 3] = [Self::Fails, Self::AnswerLost, Self::AnswersLost];

    fn begin(self, running: &Running, operation: &str, passing: usize) {
        let (times, fault) = match self {
            Self::Fails => (FOR_GOOD, unavailable()),
            Self::AnswerLost => (1, Fault::lost_answer()),
            Self::AnswersLost => (FOR_GOOD, Fault::lost_answer()),
        };
        let hook = running.stack.dynamodb.hook();
        hook.reset();
        hook.fail_next(operation, passing, &Fault::default());
        hook.fail_next(operation, times, &fault);
    }
}

/// The calls that a deed makes, the number of each.
fn each_call(calls: BTreeMap<String, usize>) -> Vec<(String, usize, Trouble)> {
    let each = |(operation, count): (String, usize)| {
        (0..count)
            .flat_map(move |passing| Trouble::ALL.map(|trouble| (operation.clone(), passing, trouble)))
            .collect::<Vec<_>>()
    };
    calls.into_iter().flat_map(each).collect()
}

fn assert_come_back(context: &str, answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{context}: {answer:?}");
    assert!(answer.header("retry-after").is_some(), "{context}: {answer:?}");
    assert!(answer.header("set-cookie").is_none(), "{context}: {answer:?}");
}

async fn is_signed_in(browser: &Browser<'_>) -> bool {
    browser.session().await["signed_in"] == true
}

/// Signed in, without an API key, so that the last session is all that needs the tokens.
async fn signed_in(browser: &Browser<'_>) -> String {
    assert_eq!(browser.sso_sign_in(WHO).await.status, StatusCode::SEE_OTHER);
    browser.session().await["user_id"].as_str().expect("somebody is signed in").to_owned()
}

async fn tokens(running: &Running, id: &str) -> usize {
    running.stack.service.table.provider_tokens(&user(id)).await.expect("the table answers").len()
}

#[tokio::test]
async fn a_sign_in_that_the_table_cuts_off_signs_nobody_in_and_the_next_one_works() {
    let running = start().await;
    let browser = running.browser();
    let callback = browser.chosen(WHO).await;
    running.stack.dynamodb.hook().reset();
    assert_eq!(browser.get(&callback).await.status, StatusCode::SEE_OTHER);
    let calls = running.stack.dynamodb.hook().all_calls();
    let expected = running.get(REPOSITORIES).api_key(&browser.as_user().await).send().await;
    assert_eq!(expected.status, StatusCode::OK, "{expected:?}");

    let mut cut_off = 0;
    for (operation, passing, trouble) in each_call(calls) {
        let context = format!("{operation} {passing} {trouble:?}");
        let running = start().await;
        let browser = running.browser();
        let callback = browser.chosen(WHO).await;
        trouble.begin(&running, &operation, passing);
        let answer = browser.get(&callback).await;
        running.stack.dynamodb.hook().reset();
        // What is brokered is noted as far as it can be: that keeps nobody out.
        let signed_in = answer.status == StatusCode::SEE_OTHER;
        if !signed_in {
            assert_ne!(trouble, Trouble::AnswerLost, "{context}: {answer:?}");
            assert_come_back(&context, &answer);
            cut_off += 1;
        }
        assert_eq!(is_signed_in(&browser).await, signed_in, "{context}");
        // The callback is worth nothing to anybody who comes with it later.
        let again = running.browser().get(&callback).await;
        assert_eq!(again.status, StatusCode::BAD_REQUEST, "{context}: {again:?}");

        let user = running.browser().sso_user(WHO).await;
        let list = running.get(REPOSITORIES).api_key(&user).send().await;
        assert_eq!((list.status, &list.body), (StatusCode::OK, &expected.body), "{context}: {list:?}");
        if signed_in {
            assert_eq!(browser.session().await["user_id"], *user.user_id, "{context}");
        }
    }
    assert!(cut_off >= 16, "{cut_off} of the failures are fatal");
}

#[tokio::test]
async fn a_logout_token_whose_work_the_table_cut_off_works_when_it_is_sent_again() {
    let undisturbed = start().await;
    let browser = undisturbed.browser();
    signed_in(&browser).await;
    let token = undisturbed.openid().logout_token(WHO, |_, _| ()).unwrap();
    undisturbed.stack.dynamodb.hook().reset();
    assert_eq!(send(&undisturbed, &token).await.status, StatusCode::OK);

    let calls = undisturbed.stack.dynamodb.hook().all_calls();
    let last_write = calls["PutItem"] - 1;
    for (operation, passing, trouble) in each_call(calls) {
        let context = format!("{operation} {passing} {trouble:?}");
        let running = start().await;
        let (browser, other) = (running.browser(), running.browser());
        let id = signed_in(&browser).await;
        other.sso_sign_in("sso-plain").await;
        let token = running.openid().logout_token(WHO, |_, _| ()).unwrap();
        trouble.begin(&running, &operation, passing);
        let answer = send(&running, &token).await;
        running.stack.dynamodb.hook().reset();
        if trouble == Trouble::AnswerLost {
            assert_eq!(answer.status, StatusCode::OK, "{context}: {answer:?}");
        } else {
            assert_come_back(&context, &answer);
            let again = send(&running, &token).await;
            // What is noted last was noted: nothing is left to be done.
            let noted = trouble == Trouble::AnswersLost && (&*operation, passing) == ("PutItem", last_write);
            let expected = if noted { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            assert_eq!(again.status, expected, "{context}: {again:?}");
        }
        assert!(!is_signed_in(&browser).await, "{context}");
        assert_eq!(tokens(&running, &id).await, 0, "{context}: nothing needs the tokens any more");
        assert!(is_signed_in(&other).await, "{context}");
        assert_eq!(send(&running, &token).await.status, StatusCode::BAD_REQUEST, "{context}: it works once");
    }
}

#[tokio::test]
async fn a_sign_out_that_the_table_cut_off_can_be_done_again() {
    let undisturbed = start().await;
    let browser = undisturbed.browser();
    signed_in(&browser).await;
    undisturbed.stack.dynamodb.hook().reset();
    assert_eq!(browser.post("/auth/logout", None).await.status, StatusCode::OK);

    for (operation, passing, trouble) in each_call(undisturbed.stack.dynamodb.hook().all_calls()) {
        let context = format!("{operation} {passing} {trouble:?}");
        let running = start().await;
        let (browser, other) = (running.browser(), running.browser());
        let id = signed_in(&browser).await;
        other.sso_sign_in("sso-plain").await;
        trouble.begin(&running, &operation, passing);
        let answer = browser.post("/auth/logout", None).await;
        running.stack.dynamodb.hook().reset();
        let told = if answer.status == StatusCode::OK {
            answer
        } else {
            assert_ne!(trouble, Trouble::AnswerLost, "{context}: {answer:?}");
            assert_come_back(&context, &answer);
            browser.post("/auth/logout", None).await
        };
        assert!(!is_signed_in(&browser).await, "{context}");
        assert_eq!(tokens(&running, &id).await, 0, "{context}: nothing needs the tokens any more");
        // With the session its ID token is gone, though nobody was told.
        let gone = trouble == Trouble::AnswersLost && operation == "TransactWriteItems";
        let expected = if gone { StatusCode::NO_CONTENT } else { StatusCode::OK };
        assert_eq!(
            told.status, expected,
            "{context}: the session at the issuer can still be ended: {told:?}"
        );
        assert!(is_signed_in(&other).await, "{context}");
    }
}
