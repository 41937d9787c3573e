//! Each variable: its default, what it takes and what it refuses.

use super::*;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use url::Url;

const REQUIRED: [(&str, &str); 6] = [
    ("TABLE_NAME", "installations"),
    ("GITHUB_APP_SECRET_ID", "git-installations/github-app"),
    ("TOKEN_KEYS_SECRET_ID", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "not-to-be-printed"),
];

/// The required settings, changed by `changes`; an empty value takes one away.
fn read(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let find = |list: &[(&str, &str)], name: &str| {
        list.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Config::from_lookup(|name| find(changes, name).or_else(|| find(&REQUIRED, name)))
}

fn refusal(name: &str, value: &str) -> String {
    let error = read(&[(name, value)]).expect_err(value);
    assert_eq!(error.variable(), name, "{error}");
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line:?}");
    line
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = read(&[]).unwrap();
    assert_eq!(config.table_name, "installations");
    assert_eq!(config.secrets.oauth_clients, None);
    assert_eq!(config.public_url, PublicUrl::FromRequest);
    assert_eq!(config.github.api.as_str(), "https://api.github.com/");
    assert_eq!(config.github.web.as_str(), "https://github.com/");
    assert_eq!(config.gitlab.base.as_str(), "https://gitlab.com/");
    assert_eq!(config.bitbucket.api.as_str(), "https://api.bitbucket.org/2.0");
    assert_eq!(config.bitbucket.web.as_str(), "https://bitbucket.org/");
    assert_eq!(config.allowed_hosts, AllowedHosts::default());
    assert_eq!(config.upstream.concurrency, 32);
    assert!(config.upstream.predict_etags);
    assert!(config.upstream.extra_ca.is_empty());
    assert_eq!(config.stale_if_error, Duration::from_secs(600));
    assert_eq!(config.session.cookie_name, "neptun-session");
    assert_eq!(config.log_level, Level::INFO);
    assert!(config.aws.session_token.is_none());
    assert_eq!((config.aws.dynamodb_endpoint, config.aws.secrets_manager_endpoint), (None, None));
}

#[test]
fn a_required_variable_that_is_missing_or_empty_is_named() {
    for (name, _) in REQUIRED {
        assert!(refusal(name, " ").starts_with(&format!("{name} is not set; expected ")));
    }
    assert_eq!(refusal("TABLE_NAME", ""), "TABLE_NAME is not set; expected the name of the DynamoDB table");
}

#[test]
fn an_empty_optional_variable_is_as_if_it_were_absent() {
    let config = read(&[("OAUTH_CLIENTS_SECRET_ID", ""), ("UPSTREAM_CONCURRENCY", ""), ("GITLAB_URL", " ")]);
    assert_eq!(config.unwrap().upstream.concurrency, 32);
}

#[test]
fn every_url_is_refused_that_is_not_origin_and_path() {
    for name in ["PUBLIC_URL", "GITLAB_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
        for (value, problem) in [
            ("gitlab.example.com", "does not start with https://"),
            ("ftp://gitlab.example.com", "does not start with https://"),
            ("https:gitlab.example.com", "does not start with https://"),
            ("https://", "is not a URL"),
            ("https://gitlab.example.com:99999", "is not a URL"),
            ("https://*.example.com", "contains a host name with characters that none has"),
            ("https://user:hunter2@gitlab.example.com", "contains a user name or password"),
            ("https://@gitlab.example.com", "contains a user name or password"),
            ("https://gitlab.example.com?x=1", "contains a query or fragment"),
            ("https://gitlab.example.com/#x", "contains a query or fragment"),
            ("https://gitlab.example.com/a b", "contains a blank"),
            ("https:\\\\gitlab.example.com", "contains a blank, a control character or a backslash"),
            ("http://gitlab.example.com", "is http:// to another machine"),
            ("http://127.0.0.1.example.com", "is http:// to another machine"),
            ("http://localhost.example.com", "is http:// to another machine"),
            ("http://169.254.169.254/latest", "is http:// to another machine"),
        ] {
            let line = refusal(name, value);
            assert!(line.contains(problem), "{value}: {line}");
            assert!(!line.contains("hunter2"), "{line}");
        }
    }
}

#[test]
fn http_is_taken_for_this_machine_only() {
    let local = ["localhost:3000", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "host.docker.internal:3000"];
    for host in local {
        let config = read(&[("GITLAB_URL", &format!("http://{host}"))]);
        assert_eq!(config.unwrap().gitlab.base.scheme(), "http", "{host}");
    }
}

#[test]
fn a_trailing_slash_makes_no_difference() {
    let bare = read(&[("GITLAB_URL", "https://example.com/gitlab")]).unwrap();
    let slashes = read(&[("GITLAB_URL", "https://example.com/gitlab//")]).unwrap();
    assert_eq!(bare.gitlab.base, slashes.gitlab.base);
}

