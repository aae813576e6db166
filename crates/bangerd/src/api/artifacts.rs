//! `/v1/images` and `/v1/kernels`.

use super::Api;
use super::operations::{begin, known};
use super::reply::{Answer, Json, Op, Refused};
use super::sent::Sent;
use crate::kernels::KernelError;
use crate::operation::{Asked, Entry, Subject};
use crate::services::blocking;
use crate::supervise::{Made, source_of};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use banger_model::{ArtifactName, Spec};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::artifact::{Image, Kernel, KernelImport};
use serde::Deserialize;

fn named(name: &str) -> Result<ArtifactName, Fault> {
    name.parse()
        .map_err(|error| Fault::new(FaultCode::BadRequest, error))
}

/// Names of the sandboxes whose spec names the thing.
fn users(api: &Api, uses: impl Fn(&Spec) -> bool) -> Vec<String> {
    let all = api.supervisor.services.registry.all();
    let records = all.iter().map(|sandbox| sandbox.record());
    records
        .filter(|record| uses(&record.spec))
        .map(|record| record.name.to_string())
        .collect()
}

pub(super) fn show_image(api: &Api, image: crate::images::Image) -> Image {
    let manifest = image.manifest;
    let config = &api.supervisor.services.config;
    Image {
        used_by: users(api, |spec| spec.image.value == manifest.name),
        default: config.default_image.0 == manifest.name,
        name: manifest.name.to_string(),
        sha256: manifest.sha256,
        origin: manifest.origin,
        architecture: manifest.architecture,
        init: manifest.init,
        disk_used: crate::host::used(&image.disk),
        created_at: manifest.created,
    }
}

pub(super) fn show_kernel(api: &Api, kernel: crate::kernels::Kernel) -> Kernel {
    let manifest = kernel.manifest;
    let config = &api.supervisor.services.config;
    Kernel {
        used_by: users(api, |spec| spec.kernel.value == manifest.name),
        default: config.default_kernel.0 == manifest.name,
        name: manifest.name.to_string(),
        version: manifest.version,
        sha256: manifest.sha256,
        origin: manifest.origin,
        architecture: manifest.architecture,
        modules: kernel.modules_disk.is_some(),
        imported_at: manifest.imported,
    }
}

/// All images.
#[utoipa::path(get, path = "/v1/images", responses((status = 200, body = Vec<Image>)))]
pub(super) async fn images(State(api): State<Api>) -> Answer<Vec<Image>> {
    let store = api.supervisor.services.images.clone();
    let all = blocking(move || store.list().map_err(Fault::from)).await?;
    Ok(axum::Json(
        all.into_iter()
            .map(|image| show_image(&api, image))
            .collect(),
    ))
}

/// One image.
#[utoipa::path(get, path = "/v1/images/{name}", params(("name" = String, Path)),
    responses((status = 200, body = Image), (status = 404, body = Fault)))]
pub(super) async fn image(State(api): State<Api>, Path(name): Path<String>) -> Answer<Image> {
    let (store, name) = (api.supervisor.services.images.clone(), named(&name)?);
    let image = blocking(move || store.get(&name).map_err(Fault::from)).await?;
    Ok(axum::Json(show_image(&api, image)))
}

/// Where an image comes from.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct OriginQuery {
    /// In words, for people; kept in the image's manifest.
    origin: Option<String>,
}

/// Makes an image of a root file system tar, plain or compressed, that is the body.
#[utoipa::path(put, path = "/v1/images/{name}", params(("name" = String, Path), OriginQuery),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 400, body = Fault)))]
pub(super) async fn import_image(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Query(query): Query<OriginQuery>,
    body: Body,
) -> Result<Response, Refused> {
    if let Some(known) = known(&api, op).await? {
        return Ok(known);
    }
    let name = named(&name)?;
    let store = api.supervisor.services.images.clone();
    let origin = query.origin.unwrap_or_else(|| "an uploaded tar".into());
    require_free_image(&api, &name)?;
    let sent = Sent::begin(body).await;
    let entry = Entry::new(op, Subject::artifact(&name), Asked::ImageImport);
    begin(&api, entry, move |going| async move {
        let progress = going.progress.clone();
        let importing = sent.read(&going, move |tar| {
            let imported = store.import(&name, tar, &origin, &progress);
            imported.map_err(Fault::from)
        });
        Ok(Made::Image(Box::new(importing.await?)))
    })
    .await
}

