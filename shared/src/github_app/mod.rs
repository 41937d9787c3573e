//! Acting as the GitHub App: its credentials and the JWTs signed with them.
//! Calls that carry a user's token are `provider::github`'s.
