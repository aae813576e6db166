//! Bytes through a port without any protocol: as fast as it gets.

use super::bare::Bare;
use super::command_line::RAW_PORT;
use super::error::Error;
use super::interrupt;
use super::port::read_some;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How many bytes a copy has.
pub const BYTES: u64 = 128 * 1024 * 1024;
/// [`BYTES`] in MiB.
pub const MIB: f64 = 128.0;

/// The host's end of the second port of a bare machine.
#[derive(Debug)]
pub struct Raw {
    socket: UnixStream,
    /// The guest's end: a device.
    device: String,
}

/// Finds the device of a port by its name, with a shell and `cat` only.
const FIND_DEVICE: &str = r#"for port in /sys/class/virtio-ports/*; do
    if [ "$(cat "$port/name")" = "$0" ]; then echo "/dev/${port##*/}"; fi
done"#;

impl Raw {
    /// Connects to it.
    ///
    /// # Errors
    /// When the machine has no such port.
    pub fn open(bare: &mut Bare) -> Result<Self, Error> {
        let found = bare.port.run(&["sh", "-c", FIND_DEVICE, RAW_PORT]);
        let device = String::from_utf8_lossy(&found?.stdout).trim().to_owned();
        if !device.starts_with("/dev/") {
            return Err(Error::wrong(format!(
                "no second port in the guest: {device:?}"
            )));
        }
        let socket = UnixStream::connect(bare.raw_socket());
        let socket = socket.map_err(Error::io("connect to the second port"))?;
        let timed = socket.set_read_timeout(Some(interrupt::LOOK));
        timed.map_err(Error::io("set a limit to a socket"))?;
        Ok(Self { socket, device })
    }

    /// The guest writes [`BYTES`] zeros, the host reads them.
    ///
    /// # Errors
    /// When other bytes come, or not as many.
    pub fn from_guest(&mut self, bare: &mut Bare) -> Result<Duration, Error> {
        let to = format!("of={}", self.device);
        let begun = Instant::now();
        let argv = [
            "dd",
            "if=/dev/zero",
            &to,
            "bs=64k",
            "count=2048",
            "status=none",
        ];
        let writing = bare.port.exec(&argv, 0)?;
        let mut zeros = Zeros::default();
        let mut buffer = vec![0; CHUNK];
        while zeros.count < BYTES {
            let count = read_some(&mut self.socket, &mut buffer)?;
            zeros.take(&buffer[..count]);
        }
        bare.port.finish(writing)?;
        let took = begun.elapsed();
        zeros.demand(BYTES)?;
        Ok(took)
    }

    /// The host writes [`BYTES`] zeros, the guest reads them.
    ///
    /// # Errors
    /// When the guest does not get as many.
    pub fn to_guest(&mut self, bare: &mut Bare) -> Result<Duration, Error> {
        let (from, count) = (format!("if={}", self.device), format!("count={BYTES}"));
        let begun = Instant::now();
        let reading = bare.port.exec(
            &[
                "dd",
                &from,
                "of=/dev/null",
                "bs=64k",
                "iflag=fullblock,count_bytes",
                &count,
            ],
            0,
        )?;
        write_zeros(&mut self.socket, BYTES).map_err(Error::io("write to the second port"))?;
        let output = bare.port.finish(reading)?;
        let took = begun.elapsed();
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.contains(&format!("{BYTES} bytes")) {
            return Err(Error::wrong(format!(
                "the guest read something else: {said}"
            )));
        }
        Ok(took)
    }
}

/// As much as is read or written at once; what a pipe takes.
const CHUNK: usize = 65_536;
static ZERO: [u8; CHUNK] = [0; CHUNK];

/// Writes so many zeros.
///
/// # Errors
/// Those of the writer.
pub fn write_zeros(to: &mut impl Write, mut left: u64) -> std::io::Result<()> {
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        to.write_all(&ZERO[..most])?;
        left -= most as u64;
    }
    Ok(())
}

/// Counts zeros and sees whether there is anything else.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Zeros {
    count: u64,
    others: bool,
}

impl Zeros {
    /// Reads to the end.
    pub fn read(mut from: impl Read) -> Self {
        let (mut zeros, mut buffer) = (Self::default(), vec![0; CHUNK]);
        // What is missing at the end is found by `demand`.
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            zeros.take(&buffer[..count]);
        }
        zeros
    }

    fn take(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        self.others |= bytes
            .chunks(CHUNK)
            .any(|chunk| chunk != &ZERO[..chunk.len()]);
    }

    /// Demands that there were this many and nothing else.
    ///
    /// # Errors
    /// What there was.
    pub fn demand(&self, wanted: u64) -> Result<(), Error> {
        if self.count == wanted && !self.others {
            return Ok(());
        }
        let others = if self.others { ", not all zero" } else { "" };
        let count = self.count;
        Err(Error::wrong(format!(
            "{count} bytes came of {wanted}{others}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_counted_and_anything_else_is_noticed() {
        let mut bytes = Vec::new();
        write_zeros(&mut bytes, 200_000).expect("written");
        assert!(Zeros::read(bytes.as_slice()).demand(200_000).is_ok());
        let short = Zeros::read(&bytes[1..]).demand(200_000);
        let text = short.expect_err("too few").to_string();
        assert_eq!(text, "199999 bytes came of 200000");
        bytes[150_000] = 1;
        assert!(Zeros::read(bytes.as_slice()).demand(200_000).is_err());
        assert_eq!(Zeros::read(&[][..]), Zeros::default());
    }
}
