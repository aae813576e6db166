//! `/v1/sandboxes/{sandbox}/files`: see [`banger_proto::owner::file`].

use super::Api;
use super::reply::{Answer, Refused, about_file, parse};
use super::sandboxes::{ask, nonsense};
use crate::guest::stream::CallError;
use crate::guest::{Incoming, Stream};
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::flow::{Inbox, Outbox};
use banger_proto::guest::message::{self, Call, FileType, STDIN, STDOUT};
use banger_proto::owner::ByteText;
use banger_proto::owner::file::{
    DirectoryRequest, Entries, Entry, FILE_HEADER, FileStat, ListRequest, PathRequest, PutRequest,
    SymlinkRequest,
};
use futures_util::{StreamExt, stream};
use std::time::Duration;

/// How long the agent may take to begin with a file, and to sync one.
const FILE_LIMIT: Duration = Duration::from_secs(120);

fn shown(stat: message::FileStat) -> FileStat {
    let file_type = match stat.file_type {
        FileType::Regular => "regular",
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::Other => "other",
    };
    FileStat {
        file_type: file_type.into(),
        mode: stat.mode & 0o7777,
        size: stat.size,
        modified: stat.modified,
        target: ByteText(stat.target),
    }
}

/// Describes a file.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/stat", request_body = PathRequest, params(("sandbox" = String, Path)),
    responses((status = 200, body = FileStat), (status = 404, body = Fault)))]
pub(super) async fn stat(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer<FileStat> {
    let request: PathRequest = parse(&body)?;
    match ask(&api, &name, &Call::Stat(request.path.0)).await? {
        message::Answer::File(stat) => Ok(axum::Json(shown(stat))),
        _ => Err(nonsense()),
    }
}

/// Lists a directory, a part at a time.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/list", request_body = ListRequest, params(("sandbox" = String, Path)),
    responses((status = 200, body = Entries), (status = 404, body = Fault)))]
pub(super) async fn list(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer<Entries> {
    let request: ListRequest = parse(&body)?;
    let call = Call::ListDirectory {
        path: request.path.0,
        after: request.after.0,
    };
    match ask(&api, &name, &call).await? {
        message::Answer::Entries { entries, more } => {
            if entries.len() > message::MAX_LIST || !entries.iter().all(|e| is_component(&e.name)) {
                return Err(CallError::Nonsense("a directory entry that cannot be").into());
            }
            let shown = |entry: message::Entry| Entry {
                name: ByteText(entry.name),
                stat: shown(entry.stat),
            };
            Ok(axum::Json(Entries {
                entries: entries.into_iter().map(shown).collect(),
                more,
            }))
        }
        _ => Err(nonsense()),
    }
}

/// Whether a name that came from a guest is one component of a path and nothing else.
fn is_component(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

/// Makes a directory.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/directory", request_body = DirectoryRequest, params(("sandbox" = String, Path)),
    responses((status = 200), (status = 404, body = Fault)))]
pub(super) async fn directory(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer<()> {
    let request: DirectoryRequest = parse(&body)?;
    let call = Call::MakeDirectory {
        path: request.path.0,
        mode: request.mode,
    };
    done(&ask(&api, &name, &call).await?)
}

/// Makes a symbolic link.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/symlink", request_body = SymlinkRequest, params(("sandbox" = String, Path)),
    responses((status = 200), (status = 404, body = Fault)))]
pub(super) async fn symlink(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Answer<()> {
    let request: SymlinkRequest = parse(&body)?;
    let call = Call::MakeSymlink {
        path: request.path.0,
        target: request.target.0,
    };
    done(&ask(&api, &name, &call).await?)
}

fn done(answer: &message::Answer) -> Answer<()> {
    match answer {
        message::Answer::Done => Ok(axum::Json(())),
        _ => Err(nonsense()),
    }
}

/// Reads a file: its description is in the header `banger-file`, its bytes are the body.
#[utoipa::path(post, path = "/v1/sandboxes/{sandbox}/files/get", request_body = PathRequest, params(("sandbox" = String, Path)),
    responses((status = 200, description = "the bytes"), (status = 404, body = Fault)))]
pub(super) async fn get(
    State(api): State<Api>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let request: PathRequest = parse(&body)?;
    let path = request.path.0;
    Ok(about_file(get_file(&api, &name, &path).await, path))
}

async fn get_file(api: &Api, name: &str, path: &[u8]) -> Result<Response, Refused> {
    let link = api.supervisor.services.registry.find(name)?.guest().await?;
    let stream = link.open(&Call::Get(path.to_owned())).await?;
    let mut inbox = Inbox::default();
    stream
        .begin(inbox.first_credit(STDOUT))
        .await
        .map_err(CallError::Lost)?;
    let message::Answer::File(stat) = stream.answer(FILE_LIMIT).await? else {
        return Err(nonsense());
    };
    let header = serde_json::to_vec(&shown(stat)).unwrap_or_default();
    let mut response = Response::new(Body::from_stream(bytes_of(stream, inbox)));
    let header = HeaderValue::from_bytes(&header)
        .map_err(|error| Fault::from_error(FaultCode::Failed, &error))?;
    response.headers_mut().insert(FILE_HEADER, header);
    Ok(response)
}

