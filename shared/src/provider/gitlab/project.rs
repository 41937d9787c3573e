//! A project as GitLab's listings tell it, read leniently: one odd item never costs the page.
//! Which projects are asked for is `repositories`' business.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pages::Numbered;
use crate::provider::field::value;
use crate::provider::{OwnerType, ProviderType, Repository};

/// A project of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) id: u64,
    /// Neither archived nor waiting for its deletion.
    pub(super) active: bool,
    pub(super) repository: Repository,
}

/// A project whose fields are found and not read yet.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    path_with_namespace: Option<&'a RawValue>,
    path: Option<&'a RawValue>,
    namespace: Option<&'a RawValue>,
    visibility: Option<&'a RawValue>,
    star_count: Option<&'a RawValue>,
    last_activity_at: Option<&'a RawValue>,
    created_at: Option<&'a RawValue>,
    default_branch: Option<&'a RawValue>,
    archived: Option<&'a RawValue>,
    marked_for_deletion_on: Option<&'a RawValue>,
    marked_for_deletion_at: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Namespace<'a> {
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    full_path: Option<&'a RawValue>,
}

impl Numbered for Project {
    fn read(item: &str) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_str(item).ok()?;
        let id: u64 = value(fields.id)?;
        let namespace = value::<Namespace<'_>>(fields.namespace);
        let (kind, owner) = namespace.map_or((None, None), |namespace| {
            (value::<String>(namespace.kind), value::<String>(namespace.full_path))
        });
        let full_name = value(fields.path_with_namespace)
            .or_else(|| Some(format!("{}/{}", owner?, value::<String>(fields.path)?)))?;
        // GitLab tells no date of the last push; this one is of any event, and the nearest that there is.
        let last_activity: Option<String> = value(fields.last_activity_at);
        let marked = |field: Option<&RawValue>| field.is_some_and(|field| field.get() != "null");
        // Older versions do not know the filter by which these are left out.
        let active = value(fields.archived) != Some(true)
            && !marked(fields.marked_for_deletion_on)
            && !marked(fields.marked_for_deletion_at)
            && !full_name.ends_with(&format!("-deletion_scheduled-{id}"));
        let repository = Repository {
            id: id.to_string(),
            full_name,
            provider: ProviderType::Gitlab,
            // Internal is for everybody who is signed in, and unknown is private.
            is_public: value::<String>(fields.visibility).as_deref() == Some("public"),
            stargazers_count: value(fields.star_count),
            pushed_at: last_activity.clone(),
            updated_at: last_activity,
            created_at: value(fields.created_at),
            owner_type: match kind.as_deref() {
                Some("group") => Some(OwnerType::Organization),
                Some("user") => Some(OwnerType::User),
                _ => None,
            },
            // Absent where the user may not read code.
            main_branch: value(fields.default_branch),
        };
        Some(Self { id, active, repository })
    }

    fn number(&self) -> u64 {
        self.id
    }
}