#[test]
fn github_enterprise_needs_both_of_its_urls() {
    let api = ("GITHUB_API_URL", "https://github.example.com/api/v3");
    let web = ("GITHUB_WEB_URL", "https://github.example.com");
    assert_eq!(
        read(&[api]).unwrap_err().to_string(),
        "GITHUB_WEB_URL is not set although GITHUB_API_URL is; expected both or neither"
    );
    assert_eq!(read(&[web]).unwrap_err().variable(), "GITHUB_API_URL");
    assert_eq!(read(&[api, web]).unwrap().github.api.path(), "/api/v3");
}

#[test]
fn numbers_are_whole_and_in_range() {
    for value in ["0", "101", "-1", "+1", "1.5", "1e2", "many", "０", "99999999999999999999"] {
        let line = refusal("UPSTREAM_CONCURRENCY", value);
        assert!(line.ends_with("expected a whole number from 1 to 100"), "{line}");
    }
    for value in ["86401", "-1", "10m"] {
        let line = refusal("STALE_IF_ERROR_SECONDS", value);
        assert!(line.ends_with("expected a whole number from 0 to 86400"), "{line}");
    }
    let edges = read(&[("UPSTREAM_CONCURRENCY", "100"), ("STALE_IF_ERROR_SECONDS", "0")]).unwrap();
    assert_eq!((edges.upstream.concurrency, edges.stale_if_error), (100, Duration::ZERO));
}

#[test]
fn predict_etags_is_true_or_false() {
    assert!(!read(&[("PREDICT_ETAGS", "false")]).unwrap().upstream.predict_etags);
    assert_eq!(refusal("PREDICT_ETAGS", "yes"), "PREDICT_ETAGS is \"yes\"; expected true or false");
}

#[test]
fn a_cookie_name_is_a_token() {
    assert_eq!(
        read(&[("SESSION_COOKIE_NAME", "__Host-session")]).unwrap().session.cookie_name,
        "__Host-session"
    );
    for value in ["a b", "a;b", "a=b", "a,b", "käse", "a\"b", "a\r\nb"] {
        assert!(refusal("SESSION_COOKIE_NAME", value).contains("contains the character"));
    }
}

#[test]
fn a_log_level_is_one_of_five_words() {
    assert_eq!(read(&[("LOG_LEVEL", "WARN")]).unwrap().log_level, Level::WARN);
    assert_eq!(
        refusal("LOG_LEVEL", "verbose"),
        "LOG_LEVEL is \"verbose\"; expected one of error, warn, info, debug, trace"
    );
}

#[test]
fn names_are_made_of_what_aws_takes() {
    assert!(refusal("TABLE_NAME", "my table").contains("contains the character ' '"));
    assert!(refusal("GITHUB_APP_SECRET_ID", "{\"app_id\":1}").contains("contains the character '{'"));
    assert!(refusal("OAUTH_CLIENTS_SECRET_ID", "a\nb").contains("contains the character '\\n'"));
    assert!(refusal("AWS_REGION", "eu central").contains("contains the character ' '"));
}

