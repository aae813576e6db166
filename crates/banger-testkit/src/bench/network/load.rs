//! A load of DNS queries: so many are outstanding at any time, and every answer is checked.

use super::super::error::Error;
use super::super::interrupt;
use super::name_server::{MACHINES, Machine};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Queries in one run: some hundredths of a second.
const QUERIES: usize = 4_000;
/// Queries that wait for an answer at any time: as many as clients that ask one after the other.
const OUTSTANDING: usize = 64;
/// How long an answer may take. On loopback none is lost, unless a server drops it.
const LIMIT: Duration = Duration::from_secs(5);

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const HEADER: usize = 12;

/// A query without its id, and the end of the right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    query: Vec<u8>,
    answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// One record with this data.
    Data(Vec<u8>),
    /// There is no such name.
    NoSuchName,
}

impl Question {
    fn new(name: &str, kind: u16, answer: Answer) -> Self {
        // Id 0, recursion desired as every stub resolver has it, one question.
        let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.extend(u8::try_from(label.len()));
            query.extend(label.as_bytes());
        }
        query.push(0);
        query.extend(kind.to_be_bytes());
        query.extend([0, 1]);
        Self { query, answer }
    }

    /// Whether these bytes, whose id is right, answer it: an answer without error, of the question,
    /// with the record at its end; or "no such name".
    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        let (Some(flags), Some(counts)) = (bytes.get(2..4), bytes.get(4..8)) else {
            return false;
        };
        let question = self.query.get(HEADER..).unwrap_or_default();
        let echoed = bytes
            .get(HEADER..)
            .is_some_and(|rest| rest.starts_with(question));
        let said = (flags[0] & 0x80 != 0, flags[1] & 0xF, counts);
        echoed
            && match &self.answer {
                Answer::Data(data) => said == (true, 0, &[0, 1, 0, 1]) && bytes.ends_with(data),
                Answer::NoSuchName => said == (true, 3, &[0, 1, 0, 0]),
            }
    }
}

/// What is asked: every machine's addresses of both kinds, and one time of eleven a name that does
/// not exist.
#[must_use]
pub fn questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for (index, machine) in (0..MACHINES).map(Machine::new).enumerate() {
        let (v4, v6) = (machine.v4.octets().to_vec(), machine.v6.octets().to_vec());
        questions.push(Question::new(&machine.name, TYPE_A, Answer::Data(v4)));
        questions.push(Question::new(&machine.name, TYPE_AAAA, Answer::Data(v6)));
        if index % 5 == 4 {
            let name = format!("no-{}", machine.name);
            questions.push(Question::new(&name, TYPE_A, Answer::NoSuchName));
        }
    }
    questions
}

/// One run.
#[derive(Debug)]
pub struct Load<'a> {
    socket: UdpSocket,
    questions: &'a [Question],
    asked: usize,
    open: [Option<Open>; OUTSTANDING],
}

#[derive(Debug, Clone, Copy)]
struct Open {
    id: u16,
    question: usize,
    since: Instant,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Ran {
    /// From the first query to the last answer, of all runs.
    pub took: Duration,
    /// Of each query.
    pub latencies: Vec<Duration>,
}

impl Ran {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.took += other.took;
        self.latencies.extend(other.latencies);
    }

    /// Queries a second.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of queries is far below 2^52"
    )]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

