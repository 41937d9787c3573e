//! Who is asking, and which hosts' tokens are theirs.
//! How rows are stored is `store`'s business.
