//! What daemons ask of a carrier, and how long it goes on.

use super::crowd::{Crowd, Served};
use super::{ended, tcp, udp};
use crate::publish::bind::Socket;
use banger_model::publish::{Protocol, Publication};
use banger_proto::carrier::{Bound, Have, LONGEST_LINE, Reply, Request, SPEAKS, Watched, line};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::cell::{Cell, RefCell};
use std::io::{Error, ErrorKind, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpListener, UdpSocket, UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_local;
use tokio_util::task::AbortOnDropHandle;

/// How much of a request is read at once.
const CHUNK: usize = 4096;

/// A socket whose connections are carried.
struct Open {
    bound: Bound,
    _task: AbortOnDropHandle<()>,
}

/// See the module.
pub(super) struct Carrier {
    crowd: Rc<Crowd>,
    open: RefCell<Vec<Open>>,
    places: Arc<Semaphore>,
    flow_places: Arc<Semaphore>,
    vmm: RefCell<Watched>,
    /// Daemons that follow; one, but for a moment.
    followers: Cell<usize>,
    /// Who follows: a newer one takes the place of one before.
    newest: Cell<u64>,
    /// VMM, followers or `asked` have changed.
    changed: Notify,
    /// Who asked for the end.
    asked: RefCell<Option<UnixStream>>,
    door: RefCell<Option<AbortOnDropHandle<()>>>,
}

impl Carrier {
    pub(super) fn new(own: [u8; 8], vmm: Watched) -> Rc<Self> {
        Rc::new(Self {
            crowd: Crowd::new(own),
            open: RefCell::default(),
            places: Arc::new(Semaphore::new(tcp::MOST_CONNECTIONS)),
            flow_places: Arc::new(Semaphore::new(udp::MOST_FLOWS_OF_ALL)),
            vmm: RefCell::new(vmm),
            followers: Cell::new(0),
            newest: Cell::new(0),
            changed: Notify::new(),
            asked: RefCell::default(),
            door: RefCell::default(),
        })
    }

    /// Daemons connect there from now on.
    pub(super) fn at(self: &Rc<Self>, listener: UnixListener) {
        let carrier = Rc::clone(self);
        let task = spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) if is_owner(&stream) => {
                        let carrier = Rc::clone(&carrier);
                        // A daemon that leaves in between has no use for what it asked for.
                        spawn_local(async move { drop(Asking::new(stream).serve(&carrier).await) });
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(tcp::ACCEPT_PAUSE).await,
                }
            }
        });
        self.door.replace(Some(AbortOnDropHandle::new(task)));
    }

    /// Waits until somebody asks for the end, or no daemon is there and the VMM has ended; who asked.
    pub(super) async fn until_over(&self) -> Option<UnixStream> {
        loop {
            if let Some(asked) = self.asked.take() {
                self.open.take();
                self.door.take();
                return Some(asked);
            }
            let vmm = self.vmm.borrow().clone();
            if self.followers.get() > 0 {
                self.changed.notified().await;
                continue;
            }
            tokio::select! {
                () = ended(vmm) => return None,
                () = self.changed.notified() => {}
            }
        }
    }

    fn have(&self) -> Have {
        Have {
            speaks: SPEAKS,
            pid: std::process::id(),
            vmm: self.vmm.borrow().clone(),
            sockets: self.open.borrow().iter().map(|open| open.bound).collect(),
            sessions: self.crowd.sessions(),
        }
    }

    fn listen(&self, publication: Publication, socket: OwnedFd) -> Result<()> {
        let (crowd, guest) = (Rc::clone(&self.crowd), publication.guest.get());
        let socket = match publication.protocol {
            Protocol::Tcp => Socket::Tcp(socket.into()),
            Protocol::Udp => Socket::Udp(socket.into()),
        };
        let at = socket.endpoint()?;
        let task = match socket {
            Socket::Tcp(listener) => {
                let (listener, places) =
                    (TcpListener::from_std(listener)?, Arc::clone(&self.places));
                spawn_local(tcp::serve(listener, guest, crowd, places))
            }
            Socket::Udp(socket) => {
                let (socket, places) =
                    (UdpSocket::from_std(socket)?, Arc::clone(&self.flow_places));
                spawn_local(udp::serve(socket, guest, crowd, places))
            }
        };
        self.open.borrow_mut().push(Open {
            bound: Bound { publication, at },
            _task: AbortOnDropHandle::new(task),
        });
        Ok(())
    }

    fn close(&self, publication: Publication) {
        let mut open = self.open.borrow_mut();
        open.retain(|open| open.bound.publication != publication);
    }

    /// Tells a daemon which connections want it, until it leaves.
    async fn followed(&self, stream: &mut UnixStream) -> Result<()> {
        let number = self.newest.get() + 1;
        self.newest.set(number);
        self.crowd.all_wait();
        stream.write_all(&line(&Reply::Have(self.have()))).await?;
        loop {
            let waiting = tokio::select! {
                waiting = self.crowd.next_waiting() => waiting,
                ready = stream.readable() => {
                    ready?;
                    match stream.try_read(&mut [0; 16]) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                        // It has nothing more to say.
                        _ => return Ok(()),
                    }
                }
            };
            if self.newest.get() != number {
                self.crowd.all_wait();
                return Ok(());
            }
            stream.write_all(&line(&Reply::Waits(waiting))).await?;
        }
    }
}

