use super::*;

struct Place(tempfile::TempDir);

const SIZE: u64 = 1 << 20;

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        std::fs::write(place.at("disk"), [7; 2048]).expect("written");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn machine(&self, memory: Memory, incoming: bool) -> Simulated {
        let disks = vec![self.at("disk")];
        Simulated::new(memory, incoming, disks, self.at("corrupted"))
    }

    fn booted(&self) -> Simulated {
        self.machine(Memory::empty(SIZE), false)
    }
}

#[test]
fn a_guest_that_is_never_halted_leaves_its_disks_alone() {
    let place = Place::new();
    assert_eq!(place.booted().runs(), Runs::Running);
    assert_eq!(std::fs::read(place.at("disk")).expect("read"), [7; 2048]);
}

#[test]
fn what_is_saved_goes_on_with_the_memory_and_disk_of_its_moment() {
    let place = Place::new();
    let first = place.booted();
    first.set_hostname("web");
    first.save(&place.at("devices")).expect_err("it runs");
    first.halt().expect("halted");
    first.save(&place.at("devices")).expect("saved");
    let moment = moment::of(&place.at("disk")).expect("a moment");
    let mut memory = Memory::empty(SIZE);
    memory.mark(moment);
    let second = place.machine(memory, true);
    assert_eq!(second.runs(), Runs::Expecting);
    second.go_on().expect_err("nothing is loaded");
    second.load(&place.at("devices")).expect("begun");
    assert_eq!(second.loaded(), Some(Ok(())));
    assert_eq!(second.runs(), Runs::Paused);
    second.go_on().expect("goes on");
    let expected = first.state().beginning;
    assert!(expected.configured);
    assert_eq!(second.until_it_runs(), expected);
    assert_eq!(second.state().hostname, "web");
    assert_ne!(moment::of(&place.at("disk")), Some(moment));
    assert!(!place.at("corrupted").exists());
}

#[test]
fn each_boot_and_each_halt_is_another_moment_of_the_disk() {
    let place = Place::new();
    let machine = place.booted();
    let mut moments = vec![moment::of(&place.at("disk"))];
    machine.halt().expect("halted");
    moments.push(moment::of(&place.at("disk")));
    machine.go_on().expect("goes on");
    moments.push(moment::of(&place.at("disk")));
    place.booted();
    moments.push(moment::of(&place.at("disk")));
    assert_eq!(moments[0], None);
    moments.dedup();
    assert_eq!(moments.len(), 4);
}

#[test]
fn what_is_not_of_its_own_form_is_not_loaded() {
    let place = Place::new();
    for text in ["", "QEVM", "simulated-qemu devices 1\nweb\nx\ntrue\ny\n"] {
        let machine = place.machine(Memory::empty(SIZE), true);
        std::fs::write(place.at("devices"), text).expect("written");
        machine.load(&place.at("devices")).expect("begun");
        let why = machine.loaded().expect("done").expect_err("not loaded");
        assert!(why.contains("not a migration stream"), "{why}");
        assert_eq!(machine.runs(), Runs::Expecting);
    }
    place
        .booted()
        .load(&place.at("devices"))
        .expect_err("it runs");
}

#[test]
fn the_monitor_tells_where_the_memory_is() {
    let machine = Place::new().booted();
    let text = machine.ram_blocks();
    let address = machine.state().memory.address();
    assert!(text.contains(&format!("{address:#018x}  rw")), "{text}");
    assert!(
        text.contains("0x0000000000100000 0x0000000000100000"),
        "{text}"
    );
}
