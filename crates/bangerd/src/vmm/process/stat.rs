//! Reading `/proc/PID/stat` (proc_pid_stat(5)), where the second field is chosen by the process.

/// What is needed of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Field 1.
    pub(super) pid: u32,
    /// Field 3: one letter.
    pub(super) state: u8,
    /// Fields 14 and 15: clock ticks that its threads ran, in user mode and in the kernel; those that
    /// have ended included.
    pub(super) cpu_ticks: u64,
    /// Field 22: clock ticks from the host's boot to the start of the process.
    pub(super) start_time: u64,
}

impl Stat {
    /// Ended, though a parent has not yet taken notice: `Z`, and `X` or `x` on its way out.
    pub(super) const fn has_ended(self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Parses the file. The name in field 2 may hold anything, spaces, newlines and `) R 1` included:
/// fields are counted from the *last* closing parenthesis, after which come only numbers.
pub(super) fn parse(file: &[u8]) -> Option<Stat> {
    let opening = file.iter().position(|&byte| byte == b'(')?;
    let closing = file.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(file.get(..opening)?).ok()?;
    let after = std::str::from_utf8(file.get(closing + 1..)?).ok()?;
    let mut fields = after.split_ascii_whitespace();
    let state = match fields.next()?.as_bytes() {
        [letter] => *letter,
        _ => return None,
    };
    // `fields` continues with field 4.
    let user: u64 = fields.nth(14 - 4)?.parse().ok()?;
    let system = fields.next()?.parse().ok()?;
    let start_time = fields.nth(22 - 16)?.parse().ok()?;
    Some(Stat {
        pid: pid.trim_ascii().parse().ok()?,
        state,
        cpu_ticks: user.saturating_add(system),
        start_time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(pid: u32, name: &[u8], state: char, start_time: u64) -> Vec<u8> {
        let mut file = format!("{pid} (").into_bytes();
        file.extend_from_slice(name);
        let between = "7 ".repeat(22 - 4);
        file.extend_from_slice(format!(") {state} {between}{start_time} 99 99\n").as_bytes());
        file
    }

    proptest! {
        #[test]
        fn no_name_can_forge_the_fields(
            pid: u32,
            name in prop::collection::vec(any::<u8>(), 0..64),
            start_time: u64,
        ) {
            let expected = Stat { pid, state: b'S', cpu_ticks: 14, start_time };
            prop_assert_eq!(parse(&line(pid, &name, 'S', start_time)), Some(expected));
        }

        #[test]
        fn any_bytes_at_all_are_parsed_or_refused(file in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = parse(&file);
        }

        #[test]
        fn a_cut_off_file_never_gives_another_start_time(cut in 0_usize..60) {
            let whole = line(12, b"a) Z 1 1 1", 'R', 123_456);
            let parsed = parse(whole.get(..cut).unwrap_or(&whole));
            prop_assert!(parsed.is_none_or(|stat| "123456".starts_with(&stat.start_time.to_string())));
        }
    }

    #[test]
    fn a_name_that_looks_like_fields_is_only_a_name() {
        let file = line(5, b"qemu) Z 1 1 (x", 'R', 77);
        let stat = parse(&file).expect("well formed");
        assert_eq!((stat.state, stat.start_time), (b'R', 77));
        assert!(!stat.has_ended());
    }

    #[test]
    fn zombies_and_dead_processes_have_ended() {
        for state in ['Z', 'X', 'x'] {
            assert!(
                parse(&line(1, b"init", state, 1))
                    .expect("well formed")
                    .has_ended()
            );
        }
    }
}