impl<'a> Load<'a> {
    /// One for this server.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn new(server: SocketAddr, questions: &'a [Question]) -> Result<Self, Error> {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(Error::io("bind a socket"))?;
        let ready = socket
            .connect(server)
            .and_then(|()| socket.set_read_timeout(Some(LIMIT)));
        ready.map_err(Error::io("reach the name server"))?;
        Ok(Self {
            socket,
            questions,
            asked: 0,
            open: [None; OUTSTANDING],
        })
    }

    /// Asks everything.
    ///
    /// # Errors
    /// When an answer is wrong, or does not come.
    pub fn run(mut self) -> Result<Ran, Error> {
        let mut latencies = Vec::with_capacity(QUERIES);
        let mut buffer = [0; 4096];
        let begun = Instant::now();
        for slot in 0..OUTSTANDING {
            self.ask(slot)?;
        }
        while latencies.len() < QUERIES {
            let received = self.socket.recv(&mut buffer);
            let length = received.map_err(Error::io("get an answer of the name server"))?;
            let slot = self.check(&buffer[..length], &mut latencies)?;
            if self.asked < QUERIES {
                self.ask(slot)?;
            }
            if latencies.len().is_multiple_of(1000) {
                interrupt::check()?;
            }
        }
        let took = begun.elapsed();
        Ok(Ran { took, latencies })
    }

    /// The id tells the slot, and which query of the slot it is: a second answer to an old one does
    /// not count.
    fn ask(&mut self, slot: usize) -> Result<(), Error> {
        let id = u16::try_from(self.asked % 1000 * OUTSTANDING + slot)
            .map_err(|_| Error::wrong("an id of a query has 16 bits"))?;
        let question = self.asked % self.questions.len();
        let mut query = self.questions[question].query.clone();
        query[..2].copy_from_slice(&id.to_be_bytes());
        let since = Instant::now();
        let sent: io::Result<usize> = self.socket.send(&query);
        sent.map_err(Error::io("ask the name server"))?;
        self.open[slot] = Some(Open {
            id,
            question,
            since,
        });
        self.asked += 1;
        Ok(())
    }

    fn check(&mut self, answer: &[u8], latencies: &mut Vec<Duration>) -> Result<usize, Error> {
        let now = Instant::now();
        let id = match answer {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => return Err(Error::wrong("an answer without an id")),
        };
        let slot = usize::from(id) % OUTSTANDING;
        let open = self.open[slot].take().filter(|open| open.id == id);
        let Some(open) = open else {
            return Err(Error::wrong(format!("an answer to no query: {answer:?}")));
        };
        let question = &self.questions[open.question];
        if !question.is_answered_by(answer) {
            return Err(Error::wrong(format!(
                "{question:?} was answered with {answer:?}"
            )));
        }
        latencies.push(now - open.since);
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_eleven_names_does_not_exist_and_the_others_have_data() {
        let all = questions();
        let unknown = all
            .iter()
            .filter(|one| one.answer == Answer::NoSuchName)
            .count();
        assert_eq!(all.len() - unknown, 2 * MACHINES);
        assert_eq!(all.len(), 11 * unknown);
    }

    #[test]
    fn only_the_right_answer_is_one() {
        let data = vec![172, 16, 0, 2];
        let question = Question::new("web.vm", TYPE_A, Answer::Data(data.clone()));
        assert_eq!(
            question.query[HEADER..],
            *b"\x03web\x02vm\x00\x00\x01\x00\x01"
        );
        let answered = |flags: [u8; 2], answers: u8, name: &[u8], data: &[u8]| {
            let header = [0, 0, flags[0], flags[1], 0, 1, 0, answers, 0, 0, 0, 0];
            let bytes = [&header[..], name, &[0, 1, 0, 1], data].concat();
            question.is_answered_by(&bytes)
        };
        let web = b"\x03web\x02vm\x00";
        assert!(answered([0x85, 0], 1, web, &data));
        assert!(!answered([0x05, 0], 1, web, &data), "a query");
        assert!(!answered([0x85, 2], 1, web, &data), "a failure");
        assert!(!answered([0x85, 0], 0, web, &data), "no record");
        assert!(
            !answered([0x85, 0], 1, b"\x03wxb\x02vm\x00", &data),
            "another name"
        );
        assert!(
            !answered([0x85, 0], 1, web, &[172, 16, 0, 3]),
            "another address"
        );
        assert!(!question.is_answered_by(&[0; 3]));
    }

    mod t1 {
        use super::super::super::name_server::NameServer;
        use super::*;
        use std::thread::JoinHandle;

        #[test]
        fn dnsmasq_gives_the_answers_that_are_expected() {
            let dnsmasq = NameServer::dnsmasq().expect("installed by `cargo xtask setup`");
            let all = questions();
            let load = Load::new(dnsmasq.address(), &all).expect("a socket");
            let ran = load.run().expect("right answers");
            assert_eq!(ran.latencies.len(), QUERIES);
            assert!(ran.rate() > 0.0);
        }

        /// Answers one query. The socket stays open until the thread is joined: a closed one would
        /// refuse what the load still sends.
        fn server(answer: fn(&mut Vec<u8>)) -> (SocketAddr, JoinHandle<UdpSocket>) {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
            let address = socket.local_addr().expect("bound");
            socket.set_read_timeout(Some(LIMIT)).expect("set");
            let thread = std::thread::spawn(move || {
                let mut buffer = [0; 512];
                let (length, peer) = socket.recv_from(&mut buffer).expect("a query");
                let mut bytes = buffer[..length].to_vec();
                answer(&mut bytes);
                socket.send_to(&bytes, peer).expect("sent");
                socket
            });
            (address, thread)
        }

        #[test]
        fn a_wrong_answer_and_one_to_no_query_are_errors() {
            let all = questions();
            let wrong: [fn(&mut Vec<u8>); 3] = [
                |bytes| bytes[2] |= 0x80,
                |bytes| bytes[0] ^= 0xFF,
                |bytes| bytes.truncate(1),
            ];
            for answer in wrong {
                let (address, thread) = server(answer);
                let load = Load::new(address, &all).expect("a socket");
                assert!(matches!(load.run(), Err(Error::Wrong(_))));
                let _closed = thread.join().expect("fine");
            }
        }
    }
}
