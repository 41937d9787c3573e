//! What stands for an installation at GitLab: the top-level groups, and the user's own namespace.
//! What is in them is `repositories`' business.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::pages::{self, Numbered};
use super::{Gitlab, MAX_PER_PAGE};
use crate::provider::CallError;
use crate::provider::field::value;
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;

/// How often groups are read while they come and go. They have no listing by ids for signed-in users.
const ATTEMPTS: usize = 3;

/// A group of a listing.
#[derive(Clone, Debug)]
pub(super) struct Group {
    id: u64,
    pub(super) full_path: String,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    full_path: Option<&'a RawValue>,
}

impl Numbered for Group {
    fn read(item: &str) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_str(item).ok()?;
        Some(Self { id: value(fields.id)?, full_path: value(fields.full_path)? })
    }

    fn number(&self) -> u64 {
        self.id
    }
}

impl Gitlab {
    /// The full paths of the top-level groups that the user belongs to, oldest first, and at the end the
    /// user's own namespace.
    ///
    /// # Errors
    /// [`CallError`] if any page fails: a cut list would look like a whole one.
    pub async fn installations<T: TokenSource>(
        &self,
        source: &T,
        budget: &Budget,
    ) -> Result<Vec<String>, CallError> {
        let (groups, user) = tokio::try_join!(self.groups(source, budget), self.user(source, budget))?;
        let mut installations: Vec<String> = groups.into_iter().map(|group| group.full_path).collect();
        installations.push(user.login);
        Ok(installations)
    }

    async fn groups<T: TokenSource>(&self, source: &T, budget: &Budget) -> Result<Vec<Group>, CallError> {
        let page = |number: u32| async move {
            let number = number.to_string();
            // Else an administrator's token lists the whole instance. A least level of access would win over
            // it, and hide the group of somebody who is a member of its subgroup or project only.
            let query = [
                ("all_available", "false"),
                ("top_level_only", "true"),
                ("order_by", "id"),
                ("sort", "asc"),
                ("per_page", &MAX_PER_PAGE.to_string()),
                ("page", &number),
            ];
            self.page::<Group, T>(&["groups"], &query, source, budget).await
        };
        let mut all = Vec::new();
        for _ in 0..ATTEMPTS {
            let found = pages::by_number(page(1).await?, page).await?;
            all.extend(found.items);
            if found.steady {
                break;
            }
        }
        Ok(pages::distinct(all))
    }
}
