//! How a repository looks on the wire: about ninety fields, most of them addresses.
//! Who sees which repository is decided in `access`.

use super::json::{Json, object};
use super::objects::{Links, account, node_id};
use super::world::{Access, Repository, Visibility, World};

/// The addresses under the repository's own, in GitHub's order: key and end.
const ADDRESSES: [(&str, &str); 37] = [
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
    ("security_advisories_url", "/security-advisories{/id}"),
];

/// `owner/name`.
pub(super) fn full_name(world: &World, repository: &Repository) -> String {
    format!("{}/{}", world.login(repository.owner).unwrap_or("ghost"), repository.name)
}

/// A repository with what the one who asks may do; an installation asks with write access.
pub(super) fn repository(world: &World, repository: &Repository, access: Access, links: &Links) -> Json {
    let full_name = full_name(world, repository);
    let url = links.api(&format!("/repos/{full_name}"));
    let html_url = links.web(&format!("/{full_name}"));
    let host = links.origin.split_once("://").map_or("", |(_, host)| host);
    let owner = account(world, repository.owner, links).filter(|_| !repository.owner_is_null);
    let (visibility, private) = match repository.visibility {
        Visibility::Public => ("public", false),
        Visibility::Private => ("private", true),
        Visibility::Internal => ("internal", true),
    };
    object! {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id.0),
        "name": &repository.name,
        "full_name": full_name.as_str(),
        "private": private,
        "owner": owner,
        "html_url": html_url.as_str(),
        "description": Json::Null,
        "fork": repository.fork,
        "url": url.as_str(),
    }
    .with(ADDRESSES.iter().map(|(key, end)| (*key, Json::Text(format!("{url}{end}")))))
    .with([
        ("created_at", Json::from(&repository.created_at)),
        ("updated_at", Json::from(&repository.updated_at)),
        ("pushed_at", Json::from(repository.pushed_at.as_ref())),
        ("git_url", Json::Text(format!("git://{host}/{full_name}.git"))),
        ("ssh_url", Json::Text(format!("git@{host}:{full_name}.git"))),
        ("clone_url", Json::Text(format!("{html_url}.git"))),
        ("svn_url", Json::Text(html_url)),
        ("homepage", Json::Null),
        ("size", Json::Number(108)),
        ("stargazers_count", Json::Number(repository.stars)),
        ("watchers_count", Json::Number(repository.stars)),
        ("language", Json::from(repository.language.as_ref())),
        ("has_issues", Json::Bool(true)),
        ("has_projects", Json::Bool(true)),
        ("has_downloads", Json::Bool(true)),
        ("has_wiki", Json::Bool(true)),
        ("has_pages", Json::Bool(false)),
        ("has_discussions", Json::Bool(false)),
        ("forks_count", Json::Number(0)),
        ("mirror_url", Json::Null),
        ("archived", Json::Bool(repository.archived)),
        ("disabled", Json::Bool(false)),
        ("open_issues_count", Json::Number(0)),
        ("license", Json::Null),
        ("allow_forking", Json::Bool(true)),
        ("is_template", Json::Bool(false)),
        ("web_commit_signoff_required", Json::Bool(false)),
        ("topics", Json::List(Vec::new())),
        ("visibility", Json::from(visibility)),
        ("forks", Json::Number(0)),
        ("open_issues", Json::Number(0)),
        ("watchers", Json::Number(repository.stars)),
        ("default_branch", Json::from(&repository.default_branch)),
        ("permissions", permissions(access)),
    ])
}

fn permissions(access: Access) -> Json {
    object! {
        "admin": access >= Access::Admin,
        "maintain": access >= Access::Maintain,
        "push": access >= Access::Write,
        "triage": access >= Access::Triage,
        "pull": access >= Access::Read,
    }
}
