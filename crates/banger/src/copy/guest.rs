//! Files of a guest through the daemon.

use crate::client::request::{Ask, Unanswered, streamed};
use crate::client::{Client, path};
use crate::upload;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::ByteText;
use banger_proto::owner::file::{
    DirectoryRequest, Entries, Entry, FILE_HEADER, FileStat, ListRequest, PathRequest, PutRequest,
    SymlinkRequest,
};
use hyper::body::Incoming;
use hyper::{Method, Response};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::fmt::Write;
use std::io::Read;

use super::target::Found;

/// The longest body, in bytes, that is sent without being asked for: it fits a socket's buffer, so
/// that nothing breaks when it is refused.
const SHORT: u64 = 64 * 1024;

/// The files of one sandbox.
pub struct GuestFiles<'a> {
    client: &'a Client,
    reference: &'a str,
}

impl<'a> GuestFiles<'a> {
    /// Of that sandbox.
    #[must_use]
    pub const fn of(client: &'a Client, reference: &'a str) -> Self {
        Self { client, reference }
    }

    fn route(&self, rest: &str) -> String {
        path::sandbox(self.reference, &format!("/files{rest}"))
    }

    /// Describes a file without following a last link.
    ///
    /// # Errors
    /// The daemon's fault; `not_found` where there is none.
    pub async fn stat(&self, path: &[u8]) -> Result<FileStat, Fault> {
        let request = PathRequest { path: path.into() };
        self.client.post(self.route("/stat"), &request).await
    }

    /// What is there, a last link followed to a directory.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn found(&self, path: &[u8]) -> Result<Found, Fault> {
        let stat = match self.stat(path).await {
            Err(fault) if fault.code == FaultCode::NotFound => return Ok(Found::Nothing),
            stat => stat?,
        };
        if stat.file_type == "symlink" {
            // A dot behind it makes the guest's kernel follow the link.
            let behind = self.stat(&super::target::join(path, b".")).await;
            let directory = behind.is_ok_and(|stat| stat.file_type == "directory");
            return Ok(if directory {
                Found::Directory
            } else {
                Found::File
            });
        }
        Ok(match stat.file_type.as_str() {
            "directory" => Found::Directory,
            _ => Found::File,
        })
    }

    /// All entries of a directory, in parts.
    ///
    /// # Errors
    /// The daemon's fault, or one when the guest's list does not go forward.
    pub async fn list(&self, path: &[u8], after: &ByteText) -> Result<(Vec<Entry>, bool), Fault> {
        let request = ListRequest {
            path: path.into(),
            after: after.clone(),
        };
        let part: Entries = self.client.post(self.route("/list"), &request).await?;
        let mut last = after;
        for entry in &part.entries {
            if !super::target::is_single_component(&entry.name.0) {
                return Err(Fault::new(
                    FaultCode::Guest,
                    format!("the guest sent {:?} as a name", entry.name.lossy()),
                ));
            }
            if entry.name <= *last {
                return Err(Fault::new(
                    FaultCode::Guest,
                    "the guest's list is out of order",
                ));
            }
            last = &entry.name;
        }
        let more = part.more && !part.entries.is_empty();
        Ok((part.entries, more))
    }

    /// Makes a directory; one that is there is a success.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn make_directory(&self, path: &[u8], mode: u32) -> Result<(), Fault> {
        let request = DirectoryRequest {
            path: path.into(),
            mode,
        };
        let done: Result<IgnoredAny, Fault> =
            self.client.post(self.route("/directory"), &request).await;
        done.map(drop)
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn make_symlink(&self, path: &[u8], target: &[u8]) -> Result<(), Fault> {
        let request = SymlinkRequest {
            path: path.into(),
            target: target.into(),
        };
        let done: Result<IgnoredAny, Fault> =
            self.client.post(self.route("/symlink"), &request).await;
        done.map(drop)
    }

    /// Opens a file to read it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn get(&self, path: &[u8]) -> Result<(FileStat, Incoming), Fault> {
        let request = PathRequest { path: path.into() };
        let ask = Ask::json(Method::POST, self.route("/get"), &request);
        let answer = self.client.open(ask).await?;
        Ok((stat_of(&answer)?, answer.into_body()))
    }

    /// Writes a file of about that length; it appears whole or not at all.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn put(
        &self,
        request: &PutRequest,
        source: impl Read + Send + 'static,
        length: u64,
    ) -> Result<(), Fault> {
        let mut ask = Ask::bare(Method::PUT, self.route(""));
        ask.headers = vec![
            (FILE_HEADER, ascii_json(request)),
            ("content-type", "application/octet-stream".into()),
        ];
        let parts = upload::parts(source);
        if length > SHORT {
            ask = ask.with_long_body(parts);
        } else {
            ask.body = streamed(parts);
        }
        self.client.json::<IgnoredAny>(ask).await.map(drop)
    }
}

fn stat_of(answer: &Response<Incoming>) -> Result<FileStat, Fault> {
    let header = answer.headers().get(FILE_HEADER);
    let stat = header.and_then(|header| serde_json::from_slice(header.as_bytes()).ok());
    stat.ok_or_else(|| Unanswered::Unreadable(format!("no {FILE_HEADER} header")).into())
}

/// JSON in ASCII alone, as a header wants it (RFC 9110 section 5.5).
fn ascii_json(content: &impl Serialize) -> String {
    let text = serde_json::to_string(content).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ' '..='~') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_fits_into_a_header_and_reads_back() {
        for path in ["/ü/日本/😀", "/a\u{7f}b\n", "plain"] {
            let request = PutRequest {
                path: path.into(),
                mode: 0o644,
                modified: Some(-1),
            };
            let header = ascii_json(&request);
            assert!(
                header.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{header}"
            );
            let read: PutRequest = serde_json::from_str(&header).expect("JSON");
            assert_eq!(read, request);
        }
    }
}
