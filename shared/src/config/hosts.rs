//! Where the git hosts and this service are reached, and how a URL below such a base is built.
//! Hosts come from the operator only, never from a payload (DESIGN 5).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use super::variables::{ConfigError, Variables, parse_base_url};

/// GitHub, GitHub Enterprise Server or ghe.com.
#[derive(Clone, Debug)]
pub struct GithubHost {
    /// The REST API; on GitHub Enterprise Server with the prefix `/api/v3`.
    pub api: Url,
    /// Where people sign in and Apps are installed.
    pub web: Url,
}

/// gitlab.com or a self-managed GitLab, possibly below a path.
#[derive(Clone, Debug)]
pub struct GitlabHost {
    /// The root of the instance; the API is at `/api/v4` below it.
    pub base: Url,
}

/// Bitbucket Cloud.
#[derive(Clone, Debug)]
pub struct BitbucketHost {
    /// The REST API, with its version.
    pub api: Url,
    /// Where people sign in.
    pub web: Url,
}

impl GithubHost {
    pub(super) fn from_variables<F>(variables: &Variables<F>) -> Result<Self, ConfigError>
    where
        F: Fn(&str) -> Option<String>,
    {
        let defaults = ["https://api.github.com", "https://github.com"];
        let [api, web] = variables.url_pair(["GITHUB_API_URL", "GITHUB_WEB_URL"], defaults)?;
        Ok(Self { api, web })
    }
}

impl GithubHost {
    /// The addresses of another GitHub by its origin: GitHub Enterprise Server has its API below `/api/v3`,
    /// a subdomain of ghe.com has it at `api.` before its name (reference: GitLab, Bitbucket, SSO 4).
    #[must_use]
    pub fn at(origin: &Url) -> Self {
        let name = origin.host_str().unwrap_or_default();
        if name == "github.com" || name == "api.github.com" {
            let [api, web] = ["https://api.github.com", "https://github.com"].map(parse_base_url);
            if let (Ok(api), Ok(web)) = (api, web) {
                return Self { api, web };
            }
        }
        if name
            .strip_suffix(".ghe.com")
            .is_some_and(|subdomain| !subdomain.is_empty() && !subdomain.contains('.'))
            && let Ok(api) = parse_base_url(&format!("https://api.{name}"))
        {
            return Self { api, web: origin.clone() };
        }
        Self { api: endpoint(origin, &["api", "v3"]), web: origin.clone() }
    }
}

impl BitbucketHost {
    /// The addresses of another Bitbucket Cloud by its origin: its API is at `api.` before its name.
    #[must_use]
    pub fn at(origin: &Url) -> Self {
        let api = parse_base_url(&format!("https://api.{}/2.0", origin.host_str().unwrap_or_default()));
        Self { api: api.unwrap_or_else(|_| endpoint(origin, &["2.0"])), web: origin.clone() }
    }
}

impl GitlabHost {
    pub(super) fn from_variables<F>(variables: &Variables<F>) -> Result<Self, ConfigError>
    where
        F: Fn(&str) -> Option<String>,
    {
        Ok(Self { base: variables.url("GITLAB_URL", "https://gitlab.com")? })
    }
}

impl BitbucketHost {
    pub(super) fn from_variables<F>(variables: &Variables<F>) -> Result<Self, ConfigError>
    where
        F: Fn(&str) -> Option<String>,
    {
        let defaults = ["https://api.bitbucket.org/2.0", "https://bitbucket.org"];
        let [api, web] = variables.url_pair(["BITBUCKET_API_URL", "BITBUCKET_WEB_URL"], defaults)?;
        Ok(Self { api, web })
    }
}

/// Where clients reach this service; never taken from a header (DESIGN 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicUrl {
    /// `PUBLIC_URL`.
    Configured(Url),
    /// `https://` and the domain name that API Gateway puts into `requestContext.domainName`.
    FromRequest,
}

impl PublicUrl {
    /// The base URL for an event whose `requestContext.domainName` is `domain_name`;
    /// `None` when neither the operator nor the gateway tells it.
    #[must_use]
    pub fn resolve(&self, domain_name: Option<&str>) -> Option<Url> {
        match self {
            Self::Configured(url) => Some(url.clone()),
            Self::FromRequest => {
                let url = parse_base_url(&format!("https://{}", domain_name?)).ok()?;
                (url.path() == "/").then_some(url)
            }
        }
    }
}

/// `ALLOWED_PROVIDER_HOSTS`: the hosts, besides the configured ones, whose tokens may be linked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<Url>);

impl AllowedHosts {
    pub(super) fn from_variables<F>(variables: &Variables<F>) -> Result<Self, ConfigError>
    where
        F: Fn(&str) -> Option<String>,
    {
        const NAME: &str = "ALLOWED_PROVIDER_HOSTS";
        const EXPECTED: &str = "host names separated by commas, e.g. git.example.com,gitlab.example.com:8443";
        let listed = variables.optional(NAME).unwrap_or_default();
        let entries = listed.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse = |entry: &str| {
            let problem = |what: &str| ConfigError::new(NAME, format!("{entry:?} {what}"), EXPECTED);
            let url = origin(entry).map_err(&problem)?;
            if url.path() == "/" { Ok(url) } else { Err(problem("has a path")) }
        };
        entries.map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The base URL of `host` (a name, `name:port` or an origin) if the operator allows it.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<&Url> {
        let wanted = origin(host.trim()).ok()?;
        self.0.iter().find(|allowed| **allowed == wanted)
    }
}

/// The URL of a host that is named with or without its scheme.
fn origin(host: &str) -> Result<Url, &'static str> {
    if host.contains("://") { parse_base_url(host) } else { parse_base_url(&format!("https://{host}")) }
}

/// Whether this host is the machine itself, the one place that may be talked to without TLS.
///
/// `host.docker.internal` is that machine seen from a container, which is where `sam local invoke`
/// runs the functions (DESIGN 8).
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            name == "localhost" || name.ends_with(".localhost") || name == "host.docker.internal"
        }
        None => false,
    }
}

/// What RFC 3986 lets stand unencoded in a path segment whatever the server; all else is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL below `base` with these path segments; a prefix such as `/api/v3` is kept.
///
/// A segment stays one segment whatever it contains. `.` and `..`, which no URL can carry as names,
/// are encoded twice: they name nothing at the host instead of another route.
#[must_use]
pub fn endpoint(base: &Url, segments: &[&str]) -> Url {
    let mut path = base.path().trim_end_matches('/').to_owned();
    for segment in segments {
        path.push('/');
        match *segment {
            "." => path.push_str("%252E"),
            ".." => path.push_str("%252E%252E"),
            other => path.extend(utf8_percent_encode(other, SEGMENT)),
        }
    }
    let mut url = base.clone();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    url
}
