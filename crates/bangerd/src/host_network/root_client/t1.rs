use super::*;
use banger_proto::fault::Fault;
use banger_proto::fault::FaultCode;
use banger_proto::root::Refusal;
use rustix::net::{accept, bind, listen};
use std::thread::JoinHandle;

/// A helper that takes one request and answers with these bytes; nothing: it hangs up.
fn helper(
    directory: &Path,
    answer: impl FnOnce(&[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> (RootClient, JoinHandle<()>) {
    let path = directory.join("root.sock");
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&socket, 4).unwrap();
    let serving = std::thread::spawn(move || {
        let connection = accept(&socket).unwrap();
        let mut request = vec![0; PACKET_MAX];
        let (count, _) = recv(&connection, &mut request[..], RecvFlags::empty()).unwrap();
        if let Some(answer) = answer(&request[..count]) {
            sockopt::set_socket_send_buffer_size(&connection, SEND_BUFFER).unwrap();
            send(&connection, &answer, SendFlags::NOSIGNAL).unwrap();
        }
    });
    (RootClient::new(&path), serving)
}

fn op() -> OpId {
    "op-abc123".parse().unwrap()
}

fn reply(outcome: Outcome) -> Vec<u8> {
    let reply = Reply {
        version: "1".into(),
        op: None,
        outcome,
    };
    reply.encode().unwrap()
}

#[tokio::test]
async fn it_asks_in_one_packet_and_gives_what_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let (client, serving) = helper(directory.path(), |request| {
        let request = Request::decode(request).unwrap();
        assert_eq!((request.op, request.verb), (op(), Verb::Ping {}));
        assert_eq!(request.version, env!("CARGO_PKG_VERSION"));
        Some(reply(Outcome::Done(Answer::Pong {})))
    });
    assert_eq!(
        client.ask(op(), Verb::Ping {}).await.unwrap(),
        Answer::Pong {}
    );
    serving.join().unwrap();
}

#[tokio::test]
async fn refusals_and_failures_keep_their_kind_and_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let refusal = || Refusal::Version {
        helper: "1".into(),
        request: "2".into(),
    };
    let (client, serving) = helper(directory.path(), move |_| {
        Some(reply(Outcome::Refused(refusal())))
    });
    let error = client.ask(op(), Verb::Ping {}).await.unwrap_err();
    assert_eq!(Fault::from(error).code, FaultCode::Version);
    serving.join().unwrap();

    let directory = tempfile::tempdir().unwrap();
    let fault = || Fault::new(FaultCode::Conflict, "no room").with_remedy("make some");
    let (client, serving) = helper(directory.path(), move |_| {
        Some(reply(Outcome::Failed(fault())))
    });
    let told = Fault::from(client.ask(op(), Verb::Ping {}).await.unwrap_err());
    assert_eq!(told.code, FaultCode::Conflict);
    assert_eq!(told.remedy.as_deref(), Some("make some"));
    serving.join().unwrap();
}

#[tokio::test]
async fn garbage_too_much_of_it_and_nothing_are_told_apart() {
    let answers: [(Option<Vec<u8>>, &str); 3] = [
        (Some(b"garbage".to_vec()), "makes no sense"),
        (Some(vec![b'x'; PACKET_MAX + 1]), "makes no sense"),
        (None, "without an answer"),
    ];
    for (answer, why) in answers {
        let directory = tempfile::tempdir().unwrap();
        let (client, serving) = helper(directory.path(), move |_| answer);
        let error = client.ask(op(), Verb::Ping {}).await.unwrap_err();
        assert!(
            error.to_string().contains(why) || source(&error).contains(why),
            "{error:?}"
        );
        serving.join().unwrap();
    }
}

fn source(error: &HostError) -> String {
    std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[tokio::test]
async fn a_helper_that_is_not_there_is_unavailable() {
    let directory = tempfile::tempdir().unwrap();
    let client = RootClient::new(&directory.path().join("nobody.sock"));
    let fault = Fault::from(client.ask(op(), Verb::Ping {}).await.unwrap_err());
    assert_eq!(fault.code, FaultCode::Unavailable);
}

#[tokio::test]
async fn who_stops_waiting_hangs_up() {
    let directory = tempfile::tempdir().unwrap();
    let (told, waits) = std::sync::mpsc::channel();
    let path = directory.path().join("root.sock");
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&socket, 4).unwrap();
    let serving = std::thread::spawn(move || {
        let connection = accept(&socket).unwrap();
        let mut request = vec![0; PACKET_MAX];
        recv(&connection, &mut request[..], RecvFlags::empty()).unwrap();
        told.send(()).unwrap();
        // The end of the connection.
        let (count, _) = recv(&connection, &mut request[..], RecvFlags::empty()).unwrap();
        assert_eq!(count, 0);
    });
    let client = RootClient::new(&path);
    let waiting = tokio::spawn(async move { client.ask(op(), Verb::Ping {}).await.map(drop) });
    tokio::task::spawn_blocking(move || waits.recv().unwrap())
        .await
        .unwrap();
    waiting.abort();
    tokio::task::spawn_blocking(move || serving.join().unwrap())
        .await
        .unwrap();
}
