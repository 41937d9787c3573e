//! What the tests of the enterprise SSO share: a service with all sandbox hosts, and browsers that sign in there.
//! What it promises is tested in the modules beside this one.

use http::StatusCode;
use local::data_folder::DemoUser;
use local::sandbox_openid::SandboxOpenid;
use serde_json::Value;

use crate::harness::{Answer, Browser, Running, Setup};

pub(crate) const LOGIN: &str = "/auth/enterprise_sso/login";
pub(crate) const INSTALLATIONS: &str = "/api/user/installations?provider=enterprise_sso";
pub(crate) const REPOSITORIES: &str = "/api/user/repositories?selected_provider=enterprise_sso";

/// A service beside all sandbox hosts.
pub(crate) async fn start() -> Running {
    Setup { other_hosts: true, ..Setup::default() }.start().await
}

impl Running {
    pub(crate) fn openid(&self) -> &SandboxOpenid {
        &self.stack.other_hosts.as_ref().expect("there are other hosts").openid
    }

    /// How many calls of that path the issuer got.
    pub(crate) fn issuer_calls(&self, path: &str) -> usize {
        self.openid().calls().iter().filter(|call| call.path == path).count()
    }
}

impl Browser<'_> {
    /// Goes to the issuer's page and chooses; gives the address that the browser is sent back to.
    pub(crate) async fn chosen(&self, username: &str) -> String {
        let authorize = self.start_sign_in(LOGIN).await;
        let (page, query) = authorize.split_once('?').expect("an authorize page takes a query");
        let form = format!("{query}&choice={username}");
        let chosen = self.form(page, &form).await;
        assert_eq!(chosen.status, StatusCode::FOUND, "{chosen:?}");
        chosen.location().to_owned()
    }

    /// Signs in at another host, or links the account there.
    pub(crate) async fn link(&self, provider: &str, login: &str) -> Answer {
        let authorize = self.start_sign_in(&format!("/auth/{provider}/login")).await;
        let (page, query) = authorize.split_once('?').expect("an authorize page takes a query");
        let chosen = self.form(page, &format!("{query}&choice={login}")).await;
        self.get(chosen.location()).await
    }

    /// Signs in at the enterprise SSO as that user, whatever comes of it.
    pub(crate) async fn sso_sign_in(&self, username: &str) -> Answer {
        let callback = self.chosen(username).await;
        self.get(&callback).await
    }

    /// The same where it must work; with an API key for what comes after.
    pub(crate) async fn sso_user(&self, username: &str) -> DemoUser {
        let signed_in = self.sso_sign_in(username).await;
        assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{signed_in:?}");
        self.as_user().await
    }

    /// Who is signed in, with a new API key.
    pub(crate) async fn as_user(&self) -> DemoUser {
        let key = self.post("/api/keys", Some(&serde_json::json!({"name": "test"}))).await;
        let session = self.session().await;
        DemoUser {
            user_id: session["user_id"].as_str().expect("somebody is signed in").to_owned(),
            api_key: key.json()["key"].as_str().expect("a key").to_owned(),
            session_cookie: self.cookie("neptun-session").expect("a session"),
        }
    }

    pub(crate) async fn session(&self) -> Value {
        self.get("/auth/session").await.json()
    }
}
