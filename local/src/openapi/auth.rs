//! `/auth`: redirects, pages for people, and who is signed in.
//! What a page says is `shared::contract::auth`'s.

use serde_json::{Value, json};
use shared::contract::Family;
use shared::failure::Failure;
use shared::provider::ProviderType;

use super::failures::{of_host, other_site, own};
use super::operation::{Answer, Callers, HTML, Operation, in_path, in_query, reference};

pub(super) const TAG: &str = "Sign-in";

pub(super) fn operations() -> Vec<(&'static str, Operation)> {
    vec![
        ("GET /auth/{provider}/login", login()),
        ("GET /auth/{provider}/callback", callback()),
        ("GET /auth/github/setup", setup()),
        ("GET /auth/session", session()),
        ("POST /auth/logout", logout()),
        ("POST /auth/enterprise_sso/backchannel-logout", backchannel_logout()),
    ]
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn page(status: u16, description: &'static str) -> Answer {
    Answer::new(status, description).body(HTML, text()).headers(&["X-Error-Code"])
}

fn provider() -> Value {
    in_path("provider", "The host.", &reference("ProviderType"))
}

fn login() -> Operation {
    Operation {
        id: "start_sign_in",
        tag: TAG,
        summary: "Start a sign-in",
        description: "Leads the browser to the host's authorize page, bound to this browser by a cookie, for ten \
                      minutes. Who is signed in already links the account to the same user, and is asked first unless a page \
                      of this origin has led there.",
        callers: Callers::Browser,
        parameters: vec![
            provider(),
            in_query(
                "return_to",
                "A path on this site to go to afterwards.",
                &json!({ "type": "string", "maxLength": 2048, "pattern": "^/([^/\\\\].*)?$", "default": "/auth/session" }),
            ),
            in_query(
                "confirmation",
                "What the page that asks before an account is linked sends back.",
                &text(),
            ),
        ],
        body: None,
        family: Family::Auth,
        answers: vec![
            page(200, "Whoever is signed in is asked whether the account is to be linked."),
            Answer::new(302, "To the host.").location("The host's authorize page.").headers(&["Set-Cookie"]),
            page(400, "`return_to` leads elsewhere."),
            page(404, "There is no such provider, or it is not set up on this server."),
        ],
        failures: [own(), of_host(ProviderType::EnterpriseSso)].into_iter().flatten().collect(),
    }
}

fn callback() -> Operation {
    let of_host = of_host(ProviderType::Github);
    Operation {
        id: "finish_sign_in",
        tag: TAG,
        summary: "Finish a sign-in",
        description: "Where the host sends the browser back to. Code and state are worth something only to the browser \
                      that started the sign-in, once.",
        callers: Callers::All,
        parameters: vec![
            provider(),
            in_query("code", "The host's.", &text()),
            in_query("state", "The one that the sign-in was started with.", &text()),
            in_query("error", "The host's, where the sign-in was denied.", &text()),
            in_query("iss", "The issuer (RFC 9207).", &text()),
            in_query(
                "installation_id",
                "Without a state: where the App was installed and authorized in one go.",
                &text(),
            ),
        ],
        body: None,
        family: Family::Auth,
        answers: vec![
            Answer::new(302, "To the host once more, for a token that can be renewed.")
                .location("The host's authorize page.")
                .headers(&["Set-Cookie"]),
            Answer::new(303, "Signed in.").location("A path on this site.").headers(&["Set-Cookie"]),
            page(
                400,
                "This browser has not started that sign-in, or it took too long, or it was used before.",
            ),
            page(403, "The sign-in was denied, or the account belongs to another user here."),
            page(404, "There is no such provider, or it is not set up on this server."),
            page(502, "The host did not complete the sign-in."),
        ],
        failures: [own(), of_host].into_iter().flatten().collect(),
    }
}

fn setup() -> Operation {
    Operation {
        id: "finish_installation",
        tag: TAG,
        summary: "The App's setup URL",
        description: "Where GitHub sends whoever has installed the App. The number in the address proves nothing: it \
                      becomes a row of the mapping only if the user's own token shows the installation.",
        callers: Callers::Browser,
        parameters: vec![
            in_query(
                "installation_id",
                "The installation's number at GitHub.",
                &json!({ "type": "string", "pattern": "^[0-9]{1,19}$" }),
            ),
            in_query(
                "setup_action",
                "`request` where an owner must approve the installation first.",
                &text(),
            ),
        ],
        body: None,
        family: Family::Auth,
        answers: vec![
            page(200, "An owner of the account must approve the installation."),
            Answer::new(303, "The row is there, or somebody has to sign in first.")
                .location("A path on this site."),
            page(400, "`installation_id` is not the number of an installation."),
            page(403, "The user's token does not show the installation."),
        ],
        failures: [own(), of_host(ProviderType::Github)].into_iter().flatten().collect(),
    }
}

fn session() -> Operation {
    Operation {
        id: "get_session",
        tag: TAG,
        summary: "Who is signed in",
        description: "The session of the browser's cookie and the linked providers. That nobody is signed in is an \
                      answer, not an error. API keys mean nothing here.",
        callers: Callers::Browser,
        parameters: vec![],
        body: None,
        family: Family::Auth,
        answers: vec![Answer::new(200, "The session.").json(reference("Session"))],
        failures: own(),
    }
}

fn logout() -> Operation {
    Operation {
        id: "end_session",
        tag: TAG,
        summary: "Sign out",
        description: "Ends the browser's session. One that came from an enterprise SSO has a session there too: a form \
                      is sent on to its end, a script is told its address.",
        callers: Callers::Browser,
        parameters: vec![],
        body: None,
        family: Family::Auth,
        answers: vec![
            Answer::new(200, "The session has ended here; at the enterprise SSO it ends at this address.")
                .json(reference("SessionAtIssuer"))
                .headers(&["Set-Cookie"]),
            Answer::new(204, "Nobody is signed in any more.").headers(&["Set-Cookie"]),
            Answer::new(303, "The session has ended here; on to the enterprise SSO.")
                .location("Where the session at the enterprise SSO ends.")
                .headers(&["Set-Cookie"]),
        ],
        failures: [own(), vec![other_site()]].into_iter().flatten().collect(),
    }
}

fn backchannel_logout() -> Operation {
    Operation {
        id: "backchannel_logout",
        tag: TAG,
        summary: "The enterprise SSO ends a session",
        description: "OpenID Connect Back-Channel Logout 1.0: the issuer's logout token ends the sessions that came from \
                      its session, or from its user.",
        callers: Callers::All,
        parameters: vec![],
        body: Some(json!({
            "required": true,
            "content": { "application/x-www-form-urlencoded": { "schema": {
                "type": "object",
                "required": ["logout_token"],
                "properties": { "logout_token": { "type": "string", "description": "A JWT, signed by the issuer." } },
            } } },
        })),
        family: Family::Auth,
        answers: vec![
            Answer::new(200, "The sessions have ended."),
            Answer::new(400, "The logout token is not one of the issuer's, or was used before.")
                .json(reference("LogoutTokenRefused")),
        ],
        failures: [
            own(),
            of_host(ProviderType::EnterpriseSso),
            vec![("not_found", Failure::NotFound("Page"))],
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}
