mod t1 {
    use super::super::*;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::task::JoinHandle;

    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}}"#;
    const LIMIT: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    /// Says the first words, then for each line that comes the next of `replies`, in which ID is
    /// replaced by the command's id; then closes or, with `stay`, keeps silent. Gives the commands.
    fn script(
        mut stream: UnixStream,
        first: &'static str,
        replies: Vec<String>,
        stay: bool,
    ) -> JoinHandle<Vec<String>> {
        tokio::spawn(async move {
            let (read, mut write) = stream.split();
            let mut lines = BufReader::new(read).lines();
            let mut commands = Vec::new();
            let _ = write.write_all(format!("{first}\r\n").as_bytes()).await;
            for reply in replies {
                let Ok(Some(line)) = lines.next_line().await else {
                    return commands;
                };
                let command: Value = serde_json::from_str(&line).expect("a command is JSON");
                let text = reply.replace("ID", &command["id"].to_string());
                let name = command["execute"].as_str().expect("a name");
                let arguments = &command["arguments"];
                let is_bare = arguments.as_object().is_some_and(serde_json::Map::is_empty);
                let shown = if is_bare {
                    name.to_owned()
                } else {
                    format!("{name} {arguments}")
                };
                commands.push(shown);
                let _ = write.write_all(format!("{text}\r\n").as_bytes()).await;
            }
            if stay {
                let _ = lines.next_line().await;
                let _ = lines.next_line().await;
            }
            commands
        })
    }

    async fn scripted(
        replies: &[&str],
        stay: bool,
        limit: Duration,
    ) -> (Result<Qmp, QmpError>, JoinHandle<Vec<String>>) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let mut all = vec![r#"{"return": {}, "id": ID}"#.to_owned()];
        all.extend(replies.iter().map(|&reply| reply.to_owned()));
        let server = script(theirs, GREETING, all, stay);
        (Qmp::greet(ours, limit).await, server)
    }

    async fn connected(replies: &[&str]) -> (Qmp, JoinHandle<Vec<String>>) {
        let (qmp, server) = scripted(replies, false, LIMIT).await;
        (qmp.expect("greeted"), server)
    }

    #[tokio::test]
    async fn commands_are_given_in_order_and_events_are_passed_over() {
        let (mut qmp, server) = connected(&[
            "{\"event\": \"RESUME\", \"timestamp\": {}}\r\n\r\n{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": ID}",
            r#"{"return": {}, "id": ID}"#,
            r#"{"return": {}, "id": ID}"#,
            r#"{"return": {}, "id": ID}"#,
        ])
        .await;
        assert_eq!(qmp.version().number, (10, 0, 2));
        assert_eq!(
            qmp.query_status().await.expect("answered"),
            RunState::Running
        );
        qmp.cont().await.expect("goes on");
        qmp.system_powerdown().await.expect("pressed");
        qmp.quit().await.expect("ended");
        let expected = [
            "qmp_capabilities",
            "query-status",
            "cont",
            "system_powerdown",
            "quit",
        ];
        assert_eq!(server.await.expect("served"), expected);
    }

    #[tokio::test]
    async fn a_process_that_ends_before_its_answer_to_quit_has_ended() {
        let (qmp, _server) = connected(&[]).await;
        qmp.quit().await.expect("ended");
    }

    #[tokio::test]
    async fn a_disk_is_named_by_its_node_and_a_refusal_has_its_reason() {
        let (mut qmp, server) = connected(&[
            r#"{"return": {}, "id": ID}"#,
            r#"{"error": {"class": "GenericError", "desc": "Node is read-only"}, "id": ID}"#,
        ])
        .await;
        qmp.block_resize("banger-work", 9 << 30)
            .await
            .expect("grown");
        let refused = qmp.block_resize("banger-image", 512).await;
        let refused = refused.expect_err("refused").to_string();
        assert_eq!(refused, "qemu refused block_resize: Node is read-only");
        let said = server.await.expect("served");
        assert_eq!(
            said[1..],
            [
                r#"block_resize {"node-name":"banger-work","size":9663676416}"#,
                r#"block_resize {"node-name":"banger-image","size":512}"#,
            ]
        );
    }

    #[tokio::test]
    async fn what_saves_and_loads_a_guest_is_given_with_its_arguments() {
        let done = r#"{"return": {}, "id": ID}"#;
        let blocks = r#"{"return": "ram 4 KiB", "id": ID}"#;
        let (mut qmp, server) = connected(&[done, blocks, done, done]).await;
        qmp.stop().await.expect("halts");
        assert_eq!(qmp.ram_blocks().await.expect("told"), "ram 4 KiB");
        qmp.save_devices(Path::new("/a,b")).await.expect("saved");
        qmp.load_devices(Path::new("/a,b")).await.expect("begun");
        let said = server.await.expect("served");
        assert_eq!(
            said,
            [
                "qmp_capabilities",
                "stop",
                r#"human-monitor-command {"command-line":"info ramblock"}"#,
                r#"xen-save-devices-state {"filename":"/a,b","live":true}"#,
                r#"migrate-incoming {"channels":[{"addr":{"filename":"/a,b","offset":0,"transport":"file"},"channel-type":"main"}]}"#,
            ]
        );
    }

    #[tokio::test]
    async fn how_far_a_loading_is_is_read() {
        let cases = [
            ("{}", Loading::Underway),
            (r#"{"status": "setup"}"#, Loading::Underway),
            (r#"{"status": "active"}"#, Loading::Underway),
            (r#"{"status": "completed"}"#, Loading::Done),
            (
                r#"{"status": "failed", "error-desc": "no"}"#,
                Loading::Failed("no".into()),
            ),
            (
                r#"{"status": "cancelled"}"#,
                Loading::Failed("cancelled".into()),
            ),
        ];
        for (said, expected) in cases {
            let reply = format!(r#"{{"return": {said}, "id": ID}}"#);
            let (mut qmp, _server) = connected(&[&reply]).await;
            assert_eq!(qmp.loaded().await.expect("answered"), expected);
        }
        let (mut qmp, _server) = connected(&[r#"{"return": [], "id": ID}"#]).await;
        assert!(matches!(qmp.loaded().await, Err(QmpError::Strange(_))));
    }

    #[tokio::test]
    async fn a_path_that_json_cannot_say_is_refused_and_not_sent() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
        let (mut qmp, server) = connected(&[]).await;
        for refused in [qmp.save_devices(path).await, qmp.load_devices(path).await] {
            assert!(matches!(refused, Err(QmpError::NotText { .. })));
        }
        assert_eq!(server.await.expect("served"), ["qmp_capabilities"]);
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_qemus_words() {
        let (mut qmp, _server) =
            connected(&[r#"{"error": {"class": "GenericError", "desc": "not now"}, "id": ID}"#])
                .await;
        let error = qmp.system_powerdown().await.expect_err("refused");
        assert_eq!(error.to_string(), "qemu refused system_powerdown: not now");
    }

    #[tokio::test]
    async fn an_answer_with_another_id_garbage_and_a_close_are_errors() {
        let cases = [
            (r#"{"return": {}, "id": 99}"#, "what is not an answer"),
            ("garbage", "what is not an answer"),
            (r#"{"return": {}, "id": ID}"#, "what is not an answer: {}"),
        ];
        for (reply, expected) in cases {
            let (mut qmp, _server) = connected(&[reply]).await;
            let error = qmp.query_status().await.expect_err(reply).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let (mut qmp, _server) = connected(&[]).await;
        assert!(matches!(qmp.query_status().await, Err(QmpError::Closed)));
    }

    #[tokio::test]
    async fn silence_ends_with_the_limit_and_a_late_answer_is_not_taken_for_another() {
        let (mut qmp, server) = {
            let late = "{\"return\": {\"status\": \"paused\"}, \"id\": 2}\r\n{\"return\": {\"status\": \"running\"}, \"id\": ID}";
            let (qmp, server) = scripted(&["", late], true, SHORT).await;
            (qmp.expect("greeted"), server)
        };
        let error = qmp.query_status().await.expect_err("silence");
        assert!(matches!(
            error,
            QmpError::TimedOut {
                command: "query-status",
                ..
            }
        ));
        qmp.limit = LIMIT;
        assert_eq!(
            qmp.query_status().await.expect("answered"),
            RunState::Running
        );
        server.abort();
    }

    #[tokio::test]
    async fn a_server_that_never_greets_or_greets_wrongly_is_refused() {
        let (ours, silent) = UnixStream::pair().expect("a pair");
        let error = Qmp::greet(ours, SHORT).await.expect_err("no greeting");
        assert!(matches!(
            error,
            QmpError::TimedOut {
                command: "the greeting",
                ..
            }
        ));
        drop(silent);
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let _server = script(theirs, r#"{"event": "STOP"}"#, Vec::new(), true);
        let error = Qmp::greet(ours, LIMIT).await.expect_err("no greeting");
        assert!(matches!(error, QmpError::Strange(_)));
    }

    #[tokio::test]
    async fn a_line_without_end_costs_a_bounded_amount_of_memory() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let flood = tokio::spawn(async move {
            let mut sent = 0_usize;
            while theirs.write_all(&[b'x'; 4096]).await.is_ok() {
                sent += 4096;
            }
            sent
        });
        let error = Qmp::greet(ours, LIMIT).await.expect_err("too long");
        assert!(matches!(error, QmpError::TooLong));
        let sent = flood.await.expect("ended");
        assert!(
            sent < 2 << 20,
            "{sent} bytes: the line and the socket's buffers"
        );
    }

    #[tokio::test]
    async fn a_socket_where_nobody_listens_is_named() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let socket = directory.path().join("qmp.sock");
        let error = Qmp::connect(&socket, LIMIT).await.expect_err("nobody");
        assert!(matches!(&error, QmpError::Connect { .. }));
        assert!(error.to_string().contains("qmp.sock"));
    }
}
