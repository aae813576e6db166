//! Commands over a bare port.

use super::{Came, Port, answer, random, unencodable};
use crate::bench::error::Error;
use banger_proto::guest::flow::{Credit, Inbox, Outbox};
use banger_proto::guest::frame::{Kind, MAX_PAYLOAD};
use banger_proto::guest::message::{Call, Exec, ExitStatus, Notice, STDERR, STDIN, STDOUT, decode};

/// What a command did.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes of standard output.
    pub stdout: Vec<u8>,
    /// Bytes of standard error.
    pub stderr: Vec<u8>,
}

/// A command that was begun and not yet waited for.
#[derive(Debug)]
pub struct Execution {
    stream: u32,
    inboxes: [Inbox; 2],
    input: Outbox,
    /// Zeros of input that were not yet produced.
    left: u64,
    output: Output,
}

impl Port {
    /// Begins a command that gets `input` zeros as standard input.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn exec(&mut self, argv: &[&str], input: u64) -> Result<Execution, Error> {
        let call = Call::Exec(Exec {
            session: random()?,
            argv: argv.iter().map(|word| word.as_bytes().to_vec()).collect(),
            environment: vec![],
            directory: None,
            user: None,
            terminal: None,
            stdin: input > 0,
        });
        let mut execution = Execution {
            stream: self.begin(&call)?,
            inboxes: <[Inbox; 2]>::default(),
            input: Outbox::default(),
            left: input,
            output: Output::default(),
        };
        for (inbox, channel) in execution.inboxes.iter_mut().zip([STDOUT, STDERR]) {
            let credit = inbox.first_credit(channel);
            self.send(execution.stream, Kind::Credit, &[&credit.to_bytes()])?;
        }
        Ok(execution)
    }

    /// Waits for a command's end.
    ///
    /// # Errors
    /// When it fails, the connection breaks, or somebody interrupts.
    pub fn finish(&mut self, mut execution: Execution) -> Result<Output, Error> {
        loop {
            let came = self.frame()?;
            if came.stream != execution.stream {
                continue;
            }
            match came.kind {
                Kind::Answer => drop(answer(&came.payload)?),
                Kind::Data => execution.take(self, &came)?,
                Kind::Credit => execution.allow(&came)?,
                Kind::Notice => return execution.ended(&came),
                _ => {}
            }
            execution.feed(self)?;
        }
    }

    /// Runs a command without input to its end.
    ///
    /// # Errors
    /// As [`Self::exec`] and [`Self::finish`].
    pub fn run(&mut self, argv: &[&str]) -> Result<Output, Error> {
        let execution = self.exec(argv, 0)?;
        self.finish(execution)
    }
}

impl Execution {
    fn take(&mut self, port: &mut Port, came: &Came) -> Result<(), Error> {
        let Some((channel @ (&STDOUT | &STDERR), bytes)) = came.payload.split_first() else {
            return Err(Error::wrong("output in a channel that is none"));
        };
        let (inbox, place) = match *channel {
            STDOUT => (&mut self.inboxes[0], &mut self.output.stdout),
            _ => (&mut self.inboxes[1], &mut self.output.stderr),
        };
        inbox.receive(bytes.len()).map_err(unencodable)?;
        inbox.consume(bytes.len());
        place.extend_from_slice(bytes);
        match inbox.credit(*channel) {
            Some(credit) => port.send(self.stream, Kind::Credit, &[&credit.to_bytes()]),
            None => Ok(()),
        }
    }

    fn allow(&mut self, came: &Came) -> Result<(), Error> {
        let credit = Credit::from_bytes(&came.payload);
        let credit = credit.ok_or_else(|| Error::wrong("a credit that is none"))?;
        let allowed = self.input.credit(credit.acked, credit.limit);
        allowed.map_err(unencodable)
    }

    /// Sends as much input as is allowed, then its end.
    fn feed(&mut self, port: &mut Port) -> Result<(), Error> {
        static ZEROS: [u8; 65_536] = [0; 65_536];
        loop {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX);
            let taken = self.input.push(&ZEROS[..most.min(ZEROS.len())]);
            self.left -= taken as u64;
            if self.left == 0 {
                self.input.end();
            }
            match self.input.take(MAX_PAYLOAD - 1) {
                Some(bytes) => port.send(self.stream, Kind::Data, &[&[STDIN], &bytes])?,
                None => break,
            }
        }
        if self.input.take_end() {
            port.send(self.stream, Kind::End, &[&[STDIN]])?;
        }
        Ok(())
    }

    fn ended(self, came: &Came) -> Result<Output, Error> {
        match decode(&came.payload).map_err(unencodable)? {
            Notice::Exited(ExitStatus::Code(0)) => Ok(self.output),
            other => {
                let said = String::from_utf8_lossy(&self.output.stderr).into_owned();
                Err(Error::wrong(format!(
                    "a command in the guest: {other:?}: {said}"
                )))
            }
        }
    }
}