/// A file's bytes as they come; a broken link breaks the body off, so that no client takes a part for
/// the whole.
fn bytes_of(
    stream: Stream,
    inbox: Inbox,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold(Some((stream, inbox)), |state| async {
        let (stream, mut inbox) = state?;
        loop {
            match stream.next().await {
                Incoming::Data(STDOUT, bytes) => {
                    let next = inbox.receive(bytes.len()).map_err(std::io::Error::other);
                    inbox.consume(bytes.len());
                    if let Some(credit) = inbox.credit(STDOUT) {
                        let _shows_with_the_next = stream.credit(credit).await;
                    }
                    return Some((next.map(|()| bytes.into()), Some((stream, inbox))));
                }
                Incoming::End(STDOUT) => return None,
                // Of channels that a file has no use for.
                Incoming::Credit(_) | Incoming::End(_) => {}
                other => {
                    tracing::warn!("a file was broken off: {other:?}");
                    return Some((
                        Err(std::io::Error::other("the guest broke the file off")),
                        None,
                    ));
                }
            }
        }
    })
}

/// Writes a file, whole or not at all: its description is in the header `banger-file`.
#[utoipa::path(put, path = "/v1/sandboxes/{sandbox}/files", params(("sandbox" = String, Path)),
    responses((status = 200), (status = 400, body = Fault), (status = 404, body = Fault)))]
pub(super) async fn put(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let header = headers.get(FILE_HEADER).ok_or_else(|| {
        Fault::new(
            FaultCode::BadRequest,
            format!("the header {FILE_HEADER} is missing"),
        )
    })?;
    let request: PutRequest = parse(header.as_bytes())?;
    let path = request.path.0.clone();
    Ok(about_file(put_file(&api, &name, request, body).await, path))
}

async fn put_file(api: &Api, name: &str, request: PutRequest, body: Body) -> Answer<()> {
    let link = api.supervisor.services.registry.find(name)?.guest().await?;
    let call = Call::Put {
        path: request.path.0,
        mode: request.mode,
        modified: request.modified,
    };
    let stream = link.open(&call).await?;
    let mut body = body.into_data_stream();
    let sent = send_body(&stream, &mut body).await;
    if sent.is_err() {
        // A client that still sends would see a broken pipe instead of the reason.
        let rest = async { while let Some(Ok(_)) = body.next().await {} };
        let _too_long_or_gone = tokio::time::timeout(FILE_LIMIT, rest).await;
    }
    done(&sent?)
}

/// Sends a body to the agent and takes its answer.
async fn send_body(stream: &Stream, body: &mut BodyDataStream) -> Result<message::Answer, Refused> {
    let mut outbox = Outbox::default();
    while let Some(chunk) = body.next().await {
        // Dropping the stream before its end tells the agent to throw away what it has.
        let chunk = chunk.map_err(|error| Fault::from_error(FaultCode::BadRequest, &error))?;
        if let Some(early) = send_all(stream, &mut outbox, &chunk).await? {
            return Ok(early);
        }
    }
    outbox.end();
    if let Some(early) = send_all(stream, &mut outbox, &[]).await? {
        return Ok(early);
    }
    stream.end(STDIN).await.map_err(CallError::Lost)?;
    Ok(stream.answer(FILE_LIMIT).await?)
}

/// Sends bytes as the guest's credit allows; an answer that comes early ends it: the agent failed.
async fn send_all(
    stream: &Stream,
    outbox: &mut Outbox,
    mut bytes: &[u8],
) -> Result<Option<message::Answer>, Refused> {
    loop {
        let taken = outbox.push(bytes);
        bytes = bytes.get(taken..).unwrap_or_default();
        while let Some(part) = outbox.take(banger_proto::guest::frame::MAX_PAYLOAD - 1) {
            stream.data(STDIN, &part).await.map_err(CallError::Lost)?;
        }
        let all_sent = outbox.unsent() == 0;
        if bytes.is_empty() && all_sent {
            return Ok(None);
        }
        match tokio::time::timeout(FILE_LIMIT, stream.next()).await {
            Err(_) => return Err(CallError::TimedOut(FILE_LIMIT).into()),
            Ok(Incoming::Credit(credit)) => outbox
                .credit(credit.acked, credit.limit)
                .map_err(|_| CallError::Nonsense("credit for what was never sent"))?,
            Ok(Incoming::Answer(bytes)) => {
                let answer: Result<message::Answer, message::GuestFault> = message::decode(&bytes)
                    .map_err(|_| CallError::Nonsense("an answer that cannot be read"))?;
                return Ok(Some(answer.map_err(CallError::Guest)?));
            }
            Ok(Incoming::Closed(Some(reason))) => return Err(CallError::Lost(reason).into()),
            Ok(_) => return Err(CallError::Nonsense("something that is no credit").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_guest_is_one_component_or_refused() {
        assert!(is_component(b"a b") && is_component(b"...") && is_component(&[0xff]));
        for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b"] {
            assert!(!is_component(name), "{name:?}");
        }
    }
}