/// Whether the peer is this user, or root.
fn is_owner(stream: &UnixStream) -> bool {
    let peer = socket_peercred(stream).map(|peer| peer.uid);
    peer.is_ok_and(|uid| uid == rustix::process::getuid() || uid.is_root())
}

/// A connection of a daemon's.
struct Asking {
    stream: UnixStream,
    come: Vec<u8>,
    socket: Option<OwnedFd>,
}

impl Asking {
    const fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            come: Vec::new(),
            socket: None,
        }
    }

    /// Answers one request after the other.
    async fn serve(mut self, carrier: &Rc<Carrier>) -> Result<()> {
        loop {
            let request = match self.request().await? {
                Ok(request) => request,
                Err(why) => {
                    let failed = line(&Reply::Failed(why));
                    self.stream.write_all(&failed).await?;
                    continue;
                }
            };
            let reply = match request {
                Request::Have => Reply::Have(carrier.have()),
                Request::Listen(publication) => {
                    self.with_socket(|socket| carrier.listen(publication, socket))
                }
                Request::Close(publication) => {
                    carrier.close(publication);
                    // Its tasks end when they are next looked at.
                    tokio::task::yield_now().await;
                    Reply::Done
                }
                Request::Watch(vmm) => self.with_socket(|socket| {
                    carrier.at(UnixListener::from_std(socket.into())?);
                    carrier.vmm.replace(vmm);
                    carrier.changed.notify_one();
                    Ok(())
                }),
                Request::End => {
                    carrier.asked.replace(Some(self.stream));
                    carrier.changed.notify_one();
                    return Ok(());
                }
                Request::Follow => {
                    carrier.followers.update(|count| count + 1);
                    carrier.changed.notify_one();
                    let followed = carrier.followed(&mut self.stream).await;
                    carrier.followers.update(|count| count - 1);
                    carrier.changed.notify_one();
                    return followed;
                }
                Request::Serve(number) => {
                    let (stream, come) = (self.stream, self.come);
                    carrier.crowd.serve(number, Served { stream, come });
                    return Ok(());
                }
            };
            self.stream.write_all(&line(&reply)).await?;
        }
    }

    fn with_socket(&mut self, act: impl FnOnce(OwnedFd) -> Result<()>) -> Reply {
        let socket = self.socket.take();
        let acted = socket.map_or_else(|| Err(Error::other("no socket came with it")), act);
        acted.map_or_else(|error| Reply::Failed(error.to_string()), |()| Reply::Done)
    }

    /// The next request, or why it is none.
    async fn request(&mut self) -> Result<std::result::Result<Request, String>> {
        loop {
            if let Some(end) = self.come.iter().position(|byte| *byte == b'\n') {
                let rest = self.come.split_off(end + 1);
                let said = std::mem::replace(&mut self.come, rest);
                let request = serde_json::from_slice(&said);
                return Ok(request.map_err(|error| format!("no request is known as that: {error}")));
            }
            if self.come.len() > LONGEST_LINE {
                return Err(ErrorKind::InvalidData.into());
            }
            self.stream.readable().await?;
            self.receive()?;
        }
    }

    /// Reads what has come, with the socket that may come with it.
    fn receive(&mut self) -> Result<()> {
        let mut bytes = [0; CHUNK];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = self.stream.try_io(Interest::READABLE, || {
            let mut rooms = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            Ok(recvmsg(&self.stream, &mut rooms, &mut control, flags)?)
        });
        let count = match received {
            Ok(received) if received.bytes == 0 => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(received) => received.bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                self.socket = sockets.last();
            }
        }
        self.come
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        Ok(())
    }
}
