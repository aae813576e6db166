//! What lies where sandboxes are and belongs to none.

use serde::{Deserialize, Serialize};

/// Something among the directories of sandboxes that no record knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Stray {
    /// Where it is.
    pub path: String,
    /// What it is, and why it was left when it was.
    pub what: String,
}

/// `POST /v1/repair`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Strays {
    /// What was removed: directories of sandboxes that are no more, without a work disk.
    pub removed: Vec<Stray>,
    /// What was left where it is: what has a work disk, what runs, and what is not banger's.
    pub left: Vec<Stray>,
}
