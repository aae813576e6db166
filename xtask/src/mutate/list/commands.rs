//! Commands: exit statuses, arguments, streams, terminals; `--rm`, and several at once.

use super::whole;
use crate::mutate::Mutation;

pub(super) const LIST: &[Mutation] = &[
    // Exit statuses, arguments, streams.
    Mutation {
        holds: "the exit status is the command's own",
        file: "crates/banger/src/exit.rs",
        from: "Self::Command(code) => code,",
        to: "Self::Command(code) => if code == 42 { 1 } else { code },",
        test: whole("machine::exit_statuses_are_the_commands_own"),
    },
    Mutation {
        holds: "a signal that ends a command gives 128 + n",
        file: "crates/banger-agent/src/session/spawn.rs",
        from: "(None, Some(signal)) => ExitStatus::Signal(byte(signal)),",
        to: "(None, Some(signal)) => ExitStatus::Code(byte(signal)),",
        test: whole("machine::exit_statuses_are_the_commands_own"),
    },
    Mutation {
        holds: "arguments that are not UTF-8 arrive unchanged",
        file: "crates/banger/src/exec/mod.rs",
        from: "ByteText(text.as_bytes().to_vec())",
        to: "ByteText(text.to_string_lossy().into_owned().into_bytes())",
        test: whole("machine::arguments_arrive_as_the_bytes_they_were"),
    },
    Mutation {
        holds: "arguments with newlines arrive unchanged",
        file: "crates/banger-agent/src/session/command.rs",
        from: "arguments: argv.to_vec(),",
        to: "arguments: argv.iter().map(|a| a.iter().copied().filter(|b| *b != b'\\n').collect()).collect(),",
        test: whole("machine::arguments_arrive_as_the_bytes_they_were"),
    },
    Mutation {
        holds: "empty arguments arrive",
        file: "crates/banger-agent/src/session/command.rs",
        from: "arguments: argv.to_vec(),",
        to: "arguments: argv.iter().filter(|a| !a.is_empty()).cloned().collect(),",
        test: whole("machine::arguments_arrive_as_the_bytes_they_were"),
    },
    Mutation {
        holds: "bytes of standard output come back equal",
        file: "crates/banger/src/exec/pump.rs",
        from: "self.output.write(stream, message.slice(1..));",
        to: "self.output.write(stream, message.iter().skip(1).rev().copied().collect());",
        test: whole("machine::ten_million_random_bytes_come_back_equal"),
    },
    Mutation {
        holds: "bytes of standard input arrive equal",
        file: "crates/banger-proto/src/guest/flow/outbox.rs",
        from: "Taken::Bytes(slices(bytes, from, count)),",
        to: "Taken::Bytes(slices(bytes, if self.base > 5_000_000 { 0 } else { from }, count)),",
        test: whole("machine::ten_million_random_bytes_come_back_equal"),
    },
    Mutation {
        holds: "standard error stays apart",
        file: "crates/banger/src/exec/session.rs",
        from: "Ok(Brought::Output(Stream::Err))",
        to: "Ok(Brought::Output(Stream::Out))",
        test: whole("machine::standard_error_stays_apart"),
    },
    // Terminals.
    Mutation {
        holds: "a terminal has the right size after a resize (the client tells)",
        file: "crates/banger/src/exec/pump.rs",
        from: "link.send(resize_message(terminal::size()));",
        to: "let _ = resize_message(terminal::size());",
        test: whole("machine::a_terminal_has_the_right_size_after_a_resize"),
    },
    Mutation {
        holds: "a terminal has the right size after a resize (the agent sets)",
        file: "crates/banger-agent/src/session/mod.rs",
        from: "let _ = tcsetwinsize(terminal, window(*size));",
        to: "let _ = (terminal, window(TerminalSize { rows: size.columns, columns: size.rows }));",
        test: whole("machine::a_terminal_has_the_right_size_after_a_resize"),
    },
    Mutation {
        holds: "Ctrl-C on a terminal reaches the guest's process",
        file: "crates/banger-agent/src/session/steps.rs",
        from: "        if self.terminal {\n",
        to: "        if self.terminal && self.needs_directory {\n",
        test: whole("machine::an_interrupt_reaches_the_guests_process"),
    },
    Mutation {
        holds: "Ctrl-C without a terminal reaches the guest's process",
        file: "crates/banger/src/exec/pump.rs",
        from: "                press => {\n                    link.send(signal_message(number));",
        to: "                press => {\n                    link.send(signal_message(0));",
        test: whole("machine::an_interrupt_reaches_the_guests_process"),
    },
    Mutation {
        holds: "losing the terminal ends the session",
        file: "crates/banger-agent/src/session/mod.rs",
        from: "                self.signal(Signal::HUP);\n",
        to: "",
        test: whole("machine::losing_the_terminal_kills_the_session_and_nothing_else"),
    },
    Mutation {
        holds: "losing the terminal ends nothing but the session",
        file: "crates/bangerd/src/api/exec.rs",
        from: "let _lost = stream.steer(&Steer::Hangup).await;",
        to: "let _lost = stream.steer(&Steer::Hangup).await;\n                    let kill = |reply| crate::sandbox::Command::Kill(rustix::process::Signal::KILL, reply);\n                    let _killed = self.sandbox.request(kill).await;",
        test: whole("machine::losing_the_terminal_kills_the_session_and_nothing_else"),
    },
    // --rm, and several at once.
    Mutation {
        holds: "--rm removes at once after Ctrl-C",
        file: "crates/banger/src/commands/run.rs",
        from: "        if rm {\n            remove(",
        to: "        if rm && matches!(ended, Ok(Exit::Command(_))) {\n            remove(",
        test: whole("machine::rm_removes_whatever_happened"),
    },
    Mutation {
        holds: "--rm removes after a command that failed",
        file: "crates/banger/src/commands/run.rs",
        from: "        if rm {\n            remove(",
        to: "        if rm && matches!(ended, Ok(Exit::Command(0) | Exit::Signal(_))) {\n            remove(",
        test: whole("machine::rm_removes_whatever_happened"),
    },
    Mutation {
        holds: "--rm removes when the client was killed",
        file: "crates/bangerd/src/supervise.rs",
        from: "        if record.spec.ephemeral\n            && has_run",
        to: "        if !record.spec.ephemeral\n            && has_run",
        test: whole("machine::rm_removes_whatever_happened"),
    },
    Mutation {
        holds: "--rm removes none that is still being made",
        file: "crates/bangerd/src/supervise/create.rs",
        from: "        let _in_hand = sandbox.attach(self.clock);\n",
        to: "",
        test: whole(
            "faults::in_hand::one_that_is_being_made_is_not_removed_for_want_of_a_client_however_old_its_daemon_is",
        ),
    },
    Mutation {
        holds: "--rm keeps a machine whose guest never came up",
        file: "crates/bangerd/src/supervise/create.rs",
        from: "Err(fault) if fault.code != FaultCode::Guest => {",
        to: "Err(fault) if fault.code != FaultCode::NotFound => {",
        test: whole("hostile::a_guest_that_dies_is_told_with_what_its_vmm_said"),
    },
    Mutation {
        holds: "eight at once work",
        file: "crates/bangerd/src/layout.rs",
        from: "            runtime: layout.sandbox_runtime(id),",
        to: "            runtime: layout.sandbox_runtime(SandboxId::from_random([1; 16])),",
        test: whole("machine::eight_runs_at_once_work"),
    },
];
