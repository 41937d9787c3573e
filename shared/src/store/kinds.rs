//! Every kind of item in the table, by its keys: the list that the released items in `shared/fixtures/items` are held
//! against. What the items mean is in the modules beside this one.

/// A kind of item. A key that ends with `*` stands for all that begin so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Its name, as in the names of fixtures.
    pub name: &'static str,
    pk: &'static str,
    sk: &'static str,
}

/// All of them.
pub const KINDS: [Kind; 28] = [
    kind("user", "USER#*", "USER"),
    kind("identity", "USER#*", "IDENTITY#*"),
    kind("token", "USER#*", "TOKEN#*"),
    kind("lease", "USER#*", "LEASE#*"),
    kind("session-of-user", "USER#*", "SESSION#*"),
    kind("api-key-of-user", "USER#*", "API_KEY#*"),
    kind("mapping", "USER#*", "MAPPING#*"),
    kind("answer", "USER#*", "ANSWER#*"),
    kind("forgotten", "USER#*", "FORGOTTEN#*"),
    kind("page", "USER#*", "PAGE#*"),
    kind("app-answer", "APP", "ANSWER#*"),
    kind("installation", "INSTALLATION#*", "INSTALLATION"),
    kind("installation-user", "INSTALLATION#*", "INSTALLATION#USER#*"),
    kind("repositories", "INSTALLATION#*", "REPOSITORIES#*"),
    kind("unsure", "UNSURE", "*"),
    kind("delivery", "DELIVERY#*", "DELIVERY"),
    kind("reconcile-state", "RECONCILE", "STATE"),
    kind("reconcile-lease", "RECONCILE", "LEASE"),
    kind("sweep", "RECONCILE", "SWEEP#*"),
    kind("redelivery", "REDELIVERY#*", "REDELIVERY"),
    kind("identity-finder", "IDENTITY#*", "IDENTITY"),
    kind("session", "SESSION#*", "SESSION"),
    kind("api-key", "API_KEY#*", "API_KEY"),
    kind("sso-session", "SSO_SESSION#*", "SESSION#*"),
    kind("logout-token", "LOGOUT_TOKEN#*", "LOGOUT_TOKEN"),
    kind("sign-in", "SIGN_IN#*", "SIGN_IN"),
    kind("counter", "COUNTER#*", "COUNTER"),
    kind("app-forgotten", "APP", "FORGOTTEN#*"),
];

const fn kind(name: &'static str, pk: &'static str, sk: &'static str) -> Kind {
    Kind { name, pk, sk }
}

impl Kind {
    fn has(&self, pk: &str, sk: &str) -> bool {
        let fits = |pattern: &str, key: &str| match pattern.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == pattern,
        };
        fits(self.pk, pk) && fits(self.sk, sk)
    }
}

/// The kind of an item with these keys.
#[must_use]
pub fn kind_of(pk: &str, sk: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.has(pk, sk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_item_is_of_two_kinds() {
        for (index, kind) in KINDS.iter().enumerate() {
            let (pk, sk) = (kind.pk.replace('*', "x"), kind.sk.replace('*', "x"));
            let others = KINDS.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(!others.into_iter().any(|(_, other)| other.has(&pk, &sk)), "{}", kind.name);
            assert_eq!(kind_of(&pk, &sk), Some(kind));
        }
        assert_eq!(kind_of("CONNECT", "CONNECT"), None);
    }
}
