//! The OpenAPI document: checked in beside the API's types, served as it is.

/// The document. A test holds it to the routes and the types.
#[must_use]
pub const fn document() -> &'static str {
    include_str!("../../api/openapi.json")
}
