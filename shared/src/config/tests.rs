//! Each variable: its default, what it takes and what it refuses.
