//! Files of a made-up guest: a directory of the test's.

use super::routes::{Reply, fault, json_reply, reply};
use super::{Shared, lock};
use banger_proto::fault::FaultCode;
use banger_proto::owner::ByteText;
use banger_proto::owner::file::{
    DirectoryRequest, Entries, Entry, FILE_HEADER, FileStat, ListRequest, PathRequest, PutRequest,
    SymlinkRequest,
};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::json;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

pub async fn route(state: &Shared, request: Request<Incoming>) -> Reply {
    let root = lock(state).guest_root.clone();
    let verb = request
        .uri()
        .path()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let header = request.headers().get(FILE_HEADER).cloned();
    let Ok(body) = request.into_body().collect().await else {
        return fault(FaultCode::Cancelled, "the body broke");
    };
    let body = body.to_bytes();
    let at = |path: &ByteText| place(&root, path);
    match verb.as_str() {
        "stat" => {
            let request: PathRequest = serde_json::from_slice(&body).expect("a path");
            match stat(&at(&request.path)) {
                Some(stat) => json_reply(&json!(stat)),
                None => fault(FaultCode::NotFound, "no such file"),
            }
        }
        "list" => list(&root, &serde_json::from_slice(&body).expect("a list")),
        "directory" => {
            let request: DirectoryRequest = serde_json::from_slice(&body).expect("a directory");
            let path = at(&request.path);
            let _there = std::fs::create_dir(&path);
            set_mode(&path, request.mode);
            json_reply(&json!(null))
        }
        "symlink" => {
            let request: SymlinkRequest = serde_json::from_slice(&body).expect("a link");
            let target = OsStr::from_bytes(&request.target.0);
            symlink(target, at(&request.path)).expect("linked");
            json_reply(&json!(null))
        }
        "get" => {
            let request: PathRequest = serde_json::from_slice(&body).expect("a path");
            let path = at(&request.path);
            let Some(stat) = stat(&path) else {
                return fault(FaultCode::NotFound, "no such file");
            };
            let mut answer = reply(200, std::fs::read(&path).expect("readable"));
            let text = serde_json::to_string(&stat).expect("plain");
            answer
                .headers_mut()
                .insert(FILE_HEADER, text.parse().expect("a header"));
            answer
        }
        _ => {
            let header = header.expect("a header");
            let request: PutRequest = serde_json::from_slice(header.as_bytes()).expect("a put");
            let path = at(&request.path);
            std::fs::write(&path, &body).expect("written");
            set_mode(&path, request.mode);
            if let Some(seconds) = request.modified {
                let seconds = u64::try_from(seconds).expect("after 1970");
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
                let file = std::fs::File::options()
                    .write(true)
                    .open(&path)
                    .expect("open");
                file.set_modified(time).expect("set");
            }
            json_reply(&json!(null))
        }
    }
}

fn place(root: &Path, path: &ByteText) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(&path.0));
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
}

fn stat(path: &Path) -> Option<FileStat> {
    let found = path.symlink_metadata().ok()?;
    let (file_type, target) = if found.is_symlink() {
        let target = path.read_link().ok()?;
        ("symlink", ByteText(target.as_os_str().as_bytes().to_vec()))
    } else if found.is_dir() {
        ("directory", ByteText::default())
    } else {
        ("regular", ByteText::default())
    };
    Some(FileStat {
        file_type: file_type.into(),
        mode: found.mode() & 0o7777,
        size: found.len(),
        modified: found.mtime(),
        target,
    })
}

/// Two entries at a time, so that lists have parts. A directory called `hostile` lies.
fn list(root: &Path, request: &ListRequest) -> Reply {
    let path = place(root, &request.path);
    if path.ends_with("hostile") {
        let name = ByteText::from("../escaped");
        let stat = stat(root).expect("there");
        let entries = vec![Entry { name, stat }];
        return json_reply(&json!(Entries {
            entries,
            more: false
        }));
    }
    let mut entries: Vec<Entry> = std::fs::read_dir(&path)
        .expect("directory")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = ByteText(entry.file_name().as_bytes().to_vec());
            let stat = stat(&entry.path())?;
            (name > request.after).then_some(Entry { name, stat })
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let more = entries.len() > 2;
    entries.truncate(2);
    json_reply(&json!(Entries { entries, more }))
}
