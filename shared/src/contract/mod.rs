//! What goes over the wire, one module per API family, and nothing but types and rendering.
//! Who asks and what the answer is made of is decided elsewhere.