fn require_free_image(api: &Api, name: &ArtifactName) -> Result<(), Fault> {
    if api.supervisor.services.images.get(name).is_err() {
        return Ok(());
    }
    let message = format!("there is an image {name} already");
    Err(
        Fault::new(FaultCode::Conflict, message).with_remedy(format!(
            "choose another name, or `banger image delete {name}`"
        )),
    )
}

/// Makes an image of the host's own distribution. Who asks while it is made waits for it.
#[utoipa::path(post, path = "/v1/images/{name}/bootstrap", params(("name" = String, Path)),
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 400, body = Fault)))]
pub(super) async fn bootstrap_image(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
) -> Result<Response, Refused> {
    if let Some(known) = known(&api, op).await? {
        return Ok(known);
    }
    let name = named(&name)?;
    require_free_image(&api, &name)?;
    let supervisor = api.supervisor.clone();
    let entry = Entry::new(op, Subject::artifact(&name), Asked::ImageMake);
    begin(&api, entry, move |going| async move {
        supervisor.make_image(name, &going).await
    })
    .await
}

fn refuse_used(what: &str, users: &[String]) -> Result<(), Fault> {
    if users.is_empty() {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::Conflict,
        format!("{what} is used by: {}", users.join(", ")),
    )
    .with_remedy(format!(
        "delete them first: `banger vm rm {}`",
        users.join(" ")
    )))
}

/// Deletes an image that no sandbox uses.
#[utoipa::path(delete, path = "/v1/images/{name}", params(("name" = String, Path)),
    responses((status = 200), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn delete_image(State(api): State<Api>, Path(name): Path<String>) -> Answer<()> {
    let name = named(&name)?;
    refuse_used(
        &format!("the image {name}"),
        &users(&api, |spec| spec.image.value == name),
    )?;
    let store = api.supervisor.services.images.clone();
    blocking(move || store.delete(&name).map_err(Fault::from)).await?;
    Ok(axum::Json(()))
}

/// All kernels.
#[utoipa::path(get, path = "/v1/kernels", responses((status = 200, body = Vec<Kernel>)))]
pub(super) async fn kernels(State(api): State<Api>) -> Answer<Vec<Kernel>> {
    let store = api.supervisor.services.kernels.clone();
    let all = blocking(move || store.list().map_err(Fault::from)).await?;
    Ok(axum::Json(
        all.into_iter()
            .map(|kernel| show_kernel(&api, kernel))
            .collect(),
    ))
}

/// One kernel.
#[utoipa::path(get, path = "/v1/kernels/{name}", params(("name" = String, Path)),
    responses((status = 200, body = Kernel), (status = 404, body = Fault)))]
pub(super) async fn kernel(State(api): State<Api>, Path(name): Path<String>) -> Answer<Kernel> {
    let (store, name) = (api.supervisor.services.kernels.clone(), named(&name)?);
    let kernel = blocking(move || store.get(&name).map_err(Fault::from)).await?;
    Ok(axum::Json(show_kernel(&api, kernel)))
}

/// Takes a kernel in.
#[utoipa::path(post, path = "/v1/kernels/{name}", params(("name" = String, Path)), request_body = KernelImport,
    responses((status = 200, description = "events", content_type = "application/x-ndjson"), (status = 400, body = Fault)))]
pub(super) async fn import_kernel(
    State(api): State<Api>,
    Op(op): Op,
    Path(name): Path<String>,
    Json(import): Json<Option<KernelImport>>,
) -> Result<Response, Refused> {
    if let Some(known) = known(&api, op).await? {
        return Ok(known);
    }
    let name = named(&name)?;
    if api.supervisor.services.kernels.get(&name).is_ok() {
        return Err(Fault::from(KernelError::Exists(name)).into());
    }
    let from = import.unwrap_or(KernelImport::Default);
    source_of(from.clone())?;
    let supervisor = api.supervisor.clone();
    let asked = Asked::KernelImport { from: from.clone() };
    let entry = Entry::new(op, Subject::artifact(&name), asked);
    begin(&api, entry, move |going| async move {
        supervisor.import_kernel(name, from, &going).await
    })
    .await
}

/// Deletes a kernel that no sandbox uses.
#[utoipa::path(delete, path = "/v1/kernels/{name}", params(("name" = String, Path)),
    responses((status = 200), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn delete_kernel(State(api): State<Api>, Path(name): Path<String>) -> Answer<()> {
    let name = named(&name)?;
    refuse_used(
        &format!("the kernel {name}"),
        &users(&api, |spec| spec.kernel.value == name),
    )?;
    let store = api.supervisor.services.kernels.clone();
    blocking(move || store.delete(&name).map_err(Fault::from)).await?;
    Ok(axum::Json(()))
}
