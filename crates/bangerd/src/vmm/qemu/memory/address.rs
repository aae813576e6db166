//! Where in QEMU's process its guest's memory is: reading what `info ramblock` prints.

use super::super::args::MEMORY;

/// The address, if the text has the line of the guest's memory and says this size.
///
/// ```text
/// Block Name    PSize              Offset               Used              Total                HVA  RO
///        ram    4 KiB  0x0000000000000000 0x0000000020000000 0x0000000020000000 0x00007f61bfe00000  rw
/// ```
pub(in crate::vmm::qemu) fn of_memory(text: &str, size: u64) -> Option<u64> {
    let words =
        |line: &'_ str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let line = text
        .lines()
        .map(words)
        .find(|words| words.first().is_some_and(|name| name == MEMORY))?;
    let [_, _, _, _, used, total, address, _] = line.as_slice() else {
        return None;
    };
    let number = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    let is_all = number(used)? == size && number(total)? == size;
    let address = number(address)?;
    let is_sound = address != 0 && address.checked_add(size).is_some();
    (is_all && is_sound).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "              Block Name    PSize              Offset               Used              Total                HVA  RO\r\n                     ram    4 KiB  0x0000000000000000 0x0000000020000000 0x0000000020000000 0x00007f61bfe00000  rw\r\n    /rom@etc/acpi/tables    4 KiB  0x0000000020080000 0x0000000000020000 0x0000000000200000 0x00007f6224800000  ro\r\n";

    #[test]
    fn the_address_of_the_memory_is_found() {
        assert_eq!(of_memory(SAID, 512 << 20), Some(0x7f61_bfe0_0000));
    }

    #[test]
    fn what_is_not_the_whole_memory_is_not_taken() {
        assert_eq!(of_memory(SAID, 256 << 20), None);
        for said in [
            "",
            "ram",
            "ram 4 KiB 0x0 0x20000000 0x20000000 0x0 rw",
            "ram 4 KiB 0x0 0x20000000 0x20000000 0xfffffffffffff000 rw",
            "ram 4 KiB 0x0 0x20000000 0x20000000 7f61bfe00000 rw",
            "ram 4 KiB 0x0 0x10000000 0x20000000 0x00007f61bfe00000 rw",
            "rom 4 KiB 0x0 0x20000000 0x20000000 0x00007f61bfe00000 rw",
        ] {
            assert_eq!(of_memory(said, 512 << 20), None, "{said}");
        }
    }
}
