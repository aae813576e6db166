//! The routes.

use super::{Creating, Shared, files, lock, sandbox, session};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::exec::SUBPROTOCOL;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

pub type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

pub fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Response::builder()
        .status(status)
        .body(Full::new(body.into()).boxed_unsync())
        .expect("a reply")
}

pub fn json_reply(content: &Value) -> Reply {
    reply(200, content.to_string())
}

pub fn fault(code: FaultCode, message: &str) -> Reply {
    let fault = Fault::new(code, message)
        .with_remedy("do better")
        .with_op("op-fault1");
    reply(
        code.http_status(),
        serde_json::to_vec(&fault).expect("plain"),
    )
}

fn events(all: &[Value]) -> Reply {
    let lines: String = all.iter().map(|event| format!("{event}\n")).collect();
    reply(200, lines)
}

type Part = Result<Frame<Bytes>, Infallible>;

fn parts(all: &[Value]) -> Vec<Part> {
    let line = |event: &Value| Ok(Frame::data(format!("{event}\n").into()));
    all.iter().map(line).collect()
}

/// Events of an operation that does not end.
fn endless(all: &[Value]) -> Reply {
    let body = stream::iter(parts(all)).chain(stream::pending());
    Response::new(StreamBody::new(body).boxed_unsync())
}

/// Events, the last of them when the test says so.
fn later(all: &[Value], go_on: Arc<Notify>, last: &Value) -> Reply {
    let mut last = parts(std::slice::from_ref(last));
    let rest = stream::once(async move {
        go_on.notified().await;
        last.remove(0)
    });
    let body = stream::iter(parts(all)).chain(rest);
    Response::new(StreamBody::new(body).boxed_unsync())
}

pub async fn route(state: &Shared, request: Request<Incoming>) -> Reply {
    let target = request
        .uri()
        .path_and_query()
        .map_or("", |p| p.as_str())
        .to_owned();
    let line = format!("{} {target}", request.method());
    lock(state).requests.push(line.clone());
    if line.ends_with("/exec") {
        return exec(state, request);
    }
    if target.contains("/files") {
        return files::route(state, request).await;
    }
    if target.contains("/images/taken") {
        return fault(FaultCode::Conflict, "there is an image of that name");
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes().to_vec());
    lock(state).bodies.push(body.unwrap_or_default());
    let words: Vec<&str> = target.split(['/', '?']).skip(2).collect();
    let method = line.split(' ').next().unwrap_or_default();
    match (method, words.as_slice()) {
        ("GET", ["version"]) => json_reply(&lock(state).version),
        ("GET", ["sandboxes"]) => json_reply(&Value::from(lock(state).sandboxes.clone())),
        ("GET", ["defaults"]) => json_reply(&defaults()),
        ("GET", ["doctor"]) => json_reply(&json!([
            {"name": "qemu", "verdict": "pass", "found": "version 9"},
            {"name": "kvm", "verdict": "fail", "found": "none", "remedy": "load it"}])),
        ("POST", ["sandboxes"]) => create(state),
        ("POST", ["daemon", "stop"]) => stop(state),
        ("PUT" | "POST", ["images" | "kernels", ..]) => {
            events(&[json!({"event": "done", "result": artifact(&words)})])
        }
        (_, ["sandboxes", reference, rest @ ..]) => one(state, method, reference, rest),
        _ => fault(FaultCode::NotFound, "no such route"),
    }
}

fn stop(state: &Shared) -> Reply {
    let busy = lock(state)
        .sandboxes
        .iter()
        .any(|s| s["state"] == "running");
    let if_idle = lock(state)
        .bodies
        .last()
        .is_some_and(|body| body.ends_with(b"true}"));
    if busy && if_idle {
        return fault(FaultCode::Refused, "1 sandbox runs");
    }
    if let Some(stop) = lock(state).stop.take() {
        let _ended = stop.send(());
    }
    json_reply(&json!(null))
}

fn artifact(words: &[&str]) -> Value {
    json!({"name": words.get(1), "sha256": "00", "origin": "test", "architecture": "x86_64",
        "init": null, "disk_used": 1, "created_at": 0, "imported_at": 0, "used_by": [],
        "default": false, "version": "6.12", "modules": true})
}

fn defaults() -> Value {
    let sandbox = sandbox('a', "x", "running");
    let keys = [
        "image",
        "kernel",
        "vcpu",
        "memory_mib",
        "disk_mib",
        "system_disk_mib",
    ];
    keys.iter()
        .map(|key| ((*key).to_owned(), sandbox[key].clone()))
        .collect()
}

fn create(state: &Shared) -> Reply {
    let id = "c".repeat(32);
    let accepted = json!({"event": "accepted", "op": "op-create", "sandbox": id});
    let stage = json!({"event": "stage", "text": "starting the guest"});
    let creating = lock(state).creating;
    lock(state).sandboxes.push(sandbox('c', "new", "running"));
    match creating {
        Creating::Works => {
            let made = sandbox('c', "new", "running");
            events(&[accepted, stage, json!({"event": "done", "result": made})])
        }
        Creating::WaitsUnnamed => {
            let go_on = lock(state).go_on.clone();
            let unnamed = json!({"event": "accepted", "op": "op-create"});
            let made = json!({"event": "done", "result": sandbox('c', "new", "running")});
            later(&[unnamed, stage], go_on, &made)
        }
        Creating::Hangs => endless(&[accepted, stage]),
        Creating::Fails => {
            let fault = Fault::new(FaultCode::Guest, "the guest did not come up within 60 s");
            events(&[accepted, stage, json!({"event": "failed", "fault": fault})])
        }
    }
}

fn one(state: &Shared, method: &str, reference: &str, rest: &[&str]) -> Reply {
    let all = lock(state).sandboxes.clone();
    let matches = |s: &&Value| {
        s["name"] == reference || s["id"].as_str().is_some_and(|id| id.starts_with(reference))
    };
    let Some(found) = all.iter().find(matches) else {
        return fault(
            FaultCode::NotFound,
            &format!("there is no sandbox {reference:?}"),
        );
    };
    match (method, rest) {
        ("GET", []) => json_reply(found),
        ("DELETE", []) | ("POST", ["prune"]) => {
            lock(state).sandboxes.retain(|s| s["id"] != found["id"]);
            events(&[json!({"event": "done", "result": null})])
        }
        ("POST", ["start" | "stop" | "restart" | "kill" | "set"]) => events(&[
            json!({"event": "accepted", "op": "op-1"}),
            json!({"event": "done", "result": found}),
        ]),
        // The machine keeps none.
        ("POST", ["checkpoints"]) => json_reply(&Value::Null),
        ("GET", ["logs", _]) => reply(200, "booting\r\n\x1b]0;evil\x07\n"),
        ("GET", ["ports"]) => json_reply(&json!([
            {"protocol": "tcp", "address": "0.0.0.0", "port": 80, "pid": 5, "process": "web"}])),
        _ => fault(FaultCode::NotFound, "no such route"),
    }
}

fn exec(state: &Shared, request: Request<Incoming>) -> Reply {
    if request.uri().path().contains("/missing/") {
        return fault(FaultCode::NotFound, "there is no sandbox \"missing\"");
    }
    let key = request.headers()["sec-websocket-key"].as_bytes().to_vec();
    tokio::spawn(session::serve(state.clone(), hyper::upgrade::on(request)));
    Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", derive_accept_key(&key))
        .header("sec-websocket-protocol", SUBPROTOCOL)
        .body(Full::default().boxed_unsync())
        .expect("a reply")
}
