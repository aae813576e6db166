use super::*;

/// Asks the shell's own kernel how it is scheduled: field 41 of /proc/self/stat (proc(5)).
const POLICY: &str = "read -r line < /proc/self/stat; set -- ${line##*) }; shift 38; echo $1";

fn policy_of_a_command() -> String {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", POLICY]);
    before_exec(&mut command, || Ok(()));
    let output = command.output().expect("a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn what_a_thread_that_never_preempts_starts_is_scheduled_as_usual() {
    let usual = policy_of_a_command();
    let of_command = std::thread::spawn(|| {
        never_preempt().expect("anybody may");
        let mine = std::fs::read_to_string("/proc/thread-self/stat").expect("a process");
        let fields = mine.rsplit(") ").next().expect("fields");
        assert_eq!(fields.split(' ').nth(38), Some("3"), "not SCHED_BATCH");
        policy_of_a_command()
    });
    assert_eq!(
        (usual.as_str(), of_command.join().expect("asked").as_str()),
        ("0", "0")
    );
}
