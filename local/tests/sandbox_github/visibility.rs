//! Who sees what: users, organisations, suspended installations, SAML.
//! How it is paged and counted is tested in `answers`.

use super::lab::Lab;

#[tokio::test]
async fn a_user_sees_what_both_the_user_and_the_app_reach() {
    let lab = Lab::new().await;
    let repositories = async |account: &str, login: &str| {
        let path = format!("/user/installations/{}/repositories", lab.installation_of(account));
        lab.get(&path, &lab.token(login)).await
    };
    // Selected by the owners: neither `not-selected` nor `internal-tools`, not even for an owner.
    let chosen = ["octo-org/api", "octo-org/web", "octo-org/docs"];
    let octocat = repositories("octo-org", "octocat").await;
    assert_eq!(octocat.names(), chosen);
    assert_eq!(octocat.json()["repositories"][0]["permissions"]["admin"], true);
    let reader = repositories("octo-org", "reader").await;
    assert_eq!(reader.names(), chosen);
    assert_eq!(reader.json()["repositories"][0]["permissions"]["push"], false);
    // A collaborator sees the one repository; an invitation, and what is merely public, is no association.
    assert_eq!(repositories("octocat", "reader").await.names(), ["octocat/hello-world"]);
    assert_eq!(repositories("octo-org", "pending-admin").await.status, 404);
    assert_eq!(repositories("octocat", "newcomer").await.status, 404);
    let empty = lab.get("/user/installations", &lab.token("newcomer")).await;
    assert_eq!(empty.body, r#"{"total_count":0,"installations":[]}"#);
    for odd in ["5001%2f..", "0", "x", "99999999999999999999"] {
        let reply = lab.get(&format!("/user/installations/{odd}/repositories"), &lab.token("octocat")).await;
        assert_eq!(reply.status, 404, "{odd}");
    }
    assert_eq!(lab.get("/user/installations/5001", &lab.token("octocat")).await.status, 404);
}

#[tokio::test]
async fn octocats_world_holds_what_breaks_strict_clients() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    let list = lab.get("/user/installations", &token).await.json();
    let of =
        |kind: &str| list["installations"].as_array().unwrap().iter().find(|one| one["target_type"] == kind);
    let enterprise = of("Enterprise").unwrap();
    assert_eq!(enterprise["account"]["slug"], "octo-business");
    assert!(enterprise["account"].get("login").is_none());
    let path = format!("/user/installations/{}/repositories", of("User").unwrap()["id"]);
    let own = lab.get(&path, &token).await.json();
    let own = own["repositories"].as_array().unwrap();
    assert!(own.iter().any(|one| one["owner"].is_null()));
    assert!(own.iter().any(|one| one["pushed_at"].is_null()));
    assert!(own.iter().any(|one| one["pushed_at"].as_str().is_some_and(|at| at.ends_with("-07:00"))));
    assert!(own[0].as_object().unwrap().len() > 75);
    let gone = lab.get("/user/installations", &lab.token("account-gone")).await.json();
    assert!(gone["installations"][0]["account"].is_null());
    let sorted = lab.get("/user/repos?sort=pushed&per_page=3", &token).await;
    assert_eq!(sorted.names(), ["octo-org/docs", "octo-org/web", "octo-org/api"]);
}

#[tokio::test]
async fn a_suspended_installation_is_listed_but_closed() {
    let lab = Lab::new().await;
    let token = lab.token("octocat");
    let id = lab.installation_of("octo-labs");
    let list = lab.get("/user/installations", &token).await.json();
    let labs = list["installations"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap();
    assert!(labs["suspended_at"].is_string());
    let reply = lab.get(&format!("/user/installations/{id}/repositories"), &token).await;
    assert_eq!(
        (reply.status.as_u16(), reply.message().as_str()),
        (403, "This installation has been suspended")
    );
}

#[tokio::test]
async fn without_a_saml_session_an_organisation_is_hidden() {
    let lab = Lab::new().await;
    let token = lab.token("sso-lapsed");
    let list = lab.get("/user/installations", &token).await;
    assert_eq!(list.json()["total_count"], 1);
    assert!(list.header("x-github-sso").starts_with("partial-results; organizations="));
    let path = format!("/user/installations/{}/repositories", lab.installation_of("saml-org"));
    let refused = lab.get(&path, &token).await;
    assert_eq!(refused.status, 403);
    assert!(refused.header("x-github-sso").starts_with("required; url=http://localhost:"));
}

#[tokio::test]
async fn a_membership_tells_an_owner_from_a_member_and_from_an_invitation() {
    let lab = Lab::new().await;
    for (login, state, role) in [
        ("octocat", "active", "admin"),
        ("reader", "active", "member"),
        ("pending-admin", "pending", "admin"),
    ] {
        let reply = lab.get("/user/memberships/orgs/octo-org", &lab.token(login)).await.json();
        assert_eq!((reply["state"].as_str(), reply["role"].as_str()), (Some(state), Some(role)));
    }
    assert_eq!(lab.get("/user/memberships/orgs/octo-org", &lab.token("newcomer")).await.status, 404);
    let not_installed = lab.get("/user/memberships/orgs/new-org", &lab.token("newcomer")).await;
    assert_eq!(not_installed.message(), "Resource not accessible by integration");
}
