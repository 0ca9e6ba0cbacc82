//! Parts that need nobody.