#[test]
fn a_service_endpoint_wins_over_the_general_one() {
    let config = read(&[
        ("AWS_ENDPOINT_URL", "http://localhost:4566"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000"),
    ])
    .unwrap();
    assert_eq!(config.aws.dynamodb_endpoint.unwrap().port(), Some(8000));
    assert_eq!(config.aws.secrets_manager_endpoint.unwrap().port(), Some(4566));
}

#[test]
fn aws_secrets_are_read_and_not_printed() {
    let config = read(&[("AWS_SESSION_TOKEN", "neither-this")]).unwrap();
    assert_eq!(config.aws.secret_access_key.expose_secret(), "not-to-be-printed");
    let printed = format!("{config:?}");
    assert!(!printed.contains("not-to-be-printed") && !printed.contains("neither-this"), "{printed}");
}

#[test]
fn extra_certificates_are_pem_with_real_or_escaped_newlines() {
    let pem = include_str!("../../fixtures/pem/certificate.pem");
    for form in [pem.to_owned(), pem.replace('\n', "\\n"), pem.repeat(2)] {
        let config = read(&[("EXTRA_CA_PEM", &form)]).unwrap();
        assert_eq!(config.upstream.extra_ca.len(), form.matches("BEGIN").count());
    }
    assert!(refusal("EXTRA_CA_PEM", "MIIB").contains("contains no certificate"));
    assert!(
        refusal("EXTRA_CA_PEM", "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----")
            .contains("is not well-formed PEM")
    );
}

#[test]
fn allowed_hosts_are_found_by_name_or_origin_and_nothing_else_is() {
    let listed = "git.example.com, gitlab.example.com:8443,http://localhost:4000";
    let config = read(&[("ALLOWED_PROVIDER_HOSTS", listed)]).unwrap();
    let find = |host: &str| config.allowed_hosts.find(host).map(Url::as_str);
    assert_eq!(find("git.example.com"), Some("https://git.example.com/"));
    assert_eq!(find("https://GIT.example.com/"), Some("https://git.example.com/"));
    assert_eq!(find("gitlab.example.com:8443"), Some("https://gitlab.example.com:8443/"));
    assert_eq!(find("http://localhost:4000"), Some("http://localhost:4000/"));
    for host in [
        "",
        "gitlab.example.com",
        "git.example.com:444",
        "http://git.example.com",
        "git.example.com/x",
        "git.example.com@evil.example",
        "evil.example?git.example.com",
        "git.example.com.evil.example",
        "git.example.com\\.evil.example",
    ] {
        assert_eq!(find(host), None, "{host}");
    }
    assert!(refusal("ALLOWED_PROVIDER_HOSTS", "git.example.com/path").contains("has a path"));
    assert!(refusal("ALLOWED_PROVIDER_HOSTS", "git.example.com,*").contains("\"*\""));
}

#[test]
fn the_public_url_comes_from_the_gateway_if_the_operator_gives_none() {
    let configured = PublicUrl::Configured(Url::parse("https://git.example.com/app").unwrap());
    assert_eq!(configured.resolve(Some("other.example")).unwrap().as_str(), "https://git.example.com/app");
    let domain = Some("abc.execute-api.eu-central-1.amazonaws.com");
    assert_eq!(
        PublicUrl::FromRequest.resolve(domain).unwrap().as_str(),
        "https://abc.execute-api.eu-central-1.amazonaws.com/"
    );
    for domain in [None, Some(""), Some("a/b"), Some("user@a"), Some("a?b"), Some("a b")] {
        assert_eq!(PublicUrl::FromRequest.resolve(domain), None, "{domain:?}");
    }
}

#[test]
fn an_endpoint_keeps_the_prefix_and_every_segment_in_its_place() {
    let url = |base: &str, segments: &[&str]| endpoint(&Url::parse(base).unwrap(), segments).to_string();
    assert_eq!(
        url("https://h.example/api/v3", &["user", "installations"]),
        "https://h.example/api/v3/user/installations"
    );
    assert_eq!(url("https://h.example/", &["user"]), "https://h.example/user");
    assert_eq!(
        url("https://h.example/2.0/", &["workspaces", "{uuid}"]),
        "https://h.example/2.0/workspaces/%7Buuid%7D"
    );
    assert_eq!(url("https://h.example", &["groups", "a/b c"]), "https://h.example/groups/a%2Fb%20c");
    assert_eq!(url("https://h.example", &["a?b", "c#d", "%2f"]), "https://h.example/a%3Fb/c%23d/%252f");
    assert_eq!(
        url("https://h.example/api", &["users", "..", "x"]),
        "https://h.example/api/users/%252E%252E/x"
    );
}

proptest! {
    #[test]
    fn no_segment_leaves_its_place(segments in prop::collection::vec(any::<String>(), 0..4)) {
        let base = Url::parse("https://h.example:8443/api/v3").unwrap();
        let borrowed: Vec<&str> = segments.iter().map(String::as_str).collect();
        let url = endpoint(&base, &borrowed);
        prop_assert_eq!(url.origin(), base.origin());
        prop_assert_eq!((url.query(), url.fragment()), (None, None));
        let path: Vec<&str> = url.path_segments().unwrap().collect();
        prop_assert_eq!(path.len(), 2 + segments.len());
        prop_assert_eq!(&path[..2], ["api", "v3"]);
    }

    #[test]
    fn any_value_is_taken_or_refused_in_one_line(index in 0..VARIABLES.len(), value in any::<String>()) {
        if let Err(error) = read(&[(VARIABLES[index], &value)]) {
            prop_assert!(!error.to_string().contains(['\n', '\r']));
        }
    }
}

const VARIABLES: [&str; 12] = [
    "TABLE_NAME",
    "GITHUB_APP_SECRET_ID",
    "PUBLIC_URL",
    "GITLAB_URL",
    "ALLOWED_PROVIDER_HOSTS",
    "UPSTREAM_CONCURRENCY",
    "PREDICT_ETAGS",
    "EXTRA_CA_PEM",
    "STALE_IF_ERROR_SECONDS",
    "SESSION_COOKIE_NAME",
    "LOG_LEVEL",
    "AWS_REGION",
];
