//! `/v1/sandboxes/{sandbox}/diff`.

use super::Api;
use super::reply::{Answer, Json};
use crate::diff::{Aspect as InnerAspect, Change as InnerChange, Kind};
use crate::sandbox::Against;
use axum::extract::{Path, State};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::ByteText;
use banger_proto::owner::diff::{Aspect, Change, ChangeKind, Diff, DiffRequest};

/// Which files of a sandbox were added, changed and removed since its image, one of its snapshots, or its origin: read
/// from its disks, whatever is in it. A guest that runs stands still meanwhile, for five seconds at most.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/diff", request_body = DiffRequest, params(("sandbox" = String, Path)),
    responses((status = 200, body = Diff), (status = 404, body = Fault), (status = 409, body = Fault), (status = 504, body = Fault)))]
pub(super) async fn diff(
    State(api): State<Api>,
    Path(name): Path<String>,
    Json(request): Json<DiffRequest>,
) -> Answer<Diff> {
    let supervisor = &api.supervisor;
    let sandbox = supervisor.services.registry.find(&name)?;
    let snapshot = request.snapshot.as_ref().map(ToString::to_string);
    let found = match (request.origin, request.snapshot) {
        (true, Some(_)) => {
            let message = "it is compared with a snapshot or with its origin, not with both";
            return Err(Fault::new(FaultCode::BadRequest, message)
                .with_remedy("leave one out")
                .into());
        }
        (true, None) => supervisor.diff_from_origin(&sandbox).await?,
        (false, Some(tag)) => supervisor.diff(&sandbox, Against::Snapshot(tag)).await?,
        (false, None) => supervisor.diff(&sandbox, Against::Image).await?,
    };
    let [added, changed, removed] = found.changes.counts;
    let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(0);
    Ok(axum::Json(Diff {
        snapshot,
        changes: found.changes.listed.into_iter().map(shown).collect(),
        added,
        changed,
        removed,
        paused_ms: found.paused.map(milliseconds),
        synced: found.is_synced,
    }))
}

fn shown(change: InnerChange) -> Change {
    let file_type = match change.mode & 0o170_000 {
        0o100_000 => "regular",
        0o040_000 => "directory",
        0o120_000 => "symlink",
        _ => "other",
    };
    Change {
        path: ByteText(change.path),
        kind: match change.kind {
            Kind::Added => ChangeKind::Added,
            Kind::Changed => ChangeKind::Changed,
            Kind::Removed => ChangeKind::Removed,
        },
        what: change.what.into_iter().map(aspect).collect(),
        file_type: file_type.into(),
        size_before: change.size_before,
        size: change.size,
    }
}

const fn aspect(aspect: InnerAspect) -> Aspect {
    match aspect {
        InnerAspect::Type => Aspect::Type,
        InnerAspect::Content => Aspect::Content,
        InnerAspect::Target => Aspect::Target,
        InnerAspect::Device => Aspect::Device,
        InnerAspect::Mode => Aspect::Mode,
        InnerAspect::Owner => Aspect::Owner,
        InnerAspect::Attributes => Aspect::Attributes,
    }
}
