//! What is different on the disks of a sandbox: `POST /v1/sandboxes/{sandbox}/diff`.

use super::ByteText;
use banger_model::snapshot::Tag;
use serde::{Deserialize, Serialize};

/// What to compare with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DiffRequest {
    /// One of the sandbox's snapshots; its image where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub snapshot: Option<Tag>,
    /// What it was made of, if it is an ephemeral fork; not together with a snapshot.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub origin: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It was there, and something of it is different.
    Changed,
    /// It is not there any more.
    Removed,
}

/// What of a file is different. Times are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// It is of another kind.
    Type,
    /// Its bytes.
    Content,
    /// Where the link leads.
    Target,
    /// The numbers of the device.
    Device,
    /// Who may do what with it.
    Mode,
    /// Its user or group.
    Owner,
    /// Its extended attributes: capabilities, access control lists and others.
    Attributes,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// From the root of the guest. It comes from the guest: any bytes but zero.
    pub path: ByteText,
    /// What became of it.
    pub kind: ChangeKind,
    /// What is different, of one that was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<Aspect>,
    /// `regular`, `directory`, `symlink` or `other`; of one that was removed, what it was.
    pub file_type: String,
    /// Bytes that it had, of a regular file that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_before: Option<u64>,
    /// Bytes that it has, of a regular file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// All differences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diff {
    /// The snapshot that was compared with; the image where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Sorted by path; of very many, not all.
    pub changes: Vec<Change>,
    /// How many were added, those that are not listed included.
    pub added: u64,
    /// How many were changed.
    pub changed: u64,
    /// How many were removed.
    pub removed: u64,
    /// For how long its guest stood still to be read, in milliseconds; absent where none ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_ms: Option<u64>,
    /// Whether the guest has written back its files before; else what was written last may be missing. True of
    /// one that does not run, false of one that is suspended: what its memory holds is not known.
    pub synced: bool,
}

impl Diff {
    /// How many differences there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.added
            .saturating_add(self.changed)
            .saturating_add(self.removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_reads_back_and_what_is_not_there_is_left_out() {
        let diff = Diff {
            changes: vec![Change {
                path: ByteText(b"/tmp/\xff".to_vec()),
                kind: ChangeKind::Removed,
                what: vec![],
                file_type: "regular".into(),
                size_before: Some(3),
                size: None,
            }],
            removed: 1,
            ..Diff::default()
        };
        let text = serde_json::to_string(&diff).expect("plain");
        assert!(
            !text.contains("snapshot") && !text.contains("what"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Diff>(&text).expect(&text), diff);
        assert_eq!(diff.count(), 1);
    }
}
